package main

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"coup/nightly"
	"coup/results"
)

func newCompare() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "compare RUN_DIR RUN_DIR...",
		Short: "Compare runs: what differs in their plans, and their figures",
		Long: `Compare runs side by side: verdicts, the words of their plans that differ, operations,
latencies, failovers and outages, as a table. --out also writes a page with their curves
over each other and the distribution of their failovers. Three runs or more of the same
plan, whatever their seeds, are told together there as well. coup serve makes the same page
of runs that are chosen in its list.`,
		Example: `  coup compare runs/20300101-120000-17 runs/latest
  coup compare --out compare.html runs/20300101-120000-17 runs/latest`,
		Args: usageArgs(cobra.MinimumNArgs(2)),
	}
	cmd.Flags().StringVar(&out, "out", "", "write the comparison to this file as a page")
	cmd.RunE = func(cmd *cobra.Command, dirs []string) error {
		var runs []nightly.RunFolder
		for _, dir := range dirs {
			files, err := results.OpenFolder(dir)
			if err != nil {
				return usageError{err}
			}
			defer files.Close()
			run := nightly.RunFolder{Name: dir, Files: files}
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
