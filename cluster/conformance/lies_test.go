package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"coup/cluster"
	"coup/cluster/conformance"
	"coup/cluster/sim"
	"coup/cluster/systems/raft"
	"coup/harness"
	"coup/internal/testnode"
)

// liar is the bundled system with connections that lie in one way.
type liar struct {
	raft.System
	lie string
}

func (l liar) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	if l.lie == "it connects before it is asked" {
		c, err := a.Dial(context.Background(), node, "clients")
		if err != nil {
			return nil, err
		}
		c.Close()
	}
	if l.lie == "it can do less than it seems" && len(a.Nodes()) > 1 {
		c, err := l.System.Open(a, node, o)
		return struct {
			cluster.Conn
			cluster.Set
		}{c, c.(cluster.Set)}, err
	}
	c, err := l.System.Open(a, node, o)
	if err != nil {
		return nil, err
	}
	return &lying{everything: c.(everything), lie: l.lie}, nil
}

// TransferLeader implements cluster.Transferer.
func (l liar) TransferLeader(ctx context.Context, a cluster.Access, leader, to string) (string, error) {
	if l.lie == "transfers" {
		return "", nil
	}
	return l.System.TransferLeader(ctx, a, leader, to)
}

// SetMember implements cluster.Membership.
func (l liar) SetMember(ctx context.Context, a cluster.Access, leader, node string, as cluster.Suffrage) (cluster.Members, error) {
	if l.lie == "nobody leaves" && as == cluster.Absent {
		as = cluster.Nonvoter
	}
	return l.System.SetMember(ctx, a, leader, node, as)
}

// Status implements cluster.Informer.
func (l liar) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	s, err := l.System.Status(ctx, a, node)
	switch l.lie {
	case "tells no term":
		s.Term = 0
	case "all lead":
		s.Role = "leader"
	}
	return s, err
}

// Statuses implements cluster.Sharded.
func (l liar) Statuses(ctx context.Context, a cluster.Access, node string) ([]cluster.Status, error) {
	s, err := l.Status(ctx, a, node)
	return []cluster.Status{s}, err
}

// everything is what a connection to the bundled system can do.
type everything interface {
	cluster.Conn
	cluster.Register
	cluster.Set
	cluster.Queue
	cluster.Counter
	cluster.Transactions
	cluster.Tasks
	cluster.Deliveries
}

type lying struct {
	everything
	lie string
}

func (l *lying) CAS(ctx context.Context, key string, from *int64, to int64) (*int64, error) {
	saw, err := l.everything.CAS(ctx, key, from, to)
	if l.lie == "a cas that failed saw what it expected" && err == nil {
		return from, nil
	}
	return saw, err
}

func (l *lying) Read(ctx context.Context, key string) (*int64, error) {
	v, err := l.everything.Read(ctx, key)
	if l.lie == "nothing is zero" && err == nil && v == nil {
		return new(int64), nil
	}
	return v, err
}

func (l *lying) Write(ctx context.Context, key string, v int64) error {
	err := l.everything.Write(ctx, key, v)
	if l.lie == "writes succeed" {
		return nil
	}
	return err
}

