package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"coup/cluster"
	"coup/harness"
)

// leased is something that is given for a time to whoever asks: a task or a message.
type leased struct {
	id, token int64
	lasts     time.Duration
}

// lessor is a board of tasks or a queue, as far as both give things by leases.
type lessor struct {
	*contract
	what string
	ask  func(ctx context.Context) (*leased, error)
	end  func(ctx context.Context, l leased) error // finishes or acknowledges it
	left func(ctx context.Context) ([]int64, error)
}

// took asks once. It says when it asked.
func (l lessor) took() (got *leased, asked time.Duration) {
	asked = l.rt.Now()
	l.must(l.what+": ask", func(ctx context.Context) (err error) { got, err = l.ask(ctx); return err })
	return got, asked
}

// taken asks until one with this id is given.
func (l lessor) taken(id int64) (got leased, asked time.Duration) {
	l.eventually(fmt.Sprintf("%s: %d is given to who asks", l.what, id), func() bool {
		var g *leased
		if g, asked = l.took(); g == nil || g.id != id {
			return false
		}
		got = *g
		return true
	})
	l.expect(fmt.Sprintf("%s: %d is given for a time", l.what, id), got.lasts > 0)
	return got, asked
}

// ended takes one until it is ended in time.
func (l lessor) ended(id int64) (got leased) {
	l.eventually(fmt.Sprintf("%s: %d is ended by who has it", l.what, id), func() bool {
		got, _ = l.taken(id)
		return l.within(opTimeout, func(ctx context.Context) error { return l.end(ctx, got) }) == nil
	})
	return got
}

// none expects that nothing is given before the time of what was asked for last is over.
func (l lessor) none(why string, lasts, asked time.Duration) {
	if got, _ := l.took(); got != nil && l.rt.Now()-asked < lasts {
		l.expect(fmt.Sprintf("%s: nothing is given: %s (got %d)", l.what, why, got.id), false)
	}
}

func (l lessor) refused(how string, do func(ctx context.Context) error) {
	l.contract.refused(l.what, how, do)
}

func (l lessor) leaves(want ...int64) {
	var got []int64
	l.must(l.what+": look", func(ctx context.Context) (err error) { got, err = l.left(ctx); return err })
	slices.Sort(got)
	l.expect(fmt.Sprintf("%s: left are %v, want %v", l.what, got, want), slices.Equal(got, want))
}

// tasks checks a board of tasks with one worker. On a slow machine a lease may
// end before the worker is done; then it asks again.
func (k *contract) tasks(what string, t cluster.Tasks, key string) {
	l := lessor{k, what,
		func(ctx context.Context) (*leased, error) {
			a, err := t.Take(ctx, key)
			if a == nil || err != nil {
				return nil, err
			}
			return &leased{a.Task, a.Token, a.Lease}, nil
		},
		func(ctx context.Context, a leased) error { return t.Finish(ctx, key, a.id, a.token) },
		func(ctx context.Context) ([]int64, error) { return t.Unfinished(ctx, key) },
	}
	submit := func(task int64, after *int64) {
		k.must(what+": submit", func(ctx context.Context) error { return t.Submit(ctx, key, task, after) })
	}
	beat := func(ctx context.Context, a leased) error {
		_, err := t.Beat(ctx, key, a.id, a.token)
		return err
	}
	l.leaves()
	l.none("the board is empty", 1<<62, 0)
	submit(1, nil)
	submit(2, num(1))
	l.leaves(1, 2)
	first, asked := l.taken(1)
	l.none("one task has a worker, the other waits for it", first.lasts, asked)
	l.refused("a heartbeat by a token that nobody was given", func(ctx context.Context) error { return beat(ctx, leased{id: 1, token: first.token + 1000}) })
	l.refused("finishing it by such a token", func(ctx context.Context) error { return l.end(ctx, leased{id: 1, token: first.token + 1000}) })
	l.leaves(1, 2)
	k.eventually(what+": a heartbeat begins the lease anew", func() bool {
		var lasts time.Duration
		err := k.within(opTimeout, func(ctx context.Context) (err error) {
			lasts, err = t.Beat(ctx, key, first.id, first.token)
			return err
		})
		if err != nil {
			first, _ = l.taken(1)
		}
		return err == nil && lasts > 0
	})
	again, _ := l.taken(1) // once the lease is over
	k.expect(what+": who gets a task later has the larger token", again.token > first.token)
	l.refused("a heartbeat after the task has another worker", func(ctx context.Context) error { return beat(ctx, first) })
	l.refused("finishing it then", func(ctx context.Context) error { return l.end(ctx, first) })
	again = l.ended(1)
	l.refused("finishing a task twice", func(ctx context.Context) error { return l.end(ctx, again) })
	l.leaves(2)
	l.ended(2)
	l.leaves()
	l.none("every task is finished", 1<<62, 0)
}

// deliveries checks a queue whose messages are acknowledged, with one client.
func (k *contract) deliveries(what string, d cluster.Deliveries, key string) {
	l := lessor{k, what,
		func(ctx context.Context) (*leased, error) {
			m, err := d.Deliver(ctx, key)
			if m == nil || err != nil {
				return nil, err
			}
			return &leased{m.Message, m.Token, m.Within}, nil
		},
		func(ctx context.Context, m leased) error { return d.Ack(ctx, key, m.id, m.token) },
		func(ctx context.Context) ([]int64, error) { return d.Waiting(ctx, key) },
	}
	put := func(message, producer int64) {
		k.must(what+": put", func(ctx context.Context) error { return d.Put(ctx, key, message, producer) })
	}
	dead := func() (got []int64) {
		k.must(what+": dead letters", func(ctx context.Context) (err error) { got, err = d.DeadLetters(ctx, key); return err })
		return got
	}
	l.leaves()
	l.none("the queue is empty", 1<<62, 0)
	put(1, 7)
	put(2, 7)
	l.leaves(1, 2)
	first, asked := l.taken(1)
	l.none("the message before it is not acknowledged", first.lasts, asked)
	l.refused("an acknowledgement by a token that nobody was given", func(ctx context.Context) error { return l.end(ctx, leased{id: 1, token: first.token + 1000}) })
	again, _ := l.taken(1) // once its time is over
	k.expect(what+": a message is delivered again with a larger token", again.token > first.token)
	l.refused("an acknowledgement after it was delivered again", func(ctx context.Context) error { return l.end(ctx, first) })
	err := k.within(opTimeout, func(ctx context.Context) error { return l.end(ctx, again) })
	if errors.Is(err, harness.ErrFail) {
		again, _ = l.taken(1) // too late on a slow machine: the last time that it is delivered
		err = k.within(opTimeout, func(ctx context.Context) error { return l.end(ctx, again) })
	}
	k.expect(fmt.Sprintf("%s: a message is acknowledged (%v)", what, err), err == nil)
	l.refused("acknowledging a message twice", func(ctx context.Context) error { return l.end(ctx, again) })
	l.leaves(2)
	got := dead()
	k.expect(fmt.Sprintf("%s: there is no dead letter yet (%v)", what, got), len(got) == 0)
	for range cluster.MostDeliveries {
		l.taken(2)
	}
	k.eventually(what+": a message that nobody acknowledges is a dead letter", func() bool {
		l.none("it was delivered as often as it may be", 1<<62, 0)
		return slices.Equal(dead(), []int64{2})
	})
	l.leaves()
}
