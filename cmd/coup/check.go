package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"coup/checker/catalogue"
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
		Long: `Judge the history of a run again, and write its verdict and report again. Bounds and
promise are those of the run's plan, unless --check-time or --check-memory is given.
--consistency judges by another promise, as in coup run. A history by itself, without a
run directory around it, is judged as one of --workload, and nothing is written.

With --model, the history may be from another tool. These formats are read. They are
told apart by their content, and may be compressed by gzip or bzip2. "-" is standard
input.

  Jepsen, Knossos, Elle, Maelstrom   history.edn (maps, also in a vector; old
                                     vectors), history.txt, jepsen.log, or the
                                     directory of a run
  elle-cli, coup                     JSON, in an array or an object a line
  porcupine                          the logs and key-value histories of its tests
  PolySI, Plume, AWDIT               text
  DBCop                              text, JSON and binary
  Cobra                              the directory of its logs

Models, each with whose meaning it is, its functions and what they promise:

` + catalogue.Help() + `
A name that Jepsen and coup both have means what coup says: jepsen-counter is Jepsen's.

Values may be of any kind; counters and priority queues need numbers, kv needs
strings. In Jepsen's independent tests, each value is a pair of a key and a value.
coup looks at the whole history to find out; --independent says that it is so, and
--independent=false that it is not. Objects are empty at first, unless --initial says
what they hold. If an invocation and its completion differ, the completion counts. A
history in which nothing succeeded is unknown.

Transactions (list-append, rw-register) must be strict-serializable, or serializable
if the history tells of no time. --consistency names another level, as Elle does:
read-uncommitted, read-committed, repeatable-read, snapshot-isolation, serializable;
the same but repeatable-read with strong-session- in front (the transactions of a
process keep its order); strong-read-uncommitted, strong-read-committed,
strong-snapshot-isolation and strict-serializable (all keep the order of time).
PolySI's snapshot isolation is strong-session-snapshot-isolation. --anomalies names
anomalies that must not be there, beside the level or instead of one: G0, G1a, G1b,
G1c, G1, G-single, G-nonadjacent, G2-item, lost-update, internal, dirty-update.

Exit codes: 0 valid, 1 a violation was found, 2 unknown, 254 wrong usage or a
history that makes no sense, 255 coup itself failed.`,
		Example: `  coup check runs/latest
  coup check --check-time 1h --check-memory 16384 runs/latest
  coup check --consistency sessions runs/latest
  coup check --workload queue /tmp/history.jsonl
  coup check --model cas-register store/latest/history.edn
  coup check --model register --initial 0 --independent store/latest
  coup check --model rw-register --consistency snapshot-isolation history.edn
  coup check --model list-append --out /tmp/page --json history.json
  zcat history.edn.gz | coup check --model list-append -`,
		Args: usageArgs(cobra.ExactArgs(1)),
	}
	f := cmd.Flags()
	var independent, asJSON, drained bool
	var out string
	f.StringVar(&plan.Workload, "workload", plan.Workload, "the workload of a history by itself")
	f.StringVar(&o.Model, "model", "", "the object or the transactions of a history from another tool")
	f.BoolVar(&independent, "independent", false, "each value is a pair of a key and a value (--independent=false: no value is); if not given, the history is looked at")
	f.BoolVar(&asJSON, "json", false, "write the verdict to standard output as JSON, as in verdict.json")
	f.StringVar(&out, "out", "", "with --model, write verdict.json, junit.xml and report.html to this directory")
	f.StringVar(&o.Initial, "initial", "", "what every object holds at the beginning: 0, \"a\", [1 2], held")
	f.StringVar(&o.Consistency, "consistency", "", "what a history must keep: of transactions a level (serializable, ...), of registers linearizable, sequential, sessions or staleness")
	f.StringVar(&o.Anomalies, "anomalies", "", "anomalies of transactions that must not be there, separated by commas: G1a,lost-update")
	f.BoolVar(&o.NilReadsSayNothing, "nil-reads-say-nothing", false, "a read of nil is an unknown answer, as in Knossos; otherwise it says that there was nothing")
	f.BoolVar(&o.FailedCASDiffers, "failed-cas-differs", false, "a failed cas says that the value differed, as in porcupine's model of etcd; otherwise it says nothing")
	f.Int64Var(&o.Of.Permits, "permits", 0, "of a semaphore; 0: 2")
	f.IntVar(&o.Of.Reentrances, "reentrances", 0, "how often a reentrant mutex can be held; 0: any number of times")
	f.BoolVar(&o.Of.NegativeBalances, "negative-balances", false, "accounts of a bank may be overdrawn")
	f.BoolVar(&drained, "drained", false, "a log was polled to its end, so what was not polled is lost; --drained=false: a total-queue was not drained, so what did not come out is not lost")
	f.TextVar(&plan.CheckTime, "check-time", plan.CheckTime, "bound on the time of each checker; if not given, a run's own plan counts")
	f.IntVar(&plan.CheckMemory, "check-memory", plan.CheckMemory, "bound on the memory of each checker, MiB; if not given, a run's own plan counts")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := plan.CheckBounds(); err != nil {
			return usageError{err}
		}
		if f.Changed("independent") {
			o.Keys = histories.NoKeys
			if independent {
				o.Keys = histories.WithKeys
			}
		}
		if f.Changed("drained") {
			o.Of.Drained, o.Of.Undrained = drained, !drained && o.Model != "log"
			if drained && o.Model == "total-queue" { // as it is without the option
				o.Of.Drained = false
			}
		}
		if o.Model != "" {
			return checkForeign(cmd, args[0], o, plan, out, asJSON)
		}
		plan.Consistency, o.Consistency = o.Consistency, ""
		if o != (histories.Options{}) || out != "" {
			return usageError{errors.New("--independent, --initial, --anomalies, --nil-reads-say-nothing, --failed-cas-differs, --permits, --reentrances, --negative-balances, --drained and --out go with --model")}
		}
		if err := isForeign(args[0], f.Changed("workload")); err != nil {
			return usageError{err}
		}
		dir, history, err := results.Locate(args[0])
		if err != nil {
			return usageError{err}
		}
		var v judge.Verdict
		if dir != "" {
			b := judge.Instead{Consistency: plan.Consistency}
			if f.Changed("check-time") {
				b.Time = plan.CheckTime
			}
			if f.Changed("check-memory") {
				b.Memory = plan.CheckMemory
			}
			v, err = judge.By(cmd.Context(), dir, b)
		} else {
			v, err = judge.History(cmd.Context(), history, plan.Workload, plan)
		}
		if err != nil && dir == "" && !f.Changed("workload") {
			err = fmt.Errorf("%w (if another tool recorded it, say with --model what it is a history of)", err)
		}
		if err != nil && v.Results == nil {
			return inputIsUsage(err)
		}
		if saying := say(v, dir, asJSON); saying != nil && saying != codeOf(v.Valid) {
			return saying
		}
		return afterVerdict(v, err)
	}
	return cmd
}

