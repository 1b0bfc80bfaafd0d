package raftnode

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func num(v int64) *int64 { return &v }

func show(v *int64) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprint(*v)
}

func TestApply(t *testing.T) {
	s := newState()
	for i, step := range []struct {
		c    command
		want *int64
	}{
		{command{Op: opCAS, Key: "r", From: num(1), Value: 2}, nil},
		{command{Op: opCAS, Key: "r", From: nil, Value: 2}, nil},
		{command{Op: opCAS, Key: "r", From: nil, Value: 3}, num(2)},
		{command{Op: opCAS, Key: "r", From: num(2), Value: 3}, num(2)},
		{command{Op: opWrite, Key: "r", Value: 9}, nil},
		{command{Op: opCAS, Key: "r", From: num(3), Value: 4}, num(9)},
		{command{Op: opDequeue, Key: "q"}, nil},
		{command{Op: opEnqueue, Key: "q", Value: 5}, nil},
		{command{Op: opEnqueue, Key: "q", Value: 6}, nil},
		{command{Op: opEnqueue, Key: "q", Value: 7}, nil},
		{command{Op: opDequeue, Key: "q"}, num(5)},
		{command{Op: opTake, Key: "q", Value: 7}, num(7)},
		{command{Op: opDequeue, Key: "q"}, num(6)},
		{command{Op: opDequeue, Key: "q"}, nil},
		{command{Op: opSetAdd, Key: "s", Value: 2}, nil},
		{command{Op: opSetAdd, Key: "s", Value: 1}, nil},
		{command{Op: opSetAdd, Key: "s", Value: 2}, nil},
		{command{Op: opCounterAdd, Key: "c", Value: 4}, nil},
		{command{Op: opCounterAdd, Key: "c", Value: -1}, nil},
	} {
		r := s.apply(step.c, "")
		if !equal(r.Value, step.want) || r.Refused != "" {
			t.Errorf("step %d, %+v: got %s, want %s", i, step.c, show(r.Value), show(step.want))
		}
		if again := s.image().state(); again.sum != s.sum {
			t.Errorf("step %d, %+v: digest is not that of the state", i, step.c)
		}
	}
	steps := []Micro{{F: MicroRead, Key: "l"}, {F: MicroAppend, Key: "l", Value: 1}, {F: MicroRead, Key: "l"}, {F: MicroAppend, Key: "m", Value: 2}}
	for i, want := range [][]int64{{1}, {1, 1}} {
		glanced := s.glance(steps)
		before := s.sum
		if r := s.apply(command{Op: opTxn, Txn: steps}, ""); !reflect.DeepEqual(r.Txn, glanced) || !slices.Equal(r.Txn[2].List, want) || len(r.Txn[0].List) != i {
			t.Errorf("transaction %d: %+v, glanced %+v", i, r.Txn, glanced)
		}
		if again := s.image().state(); again.sum != s.sum || before == s.sum {
			t.Errorf("transaction %d: digest is not that of the state", i)
		}
	}
	if got := s.register("r"); !equal(got, num(9)) {
		t.Errorf("register: %s", show(got))
	}
	if got := s.set("s"); !reflect.DeepEqual(got, []int64{1, 2}) {
		t.Errorf("set: %v", got)
	}
	if s.counters["c"] != 3 {
		t.Errorf("counter: %d", s.counters["c"])
	}
	if r := s.apply(command{Op: "?"}, ""); r.Refused != refusedOp {
		t.Errorf("an unknown command was applied: %+v", r)
	}
}

// Lists are shared between the state and what was taken from it, and stay what
// they were.
func TestListsStay(t *testing.T) {
	s := newState()
	add := func(n int) {
		for i := range n {
			s.appendTo("l", int64(i))
		}
	}
	add(5)
	im, read := s.image(), s.list("l")
	add(100)
	if want := []int64{0, 1, 2, 3, 4}; !slices.Equal(im.Lists["l"], want) || !slices.Equal(read, want) {
		t.Errorf("an image has %v, a read %v", im.Lists["l"], read)
	}
	other := append(read, 77)
	if got := s.list("l"); got[5] != 0 || len(got) != 105 || other[5] != 77 {
		t.Errorf("whoever appends to what it read changes the state: %v", got)
	}
}

