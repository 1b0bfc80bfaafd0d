package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"coup/harness"
	"coup/plan"
	"coup/results"
	"coup/runner"
	"coup/search"
)

func newReplay(soft context.Context) *cobra.Command {
	var (
		times int
		o     runner.Options
	)
	cmd := &cobra.Command{
		Use:   "replay RUN_DIR",
		Short: "Run again what was recorded",
		Long: `Run again what was recorded in a run directory: the same plan, seed and
schedule of faults.

On simulated machines the run is the same to the byte. If this coup is another
build, it may differ, and coup says so. In containers it is another run of the same
schedule: --times runs it several times, and shows the share of runs that failed,
with a confidence interval.

With --trace, the report of the new run shows what every simulated machine did:
its messages, its disk, and what it believed when the wrong answer was given. A
trace does not change the run. So everything that coup run, hunt or shrink finds on
simulated machines can be traced afterwards.

Exit codes: 0 valid, 1 a violation was found, 2 unknown, or a simulated run that
is not the recorded one, 254 wrong usage, 255 coup itself or its environment
failed.`,
		Example: `  coup replay runs/latest
  coup replay runs/latest --trace
  coup replay runs/20300101-120000-17 --times 10`,
		Args: usageArgs(cobra.ExactArgs(1)),
	}
	f := cmd.Flags()
	f.IntVar(&times, "times", 1, "how often")
	nodeFlag(f)
	traceFlag(f, &o)
	f.StringVar(&o.Out, "out", "runs", "make the run directories in this folder")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir, _, err := results.Locate(args[0])
		if err != nil || dir == "" {
			return usageError{fmt.Errorf("%s is not a run directory", args[0])}
		}
		if times < 1 {
			return usageError{fmt.Errorf("times must be 1 or more, not %d", times)}
		}
		if cmd.Flags().Changed("node") && !isSim(dir) {
			return usageError{fmt.Errorf("--node is a program for simulated machines, and %s ran in containers", dir)}
		}
		return replay(cmd.Context(), soft, dir, times, o)
	}
	return cmd
}

func replay(ctx, soft context.Context, dir string, times int, o runner.Options) error {
	var share search.Share
	worst := harness.Valid
	for i := 0; i < times && soft.Err() == nil; i++ {
		ui := newUI(os.Stderr)
		o.Progress, o.Log, o.Stuck = ui.progress, ui.log, becomeStuck
		r, err := search.Replay(ctx, soft, dir, o)
		ui.done()
		if err != nil && r.Verdict.Results != nil {
			printVerdict(os.Stdout, r.Dir, r.Verdict)
			return afterVerdict(r.Verdict, err)
		}
		if err != nil {
			return inputIsUsage(err)
		}
		share.Add(r.Verdict.Valid)
		worst = harness.Worst(worst, r.Verdict.Valid)
		printVerdict(os.Stdout, r.Dir, r.Verdict)
		if r.Differs != "" {
			fmt.Printf("not a replay: %s\n", r.Differs)
			worst = harness.Worst(worst, harness.Unknown)
		} else if isSim(r.Dir) {
			fmt.Println("the same as recorded, to the byte")
		}
	}
	if times > 1 {
		fmt.Println(share)
	}
	return codeOf(worst)
}

func isSim(dir string) bool {
	var stored plan.Stored
	return results.ReadJSON(dir, results.PlanFile, &stored) == nil && stored.Plan.Backend == "sim"
}
