package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"coup/judge"
)

// A simulated program in an endless loop holds its thread, and soon the whole process. So
// this process replaces itself by another one, which judges what was recorded.

// becomeStuck replaces this process by coup stuck.
func becomeStuck(dir, node string, after time.Duration) {
	self, err := os.Executable()
	if err == nil {
		err = become(self, "coup", "stuck", dir, node, after.String())
	}
	fmt.Fprintf(os.Stderr, "coup: %s loops for ever, and this can't be judged: %v\n", node, err)
	os.Exit(exitHarness)
}

func newStuck() *cobra.Command {
	return &cobra.Command{
		Use: "stuck RUN_DIR NODE AFTER", Short: "Judge a run whose simulated node loops for ever",
		Hidden: true,
		Args:   usageArgs(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			after, err := time.ParseDuration(args[2])
			if err != nil {
				return usageError{err}
			}
			v, err := judge.Stuck(cmd.Context(), args[0], args[1], after)
			if err != nil {
				return err
			}
			printVerdict(os.Stdout, args[0], v)
			return codeOf(v.Valid)
		},
	}
}
