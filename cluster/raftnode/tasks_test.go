package raftnode

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"time"
)

func TestTasks(t *testing.T) {
	const lease = 8 // and two more
	for _, bug := range []Bug{"", UnfencedFinish, EarlyRequeue, DependencyOutsideLog} {
		s := newState()
		take := func(at int64) command { return command{Op: opTaskTake, Key: "b", At: at, Lease: lease} }
		beat := func(task, token, at int64) command {
			return command{Op: opBeat, Key: "b", Value: task, From: &token, At: at, Lease: lease}
		}
		finish := func(task, token, at int64) command {
			return command{Op: opFinish, Key: "b", Value: task, From: &token, At: at, Lease: lease}
		}
		for i, step := range []struct {
			c       command
			task    *int64
			token   int64
			refused refusal
			only    Bug // with which it is otherwise
		}{
			{take(1), nil, 0, "", ""},
			{command{Op: opSubmit, Key: "b", Value: 1}, nil, 0, "", ""},
			{command{Op: opSubmit, Key: "b", Value: 2, From: num(1)}, nil, 0, "", ""},
			{command{Op: opSubmit, Key: "b", Value: 3, From: num(9)}, nil, 0, refusedAfter, ""},
			{command{Op: opSubmit, Key: "b", Value: 1}, nil, 0, "", ""},
			{take(2), num(1), 1, "", ""},
			{take(11), nil, 0, "", ""}, // 1 is assigned, 2 waits
			{beat(1, 1, 11), num(1), 1, "", ""},
			{beat(1, 7, 11), nil, 0, refusedTask, ""},
			{take(20), nil, 0, "", ""},
			{finish(1, 1, 21), nil, 0, refusedTask, UnfencedFinish},
			{take(5), num(1), 2, "", UnfencedFinish}, // a clock that is behind changes nothing
			{finish(1, 1, 21), nil, 0, refusedTask, ""},
			{command{Op: opNoop}, nil, 0, "", ""},
			{take(22), nil, 0, "", EarlyRequeue},
			{finish(1, 2, 23), nil, 0, "", EarlyRequeue},
			{take(23), num(2), 3, "", EarlyRequeue},
			{finish(2, 3, 24), nil, 0, "", EarlyRequeue},
			{finish(2, 3, 24), nil, 0, refusedTask, ""},
			{take(99), nil, 0, "", EarlyRequeue},
		} {
			r := s.apply(step.c, bug)
			same := equal(r.Value, step.task) && r.Given == step.token && r.Refused == step.refused
			if bug != "" && step.only == bug {
				if same {
					t.Errorf("%s, step %d: as without the bug", bug, i)
				}
				break // from here on the states differ
			}
			if !same {
				t.Errorf("%q, step %d, %+v: got %s, token %d, %s", bug, i, step.c, show(r.Value), r.Given, r.Refused)
			}
			var b bytes.Buffer
			if err := s.image().write(&b); err != nil {
				t.Fatal(err)
			}
			im, err := readImage(&b)
			if err != nil {
				t.Fatal(err)
			}
			again := im.state()
			if again.sum != s.sum || again.clock != s.clock {
				t.Errorf("%q, step %d: a snapshot has another state", bug, i)
			}
		}
	}
}

