package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"coup/checker/promise"
	"coup/harness"
	"coup/plan"
	"coup/search"
)

// fewest are the successes from which on a quantile of one in ten thousand says something.
const fewest = 10_000

func newLoad(soft context.Context) *cobra.Command {
	p := plan.Default()
	p.Time, p.Nemesis, p.Concurrency = plan.Duration(10*time.Second), nil, 100
	l := search.Load{From: 100, To: 100_000, Within: 0.1}
	var file string
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Find the highest rate of operations that keeps a promise",
		Long: `Run a test again and again, each time with another number of operations that are due each
second (an open-loop load: coup run --arrivals), and find the highest one that keeps all
promises (--promise; if none is given: p99<100ms and ok>=99%). The rate is doubled until
one is broken, then bisected. Each run is judged as well: a violation ends the search.

Nothing is broken unless --nemesis names faults: with some, the promises have to hold
through failovers. Latencies count from when an operation was due, so that those that a
system keeps waiting are not left out. An operation that finds no free process
(--concurrency) within --timeout fails. Quantiles are from a histogram whose error is at
most a thousandth.

Exit codes: 0 found, 1 a violation was found, 2 even the lowest rate broke a promise,
254 wrong usage, 255 coup itself or its environment failed.`,
		Example: `  coup load --nodes 3
  coup load --backend sim --reads lease --promise 'p99<20ms'
  coup load --system etcd --nemesis kill:leader --time 30s --promise 'p99<2s' --promise 'ok>=95%'`,
		Args: usageArgs(cobra.NoArgs),
	}
	f := cmd.Flags()
	f.StringVar(&file, "plan", "", "read the plan from this file, or from an earlier run's directory")
	f.StringVar(&l.Options.Out, "out", "runs", "make the run directories in this folder")
	f.Float64Var(&l.From, "from", l.From, "the first rate, operations per second")
	f.Float64Var(&l.To, "to", l.To, "the highest rate that is tried")
	f.Float64Var(&l.Within, "within", l.Within, "how close the rate that keeps the promises and the one that does not have to be, as a share")
	nodeFlag(f)
	planFlags(f, &p)
	f.Lookup("arrivals").Hidden, f.Lookup("rate").Hidden = true, true // the search sets them
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range []string{"arrivals", "rate"} {
			if cmd.Flags().Changed(name) {
				return usageError{fmt.Errorf("--%s: the rate is what is searched for; say between which with --from and --to", name)}
			}
		}
		if err := fromFile(cmd, &p, file); err != nil {
			return usageError{err}
		}
		if !(l.From > 0 && l.From <= l.To && l.Within > 0) {
			return usageError{fmt.Errorf("--from %v --to %v --within %v: from must be more than 0 and at most to, within more than 0", l.From, l.To, l.Within)}
		}
		if err := completePlan(cmd, &p, file, true); err != nil {
			return err
		}
		if len(p.Promises) == 0 {
			p.Promises = []string{"p99<100ms", "ok>=99%"}
		}
		p.Arrivals, p.Rate, p.Operations = strconv.FormatFloat(l.To, 'f', -1, 64), 0, nil // the search draws its own
		if err := p.Resolve(); err != nil {
			return usageError{err}
		}
		var err error
		l.Plan = p
		for _, text := range p.Promises {
			one, err := promise.Parse(text)
			if err != nil {
				return usageError{err}
			}
			l.Promises = append(l.Promises, one)
		}
		out := cmd.OutOrStdout()
		ui := newUI(os.Stderr)
		l.Options.Progress, l.Options.Log, l.Options.Stuck = ui.progress, ui.log, becomeStuck
		row := func(cells ...string) {
			for i, c := range cells[:len(cells)-1] {
				fmt.Fprintf(out, "%*s  ", []int{8, 11, 7, 9, 9, 9, 9, 9}[i], c)
			}
			fmt.Fprintln(out, cells[len(cells)-1])
		}
		row("due/s", "succeeded/s", "failed", "p50", "p99", "p99.9", "p99.99", "max", "promises")
		l.Tried = func(r search.Rate) {
			ui.done()
			row(append(figures(r), outcome(r))...)
		}
		found, err := l.Find(cmd.Context(), soft)
		ui.done()
		if len(found.Tried) > 0 {
			if storeErr := found.Store(l.Options.Out); err == nil {
				err = storeErr
			}
		}
		if errors.Is(err, search.ErrViolation) {
			last := found.Tried[len(found.Tried)-1]
			printVerdict(os.Stdout, last.Dir, last.Verdict)
			return exitCode(exitInvalid)
		}
		if err != nil {
			return err
		}
		promises := strings.Join(p.Promises, " and ")
		switch {
		case found.Highest == 0:
			fmt.Fprintf(out, "Even %g operations a second broke a promise: %s. A lower --from may keep it.\n", found.Lowest, strings.Join(found.Tried[0].Broken, " "))
			return exitCode(exitUnknown)
		case found.Lowest == 0:
			fmt.Fprintf(out, "%g operations a second keep %s. No higher rate was tried (--to).\n", found.Highest, promises)
		default:
			fmt.Fprintf(out, "%g operations a second keep %s, %g do not.\n", found.Highest, promises, found.Lowest)
		}
		return nil
	}
	return cmd
}

// figures are what a run at a rate took.
func figures(r search.Rate) []string {
	ms := func(d time.Duration) string {
		return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'g', 3, 64) + " ms"
	}
	rare := "-"
	if r.Latency.Count >= fewest {
		rare = ms(r.Latency.P9999)
	}
	return []string{fmt.Sprintf("%g", r.PerSecond), fmt.Sprintf("%.0f", r.Succeeded), strconv.Itoa(r.Failed),
		ms(r.Latency.P50), ms(r.Latency.P99), ms(r.Latency.P999), rare, ms(r.Latency.Max)}
}

// outcome says whether a rate keeps the promises.
func outcome(r search.Rate) string {
	switch {
	case r.Verdict.Valid == harness.Invalid:
		return "a violation"
	case r.Kept && r.Verdict.Valid == harness.Unknown:
		return "kept (" + r.Verdict.Sentence() + ")"
	case r.Kept:
		return "kept"
	}
	return strings.Join(r.Broken, " ")
}
