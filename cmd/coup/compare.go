package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"coup/nightly"
	"coup/plan"
	"coup/results"
	"coup/runner"
)

func newCompare(soft context.Context) *cobra.Command {
	p := plan.Default()
	var (
		out, file string
		vary      []string
		o         runner.Options
	)
	cmd := &cobra.Command{
		Use:   "compare RUN_DIR RUN_DIR... | --vary FLAG=VALUE",
		Short: "Compare runs: what differs in their plans, and their figures",
		Long: `Compare runs side by side: verdicts, the words of their plans that differ, operations,
latencies, failovers and outages, as a table. --out also writes a page with their curves
over each other and the distribution of their failovers. Three runs or more of the same
plan, whatever their seeds, are told together there as well. coup serve makes the same page
of runs that are chosen in its list.

With --vary, runs are made and then compared: one of the plan that the other flags say (those
of coup run), and one of each variation of it, one after the other with the same seed. On
simulated machines the same seed gives the same table and page.

Exit codes: 0, whatever the runs' verdicts are; 254 wrong usage, 255 coup itself or its
environment failed.`,
		Example: `  coup compare runs/20300101-120000-17 runs/latest
  coup compare --out compare.html runs/20300101-120000-17 runs/latest
  coup compare --backend sim --seed 1 --vary reads=lease --vary 'set=acknowledge=leader' --out levers.html`,
		Args: usageArgs(cobra.ArbitraryArgs),
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "write the comparison to this file as a page")
	f.StringArrayVar(&vary, "vary", nil, "also run the plan with these flags of coup run, e.g. 'set=batch=1 concurrency=50'; may be given several times")
	f.StringVar(&file, "plan", "", "with --vary: read the plan from this file, or from an earlier run's directory")
	f.StringVar(&o.Out, "runs", "runs/compare", "with --vary: make the run directories in folders A, B, ... of this one")
	nodeFlag(f)
	planFlags(f, &p)
	cmd.RunE = func(cmd *cobra.Command, dirs []string) error {
		var names []string
		switch {
		case len(vary) > 0 && len(dirs) > 0:
			return usageError{errors.New("either directories of runs are compared, or runs that --vary makes")}
		case len(vary) > 0:
			if err := fromFile(cmd, &p, file); err != nil {
				return usageError{err}
			}
			if err := completePlan(cmd, &p, file, true); err != nil {
				return err
			}
			all, err := variations(p, vary)
			if err != nil {
				return usageError{err}
			}
			if dirs, err = runAll(cmd.Context(), soft, all, o); err != nil {
				return err
			}
			for _, v := range all {
				names = append(names, v.name)
			}
		case len(dirs) < 2:
			return usageError{errors.New("name the directories of two runs or more, or say what to vary (--vary)")}
		}
		var runs []nightly.RunFolder
		for i, dir := range dirs {
			files, err := results.OpenFolder(dir)
			if err != nil {
				return usageError{err}
			}
			defer files.Close()
			run := nightly.RunFolder{Name: dir, Files: files}
			if names != nil {
				run.Varies = names[i]
			}
			if out != "" {
				run.Report = reportBeside(out, dir)
			}
			runs = append(runs, run)
		}
		c, err := nightly.Compare(cmd.Context(), runs)
		var input *nightly.InputError
		if errors.As(err, &input) {
			return usageError{err}
		}
		if err != nil {
			return err
		}
		for _, line := range c.Legend() {
			fmt.Fprintln(cmd.OutOrStdout(), line)
		}
		fmt.Fprintln(cmd.OutOrStdout())
		table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, strings.Join(c.Header(), "\t"))
		for _, rows := range [][][]string{c.Words, c.Figures} {
			for _, row := range rows {
				fmt.Fprintln(table, strings.Join(row, "\t"))
			}
		}
		if err := table.Flush(); err != nil || out == "" {
			return err
		}
		return results.WriteFile(filepath.Dir(out), filepath.Base(out), c.WritePage)
	}
	return cmd
}

// reportBeside is the address of a run's report for a page at out; "" if there is none.
func reportBeside(out, dir string) string {
	from, err := filepath.Abs(filepath.Dir(out))
	to, err2 := filepath.Abs(filepath.Join(dir, results.ReportFile))
	way, err3 := filepath.Rel(from, to)
	if err = errors.Join(err, err2, err3); err != nil {
		return ""
	}
	return (&url.URL{Path: filepath.ToSlash(way)}).String()
}
