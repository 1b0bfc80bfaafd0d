package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"coup/harness"
	"coup/judge"
	"coup/workloads"
)

// judgeEvery is the time between two checks of what was recorded so far, with FailFast;
// a check itself takes time as well.
const judgeEvery = time.Second

// finding looks for violations during the load and ends the load at the first one. The
// zero value looks for none. Safe for concurrent use after begin.
type finding struct {
	run     *run
	endLoad func()
	monitor workloads.Monitor // sees every line in order; nil if there is none for the workload

	mu    sync.Mutex // guards below
	found bool
}

// begin looks for violations from now on.
func (f *finding) begin(r *run, endLoad func()) {
	f.run, f.endLoad, f.monitor = r, endLoad, r.work.Monitor()
}

// end looks for no more.
func (f *finding) end() { f.monitor = nil }

// any reports whether a violation was found.
func (f *finding) any() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.found
}

// observe sees a line of the history.
func (f *finding) observe(op harness.Op) {
	if f.monitor == nil {
		return
	}
	// An error means that the monitor can't watch this history. It is no finding: the
	// checkers still judge it.
	if bad, err := f.monitor.Observe(op); err == nil && bad != nil {
		f.endAt(bad.Time, fmt.Sprintf("%s: %s", bad.Key, bad.Text))
	}
}

// endAt ends the load because a violation was found; the first one counts.
func (f *finding) endAt(at time.Duration, found string) {
	f.mu.Lock()
	late := f.found
	f.found = true
	f.mu.Unlock()
	if late {
		return
	}
	f.run.rec.event(harness.Event{Time: at, Kind: harness.ViolationEvent, Message: found})
	f.run.o.Log.Info("violation", "says", found)
	f.endLoad()
	f.run.rt.Wake()
}

// judgeOnTheWay ends the load when what was recorded so far shows a violation
// that the monitor of the operations can't see, such as two leaders in a term.
// It looks less often as the history grows, so that all looks together take no more than
// a small multiple of the last one.
func (r *run) judgeOnTheWay(ctx context.Context) {
	begun := r.rt.Now()
	for ctx.Err() == nil {
		if err := errors.Join(r.store.History.Flush(), r.store.Events.Flush()); err != nil {
			return // the run ends of it by itself
		}
		if found := judge.Violation(ctx, r.store.Dir); found != "" && ctx.Err() == nil {
			r.found.endAt(r.rt.Now(), found)
			return
		}
		harness.Sleep(ctx, r.rt, r.rt.Now()+max(judgeEvery, (r.rt.Now()-begun)/10))
	}
}
