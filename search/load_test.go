package search

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"coup/checker/promise"
	"coup/harness"
	"coup/plan"
	"coup/runner"
)

func parsed(t *testing.T, texts ...string) (all []promise.Promise) {
	t.Helper()
	for _, text := range texts {
		p, err := promise.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// A slow disk bounds the rate: below it operations are answered at once, above it they
// wait longer and longer, which only an open-loop load sees.
func TestLoad(t *testing.T) {
	p := simulatedPlan(t)
	p.Bug, p.Nemesis, p.Schedule, p.Rate, p.Concurrency, p.Time = "", nil, nil, 0, 2, plan.Duration(2e9)
	l := Load{Plan: p, From: 100, To: 3000, Within: 1, Promises: parsed(t, "p99<200ms", "ok>=99%"), Options: runner.Options{Out: t.TempDir()}}
	var rates []float64
	l.Tried = func(r Rate) { rates = append(rates, r.PerSecond) }
	found, err := l.Find(context.Background(), context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// Two processes that wait some milliseconds for each answer do some hundred operations a second.
	if found.Highest < 100 || found.Lowest <= found.Highest || found.Lowest > 3000 {
		t.Errorf("%v keep the promises and %v do not", found.Highest, found.Lowest)
	}
	if len(rates) != len(found.Tried) || !slices.IsSorted(rates) {
		t.Errorf("tried %v", rates)
	}
	last := found.Tried[len(found.Tried)-1]
	if last.Kept || len(last.Broken) == 0 || last.Latency.Max < last.Latency.P50 {
		t.Errorf("the rate that is too high: kept %t, %v, %v", last.Kept, last.Broken, last.Latency)
	}
	if err := found.Store(l.Options.Out); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(l.Options.Out, "load.json")); err != nil {
		t.Error(err)
	}
}

// A violation ends the search: it does not matter how fast a wrong answer comes.
func TestLoadEndsWithAViolation(t *testing.T) {
	p := simulatedPlan(t)
	l := Load{Plan: p, From: 30, To: 60, Within: 1, Promises: parsed(t, "ok>=1%"), Options: runner.Options{Out: t.TempDir()}}
	found, err := l.Find(context.Background(), context.Background())
	if err != ErrViolation || len(found.Tried) == 0 || found.Tried[len(found.Tried)-1].Verdict.Valid != harness.Invalid {
		t.Errorf("%v after %d runs", err, len(found.Tried))
	}
}

func TestLatencyOf(t *testing.T) {
	var ops []harness.Operation
	for i := 1; i <= 10_000; i++ {
		ops = append(ops, harness.Operation{Type: harness.OK, Start: 5e9, Due: 4e9, End: 4e9 + time.Duration(i)*10*time.Microsecond}, harness.Operation{Type: harness.Info, End: 1e12})
	}
	l := LatencyOf(ops)
	near := func(got, want int64) bool { return got >= want*999/1000 && got <= want*1001/1000 }
	if l.Count != 10_000 || !near(int64(l.P50), 50e6) || !near(int64(l.P99), 99e6) || !near(int64(l.Max), 100e6) {
		t.Errorf("%+v", l)
	}
}
