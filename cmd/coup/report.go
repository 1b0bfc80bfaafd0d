package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"coup/judge"
	"coup/results"
)

func newReport() *cobra.Command {
	return &cobra.Command{
		Use:     "report RUN_DIR",
		Short:   "Render the report of a run again",
		Example: `  coup report runs/latest`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := judge.Report(args[0]); err != nil {
				return inputIsUsage(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(args[0], results.ReportFile))
			return nil
		},
	}
}
