package raftnode

import (
	"bytes"
	"testing"
)

func TestLetters(t *testing.T) {
	const within = 8 // and two more
	for _, bug := range []Bug{"", RedeliveryAtTail, DroppedDeadLetter, StaleAck} {
		s := newState()
		put := func(id, producer int64) command { return command{Op: opPut, Key: "q", Value: id, From: &producer} }
		deliver := func(at int64) command { return command{Op: opDeliver, Key: "q", At: at, Lease: within} }
		ack := func(id, token, at int64) command {
			return command{Op: opAck, Key: "q", Value: id, From: &token, At: at}
		}
		for i, step := range []struct {
			c       command
			message *int64
			token   int64
			refused refusal
			only    Bug // with which it is otherwise
		}{
			{deliver(1), nil, 0, "", ""},
			{put(1, 5), nil, 0, "", ""},
			{put(2, 5), nil, 0, "", ""},
			{put(3, 6), nil, 0, "", ""},
			{deliver(2), num(1), 1, "", ""},
			{deliver(3), num(3), 2, "", ""}, // 2 waits for 1
			{deliver(4), nil, 0, "", ""},
			{ack(3, 1, 5), nil, 0, refusedAck, StaleAck},
			{ack(3, 2, 5), nil, 0, "", StaleAck},
			{ack(1, 1, 12), nil, 0, refusedAck, StaleAck},
			{deliver(12), num(1), 3, "", StaleAck},
			{deliver(13), nil, 0, "", RedeliveryAtTail}, // 2 waits
			{deliver(22), num(1), 4, "", RedeliveryAtTail},
			{deliver(32), num(2), 5, "", RedeliveryAtTail}, // 1 was delivered three times
			{ack(1, 4, 33), nil, 0, refusedAck, RedeliveryAtTail},
			{ack(2, 5, 33), nil, 0, "", RedeliveryAtTail},
		} {
			r := s.apply(step.c, bug)
			same := equal(r.Value, step.message) && r.Given == step.token && r.Refused == step.refused
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
			if again := im.state(); again.sum != s.sum || again.clock != s.clock {
				t.Errorf("%q, step %d: a snapshot has another state", bug, i)
			}
		}
		if dead := s.deadLetters("q"); bug == "" && (len(dead) != 1 || dead[0] != 1 || len(s.waiting("q")) != 0) || bug == DroppedDeadLetter && len(dead) > 0 {
			t.Errorf("%q: dead letters %v, waiting %v", bug, dead, s.waiting("q"))
		}
	}
}

func TestBugAckBeforeCommit(t *testing.T) {
	t.Parallel()
	bothWays(t, AckBeforeCommit, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, withBug(bug))
		c.must(PathLetterPut, Request{Key: "b", Value: 1, From: num(5), Client: "auto"})
		got := c.must(PathLetterDeliver, Request{Key: "b", Client: "auto"})
		old := c.leader()
		c.isolate(old)
		_, f := c.post(old, PathLetterAck, Request{Key: "b", Value: 1, From: &got.Token, Timeout: 50, Client: "w", Seq: 1})
		if (f == nil) != (bug != "") {
			t.Errorf("a leader that is cut off answered %v", f)
		}
	})
}
