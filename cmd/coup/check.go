package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"coup"
	"coup/results"
)

func newCheck() *cobra.Command {
	plan := coup.DefaultPlan()
	cmd := &cobra.Command{
		Use:   "check RUN_DIR|history.jsonl",
		Short: "Judge a recorded history again",
		Long: `Judge the history of a run again, and write its verdict and report again. A
history by itself, without a run directory around it, is judged as that of
--workload, and nothing is written.

Exit codes: 0 valid, 1 a violation was found, 2 unknown, 254 wrong usage or a
history that makes no sense, 255 coup itself failed.`,
		Example: `  coup check runs/latest
  coup check --workload queue /tmp/history.jsonl`,
		Args: usageArgs(cobra.ExactArgs(1)),
	}
	f := cmd.Flags()
	f.StringVar(&plan.Workload, "workload", plan.Workload, "what a history by itself is a history of")
	f.TextVar(&plan.CheckTime, "check-time", plan.CheckTime, "bound on the time of each checker")
	f.IntVar(&plan.CheckMemory, "check-memory", plan.CheckMemory, "bound on the memory of each checker, MiB")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir, history, err := results.Locate(args[0])
		if err != nil {
			return usageError{err}
		}
		var v coup.Verdict
		if dir != "" {
			v, err = coup.Judge(cmd.Context(), dir)
		} else {
			v, err = coup.JudgeHistory(cmd.Context(), history, plan.Workload, plan)
		}
		if err != nil {
			return inputIsUsage(err)
		}
		printVerdict(os.Stdout, dir, v)
		return codeOf(v.Valid)
	}
	return cmd
}

// inputIsUsage makes files that make no sense wrong usage: they are the user's
// to put right.
func inputIsUsage(err error) error {
	var input *coup.InputError
	if errors.As(err, &input) {
		return usageError{err}
	}
	return err
}
