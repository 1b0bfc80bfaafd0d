package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"coup/nightly"
)

func newBugs(soft context.Context) *cobra.Command {
	var (
		within time.Duration
		o      nightly.Options
	)
	cmd := &cobra.Command{
		Use:   "bugs [FILE]",
		Short: "Run reported defects of systems: found where they are, not where they are not",
		Long: `Run the defects of a file (nights/bugs.yaml, if none is given): each in a release or with a
setting that has it, --runs times, and in one that has not, --controls times, with the seeds
from 1 on. A run looks for a defect until it is found, or its time is over.

The time until a defect is found counts from the start of the load to the moment at which
the violation ended the load; where only the checkers see it in the end, it is the whole load.

A night in the folder --out has the details, with the runs that were not as
expected. If it is interrupted, the same command goes on with it.

Exit codes: 0 each was found within --within by the median of its runs, and was not seen
where it is not; 1 one was not; 2 too little is proved; 254 wrong usage, 255 coup
itself or its environment failed.`,
		Example: `  coup bugs
  coup bugs --rows 'etcd*,postgres*' --runs 1 --controls 1`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
	}
	f := cmd.Flags()
	f.IntVar(&o.Runs, "runs", 5, "runs of each defect")
	f.IntVar(&o.ControlRuns, "controls", 2, "runs of each without the defect")
	f.StringSliceVar(&o.Only, "rows", nil, "only these defects, * stands for anything")
	f.DurationVar(&within, "within", 5*time.Minute, "how long the load may last until a defect is found, by the median of its runs")
	f.StringVar(&o.Out, "out", filepath.Join("runs", "nights", "bugs"), "the folder of the nights")
	f.BoolVar(&o.Fresh, "fresh", false, "begin anew, also if the last night was not finished")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		if o.Runs < 1 || o.ControlRuns < 1 {
			return usageError{fmt.Errorf("runs and controls must be 1 or more, not %d and %d", o.Runs, o.ControlRuns)}
		}
		if len(files) == 0 {
			files = []string{filepath.Join("nights", "bugs.yaml")}
		}
		r, err := runNight(cmd.Context(), soft, files, o)
		var input *nightly.InputError
		if errors.As(err, &input) {
			return usageError{err}
		}
		if r.ID == "" {
			return err
		}
		code := printBugs(cmd.OutOrStdout(), r.Defects(within))
		fmt.Fprintf(cmd.OutOrStdout(), "page: %s\n", filepath.Join(o.Out, r.ID, nightly.PageFile))
		if err == nil && code != exitValid {
			err = exitCode(code)
		}
		return err
	}
	return cmd
}

// printBugs shows the table of defects, and what is wrong with it. It returns the exit code.
func printBugs(w io.Writer, rows []nightly.DefectRow) (code int) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "defect\tshown by\tnot by\tworkload\tfaults\tfound\tmedian\tvalid without\tseeds\tlink")
	var problems []string
	for _, r := range rows {
		median := "-"
		if r.Median >= 0 {
			median = short(r.Median)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d of %d\t%s\t%s\t%s\t%s\n", r.Name, r.With, r.Without, r.Workload, noneOr(strings.Join(r.Faults, " ")),
			len(r.Found), r.Runs, median, r.Valid, seedsOf(r.Seeds), r.Link)
		if r.Problem == "" {
			continue
		}
		problems = append(problems, fmt.Sprintf("%s: %s", r.Name, r.Problem))
		if !r.Unproved {
			code = exitInvalid
		} else if code == exitValid {
			code = exitUnknown
		}
	}
	table.Flush()
	for _, p := range problems {
		fmt.Fprintln(w, p)
	}
	if len(rows) == 0 {
		fmt.Fprintln(w, "no cell of the file names a defect and what does not have it (without)")
		code = exitUnknown
	}
	return code
}

func noneOr(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// seedsOf writes seeds that follow each other as 1-5.
func seedsOf(seeds []uint64) string {
	if n := len(seeds); n > 1 && seeds[n-1]-seeds[0] == uint64(n-1) {
		return fmt.Sprintf("%d-%d", seeds[0], seeds[n-1])
	}
	return strings.Trim(fmt.Sprint(seeds), "[]")
}

// runNight runs a night whose runs are processes of coup.
func runNight(ctx, soft context.Context, files []string, o nightly.Options) (nightly.Report, error) {
	o.Build = build()
	o.Command = func(ctx, soft context.Context, args ...string) (nightly.Ended, error) {
		var said tail
		code, err := runCoup(ctx, soft, &said, args...)
		return nightly.Ended{Code: code, Said: said.String()}, err
	}
	o.Say = func(line string) { fmt.Fprintln(os.Stderr, line) }
	return nightly.Run(ctx, soft, files, o)
}