func TestApplyOnce(t *testing.T) {
	add := func(seq uint64) command {
		return command{Op: opCounterAdd, Key: "c", Value: 1, Client: "x", Seq: seq}
	}
	s := newState()
	s.apply(add(1), "")
	s.apply(add(1), "")
	s.apply(add(2), "")
	if r := s.apply(add(1), ""); r.Refused != refusedOld || r.Refused.failure().Happened != Unknown {
		t.Errorf("a command that was overtaken: %+v", r)
	}
	if s.counters["c"] != 2 {
		t.Errorf("applied %d times, want 2", s.counters["c"])
	}
	cas := command{Op: opCAS, Key: "r", Value: 1, Client: "x", Seq: 3}
	s.apply(cas, "")
	if r := s.apply(cas, ""); r.Value != nil {
		t.Errorf("the second answer differs from the first: saw %s", show(r.Value))
	}
	// Restored, it still remembers.
	s = s.image().state()
	if r := s.apply(cas, ""); r.Value != nil {
		t.Errorf("after a restore: saw %s", show(r.Value))
	}
	// The planted bug does not.
	s.apply(add(3), DoubleApply)
	s.apply(add(3), DoubleApply)
	if s.counters["c"] != 4 {
		t.Errorf("double-apply: counter is %d, want 4", s.counters["c"])
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := newState()
	write := func(i int, retry bool) result {
		return s.apply(command{Op: opWrite, Key: "k", Value: int64(i), Client: fmt.Sprint("c", i), Seq: 1, Retry: retry}, "")
	}
	for i := range maxSessions {
		write(i, false)
	}
	write(0, true) // heard of again, but nothing new
	for i := range 10 {
		write(maxSessions+i, true)
	}
	if len(s.sessions) != maxSessions || s.recent.Len() != maxSessions {
		t.Fatalf("%d sessions, want %d", len(s.sessions), maxSessions)
	}
	write(maxSessions+20, false)
	if r := write(0, true); r.Refused != refusedSession || r.Refused.failure().Happened != Unknown {
		t.Errorf("retry of a forgotten client: %+v", r)
	}
	if got := s.image().state(); got.sum != s.sum || got.evicted != s.evicted || got.recent.Len() != s.recent.Len() {
		t.Error("the image of many sessions is not the state's")
	}
	// Who was longest unheard of goes first, also after a restore.
	restored := s.image().state()
	if a, b := s.recent.Front().Value.(*session).Client, restored.recent.Front().Value.(*session).Client; a != b {
		t.Errorf("next to go is %s, after a restore %s", a, b)
	}
}

// Replicas that came to a state by different ways have the same digest, and
// different states have different ones.
func TestDigest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func() command {
		ops := []string{opWrite, opCAS, opSetAdd, opEnqueue, opDequeue, opCounterAdd, opTxn}
		steps := make([]Micro, 1+rng.IntN(3))
		for i := range steps {
			steps[i] = Micro{F: MicroRead, Key: fmt.Sprint("k", rng.IntN(20))}
			if rng.IntN(2) == 0 {
				steps[i].F, steps[i].Value = MicroAppend, rng.Int64N(5)
			}
		}
		return command{
			Txn: steps,
			Op:  ops[rng.IntN(len(ops))], Key: fmt.Sprint("k", rng.IntN(3)), Value: rng.Int64N(5),
			Client: fmt.Sprint("c", rng.IntN(4)), Seq: uint64(rng.IntN(400)),
		}
	}
	whole, byImage := newState(), newState()
	seen := map[uint64][]byte{}
	for range 3000 {
		c := random()
		a, b := whole.apply(c, ""), byImage.apply(c, "")
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v gave %+v and %+v", c, a, b)
		}
		if rng.IntN(10) == 0 {
			var buf bytes.Buffer
			if err := byImage.image().write(&buf); err != nil {
				t.Fatal(err)
			}
			im, err := readImage(&buf)
			if err != nil {
				t.Fatal(err)
			}
			byImage = im.state()
		}
		if whole.hash() != byImage.hash() {
			t.Fatalf("after %+v: digests %s and %s", c, whole.hash(), byImage.hash())
		}
		var buf bytes.Buffer
		if err := whole.image().write(&buf); err != nil {
			t.Fatal(err)
		}
		if old, ok := seen[whole.sum]; ok && !bytes.Equal(old, buf.Bytes()) && !sameBut(old, buf.Bytes()) {
			t.Fatalf("two states with one digest:\n%s\n%s", old, buf.Bytes())
		}
		seen[whole.sum] = buf.Bytes()
	}
}

// sameBut compares images except for what the digest leaves out: the order of
// sessions, and queues that were emptied.
func sameBut(a, b []byte) bool {
	x, err1 := readImage(bytes.NewReader(a))
	y, err2 := readImage(bytes.NewReader(b))
	if err1 != nil || err2 != nil {
		return false
	}
	for _, im := range []*image{x, y} {
		im.Sessions = nil
		for key, q := range im.Queues {
			if len(q.Items) == 0 {
				delete(im.Queues, key)
			}
		}
	}
	return reflect.DeepEqual(x, y)
}

func TestFactsDiffer(t *testing.T) {
	facts := map[uint64]string{}
	add := func(name string, f uint64) {
		if old, ok := facts[f]; ok {
			t.Errorf("%s and %s have the same hash", name, old)
		}
		facts[f] = name
	}
	for k := range 20 {
		key := fmt.Sprint("k", k)
		for v := range int64(200) {
			add(fmt.Sprint("register ", key, v), registerFact(key, v))
			add(fmt.Sprint("set ", key, v), setFact(key, v))
			add(fmt.Sprint("counter ", key, v), counterFact(key, v))
			add(fmt.Sprint("queue ", key, v), queueFact(key, 3, uint64(v)))
			add(fmt.Sprint("list ", key, v), listFact(key, 3, v))
		}
	}
	add("no value", sessionFact(&session{Client: "a", Seq: 1}))
	add("a transaction that read", sessionFact(&session{Client: "a", Seq: 1, Result: result{Txn: []Micro{{F: MicroRead, Key: "l", List: []int64{4}}}}}))
	add("a transaction that found nothing", sessionFact(&session{Client: "a", Seq: 1, Result: result{Txn: []Micro{{F: MicroRead, Key: "l"}}}}))
	add("value 0", sessionFact(&session{Client: "a", Seq: 1, Result: result{Value: num(0)}}))
}
