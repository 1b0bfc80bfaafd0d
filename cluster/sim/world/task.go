package world

import (
	"context"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"coup/harness"
)

// Task is a coroutine of the harness: a client, a fault, the run itself. When its function
// has ended, a task is used again for another one: most are short, and a new coroutine
// would cost more than they do.
type Task struct {
	w      *World
	fn     func() // what it is for
	next   func() (struct{}, bool)
	end    func()
	yield  func(struct{}) bool
	parked bool
	waits  bool   // it is one of w.waiting
	bound  Ticket // of its park
	due    func() // what its wake-ups do
	// While it sleeps: in what context, and until when.
	sleeps context.Context
	until  time.Duration
}

// stopped is what a task panics with when the world ends before it does.
type stopped struct{}

// Start implements harness.Runtime.
func (w *World) Start(fn func()) {
	var t *Task
	if n := len(w.idle); n > 0 {
		t, w.idle = w.idle[n-1], w.idle[:n-1]
	} else {
		t = &Task{w: w}
		t.due = t.resume
		t.next, t.end = iter.Pull(t.run)
	}
	t.fn = fn
	w.tasks = append(w.tasks, t)
	w.At(w.now, t.due)
}

// run runs one function after the other, until one of them was stopped.
func (t *Task) run(yield func(struct{}) bool) {
	t.yield = yield
	for t.runOne() {
		t.w.idle = append(t.w.idle, t)
		if !yield(struct{}{}) {
			return
		}
	}
}

// runOne reports whether the task's function came to its end.
func (t *Task) runOne() (ended bool) {
	defer func() {
		t.w.tasks = slices.DeleteFunc(t.w.tasks, func(o *Task) bool { return o == t })
		switch p := recover(); p.(type) {
		case nil, stopped:
		default:
			t.w.Fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	fn := t.fn
	t.fn = nil
	fn()
	return true
}

func (t *Task) resume() {
	t.parked = false
	if t.sleeps != nil && t.asleep() {
		t.await(t.until)
		return
	}
	before := t.w.current
	t.w.current = t
	t.next()
	t.w.current = before
}

// asleep reports whether a sleeping task must sleep on: its time has not come, and its
// context has not ended.
func (t *Task) asleep() bool { return t.sleeps.Err() == nil && t.w.now < t.until }

// Park gives control back until somebody calls Wake, or until the time until.
func (t *Task) Park(until time.Duration) {
	t.bind(until)
	t.giveBack()
}

// bind makes the task one that is parked.
func (t *Task) bind(until time.Duration) {
	t.parked = true
	if until != harness.Forever {
		t.bound = t.w.At(until, t.due)
	}
}

func (t *Task) giveBack() {
	if !t.yield(struct{}{}) {
		panic(stopped{})
	}
}

// await is bind, for a task that Wake wakes.
func (t *Task) await(until time.Duration) {
	t.w.waiting = append(t.w.waiting, t)
	t.waits = true
	t.bind(until)
}

// awaited is called when a task gets control back after await.
func (t *Task) awaited() {
	if t.waits { // its time came before anybody woke it
		t.waits = false
		i := slices.Index(t.w.waiting, t)
		t.w.waiting = slices.Delete(t.w.waiting, i, i+1)
	}
}

// Wake makes a parked task go on, now but after what is already due.
func (t *Task) Wake() {
	if t.calledUp() {
		t.w.At(t.w.now, t.due)
	}
}

// calledUp reports whether a task was parked, and marks it as awake.
func (t *Task) calledUp() bool {
	if !t.parked {
		return false
	}
	t.parked = false
	t.w.queue.callOff(t.bound)
	return true
}

// stop unwinds a task that is parked or has not begun.
func (t *Task) stop() {
	t.end()
	t.w.tasks = slices.DeleteFunc(t.w.tasks, func(o *Task) bool { return o == t })
}

// Current is the task that runs now, nil between tasks.
func (w *World) Current() *Task { return w.current }

// running is the task that waits for something now.
func (w *World) running() *Task {
	if w.current == nil {
		panic("simulator: who waits is no task")
	}
	return w.current
}

// Await implements harness.Runtime.
func (w *World) Await(l sync.Locker, until time.Duration) {
	t := w.running()
	t.await(until)
	l.Unlock()
	defer func() {
		t.awaited()
		l.Lock()
	}()
	t.giveBack()
}

// Sleep implements harness.Sleeper. Wake wakes all tasks that wait, also every fault that
// is still to come. A task in Sleep sleeps on without getting control.
func (w *World) Sleep(ctx context.Context, until time.Duration) {
	t := w.running()
	if t.sleeps, t.until = ctx, until; !t.asleep() {
		t.sleeps = nil
		return
	}
	t.await(until)
	defer func() {
		t.sleeps = nil
		t.awaited()
	}()
	t.giveBack()
}

// Wake implements harness.Runtime. It is one event for all waiting tasks, because most of
// them have nothing to do.
func (w *World) Wake() {
	woken := w.waiting
	w.waiting = w.spare[:0]
	w.spare = nil
	for _, t := range woken {
		t.waits = false
	}
	woken = slices.DeleteFunc(woken, func(t *Task) bool { return !t.calledUp() })
	if len(woken) == 0 {
		w.spare = woken
		return
	}
	w.At(w.now, func() {
		for i, t := range woken {
			if i > 0 && !w.goesOn() {
				return
			}
			t.resume()
		}
		clear(woken)
		w.spare = woken
	})
}

// SleepFor parks the task that runs for a while.
func (w *World) SleepFor(d time.Duration) { w.current.Park(w.now + d) }
