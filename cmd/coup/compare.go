package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"coup/nightly"
	"coup/results"
)

func newCompare() *cobra.Command {
	var page string
	cmd := &cobra.Command{
		Use:   "compare RUN_DIR RUN_DIR...",
		Short: "Compare runs: what differs in their plans, and their figures",
		Long: `Compare runs side by side: the words of their plans that differ, verdicts, operations,
failovers and outages, as a table. --page also writes a page with their curves over each
other.`,
		Example: `  coup compare runs/20300101-120000-17 runs/latest
  coup compare --page compare.html runs/20300101-120000-17 runs/latest`,
		Args: usageArgs(cobra.MinimumNArgs(2)),
	}
	cmd.Flags().StringVar(&page, "page", "", "write the comparison to this file as a page")
	cmd.RunE = func(cmd *cobra.Command, dirs []string) error {
		c, err := nightly.Compare(dirs)
		var input *nightly.InputError
		if errors.As(err, &input) {
			return usageError{err}
		}
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, strings.Join(c.Header(), "\t"))
		for _, row := range c.Rows {
			fmt.Fprintln(table, strings.Join(row, "\t"))
		}
		if err := table.Flush(); err != nil || page == "" {
			return err
		}
		return results.WriteFile(filepath.Dir(page), filepath.Base(page), func(w io.Writer) error { return c.WritePage(w) })
	}
	return cmd
}