// say writes a verdict to standard output, as JSON or for people.
func say(v judge.Verdict, dir string, asJSON bool) error {
	if !asJSON {
		printVerdict(os.Stdout, dir, v)
		return codeOf(v.Valid)
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	return codeOf(v.Valid)
}

func checkForeign(cmd *cobra.Command, path string, o histories.Options, plan plan.Plan, out string, asJSON bool) error {
	if err := o.Check(); err != nil {
		return usageError{err}
	}
	var r *histories.Recording
	var err error
	if path == "-" {
		if r, err = histories.Read(cmd.InOrStdin(), o); err != nil {
			err = fmt.Errorf("standard input: %w", err)
		}
	} else {
		r, err = histories.Open(path, o)
	}
	if err != nil {
		return usageError{err}
	}
	v := judge.Recording(cmd.Context(), r, plan)
	if out != "" {
		if err := judge.WriteRecording(out, path, o.Model, r, v); err != nil {
			return err
		}
	}
	return say(v, out, asJSON)
}

// isForeign is an error if what is to be judged is not of coup's own, and must
// be told what it is a history of.
func isForeign(path string, hasWorkload bool) error {
	models := strings.Join(histories.Models(), ", ")
	if path == "-" {
		return fmt.Errorf("say with --model what the history is one of (%s)", models)
	}
	info, err := os.Stat(path)
	if err != nil || info.IsDir() || hasWorkload {
		return nil // the error comes when the file is read
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	format, err := histories.FormatOf(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if format != "" && format != "JSON" {
		return fmt.Errorf("%s is %s: say with --model what it is a history of (%s)", path, format, models)
	}
	return nil
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
