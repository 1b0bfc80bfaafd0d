package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"coup"
	"coup/cluster/sim"
	"coup/results"
)

func newRun(soft context.Context) *cobra.Command {
	plan := coup.DefaultPlan()
	var (
		file  string
		print bool
		o     coup.RunOptions
	)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a test: a cluster, clients, faults, a verdict",
		Long: `Run a test and judge it. The plan comes from flags, from a file in YAML
(--plan), or from the directory of an earlier run (--plan runs/latest); flags
override the file. The same plan and seed draw the same operations and the same
schedule of faults; a file may also list them (schedule, operations), as those that
coup shrink leaves do. Another workload, rate or keys drop the list.

Ctrl-C once heals, gathers, judges and reports what there is; twice stops at
once. Nothing is left running either way.

Exit codes: 0 valid, 1 a violation was found, 2 unknown, 254 wrong usage,
255 coup itself or its environment failed.`,
		Example: `  coup run --nodes 5 --time 60s --nemesis kill:leader,partition:halves --seed 7
  coup run --bug stale-leader-read --nemesis partition:leader
  coup run --workload queue --concurrency 20 --rate 500 --print-plan > plan.yaml
  coup run --plan plan.yaml --seed 8
  coup run --backend sim --bug stale-leader-read --nemesis partition:leader --seed 1 --trace`,
		Args: usageArgs(cobra.NoArgs),
	}
	f := cmd.Flags()
	f.StringVar(&file, "plan", "", "read the plan from this file, or from an earlier run's directory")
	f.BoolVar(&print, "print-plan", false, "write the resolved plan as YAML and run nothing")
	f.StringVar(&o.Out, "out", "runs", "make the run directory in this folder")
	nodeFlag(f)
	traceFlag(f, &o)
	planFlags(f, &plan)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := fromFile(cmd, &plan, file); err != nil {
			return usageError{err}
		}
		if !print && file == "" && !cmd.Flags().Changed("backend") {
			if plan.Backend = "sim"; !cmd.Flags().Changed("node") {
				plan.Backend = chooseBackend(cmd.Context())
			}
		}
		if err := nodeFits(cmd, plan); err != nil {
			return err
		}
		if plan.Seed == 0 {
			plan.Seed = uint64(time.Now().UnixNano()) % 1e9
		}
		if err := plan.Resolve(); err != nil {
			return usageError{err}
		}
		if print {
			return plan.WritePlan(cmd.OutOrStdout())
		}
		if err := o.Check(plan); err != nil {
			return usageError{err}
		}
		return run(cmd.Context(), soft, plan, o)
	}
	return cmd
}

