package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"coup/checker/histories"
	"coup/judge"
	"coup/plan"
	"coup/results"
)

func newCheck() *cobra.Command {
	plan := plan.Default()
	var o histories.Options
	cmd := &cobra.Command{
		Use:   "check RUN_DIR|HISTORY",
		Short: "Judge a recorded history again",
		Long: `Judge the history of a run again, and write its verdict and report again. A
history by itself, without a run directory around it, is judged as that of
--workload, and nothing is written. A run is judged within the bounds of its plan
unless --check-time or --check-memory is given.

With --model, the history may be one that another tool has recorded: Jepsen's
history.edn (maps or vectors), the log lines that Jepsen prints, or coup's own
history.jsonl, each also compressed by gzip or bzip2; "-" is standard input.
Models: cas-register, counter, kv, list-append, lock, mutex, priority-queue,
queue, register, rw-register, set, stack.

Exit codes: 0 valid, 1 a violation was found, 2 unknown, 254 wrong usage or a
history that makes no sense, 255 coup itself failed.`,
		Example: `  coup check runs/latest
  coup check --check-time 1h --check-memory 16384 runs/latest
  coup check --workload queue /tmp/history.jsonl
  coup check --model cas-register store/latest/history.edn
  zcat history.edn.gz | coup check --model list-append -`,
		Args: usageArgs(cobra.ExactArgs(1)),
	}
	f := cmd.Flags()
	f.StringVar(&plan.Workload, "workload", plan.Workload, "what a history by itself is a history of")
	f.StringVar(&o.Model, "model", "", "what the history is one of, when another tool may have recorded it")
	f.BoolVar(&o.NilReadsSayNothing, "nil-reads-say-nothing", false, "a read of nil is an answer that is not known (Knossos), not that there was nothing")
	f.BoolVar(&o.FailedCASDiffers, "failed-cas-differs", false, "a failed cas says that the value differed (porcupine's etcd model), not nothing")
	f.TextVar(&plan.CheckTime, "check-time", plan.CheckTime, "bound on the time of each checker; of a run, what its plan says unless it is given")
	f.IntVar(&plan.CheckMemory, "check-memory", plan.CheckMemory, "bound on the memory of each checker, MiB; of a run, what its plan says unless it is given")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := plan.CheckBounds(); err != nil {
			return usageError{err}
		}
		if o.Model != "" {
			return checkForeign(cmd, args[0], o, plan)
		}
		if o != (histories.Options{}) {
			return usageError{errors.New("--nil-reads-say-nothing and --failed-cas-differs go with --model")}
		}
		dir, history, err := results.Locate(args[0])
		if err != nil {
			return usageError{err}
		}
		var v judge.Verdict
		if dir != "" {
			var b judge.Bounds
			if f.Changed("check-time") {
				b.Time = plan.CheckTime
			}
			if f.Changed("check-memory") {
				b.Memory = plan.CheckMemory
			}
			v, err = judge.Within(cmd.Context(), dir, b)
		} else {
			v, err = judge.History(cmd.Context(), history, plan.Workload, plan)
		}
		if err != nil {
			return inputIsUsage(err)
		}
		printVerdict(os.Stdout, dir, v)
		return codeOf(v.Valid)
	}
	return cmd
}

func checkForeign(cmd *cobra.Command, path string, o histories.Options, plan plan.Plan) error {
	in := cmd.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return usageError{err}
		}
		defer f.Close()
		in = f
	}
	v, err := judge.Foreign(cmd.Context(), in, path, o, plan)
	if err != nil {
		return inputIsUsage(err)
	}
	printVerdict(os.Stdout, "", v)
	return codeOf(v.Valid)
}

// inputIsUsage makes files that make no sense wrong usage: they are the user's
// to put right.
func inputIsUsage(err error) error {
	var input *judge.InputError
	if errors.As(err, &input) {
		return usageError{err}
	}
	return err
}
