package harness

import (
	"context"
	"math"
	"sync"
	"time"
)

// Forever is a time that never comes.
const Forever = time.Duration(math.MaxInt64)

// Runtime is where time and concurrency come from: the machine ([NewRuntime]),
// or a simulator. Code that runs under a Runtime uses no other clock, no
// channel and no go statement, and waits nowhere but in Await and in the I/O
// that its cluster gives it.
type Runtime interface {
	// Now is the time since the start of the run.
	Now() time.Duration
	// Start runs fn concurrently with the caller.
	Start(fn func())
	// Await unlocks l, parks the caller until Wake is called or it is the time
	// until, and locks l again. It may return early: check, and call again.
	Await(l sync.Locker, until time.Duration)
	// Wake ends every Await that is under way.
	Wake()
	// WakeWhenDone calls Wake once when ctx ends, unless stop was called before.
	WakeWhenDone(ctx context.Context) (stop func())
	// WithTimeout is context.WithTimeout by this runtime's clock; see Left.
	WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
}

// Machine is the Runtime of the real world: goroutines and the monotonic clock.
type Machine struct {
	start   time.Time
	mu      sync.Mutex
	waiting map[chan struct{}]struct{}
}

// NewRuntime returns a Runtime whose run starts now.
func NewRuntime() *Machine {
	return &Machine{start: time.Now(), waiting: map[chan struct{}]struct{}{}}
}

// StartTime is the moment that Now counts from.
func (r *Machine) StartTime() time.Time { return r.start }

// Now implements Runtime.
func (r *Machine) Now() time.Duration { return time.Since(r.start) }

// Start implements Runtime.
func (r *Machine) Start(fn func()) { go fn() }

// WithTimeout implements Runtime.
func (r *Machine) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

// Await implements Runtime.
func (r *Machine) Await(l sync.Locker, until time.Duration) {
	woken := make(chan struct{})
	r.mu.Lock()
	r.waiting[woken] = struct{}{}
	r.mu.Unlock()
	l.Unlock()
	if until == Forever {
		<-woken
	} else {
		timer := time.NewTimer(until - r.Now())
		select {
		case <-woken:
		case <-timer.C:
		}
		timer.Stop()
	}
	r.mu.Lock()
	delete(r.waiting, woken)
	r.mu.Unlock()
	l.Lock()
}

// Wake implements Runtime.
func (r *Machine) Wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for woken := range r.waiting {
		close(woken)
		delete(r.waiting, woken)
	}
}

// WakeWhenDone implements Runtime.
func (r *Machine) WakeWhenDone(ctx context.Context) (stop func()) {
	cancel := context.AfterFunc(ctx, r.Wake)
	return func() { cancel() }
}

type clockKey struct{}

// WithClock returns a context whose deadline is to be compared with the clock
// now, and not with the machine's. Runtimes with a clock of their own use it.
func WithClock(ctx context.Context, now func() time.Time) context.Context {
	return context.WithValue(ctx, clockKey{}, now)
}

// Clock is the time that deadlines of ctx are to be compared with.
func Clock(ctx context.Context) time.Time {
	if now, own := ctx.Value(clockKey{}).(func() time.Time); own {
		return now()
	}
	return time.Now()
}

// Left is the time until ctx's deadline; ok is false if it has none. Code that
// runs under a Runtime asks this and not time.Until.
func Left(ctx context.Context) (left time.Duration, ok bool) {
	t, ok := ctx.Deadline()
	if !ok {
		return 0, false
	}
	return t.Sub(Clock(ctx)), true
}

// Sleeper is a Runtime that knows a cheaper way to Sleep.
type Sleeper interface {
	Sleep(ctx context.Context, until time.Duration)
}

// Sleep parks the caller until the time until, or until ctx ends. The end of
// ctx is noticed when something calls rt.Wake.
func Sleep(ctx context.Context, rt Runtime, until time.Duration) {
	if s, ok := rt.(Sleeper); ok {
		s.Sleep(ctx, until)
		return
	}
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	for ctx.Err() == nil && rt.Now() < until {
		rt.Await(&mu, until)
	}
}

// Spawn runs fn concurrently; the function that it returns waits for its end.
func Spawn(rt Runtime, fn func()) (wait func()) {
	var mu sync.Mutex
	ended := false
	rt.Start(func() {
		fn()
		mu.Lock()
		ended = true
		mu.Unlock()
		rt.Wake()
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		for !ended {
			rt.Await(&mu, Forever)
		}
	}
}

// Parallel runs fn(0) to fn(n-1) concurrently and returns when all have ended.
func Parallel(rt Runtime, n int, fn func(i int)) {
	waits := make([]func(), n)
	for i := range n {
		waits[i] = Spawn(rt, func() { fn(i) })
	}
	for _, wait := range waits {
		wait()
	}
}