// The clock of the log never runs faster than time does, whoever leads: between two commands of
// the log passes at least as much time as its clock says.
func TestLogClock(t *testing.T) {
	virtually(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		type entry struct {
			clock    int64
			proposed time.Time
		}
		var log []entry
		leaders := []*logClock{{}, {}, {}}
		states := []*fsm{newFSM("", nil, 0), newFSM("", nil, 0), newFSM("", nil, 0)}
		term, leader := uint64(1), 0
		for range 3000 {
			time.Sleep(time.Duration(r.IntN(int(100 * time.Millisecond))))
			switch r.IntN(10) {
			case 0: // another one leads, whose state may be behind
				term++
				leader = r.IntN(3)
			case 1: // a deposed leader reads its clock; what it proposes is never committed
				other := r.IntN(3)
				leaders[other].read(states[other], leaders[other].term)
			case 2, 3, 4:
				for i, f := range states {
					if i == leader || r.IntN(2) == 0 {
						f.state.clock = max(f.state.clock, lastClock(log, func(e entry) int64 { return e.clock }))
					}
				}
			default:
				at, in := leaders[leader].read(states[leader], term)
				if in != term {
					t.Fatalf("term %d, want %d", in, term)
				}
				at = max(at, lastClock(log, func(e entry) int64 { return e.clock }))
				log = append(log, entry{at, time.Now()})
			}
		}
		for i, a := range log {
			for _, b := range log[i+1:] {
				if passed := b.proposed.Sub(a.proposed); b.clock-a.clock > int64(passed) {
					t.Fatalf("the clock went on by %v in %v", time.Duration(b.clock-a.clock), passed)
				}
			}
		}
		if first, last := log[0], log[len(log)-1]; last.clock-first.clock < int64(last.proposed.Sub(first.proposed))/4 {
			t.Error("the clock stands still")
		}
	})
}

func lastClock[T any](log []T, of func(T) int64) int64 {
	if len(log) == 0 {
		return 0
	}
	return of(log[len(log)-1])
}

// A task goes to another worker when its lease is over, and not before, also if another
// node leads by then.
func TestTasksThroughFailover(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 3, func(cfg *testConfig) { cfg.TaskLease = 3 * time.Second })
		c.must(PathTaskSubmit, Request{Key: "b", Value: 1, Client: "auto"})
		first := c.must(PathTaskTake, Request{Key: "b", Client: "auto"})
		begun := time.Now()
		c.isolate(c.leader())
		var second Response
		for second.Value == nil {
			time.Sleep(50 * time.Millisecond)
			second = c.must(PathTaskTake, Request{Key: "b", Client: "auto"})
		}
		if passed := time.Since(begun); passed < 3*time.Second*5/4 || passed > 6*time.Second {
			t.Errorf("it was given to another after %v", passed)
		}
		if first.Token != 1 || second.Token != 2 {
			t.Errorf("tokens %d and %d", first.Token, second.Token)
		}
		for i, refused := range []bool{true, false} { // the first worker comes back too late
			token := int64(i + 1)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, f := c.leader().do(ctx, Request{Key: "b", Value: 1, From: &token, Client: "w", Seq: uint64(token)}, operationOf(PathTaskFinish))
			cancel()
			if (f != nil) != refused || f != nil && f.Happened != DidNotHappen {
				t.Errorf("finish with token %d: %v", token, f)
			}
		}
	})
}

func operationOf(path string) operation {
	for _, op := range operations {
		if op.name == path {
			return op
		}
	}
	panic(path)
}

func TestBugLeaseLocalClock(t *testing.T) {
	t.Parallel()
	bothWays(t, LeaseLocalClock, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, withBug(bug))
		c.must(PathTaskSubmit, Request{Key: "b", Value: 1, Client: "auto"})
		c.must(PathTaskTake, Request{Key: "b", Client: "auto"})
		c.leader().fsm.view(func(s *state) {
			if wall := time.Now().UnixNano(); (s.clock > wall-int64(time.Hour)) != (bug != "") {
				t.Errorf("the clock of the log shows %d, the wall clock %d", s.clock, wall)
			}
		})
	})
}

func TestBugFinishBeforeCommit(t *testing.T) {
	t.Parallel()
	bothWays(t, FinishBeforeCommit, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, withBug(bug))
		c.must(PathTaskSubmit, Request{Key: "b", Value: 1, Client: "auto"})
		got := c.must(PathTaskTake, Request{Key: "b", Client: "auto"})
		old := c.leader()
		c.isolate(old)
		_, f := c.post(old, PathTaskFinish, Request{Key: "b", Value: 1, From: &got.Token, Timeout: 50, Client: "w", Seq: 1})
		if (f == nil) != (bug != "") {
			t.Errorf("a leader that is cut off answered %v", f)
		}
	})
}