// nodeFlag names another program of the simulated nodes. It sets the variable
// that does, which the processes that a hunt starts inherit.
func nodeFlag(f *pflag.FlagSet) {
	f.Var(new(nodeFile), "node", "run this `FILE` on simulated machines instead of the bundled node: one that make node built with another release of raft")
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

// nodeFits says so when another node was named, and would not run.
func nodeFits(cmd *cobra.Command, plan coup.Plan) error {
	if cmd.Flags().Changed("node") && plan.Backend != "sim" {
		return usageError{fmt.Errorf("--node is a program for simulated machines: it needs --backend sim, not %s", plan.Backend)}
	}
	return nil
}

// traceFlag is the flag of what is written down of a run, and no part of its plan.
func traceFlag(f *pflag.FlagSet, o *coup.RunOptions) {
	f.BoolVar(&o.Trace, "trace", false, "write down what every simulated machine does, message by message, and show it in the report (needs --backend sim)")
}

// planFlags are the flags that make a plan.
func planFlags(f *pflag.FlagSet, plan *coup.Plan) {
	f.StringVar(&plan.Backend, "backend", plan.Backend, "where the nodes run: docker, or sim, on simulated machines; docker if an engine answers, else sim")
	f.StringVar(&plan.System, "system", plan.System, "the system under test")
	f.StringVar(&plan.Bug, "bug", plan.Bug, "switch a planted bug of the system on (see coup list)")
	f.StringVar(&plan.Reads, "reads", plan.Reads, "mode of reads: linearizable, lease or stale")
	f.StringToStringVar(&plan.Settings, "set", plan.Settings, "settings of the system, name=value,...")
	f.StringVar(&plan.Workload, "workload", plan.Workload, "what the clients do (see coup list)")
	f.StringSliceVar(&plan.Nemesis, "nemesis", plan.Nemesis, "faults, each fault:target (see coup list); empty for none")
	f.TextVar(&plan.Interval, "interval", plan.Interval, "average time between two strikes of the same fault, at least 200ms; 0s: by the number of faults. A schedule of about 100000 strikes is the most")
	f.IntVar(&plan.Nodes, "nodes", plan.Nodes, "size of the cluster")
	f.TextVar(&plan.Time, "time", plan.Time, "how long the load lasts, at most 24h")
	f.IntVar(&plan.Concurrency, "concurrency", plan.Concurrency, "processes that work at a time")
	f.Float64Var(&plan.Rate, "rate", plan.Rate, "operations per second of all processes; 0: as fast as they are answered")
	f.TextVar(&plan.Timeout, "timeout", plan.Timeout, "how long a process waits for an operation")
	f.IntVar(&plan.Keys, "keys", plan.Keys, "objects in use at a time")
	f.IntVar(&plan.OpsPerKey, "ops-per-key", plan.OpsPerKey, "operations on an object before a new one takes its place")
	f.Uint64Var(&plan.Seed, "seed", plan.Seed, "seed of all randomness; 0 draws one")
	f.BoolVar(&plan.FailFast, "fail-fast", plan.FailFast, "judge as the run goes on, and end the load when a violation is found")
	f.TextVar(&plan.ServeWithin, "serve-within", plan.ServeWithin, "how long the system may take to serve when nothing is broken, and then each node to catch up")
	f.TextVar(&plan.CheckTime, "check-time", plan.CheckTime, "bound on the time of each checker")
	f.IntVar(&plan.CheckMemory, "check-memory", plan.CheckMemory, "bound on the memory of each checker, MiB")
}

// chooseBackend says so when it is not the usual one.
func chooseBackend(ctx context.Context) string {
	backend, why := coup.DefaultBackend(ctx)
	if why != nil {
		fmt.Fprintf(os.Stderr, "coup: the nodes run on simulated machines (--backend sim): %v\n", why)
	}
	return backend
}

// fromFile reads the plan file, if there is one. Flags that were given count
// more than the file.
func fromFile(cmd *cobra.Command, plan *coup.Plan, file string) error {
	if file == "" {
		return nil
	}
	var again []func() error      // sets a flag that was given once more
	redraw, other := false, false // the schedule, from other faults, or for another seed or time
	unlist := false               // the operations, as another load is wanted
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
		unlist = unlist || slices.Contains([]string{"workload", "rate", "keys", "ops-per-key"}, f.Name)
	})
	*plan = coup.DefaultPlan()
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		var stored coup.Stored
		if err := results.ReadJSON(file, results.PlanFile, &stored); err != nil {
			return err
		}
		*plan = stored.Plan
	} else if err := plan.ReadPlan(file); err != nil {
		return err
	}
	if redraw || other && plan.Drawn() { // one that was written by hand stays
		plan.Schedule = nil
	}
	if unlist {
		plan.Operations = nil
	}
	for _, set := range again {
		if err := set(); err != nil {
			return err
		}
	}
	return nil
}

func run(ctx, soft context.Context, plan coup.Plan, o coup.RunOptions) error {
	ui := newUI(os.Stderr)
	o.Progress, o.Log, o.Stuck = ui.progress, ui.log, becomeStuck
	dir, verdict, err := coup.Run(ctx, soft, plan, o)
	ui.done()
	if err != nil {
		if dir != "" {
			fmt.Fprintf(os.Stderr, "coup: what was recorded until then is in %s\n", dir)
		}
		return err
	}
	printVerdict(os.Stdout, dir, verdict)
	return codeOf(verdict.Valid)
}

func printVerdict(w *os.File, dir string, v coup.Verdict) {
	fmt.Fprintf(w, "%s\n", v.Sentence())
	for _, r := range v.Results {
		if r.Counterexample == nil {
			continue
		}
		for _, s := range r.Counterexample.Story {
			fmt.Fprintf(w, "  %s\n", s)
		}
	}
	for _, n := range v.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	if dir != "" {
		fmt.Fprintf(w, "report: %s\n", filepath.Join(dir, results.ReportFile))
	}
}
