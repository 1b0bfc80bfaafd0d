package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"coup/cluster/sim"
	"coup/harness"
	"coup/plan"
	"coup/results"
	"coup/runner"
	"coup/search"
)

func newHunt(soft context.Context) *cobra.Command {
	p := plan.Default()
	p.Backend = "sim"
	var (
		file, seeds, out string
		redraw, explore  bool
		o                search.HuntOptions
	)
	cmd := &cobra.Command{
		Use:   "hunt",
		Short: "Run a plan with many seeds, and group what went wrong",
		Long: `Run a plan with many seeds, several at a time. The hunt stops at the first run that is
not valid, unless --keep-going is given. Failures are grouped by what went wrong. For
each failure, the seed and the command that runs it again are shown. Flags are those of
coup run, with --seeds in place of --seed. Each seed draws a schedule of its own; but a
schedule in the plan file that was written by hand is kept, unless --redraw is given.
Runs that were valid leave nothing behind.

With --explore, each seed draws a plan of its own: workload, faults and their interval,
settings of the system, number of nodes, processes, rate and objects, all from what
system and backend can do. What is named by a flag or the plan file stays. The plan that
was drawn is shown for each failure, and stored with the run as any other. Such a hunt
stops at the first violation, and goes on after a run that proves nothing.

Exit codes: as those of the worst run: 0 valid, 1 a violation was found, 2
unknown, 254 wrong usage, 255 coup itself or its environment failed.`,
		Example: `  coup hunt --seeds 1-1000 --time 60s --nemesis kill:leader,partition:halves
  coup hunt --seeds 1-100 --keep-going --bug early-ack --nemesis crash:leader
  coup hunt --seeds 1-100 --explore --time 20s --fail-fast
  coup hunt --seeds 1-20 --explore --workload queue --backend docker --workers 1`,
		Args: usageArgs(cobra.NoArgs),
	}
	f := cmd.Flags()
	f.StringVar(&file, "plan", "", "read the plan from this file, or from an earlier run's directory")
	f.StringVar(&out, "out", "runs", "make the run directories in this folder")
	f.StringVar(&seeds, "seeds", "1-100", "the first and the last seed")
	f.IntVar(&o.Workers, "workers", runtime.NumCPU(), "runs at a time")
	f.BoolVar(&o.KeepGoing, "keep-going", false, "go on after a failure")
	nodeFlag(f)
	planFlags(f, &p)
	f.BoolVar(&redraw, "redraw", false, "draw a schedule for each seed, even if the plan has one that was written by hand")
	f.BoolVar(&explore, "explore", false, "draw workload, faults, settings and load for each seed, unless they are named")
	f.Lookup("seed").Hidden = true
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("seed") {
			return usageError{errors.New("a hunt takes --seeds, the first and the last one, e.g. --seeds 1-100")}
		}
		err := fromFile(cmd, &p, file)
		if err != nil {
			return usageError{err}
		}
		if err := nodeFits(cmd, p); err != nil {
			return err
		}
		if n, err := fmt.Sscanf(seeds+" ", "%d-%d ", &o.From, &o.To); n != 2 || err != nil || o.From < 1 || o.To < o.From {
			return usageError{fmt.Errorf("seeds are given as 1-1000, not %q", seeds)}
		}
		if o.Workers < 1 {
			return usageError{fmt.Errorf("workers must be 1 or more, not %d", o.Workers)}
		}
		written := p.Schedule != nil && !p.Drawn()
		if written && !redraw {
			fmt.Fprintf(os.Stderr, "each seed strikes as the plan says: %d strikes (--redraw draws them for each seed)\n", len(p.Schedule))
		} else {
			p.Schedule = nil
		}
		p.Seed = o.From
		resolved := p // of the first seed, to see whether the plan makes sense
		if explore {
			named := namedIn(cmd, p)
			o.Draw = func(p plan.Plan) (plan.Plan, error) { return search.Explore(p, named) }
			if resolved, err = o.Draw(p); err != nil {
				return usageError{err}
			}
		}
		if err := resolved.Resolve(); err != nil {
			return usageError{err}
		}
		return hunt(cmd.Context(), soft, p, out, o)
	}
	return cmd
}

// namedIn reports of a field of the plan whether a flag or the plan's file has set it.
func namedIn(cmd *cobra.Command, p plan.Plan) func(field string) bool {
	d := plan.Default()
	set := map[string]bool{
		"workload": p.Workload != d.Workload, "nemesis": !slices.Equal(p.Nemesis, d.Nemesis), "interval": p.Interval != d.Interval,
		"nodes": p.Nodes != d.Nodes, "rate": p.Rate != d.Rate, "concurrency": p.Concurrency != d.Concurrency,
		"keys": p.Keys != d.Keys, "ops-per-key": p.OpsPerKey != d.OpsPerKey, "pause-every": p.PauseEvery != 0, "pause-for": p.PauseFor != 0,
	}
	return func(field string) bool { return set[field] || cmd.Flags().Changed(field) }
}

