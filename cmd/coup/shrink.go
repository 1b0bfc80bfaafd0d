package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"coup/plan"
	"coup/results"
	"coup/search"
	"coup/workloads"
)

func newShrink(soft context.Context) *cobra.Command {
	var (
		out string
		o   search.ShrinkOptions
	)
	cmd := &cobra.Command{
		Use:   "shrink RUN_DIR",
		Short: "Find the smallest plan that fails the same way",
		Long: `Search for the smallest plan that fails the same way as the run: with fewer faults,
nodes, processes and objects, a shorter load, and then a list of operations of which
each is needed. Each smaller plan is run, and kept if it fails the same way. Ctrl-C
ends the search with the best plan so far. The result is a run directory like any
other; its plan holds the list.

Exit codes: 1 the smallest plan shows the violation, 254 wrong usage, 255 coup itself
or its environment failed.`,
		Example: `  coup shrink runs/latest
  coup shrink --keep terms runs/latest
  coup run --plan runs/latest --backend docker   # the schedule that was found, in containers`,
		Args: usageArgs(cobra.ExactArgs(1)),
	}
	f := cmd.Flags()
	nodeFlag(f)
	f.StringVar(&out, "out", "runs", "make the run directories in this folder")
	f.IntVar(&o.Tries, "tries", 3, "how often a smaller plan may be run until it fails")
	f.StringSliceVar(&o.Keep, "keep", nil, "the `CHECKER` (or several) that must still find a violation; if not given, those of what clients were answered, or else all that found one")
	f.IntVar(&o.Runs, "runs", search.DefaultShrinkRuns, "how many runs the search may take")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir, _, err := results.Locate(args[0])
		if err != nil || dir == "" {
			return usageError{fmt.Errorf("%s is not a run directory", args[0])}
		}
		if o.Tries < 1 || o.Runs < 1 {
			return usageError{errors.New("--tries and --runs must be 1 or more")}
		}
		o.Out, o.Stuck = out, becomeStuck
		o.Step = func(s search.ShrinkStep) {
			what := "no"
			if s.Fails {
				what = "yes"
			}
			fmt.Fprintf(os.Stderr, "run %d, %s: %s; best %s\n", s.Runs, s.What, what, size(s.Best))
		}
		start := time.Now()
		defer results.MendLatest(out)
		r, err := search.Shrink(cmd.Context(), soft, dir, o)
		if err != nil {
			return inputIsUsage(err)
		}
		fmt.Fprintf(os.Stderr, "%d runs in %s\nfrom %s\nto   %s\n", r.Runs, time.Since(start).Round(time.Second), size(r.Before), size(r.Plan))
		if r.Bounded {
			fmt.Fprintln(os.Stderr, "that is as many runs as it may take: with more --runs it may become smaller")
		}
		printVerdict(os.Stdout, r.Dir, r.Verdict)
		return codeOf(r.Verdict.Valid)
	}
	return cmd
}

// size is how large a plan is, in words.
func size(p plan.Plan) string {
	load := fmt.Sprintf("%d processes at full speed, %d objects", p.Concurrency, p.Keys)
	switch {
	case p.Operations != nil:
		load = fmt.Sprintf("%d processes, %d operations", p.Concurrency, len(p.Operations))
	case p.Rate > 0:
		load = fmt.Sprintf("%d processes at %g/s, %d objects", p.Concurrency, p.Rate, p.Keys)
	}
	if n := len(workloads.Split(p.Workload)); n > 1 {
		load = fmt.Sprintf("%d workloads, %s", n, load)
	}
	return fmt.Sprintf("%d strikes, %d nodes, %s, %s", len(p.Schedule), p.Nodes, load, p.Time)
}
