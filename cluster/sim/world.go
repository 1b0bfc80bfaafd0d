package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"coup/harness"
)

// Epoch is what the machines' clocks show when a run starts.
var Epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// World is simulated time and what happens in it. It implements
// harness.Runtime for the tasks that run in it; nothing of it may be used from
// anywhere else while Run is under way.
type World struct {
	seed    uint64
	now     time.Duration
	seq     uint64
	queue   eventQueue
	events  uint64 // how many happened
	calls   uint64 // of programs
	err     error  // why the world must end
	current *task
	tasks   []*task // that were started and have not ended
	idle    []*task // that have ended, for others
	waiting []*task // in Await
	spare   []*task // room for the next of them
	done    bool    // what it was run for
	watched []context.Context

	watchdog watchdog
	trace    *tracer // nil: nobody wants to know
}

var (
	_ harness.Runtime = (*World)(nil)
	_ harness.Sleeper = (*World)(nil)
)

// NewWorld returns a world in which nothing happened yet.
func NewWorld(seed uint64) *World { return &World{seed: seed} }

// at schedules do for the time at, or for now if that is over.
func (w *World) at(at time.Duration, do func()) ticket {
	w.seq++
	return w.queue.push(max(at, w.now), w.seq, do)
}

// after schedules do for d from now.
func (w *World) after(d time.Duration, do func()) { w.at(w.now+d, do) }

// random is a source of its own for each purpose.
func (w *World) random(purpose string) *rand.Rand {
	return rand.New(rand.NewPCG(w.seed, hash(purpose)))
}

// hash is FNV-1a.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// errDeadlock: everything waits, and nothing will ever happen.
var errDeadlock = errors.New("simulator: everybody waits, and nothing is going to happen")

// Run runs body as a task, and the world until body has returned. Whatever
// still runs then is stopped. Its error is body's, or says why the world ended
// before body did.
func (w *World) Run(body func() error) (err error) {
	w.watchdog.watch()
	defer w.watchdog.unwatch()
	w.Start(func() {
		err = body()
		w.done = true
	})
	for !w.done && w.err == nil {
		if w.queue.len() == 0 {
			w.err = errDeadlock
			break
		}
		e, do := w.queue.pop()
		w.now = e.at
		do()
		w.goesOn()
	}
	for len(w.tasks) > 0 {
		w.tasks[0].stop()
	}
	for _, t := range w.idle {
		t.end()
	}
	w.queue = eventQueue{}
	if !w.done {
		return w.err
	}
	return err
}

// goesOn is what comes after everything that happens. It says whether anything is
// to happen still.
func (w *World) goesOn() bool {
	w.events++
	w.checkWatched()
	if w.events%collectEvery == 0 {
		w.watchdog.collect()
		hugeCode()
	}
	return !w.done && w.err == nil
}

// collectEvery is after how many events it is asked whether there is much garbage,
// or much compiled code.
const collectEvery = 1024

// fail ends the world.
func (w *World) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Now implements harness.Runtime.
func (w *World) Now() time.Duration { return w.now }

// Events is how many events have happened: a measure of the work done.
func (w *World) Events() uint64 { return w.events }

// Calls is how often programs have asked their machine for the time, to wait, or
// for what package guest has.
func (w *World) Calls() uint64 { return w.calls }

// checkWatched wakes everybody when a context that somebody watches has ended.
// It is asked after every event rather than told by a goroutine, so that a
// context that ends within the world ends at the same event every time.
func (w *World) checkWatched() {
	ended := false
	for i := 0; i < len(w.watched); i++ {
		if w.watched[i].Err() != nil {
			w.watched = slices.Delete(w.watched, i, i+1)
			ended = true
			i--
		}
	}
	if ended {
		w.Wake()
	}
}

// WakeWhenDone implements harness.Runtime.
func (w *World) WakeWhenDone(ctx context.Context) (stop func()) {
	w.watched = append(w.watched, ctx)
	return func() {
		if i := slices.Index(w.watched, ctx); i >= 0 {
			w.watched = slices.Delete(w.watched, i, i+1)
		}
	}
}

// WithTimeout implements harness.Runtime.
func (w *World) WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	cancelled, cancel := context.WithCancel(parent)
	c := &timed{Context: cancelled, world: w, until: w.now + d}
	if left, ok := harness.Left(parent); ok {
		c.until = min(c.until, w.now+left)
	}
	end := w.at(c.until, func() {
		c.expired = c.Context.Err() == nil
		cancel()
	})
	return harness.WithClock(c, func() time.Time { return Epoch.Add(w.now) }), func() {
		w.queue.callOff(end)
		cancel()
	}
}

// timed is a context that ends at a time of the world.
type timed struct {
	context.Context
	world   *World
	until   time.Duration
	expired bool
}

func (c *timed) Deadline() (time.Time, bool) { return Epoch.Add(c.until), true }

func (c *timed) Err() error {
	if c.expired {
		return context.DeadlineExceeded
	}
	return c.Context.Err()
}

func (c *timed) String() string { return fmt.Sprintf("until %v", c.until) }
