package search

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"coup/checker/promise"
	"coup/harness"
	"coup/harness/timeline"
	"coup/judge"
	"coup/plan"
	"coup/results"
	"coup/runner"
)

// Load is a search for the highest rate of an open-loop load that keeps promises.
type Load struct {
	Plan     plan.Plan         // with everything but the arrivals; resolved for each rate
	Promises []promise.Promise // all are to be kept
	// The search begins at From, doubles the rate until a promise is broken or To is
	// reached, and then bisects until the two rates differ by no more than the share Within.
	From, To, Within float64
	Options          runner.Options
	// Tried is called after each run; may be nil.
	Tried func(Rate)
}

// Rate is how a system fared at a rate.
type Rate struct {
	PerSecond float64       `json:"per_second"` // operations that were due
	Kept      bool          `json:"kept"`       // all promises
	Broken    []string      `json:"broken"`     // what the broken promises say
	Succeeded float64       `json:"succeeded"`  // operations per second
	Failed    int           `json:"failed"`     // operations
	Latency   Latency       `json:"latency"`    // of those that succeeded, from when they were due
	Dir       string        `json:"dir"`        // the run
	Verdict   judge.Verdict `json:"-"`
}

// Latency are quantiles of a distribution.
type Latency struct {
	Count                           int64         `json:"count"`
	P50, P90, P99, P999, P9999, Max time.Duration // nanoseconds; an error of at most a thousandth
}

// LoadResult is what the search found.
type LoadResult struct {
	Highest float64 `json:"highest"` // the highest rate that was tried and kept all promises; 0: none
	Lowest  float64 `json:"lowest"`  // the lowest rate that was tried and broke one; 0: none
	Tried   []Rate  `json:"tried"`   // in the order in which they were
}

// ErrViolation says that a run of a search broke what the system promises its clients, so
// that how fast it is does not matter.
var ErrViolation = errors.New("a run was invalid")

// Find searches. The error is [ErrViolation] for a run that was invalid whatever the
// promises say; then that run is the last one in Tried.
func (l Load) Find(ctx, soft context.Context) (r LoadResult, err error) {
	try := func(rate float64) (bool, error) {
		t, err := l.try(ctx, soft, rate)
		if err != nil {
			return false, err
		}
		r.Tried = append(r.Tried, t)
		if l.Tried != nil {
			l.Tried(t)
		}
		if soft.Err() != nil {
			return false, soft.Err()
		}
		if t.Verdict.Valid == harness.Invalid {
			return false, ErrViolation
		}
		if t.Kept {
			r.Highest = max(r.Highest, rate)
		} else if r.Lowest == 0 || rate < r.Lowest {
			r.Lowest = rate
		}
		return t.Kept, nil
	}
	for rate := l.From; ; rate = min(2*rate, l.To) {
		kept, err := try(rate)
		if err != nil || kept && rate >= l.To {
			return r, err
		}
		if !kept {
			break
		}
	}
	for r.Highest > 0 && r.Lowest > r.Highest*(1+l.Within) {
		if _, err := try(between(r.Highest, r.Lowest)); err != nil {
			return r, err
		}
	}
	return r, nil
}

// between is a rate between two, rounded to what people read.
func between(low, high float64) float64 {
	mid := (low + high) / 2
	if mid >= 20 {
		s := strconv.FormatFloat(mid, 'g', 3, 64)
		if round, err := strconv.ParseFloat(s, 64); err == nil && round > low && round < high {
			return round
		}
	}
	return mid
}

// try runs the load at one rate.
func (l Load) try(ctx, soft context.Context, rate float64) (Rate, error) {
	t := Rate{PerSecond: rate, Kept: true, Broken: []string{}}
	p := l.Plan
	p.Rate, p.Arrivals, p.Promises = 0, strconv.FormatFloat(rate, 'f', -1, 64), nil
	if err := p.Resolve(); err != nil {
		return t, err
	}
	var err error
	t.Dir, t.Verdict, err = runner.Run(ctx, soft, p, l.Options)
	if err != nil {
		return t, err
	}
	_, h, _, err := judge.Read(t.Dir)
	if err != nil {
		return t, err
	}
	for _, one := range l.Promises {
		result, err := one.Check(ctx, h)
		if err != nil {
			return t, err
		}
		if result.Valid != harness.Valid {
			t.Kept = false
			t.Broken = append(t.Broken, result.Summary)
		}
	}
	from, to := timeline.Load(h)
	ok := 0
	for i := range h.Operations {
		switch op := &h.Operations[i]; {
		case op.Start < from || op.Start >= to:
		case op.Type == harness.OK:
			ok++
		case op.Type == harness.Fail:
			t.Failed++
		}
	}
	t.Succeeded = float64(ok) / max(to-from, 1).Seconds()
	t.Latency = LatencyOf(h.Operations)
	return t, nil
}

const (
	shortestLatency = time.Microsecond // finer differences are not told apart
	longestLatency  = time.Hour        // longer ones count as so long
)

// LatencyOf is how long the operations took that succeeded.
func LatencyOf(ops []harness.Operation) Latency {
	h := hdrhistogram.New(1, int64(longestLatency/shortestLatency), 3)
	for i := range ops {
		if op := &ops[i]; op.Type == harness.OK {
			h.RecordValue(int64(min(op.Latency(), longestLatency) / shortestLatency)) // fails only for values out of its range
		}
	}
	at := func(q float64) time.Duration { return time.Duration(h.ValueAtPercentile(q)) * shortestLatency }
	return Latency{Count: h.TotalCount(), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), P9999: at(99.99), Max: time.Duration(h.Max()) * shortestLatency}
}

// String is a line for people.
func (l Latency) String() string {
	return fmt.Sprintf("median %v, p99 %v, p99.9 %v, p99.99 %v, max %v", l.P50, l.P99, l.P999, l.P9999, l.Max)
}

// Store writes the result beside the runs.
func (r LoadResult) Store(dir string) error { return results.WriteJSON(dir, "load.json", r) }
