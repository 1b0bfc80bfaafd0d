package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"coup/checker/weaker"
	"coup/cluster"
	"coup/cluster/sim"
	"coup/harness"
	"coup/judge"
	"coup/plan"
	"coup/results"
	"coup/runner"
	"coup/workloads"
)

func newRun(soft context.Context) *cobra.Command {
	p := plan.Default()
	var (
		file  string
		print bool
		o     runner.Options
	)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a test: a cluster, clients, faults, a verdict",
		Long: `Run a test and judge it. The plan comes from flags, from a file in YAML
(--plan), or from the directory of an earlier run (--plan runs/latest); flags
override the file. The same plan and seed draw the same operations and the same
schedule of faults. A file may also list both (schedule, operations), as the plans
of coup shrink do. --workload, --rate, --arrivals, --keys and --ops-per-key drop the list of
operations.

--workload all, or several names with commas, runs workloads at once, in one history in
which each object belongs to one of them. Answers are judged by what the workload
promises, also with --reads stale, unless --consistency names another promise. Where
reads may be stale, how old they were is told in any case, and what they kept.

Ctrl-C once heals, gathers, judges and reports what there is; twice stops at
once. Nothing is left running either way. A run that was interrupted is unknown, unless
a violation was found.

Exit codes: 0 valid, 1 a violation was found, 2 unknown, 254 wrong usage,
255 coup itself or its environment failed.`,
		Example: `  coup run --nodes 5 --time 60s --nemesis kill:leader,partition:halves --seed 7
  coup run --bug stale-leader-read --nemesis partition:leader
  coup run --workload all --rate 200
  coup run --reads stale --consistency sessions
  coup run --workload queue --concurrency 20 --rate 500 --print-plan > plan.yaml
  coup run --plan plan.yaml --seed 8
  coup run --set tls=true --workload register,stranger --nemesis kill:leader,rotate:all
  coup run --backend sim --bug stale-leader-read --nemesis partition:leader --seed 1 --trace
  coup run --bug stale-leader-read --nemesis partition:leader --capture --fail-fast`,
		Args: usageArgs(cobra.NoArgs),
	}
	f := cmd.Flags()
	f.StringVar(&file, "plan", "", "read the plan from this file, or from an earlier run's directory")
	f.BoolVar(&print, "print-plan", false, "write the resolved plan as YAML and run nothing")
	f.StringVar(&o.Out, "out", "runs", "make the run directory in this folder")
	nodeFlag(f)
	traceFlag(f, &o)
	planFlags(f, &p)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := fromFile(cmd, &p, file); err != nil {
			return usageError{err}
		}
		if err := completePlan(cmd, &p, file, !print); err != nil {
			return err
		}
		if err := p.Resolve(); err != nil {
			return usageError{err}
		}
		if print {
			return p.WritePlan(cmd.OutOrStdout())
		}
		if err := o.Check(p); err != nil {
			return usageError{err}
		}
		err := run(cmd.Context(), soft, p, o)
		if errors.Is(err, cluster.ErrUnavailable) && file == "" && !cmd.Flags().Changed("backend") {
			if _, missing := sim.NodeModule(""); missing != nil {
				err = fmt.Errorf("%w (simulated machines need no containers, but a coup that make build has built)", err)
			}
		}
		return err
	}
	return cmd
}

// nodeFlag is --node, which names another program for simulated nodes. It sets the
// environment variable for that, which the processes of a hunt inherit.
func nodeFlag(f *pflag.FlagSet) {
	f.Var(new(nodeFile), "node", "run this `FILE` on simulated machines instead of the bundled node, for example one of make node (another release of hashicorp/raft)")
}

// nodeFile is the value of the flag.
type nodeFile string

func (n *nodeFile) String() string { return string(*n) }
func (n *nodeFile) Type() string   { return "file" }

func (n *nodeFile) Set(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	magic := make([]byte, 4)
	if _, err := io.ReadFull(f, magic); err != nil || string(magic) != "\x00asm" {
		return fmt.Errorf("%s is no WebAssembly program; make node RAFT=1.3.5 builds one", file)
	}
	*n = nodeFile(file)
	return os.Setenv(sim.NodeVariable, file)
}

// nodeFits fails if --node was given and the backend would not run it.
func nodeFits(cmd *cobra.Command, p plan.Plan) error {
	if cmd.Flags().Changed("node") && p.Backend != "sim" {
		return usageError{fmt.Errorf("--node is a program for simulated machines: it needs --backend sim, not %s", p.Backend)}
	}
	return nil
}

// traceFlag is --trace. It is no part of the plan, because it does not change the run.
func traceFlag(f *pflag.FlagSet, o *runner.Options) {
	f.BoolVar(&o.Trace, "trace", false, "record what every simulated machine does, message by message, and show it in the report (needs --backend sim)")
}

