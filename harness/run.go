package harness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Test is what [Run] needs to run a load.
type Test struct {
	Runtime     Runtime
	Generator   Generator
	Concurrency int // threads; each is one process at a time
	// Open makes the client of a process. The thread decides which node it is
	// bound to. It is called again for the process that replaces a lost one.
	Open func(thread, process int) (Client, error)
	// Timeout bounds every operation; 0 means 5 s.
	Timeout time.Duration
	// Backoff is how long a thread rests after a fail or an info, so that a cluster
	// without a leader isn't asked as fast as it can refuse; 0 means no rest.
	Backoff time.Duration
	// Record writes a line of the history. It is called under the lock that
	// orders the run: the order of the calls is the order of the history. An
	// error ends the run.
	Record func(op *Op) error
	Seed   uint64
	// FirstProcess is the number of the first process; see [Run].
	FirstProcess int
}

// Run runs the test until its generator is exhausted or soft ends, and waits
// for the operations that are under way. They themselves live under ctx: when
// it ends they are abandoned as info.
//
// It returns the first process number that was not used. The error is never
// that of an operation, only of the harness: a line that could not be
// recorded, a client that panicked or that is broken (see [ErrBroken]).
//
// There is no scheduler: each thread asks the generator itself, under one
// lock. On a machine that costs no hand-over between threads; in a simulator,
// where one thread runs at a time, it is deterministic.
func Run(ctx, soft context.Context, t Test) (nextProcess int, err error) {
	if t.Timeout == 0 {
		t.Timeout = 5 * time.Second
	}
	l := &loop{Test: t, soft: soft, rand: rand.New(rand.NewPCG(t.Seed, 0x636f7570)), running: t.Concurrency}
	l.next = t.FirstProcess + t.Concurrency
	stop := t.Runtime.WakeWhenDone(soft)
	defer stop()
	for thread := range t.Concurrency {
		t.Runtime.Start(func() { l.thread(ctx, thread) })
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.running > 0 {
		t.Runtime.Await(&l.mu, Forever)
	}
	return l.next, l.err
}

// errShed is how an operation of an open-loop load ends that waits for a process as long
// as it may take altogether: whoever wanted it has gone.
var errShed = errors.New("not begun: no process was free for it in time")

type loop struct {
	Test
	soft context.Context
	mu   sync.Mutex // guards all below, and the order of the history
	rand *rand.Rand

	next    int // the first unused process number
	running int // threads that have not returned
	idle    int // threads that wait for somebody else's completion
	err     error
}

func (l *loop) thread(ctx context.Context, thread int) {
	process := l.FirstProcess + thread
	var client Client
	defer func() {
		if p := recover(); p != nil {
			l.mu.Lock()
			l.fail(fmt.Errorf("process %d: panic: %v", process, p))
			l.mu.Unlock()
		}
		if client != nil {
			client.Close() // an error is ignored: the client is not used any more
		}
		l.mu.Lock()
		l.running--
		l.mu.Unlock()
		l.Runtime.Wake()
	}()
	for {
		op, ok := l.begin(thread, process)
		if !ok {
			return
		}
		var value any
		var err error
		shed := op.Due > 0 && op.Time-op.Due > l.Timeout
		if shed {
			err = fmt.Errorf("%w: %w", ErrFail, errShed)
		} else {
			value, err = l.invoke(ctx, thread, &client, op)
		}
		ended := l.complete(thread, client, op, value, err)
		if ended != OK && l.Backoff > 0 && !shed {
			Sleep(l.soft, l.Runtime, l.Runtime.Now()+l.Backoff)
		}
		if ended == Info {
			if client != nil {
				client.Close()
				client = nil
			}
			l.mu.Lock()
			process = l.next
			l.next++
			l.mu.Unlock()
		}
	}
}

// begin asks the generator until it has an operation for the process, waits
// until it is due and records its invocation. ok is false when there is none.
func (l *loop) begin(thread, process int) (op Op, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.soft.Err() != nil || l.err != nil || l.Generator == nil {
			return Op{}, false
		}
		m := Moment{Time: l.Runtime.Now(), Process: process, Thread: thread, Rand: l.rand}
		op, l.Generator = l.Generator.Next(m)
		if l.Generator == nil {
			l.Runtime.Wake() // threads that are idle have nothing to wait for
			return Op{}, false
		}
		if op.F != "" {
			break
		}
		until := Forever
		if op.Time > 0 {
			until = op.Time
		} else if l.idle+1 == l.running {
			l.fail(errors.New("generator: every process waits for a completion, and none is under way"))
			return Op{}, false
		}
		l.idle++
		l.Runtime.Await(&l.mu, until)
		l.idle--
	}
	for op.Time > l.Runtime.Now() {
		l.Runtime.Await(&l.mu, op.Time)
		if l.soft.Err() != nil || l.err != nil {
			return Op{}, false
		}
	}
	op.Time, op.Process, op.Type = l.Runtime.Now(), process, Invoke
	if err := l.Record(&op); err != nil {
		l.fail(err)
		return Op{}, false
	}
	return op, true
}

func (l *loop) invoke(ctx context.Context, thread int, client *Client, op Op) (any, error) {
	if *client == nil {
		c, err := l.Open(thread, op.Process)
		if errors.Is(err, ErrBroken) {
			return nil, err // the run ends with it
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFail, err)
		}
		*client = c
	}
	ctx, cancel := l.Runtime.WithTimeout(ctx, l.Timeout)
	defer cancel()
	return (*client).Invoke(ctx, op)
}

// complete records how op ended, and lets the generator know.
func (l *loop) complete(thread int, client Client, op Op, value any, err error) Type {
	l.mu.Lock()
	defer l.mu.Unlock()
	op.Time, op.Due = l.Runtime.Now(), 0
	if client != nil {
		op.Node = client.Node()
	}
	switch {
	case err == nil:
		op.Type, op.Value = OK, value
	case errors.Is(err, ErrFail):
		op.Type, op.Error = Fail, err.Error()
	default:
		op.Type, op.Error = Info, err.Error()
	}
	if errors.Is(err, ErrBroken) {
		l.fail(err)
	}
	if err := l.Record(&op); err != nil {
		l.fail(err)
	}
	if l.Generator != nil {
		m := Moment{Time: op.Time, Process: op.Process, Thread: thread, Rand: l.rand}
		l.Generator = l.Generator.Update(m, op)
	}
	if l.idle > 0 {
		l.Runtime.Wake()
	}
	return op.Type
}

// fail ends the run with its first error. The caller holds mu.
func (l *loop) fail(err error) {
	if l.err == nil {
		l.err = err
	}
	l.Runtime.Wake()
}