func hunt(ctx, soft context.Context, p plan.Plan, out string, o search.HuntOptions) error {
	start, shown := time.Now(), time.Now()
	var (
		done      int
		simulated time.Duration
		failures  []search.Hunted
		worst     = harness.Valid
	)
	say := func() {
		spent := time.Since(start)
		fmt.Fprintf(os.Stderr, "%d of %d seeds, %.1f a minute, %.2f simulated hours, %d not valid\n",
			done, o.To-o.From+1, float64(done)/spent.Minutes(), simulated.Hours(), len(failures))
		shown = time.Now()
	}
	o.Done = func(h search.Hunted) {
		done++
		simulated += max(0, h.Simulated)
		worst = harness.Worst(worst, h.Valid)
		if h.Valid != harness.Valid {
			failures = append(failures, h)
			fmt.Printf("seed %d: %s\n  %s\n", h.Seed, h.Sentence, replayCommand(h))
			if h.Drawn != "" {
				fmt.Printf("  drawn: %s\n", h.Drawn)
			}
		}
		if time.Since(shown) > 10*time.Second {
			say()
		}
	}
	o.Start = func() (io.WriteCloser, io.Reader, func() error, error) { return startWorker(ctx) }
	err := search.Hunt(ctx, soft, p, out, o)
	results.MendLatest(out)
	say()
	printGroups(failures)
	if err != nil {
		return err
	}
	if soft.Err() != nil && done < int(o.To-o.From+1) {
		fmt.Printf("interrupted: %d of %d seeds were run\n", done, o.To-o.From+1)
		worst = harness.Worst(worst, harness.Unknown)
	}
	return codeOf(worst)
}

func replayCommand(h search.Hunted) string {
	command := "coup replay " + h.Dir
	if node := os.Getenv(sim.NodeVariable); node != "" {
		command += " --node " + node
	}
	return command
}

// printGroups shows the failures by what went wrong, the most frequent first.
func printGroups(failures []search.Hunted) {
	groups := map[string][]search.Hunted{}
	for _, h := range failures {
		groups[h.Fingerprint] = append(groups[h.Fingerprint], h)
	}
	for _, name := range slices.SortedFunc(maps.Keys(groups), func(a, b string) int {
		return cmp.Or(len(groups[b])-len(groups[a]), strings.Compare(a, b))
	}) {
		var seeds []string
		for _, h := range groups[name] {
			seeds = append(seeds, fmt.Sprint(h.Seed))
		}
		slices.SortFunc(seeds, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
		fmt.Printf("%d times: %s\n  seeds %s\n  %s\n", len(seeds), name, strings.Join(seeds, " "), replayCommand(groups[name][0]))
	}
}

// startWorker starts coup hunt-worker. It is a process of its own, so that a node in an
// endless loop only ends its own run.
func startWorker(ctx context.Context) (io.WriteCloser, io.Reader, func() error, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, nil, err
	}
	cmd := exec.CommandContext(ctx, self, "hunt-worker")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	return in, answers, cmd.Wait, cmd.Start()
}

func newHuntWorker(soft context.Context) *cobra.Command {
	var stuck []string
	cmd := &cobra.Command{
		Use: "hunt-worker", Short: "Runs the seeds of a hunt that it is given", Hidden: true,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(stuck) > 0 {
				return afterStuck(cmd.Context(), stuck)
			}
			// A terminal interrupts the workers together with the hunt, which gives them no
			// more seeds after that, and ends them if it is interrupted again.
			signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			return search.HuntWorker(cmd.Context(), soft, os.Stdin, os.Stdout, runner.Options{Stuck: becomeStuckWorker})
		},
	}
	cmd.Flags().StringArrayVar(&stuck, "stuck", nil, "a run whose node loops for ever: its directory, the node, and after what time")
	return cmd
}

func becomeStuckWorker(dir, node string, after time.Duration) {
	self, err := os.Executable()
	if err == nil {
		err = syscall.Exec(self, []string{"coup", "hunt-worker", "--stuck", dir, "--stuck", node, "--stuck", after.String()}, os.Environ())
	}
	fmt.Fprintf(os.Stderr, "coup: %s loops for ever, and this can't be judged: %v\n", node, err)
	os.Exit(exitHarness)
}

func afterStuck(ctx context.Context, stuck []string) error {
	if len(stuck) != 3 {
		return usageError{errors.New("--stuck is given three times")}
	}
	after, err := time.ParseDuration(stuck[2])
	if err != nil {
		return usageError{err}
	}
	return search.WriteStuck(ctx, os.Stdout, stuck[0], stuck[1], after)
}
