package linearizable

import (
	"context"
	"math"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

// guard keeps searches within a bound on time and one on memory. Memory is what
// the heap of the whole process has grown by since the guard was made, because
// what one search holds cannot be measured alone.
type guard struct {
	limit uint64
	base  uint64
	quit  chan struct{}
	done  sync.WaitGroup

	mu      sync.Mutex
	running map[*bound]struct{}
}

// bound is the permission of one search to go on.
type bound struct {
	context.Context
	cancel context.CancelCauseFunc
	guard  *guard
}

// boundError is the cause of a bound's end.
type boundError string

func (e boundError) Error() string { return string(e) }

const (
	outOfTime   = boundError("the time allowed for the search was over")
	outOfWork   = boundError("the work allowed for the search was done")
	outOfMemory = boundError("the search needed more memory than allowed")
	elsewhere   = boundError("a violation was found elsewhere, and this one took longer")
)

// unhurried is no bound on time: only the context around it ends the search.
const unhurried = time.Duration(math.MaxInt64)

// newGuard watches the memory of the process until it is closed.
func newGuard(limit uint64) *guard {
	g := &guard{limit: limit, base: heap(), quit: make(chan struct{}), running: map[*bound]struct{}{}}
	g.done.Add(1)
	go g.watch()
	return g
}

func (g *guard) close() {
	close(g.quit)
	g.done.Wait()
}

// start gives a search permission to go on for d, as long as ctx does. The bound
// must be ended.
func (g *guard) start(ctx context.Context, d time.Duration) *bound {
	timed, stop := context.WithTimeoutCause(ctx, d, outOfTime)
	inner, cancel := context.WithCancelCause(timed)
	b := &bound{Context: inner, guard: g}
	b.cancel = func(cause error) {
		cancel(cause)
		stop()
	}
	g.mu.Lock()
	g.running[b] = struct{}{}
	g.mu.Unlock()
	return b
}

func (b *bound) end() {
	b.cancel(nil)
	b.guard.mu.Lock()
	delete(b.guard.running, b)
	b.guard.mu.Unlock()
}

// reason says why the bound ended, "" if it did not.
func (b *bound) reason() string {
	if b.Err() == nil {
		return ""
	}
	return context.Cause(b).Error()
}

func (g *guard) watch() {
	defer g.done.Done()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-g.quit:
			return
		case <-tick.C:
		}
		if heap() <= g.base+g.limit {
			continue
		}
		// Much of it may be garbage: look again after a collection, and stop
		// only if what is left would soon exceed the limit again.
		runtime.GC()
		if heap() <= g.base+g.limit/4*3 {
			continue
		}
		g.mu.Lock()
		for b := range g.running {
			b.cancel(outOfMemory)
		}
		g.mu.Unlock()
	}
}

// heap is the memory that objects take, garbage that was not yet collected
// included, in bytes.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0 // a runtime that does not tell: no bound
	}
	return sample[0].Value.Uint64()
}
