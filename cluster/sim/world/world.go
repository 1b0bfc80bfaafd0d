// Package world is simulated time and what happens in it: the clock, the events
// that are going to happen, and the tasks of the harness, which it runs as
// coroutines, one at a time.
//
// Start with [New]. A [World] is a harness.Runtime, so that the whole harness runs in it
// unchanged: clients, faults and the run itself are its tasks (task.go). Everything else
// that is simulated schedules events (queue.go), and draws from its own streams of random
// numbers. The next event is the one with the smallest time; if times are equal, the one
// that was scheduled first. Time stands still while anything runs. So a seed determines
// everything.
//
// It knows nothing of machines. It only watches that a program that got control gives it
// back (watchdog.go).
package world

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
	err     error  // why the world must end
	current *Task
	tasks   []*Task // that were started and have not ended
	idle    []*Task // that have ended, for others
	waiting []*Task // in Await
	spare   []*Task // room for the next of them
	done    bool    // what it was run for
	watched []context.Context

	watchdog watchdog
	between  []func() // what Between was given
}

var (
	_ harness.Runtime = (*World)(nil)
	_ harness.Sleeper = (*World)(nil)
)

// New returns a world in which nothing happened yet.
func New(seed uint64) *World { return &World{seed: seed} }

// At schedules do for the time at, or for now if that is over.
func (w *World) At(at time.Duration, do func()) Ticket {
	w.seq++
	return w.queue.push(max(at, w.now), w.seq, do)
}

// After schedules do for d from now.
func (w *World) After(d time.Duration, do func()) { w.At(w.now+d, do) }

// CallOff cancels an event, if it has not happened yet.
func (w *World) CallOff(t Ticket) { w.queue.callOff(t) }

// Seed is the seed of all randomness in the world.
func (w *World) Seed() uint64 { return w.seed }

// Random is a source of its own for each purpose, so that one more draw from one of
// them does not shift the others.
func (w *World) Random(purpose string) *rand.Rand {
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

// goesOn is called after each event. It reports whether the world goes on.
func (w *World) goesOn() bool {
	w.events++
	w.checkWatched()
	if w.events%collectEvery == 0 {
		w.watchdog.collect()
		for _, do := range w.between {
			do()
		}
	}
	return !w.done && w.err == nil
}

// collectEvery is the number of events between two looks at the heap, and between two
// calls of Between's functions.
const collectEvery = 1024

// Between arranges that do is called between two events, about once in a thousand. It is
// for the upkeep of this process, and must not change what happens in the world.
func (w *World) Between(do func()) { w.between = append(w.between, do) }

// Fail ends the world: Run returns err, unless it has another reason already.
func (w *World) Fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Now implements harness.Runtime.
func (w *World) Now() time.Duration { return w.now }

// Events is how many events have happened: a measure of the work done.
func (w *World) Events() uint64 { return w.events }

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
	end := w.At(c.until, func() {
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