// planFlags are the flags that make a plan.
func planFlags(f *pflag.FlagSet, p *plan.Plan) {
	f.StringVar(&p.Backend, "backend", p.Backend, "where the nodes run: docker (in containers) or sim (on simulated machines); if not given, docker where an engine answers, else sim")
	f.StringVar(&p.System, "system", p.System, "the system under test, or NAME@VERSION (see coup list)")
	f.StringVar(&p.Version, "system-version", p.Version, "the release of the system; empty: its default")
	f.StringVar(&p.Image, "image", p.Image, "run this image, instead of the system's own; for systems that run one")
	f.StringVar(&p.Compose, "compose", p.Compose, "test a system of your own: the services of this compose `FILE` are the nodes; needs --client")
	f.StringVar(&p.Client, "client", p.Client, "the program that is the client of --compose, with its arguments; see coup init")
	f.StringVar(&p.Leader, "leader", p.Leader, "with --compose: a command that is run within each node, and ends with 0 on the one that leads")
	f.StringVar(&p.Bug, "bug", p.Bug, "switch a planted bug of the system on (see coup list)")
	f.StringVar(&p.Reads, "reads", p.Reads, "mode of reads: linearizable, lease or stale")
	f.StringToStringVar(&p.Settings, "set", p.Settings, "settings of the system, name=value,...")
	f.StringVar(&p.Workload, "workload", p.Workload, "what the clients do (see coup list); several at once with commas, or all that the system can do")
	f.StringVar(&p.Consistency, "consistency", p.Consistency, "what the answers are judged by, if that is not what the workload promises. register: linearizable, sequential, sessions, staleness, or staleness=2s with a bound; list-append: serializable, snapshot-isolation and the other levels of coup check; storage: objects; cache: cache")
	f.StringSliceVar(&p.Nemesis, "nemesis", p.Nemesis, "faults, each fault:target (see coup list); empty for none")
	f.TextVar(&p.Interval, "interval", p.Interval, "average time between two strikes of the same fault, at least 200ms; 0s: it follows from the number of faults. A schedule may have about 100000 strikes")
	f.IntVar(&p.Nodes, "nodes", p.Nodes, "size of the cluster")
	f.TextVar(&p.Time, "time", p.Time, "how long the load lasts, at most 24h")
	f.IntVar(&p.Concurrency, "concurrency", p.Concurrency, "processes that work at a time")
	f.Float64Var(&p.Rate, "rate", p.Rate, "operations per second of all processes; 0: as fast as they are answered")
	f.StringVar(&p.Arrivals, "arrivals", p.Arrivals, "operations per second that are due whether or not earlier ones were answered (an open-loop load), in place of --rate: 500, a ramp 100..2000, or several with commas, each for an equal part of --time. Latencies count from when an operation was due")
	f.TextVar(&p.Timeout, "timeout", p.Timeout, "how long a process waits for an operation")
	f.IntVar(&p.Keys, "keys", p.Keys, "objects in use at a time")
	f.IntVar(&p.OpsPerKey, "ops-per-key", p.OpsPerKey, "operations on an object before a new one takes its place")
	f.Uint64Var(&p.Seed, "seed", p.Seed, "seed of all randomness; 0 draws one")
	f.StringArrayVar(&p.Promises, "promise", p.Promises, "a promise in figures, by which the run is judged as well, e.g. 'gap<5s', 'p99<200ms', 'elections<=1/fault', 'leaderless<5s after healing', 'missed heartbeats<=0'; may be given several times (go doc coup/checker/promise)")
	f.TextVar(&p.PauseEvery, "pause-every", p.PauseEvery, "average time between two pauses of the load; 0s: it never pauses")
	f.TextVar(&p.PauseFor, "pause-for", p.PauseFor, "how long a pause of the load lasts on average")
	f.BoolVar(&p.FailFast, "fail-fast", p.FailFast, "judge as the run goes on, and end the load when a violation is found")
	f.IntVar(&p.Capture, "capture", p.Capture, "keep the newest packets of each node, this many `MiB` of each (64 if no number is given; with one: --capture=256), in files for Wireshark; 0: none")
	f.Lookup("capture").NoOptDefVal = "64"
	f.TextVar(&p.ServeWithin, "serve-within", p.ServeWithin, "when nothing is broken: how long the system may take to serve, and then each node to catch up with its leader")
	f.TextVar(&p.CheckTime, "check-time", p.CheckTime, "bound on the time of each checker")
	f.IntVar(&p.CheckMemory, "check-memory", p.CheckMemory, "bound on the memory of each checker, MiB")
}

// chooseBackend says so when it is not the usual one. A plan that only containers can
// carry out stays with them: that no engine answers is what its user has to know.
func chooseBackend(ctx context.Context, p plan.Plan) string {
	backend, why := runner.DefaultBackend(ctx)
	if why == nil {
		return backend
	}
	there, here := p, p
	there.Backend, here.Backend = "docker", backend
	if there.Resolve() == nil && here.Resolve() != nil {
		return there.Backend
	}
	fmt.Fprintf(os.Stderr, "coup: the nodes run on simulated machines (--backend sim): %v\n", why)
	return backend
}