func (l *lying) SetAdd(ctx context.Context, key string, v int64) error {
	err := l.everything.SetAdd(ctx, key, v)
	if l.lie == "what nobody knows did not happen" && err != nil && !errors.Is(err, harness.ErrFail) {
		return fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return err
}

func (l *lying) Enqueue(ctx context.Context, key string, v int64) error {
	if l.lie == "queues know an element once" && v == 1 {
		if last, err := l.everything.Read(ctx, "seen"+key); err != nil || last != nil {
			return err
		}
		if err := l.everything.Write(ctx, "seen"+key, 1); err != nil {
			return err
		}
	}
	return l.everything.Enqueue(ctx, key, v)
}

// Publish and Consume make a broker of the queues.
func (l *lying) Publish(ctx context.Context, key string, v int64) error {
	if l.lie == "messages get lost" && v == 20 {
		return nil
	}
	return l.everything.Enqueue(ctx, "messages-"+key, v)
}

func (l *lying) Consume(ctx context.Context, key string) (*int64, error) {
	return l.everything.Dequeue(ctx, "messages-"+key)
}

func (l *lying) CounterAdd(ctx context.Context, key string, delta int64) error {
	return l.everything.CounterAdd(ctx, key, map[bool]int64{true: max(delta, 0), false: delta}[l.lie == "counters only grow"])
}

func (l *lying) Txn(ctx context.Context, steps []cluster.Micro) ([]cluster.Micro, error) {
	done, err := l.everything.Txn(ctx, steps)
	if l.lie == "reads of what was appended before the transaction" && err == nil {
		for i := range done {
			for _, s := range steps[:i] {
				if list := done[i].List; s.F == "append" && s.Key == done[i].Key && len(list) > 0 {
					done[i].List = list[:len(list)-1]
				}
			}
		}
	}
	return done, err
}

// Finish lets a worker finish a task that somebody else has.
func (l *lying) Finish(ctx context.Context, key string, task, token int64) error {
	err := l.everything.Finish(ctx, key, task, token)
	if l.lie == "who comes too late finishes as well" && errors.Is(err, harness.ErrFail) {
		return nil
	}
	return err
}

func (l *lying) Take(ctx context.Context, key string) (*cluster.Assignment, error) {
	got, err := l.everything.Take(ctx, key)
	if l.lie == "tokens do not grow" && got != nil {
		got.Token = 1
	}
	return got, err
}

func (l *lying) Ack(ctx context.Context, key string, message, token int64) error {
	err := l.everything.Ack(ctx, key, message, token)
	if l.lie == "who comes too late acknowledges as well" && errors.Is(err, harness.ErrFail) {
		return nil
	}
	return err
}

func (l *lying) DeadLetters(ctx context.Context, key string) ([]int64, error) {
	got, err := l.everything.DeadLetters(ctx, key)
	if l.lie == "dead letters are thrown away" {
		got = nil
	}
	return got, err
}

// A contract that lets a lie pass is worth nothing.
func TestLiesAreFound(t *testing.T) {
	for lie, want := range map[string]string{
		"":                                        "",
		"it connects before it is asked":          "what clients can do is known before anything runs",
		"it can do less than it seems":            "can do the workload register if that was said before",
		"transfers":                               "the leader hands the lead over",
		"nobody leaves":                           "is absent: {",
		"tells no term":                           "every node tells what it is said to tell",
		"all lead":                                "one leader is found",
		"a cas that failed saw what it expected":  "cas from a value on a register without one saw",
		"nothing is zero":                         "a register that nobody has written",
		"writes succeed":                          "a write at a node that is stopped does not succeed",
		"what nobody knows did not happen":        "did not happen, as was said",
		"queues know an element once":             "dequeue 4",
		"messages get lost":                       "what came out: [1 2 3 100], want",
		"counters only grow":                      "after adding 5, -2 and 0",
		"who comes too late finishes as well":     "finishing it by such a token fails",
		"tokens do not grow":                      "who gets a task later has the larger token",
		"who comes too late acknowledges as well": "an acknowledgement by a token that nobody was given fails",
		"dead letters are thrown away":            "a message that nobody acknowledges is a dead letter",
		"reads of what was appended before the transaction": "reads of what the transaction itself has appended",
	} {
		t.Run(lie, func(t *testing.T) {
			t.Parallel()
			w := sim.NewWorld(1)
			var found error
			err := w.Run(func() error {
				ctx := context.Background()
				sys := liar{lie: lie}
				c, err := sim.Up(ctx, w, sim.Config{
					Program: testnode.Program(t, testnode.Node), Nodes: 3, System: raft.System{},
					Output: func(string, []byte) {}, Exited: func(string, int) {}, GaveUp: func(string, string) {},
				})
				if err != nil {
					return err
				}
				found = conformance.CheckSystem(ctx, w, sys, c, cluster.Options{}, t.Logf)
				return c.Close(ctx)
			})
			if err != nil {
				t.Fatal(err)
			}
			if (found == nil) != (want == "") || found != nil && !strings.Contains(found.Error(), want) {
				t.Errorf("found %v, want %q", found, want)
			}
		})
	}
}