// fromFile reads the plan file, if there is one. Flags that were given override the
// file.
func fromFile(cmd *cobra.Command, p *plan.Plan, file string) error {
	if file == "" {
		return nil
	}
	var again []func() error      // sets a flag that was given once more
	redraw, other := false, false // draw the schedule again: for other faults; for another seed or time
	unlist := false               // drop the list of operations, because another load is wanted
	system := false               // another system is wanted, with versions and images of its own
	compose := false              // another compose file is wanted
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch v := f.Value.(type) {
		case pflag.SliceValue:
			values := v.GetSlice()
			again = append(again, func() error { return v.Replace(values) })
		default:
			value := strings.Trim(f.Value.String(), "[]") // a map is written [name=value]
			again = append(again, func() error { return f.Value.Set(value) })
		}
		redraw = redraw || slices.Contains([]string{"nemesis", "interval"}, f.Name)
		other = other || slices.Contains([]string{"time", "seed"}, f.Name)
		system = system || f.Name == "system"
		compose = compose || f.Name == "compose"
		unlist = unlist || slices.Contains([]string{"workload", "rate", "arrivals", "keys", "ops-per-key", "pause-every", "pause-for"}, f.Name)
	})
	*p = plan.Default()
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		var stored plan.Stored
		if err := results.ReadJSON(file, results.PlanFile, &stored); err != nil {
			return err
		}
		*p = stored.Plan
	} else if err := p.ReadPlan(file); err != nil {
		return err
	}
	if redraw || other && p.Drawn() { // one that was written by hand stays
		p.Schedule = nil
	}
	if system {
		p.Version, p.Image = "", ""
		p.Compose, p.Client, p.Leader, p.Dir, p.Own = "", "", "", "", nil
	}
	if compose { // paths of a flag are meant from here
		p.Dir, p.Own = "", nil
	}
	if unlist {
		p.Operations = nil
	}
	if p.Settings == nil {
		p.Settings = map[string]string{} // what --set writes into
	}
	for _, set := range again {
		if err := set(); err != nil {
			return err
		}
	}
	return nil
}

// completePlan chooses what neither the flags nor a file have said; the backend only if run
// says that the plan will be carried out.
func completePlan(cmd *cobra.Command, p *plan.Plan, file string, run bool) error {
	if file == "" && !cmd.Flags().Changed("workload") {
		p.Workload = p.UsualWorkload()
	}
	if run && file == "" && !cmd.Flags().Changed("backend") {
		if p.Backend = plan.Simulated; !cmd.Flags().Changed("node") {
			p.Backend = chooseBackend(cmd.Context(), *p)
		}
	}
	if err := nodeFits(cmd, *p); err != nil {
		return err
	}
	if p.Seed == 0 {
		p.Seed = uint64(time.Now().UnixNano()) % 1e9
	}
	return nil
}

func run(ctx, soft context.Context, p plan.Plan, o runner.Options) error {
	ui := newUI(os.Stderr)
	o.Progress, o.Log, o.Stuck = ui.progress, ui.log, becomeStuck
	dir, verdict, err := runner.Run(ctx, soft, p, o)
	ui.done()
	if err != nil && verdict.Results == nil {
		return unfinished(dir, err)
	}
	printVerdict(os.Stdout, dir, verdict)
	return afterVerdict(verdict, err)
}

// unfinished is the error of a run that ended before it could be judged. dir is its
// directory; "" if there is none.
func unfinished(dir string, err error) error {
	if dir == "" {
		return err
	}
	return fmt.Errorf("%w (coup check %s judges what was recorded until then)", err, dir)
}

// afterVerdict is how a command ends that has told a verdict. If something failed beside,
// such as the writing of the report, a violation is one all the same; but nothing else
// is claimed.
func afterVerdict(v judge.Verdict, err error) error {
	if err != nil && v.Valid == harness.Invalid {
		fmt.Fprintf(os.Stderr, "coup: %v\n", told(err))
		err = nil
	}
	if err != nil {
		return err
	}
	return codeOf(v.Valid)
}

func printVerdict(w *os.File, dir string, v judge.Verdict) {
	fmt.Fprintf(w, "%s\n", v.Sentence())
	for _, r := range v.Results {
		if r.Counterexample == nil {
			continue
		}
		for _, s := range r.Counterexample.Story {
			fmt.Fprintf(w, "  %s\n", s)
		}
	}
	for _, r := range v.Results {
		if name, _ := workloads.Without(r.Checker); name == (weaker.Held{}).Name() {
			fmt.Fprintf(w, "%s: %s\n", r.Checker, r.Summary)
		}
	}
	if not := v.NotJudged(); len(not) > 0 {
		fmt.Fprintf(w, "not judged: %s\n", strings.Join(not, "; "))
	}
	for _, n := range v.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	if dir == "" {
		return
	}
	if name := filepath.Join(dir, results.ReportFile); isThere(name) { // a disk may be full
		fmt.Fprintf(w, "report: %s\n", name)
	}
}

func isThere(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
