package conduct

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/harness"
)

// served is a run of three nodes under one fault, from 10 to 20 s, which is over
// at 60 s and healed at 61 s; clients write and read every second, until 100 s.
type served struct {
	events []harness.Event
	ops    []harness.Operation
}

func serving() *served {
	at := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	r := &served{events: []harness.Event{
		phase(0, "setup"), phase(at(1), "load"),
		{Time: at(10), Kind: harness.FaultStart, ID: 1, Fault: "kill", Nodes: []string{"n1"}},
		{Time: at(10), Kind: harness.FaultHold, ID: 1}, {Time: at(20), Kind: harness.FaultEnd, ID: 1},
	}}
	for s := 1.0; s < 100; s++ {
		if s == 60 {
			r.events = append(r.events, phase(at(60), "heal"))
		}
		if s == 61 {
			r.events = append(r.events, phase(at(61), "serve"))
		}
		for i, n := range []string{"n1", "n2", "n3"} {
			role := "follower"
			if i == 0 {
				role = "leader"
			}
			r.events = append(r.events, harness.Event{Time: at(s + 0.5), Kind: harness.StateEvent, Node: n, Role: role, Leader: "n1", Term: 7})
		}
		for i, f := range []string{"read", "write"} {
			r.ops = append(r.ops, harness.Operation{Process: i, F: f, Type: harness.OK, Start: at(s + 0.2), End: at(s + 0.3), Call: len(r.ops)})
		}
	}
	return r
}

// fail lets the operations of f (or all, if it is "") fail that end from from to to.
func (r *served) fail(f string, from, to float64) *served {
	for i := range r.ops {
		op := &r.ops[i]
		if s := op.End.Seconds(); (f == "" || op.F == f) && s >= from && s < to {
			op.Type, op.Error = harness.Fail, "operation did not happen: n1: leadership transfer in progress"
		}
	}
	return r
}

// also has clients do f whenever they write.
func (r *served) also(f string) *served {
	for _, op := range r.ops {
		if op.F == "write" {
			op.F = f
			r.ops = append(r.ops, op)
		}
	}
	return r
}

// forget leaves out what keep does not keep.
func (r *served) forget(keepOp func(harness.Operation) bool, keepEvent func(harness.Event) bool) *served {
	if keepOp != nil {
		r.ops = slices.DeleteFunc(r.ops, func(op harness.Operation) bool { return !keepOp(op) })
	}
	if keepEvent != nil {
		r.events = slices.DeleteFunc(r.events, func(e harness.Event) bool { return !keepEvent(e) })
	}
	return r
}

// hang keeps of the operations that begin after from only those that begin before
// to, and has them wait for ever.
func (r *served) hang(from, to float64) *served {
	r.forget(func(op harness.Operation) bool { return op.Start.Seconds() < from || op.Start.Seconds() < to }, nil)
	for i := range r.ops {
		if op := &r.ops[i]; op.Start.Seconds() >= from {
			op.Type, op.End, op.Return = harness.Info, 100*time.Second, harness.Open
		}
	}
	return r
}

func (r *served) with(events ...harness.Event) *served {
	r.events = append(r.events, events...)
	harness.SortEvents(r.events)
	return r
}

func TestLiveness(t *testing.T) {
	before := func(s float64) func(harness.Operation) bool {
		return func(op harness.Operation) bool { return op.Start.Seconds() < s }
	}
	silent := func(nodes ...string) func(harness.Event) bool {
		return func(e harness.Event) bool {
			return e.Kind != harness.StateEvent || e.Time < 61*time.Second || !slices.Contains(nodes, e.Node)
		}
	}
	for _, c := range []struct {
		name  string
		run   *served
		valid harness.Validity
		says  string
	}{
		{"it always serves", serving(), harness.Valid, "every kind of operation succeeded within 0.300 s"},
		{"not under the fault", serving().fail("", 10, 20), harness.Valid, ""},
		{"not while a fault goes on, however long", serving().fail("", 10, 50).with(
			harness.Event{Time: 15 * time.Second, Kind: harness.FaultStart, ID: 2, Fault: "pause"},
			harness.Event{Time: 50 * time.Second, Kind: harness.FaultEnd, ID: 2}), harness.Valid, ""},
		{"not while a fault is not healed", serving().fail("", 10, 60).with(
			harness.Event{Time: 11 * time.Second, Kind: harness.FaultStart, ID: 2, Fault: "membership"},
			harness.Event{Time: 15 * time.Second, Kind: harness.FaultEnd, ID: 2, Message: "not healed"}), harness.Valid, ""},
		{"again just in time", serving().fail("", 61, 89.9), harness.Valid, "within 29.300 s"},
		{"again too late", serving().fail("", 61, 90.9), harness.Invalid, "No operation succeeded in 30s after everything was healed."},
		{"never again", serving().fail("", 60, 999), harness.Invalid, "No operation succeeded in 30s after everything was healed."},
		{"never a write again", serving().fail("write", 60, 999), harness.Invalid, "No write succeeded in 30s after everything was healed."},
		{"never two of three", serving().also("cas").fail("write", 60, 999).fail("cas", 60, 999), harness.Invalid, "No cas and no write succeeded in 30s"},
		{"once more, and then never", serving().fail("", 65, 999), harness.Invalid, "No operation succeeded in 30s after everything was healed, though some had before."},
		{"long after the fault, in the middle", serving().fail("", 15, 55), harness.Invalid, "No operation succeeded in 30s without any fault."},
		{"one write between keeps it alive", serving().fail("write", 61, 80).fail("write", 81, 999), harness.Valid, ""},
		{"who is not asked need not answer", serving().forget(func(op harness.Operation) bool {
			return op.F != "write" || op.Start.Seconds() < 61
		}, nil), harness.Valid, "every kind"},
		{"the run ends too soon to tell", serving().fail("", 60, 999).forget(before(85), nil), harness.Unknown, "No operation succeeded in the 23.300 s after everything was healed."},
		{"the run ends too soon to tell of writes", serving().fail("write", 60, 999).forget(before(85), nil), harness.Unknown, "No write succeeded in the 23.300 s"},
		{"clients gave up", serving().fail("", 60, 999).forget(func(op harness.Operation) bool {
			return op.Start.Seconds() < 70 || op.Start.Seconds() > 98
		}, nil), harness.Unknown, "clients did not ask all the time"},
		{"clients hang", serving().fail("", 60, 999).hang(65, 66), harness.Invalid, "No operation succeeded in 30s"},
		{"one node is silent", serving().fail("", 60, 999).forget(nil, silent("n1")), harness.Invalid, "No operation"},
		{"two nodes are silent", serving().fail("", 60, 999).forget(nil, silent("n1", "n3")), harness.Unknown, "only 1 of 3 nodes said how they were"},
		{"two nodes end by themselves", serving().fail("", 60, 999).with(
			harness.Event{Time: 62 * time.Second, Kind: harness.ExitEvent, Node: "n1"}, harness.Event{Time: 90 * time.Second, Kind: harness.ExitEvent, Node: "n1"},
			harness.Event{Time: 70 * time.Second, Kind: harness.ExitEvent, Node: "n2"}, harness.Event{Time: 95 * time.Second, Kind: harness.ExitEvent, Node: "n2"},
		), harness.Unknown, "only 1 of 3 nodes"},
		{"it was never healed", serving().forget(nil, func(e harness.Event) bool { return e.Message != "serve" }), harness.Unknown, "ended before everything was healed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: c.run.events, Operations: c.run.ops}
			r := testhistory.Check(t, Liveness{}, h)
			if r.Valid != c.valid || !strings.Contains(r.Summary, c.says) {
				t.Errorf("found %v: %s\nexpected %v: %s", r.Valid, r.Summary, c.valid, c.says)
			}
			if (r.Counterexample != nil) != (c.valid == harness.Invalid) {
				t.Errorf("counterexample %+v", r.Counterexample)
			}
		})
	}
}

// A release that is refused may have come too late, so it is no lack of service; one that
// hangs is.
func TestLivenessOfConditionalFunctions(t *testing.T) {
	c := Liveness{Conditional: []string{"write"}}
	for says, run := range map[string]*served{
		"every kind of operation succeeded":                               serving().fail("write", 61, 999),
		"No operation succeeded in 30s after everything was healed, ":     serving().hang(62, 65),
		"No read succeeded in 30s after everything was healed.":           serving().also("write").fail("read", 60, 999),
		"No operation succeeded in 30s after everything was healed, thou": serving().hang(62, 999),
	} {
		r := testhistory.Check(t, c, &harness.History{Operations: run.ops, Events: run.events, Nodes: []string{"n1", "n2", "n3"}})
		if !strings.Contains(r.Summary, says) {
			t.Errorf("%v: %s\nwant %s", r.Valid, r.Summary, says)
		}
	}
}

func TestLivenessTellsAStory(t *testing.T) {
	run := serving().fail("write", 61, 999).with(harness.Event{Time: 70 * time.Second, Kind: harness.ElectionEvent, Node: "n2", Term: 8})
	r := testhistory.Check(t, Liveness{}, &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: run.events, Operations: run.ops})
	want := `At 61.000 s everything was healed: every node ran, and packets passed between all of them and the clients.
From 61.000 s to 99.300 s clients asked in vain for write (39 times).
What succeeded meanwhile: read (38 times).
What the nodes said they were, in the end: n1 leader in term 7, n2 follower of n1 in term 7, n3 follower of n1 in term 7.
n1 took itself for the leader in term 7, from 61.500 s to 98.500 s.
They called for an election once.
What they were told (39 times): operation did not happen: n1: leadership transfer in progress.
A majority that can talk to each other must serve within 30s.`
	if r.Counterexample == nil || strings.Join(r.Counterexample.Story, "\n") != want {
		t.Fatalf("%+v", r.Counterexample)
	}
	var told []string
	for _, w := range r.Counterexample.Witness {
		told = append(told, fmt.Sprint(w.F, " ", time.Duration(w.Start)))
	}
	if !slices.Equal(told, []string{"write 1m1.2s", "write 1m39.2s"}) {
		t.Errorf("witnesses %v", told)
	}
	// Nobody leads.
	run = serving().fail("", 61, 999)
	for i := range run.events {
		if e := &run.events[i]; e.Kind == harness.StateEvent && e.Time > 61*time.Second {
			e.Role, e.Term = "candidate", e.Term+uint64(i%5)
		}
	}
	r = testhistory.Check(t, Liveness{}, &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: run.events, Operations: run.ops})
	if r.Counterexample == nil || !slices.Contains(r.Counterexample.Story, "None of them took itself for the leader, in the terms 7 to 11.") {
		t.Errorf("%+v", r.Counterexample)
	}
}

// Functions that fail at times that have too little in common are told one by one.
func TestOutagesApart(t *testing.T) {
	run := serving().also("cas").fail("write", 62, 94).fail("cas", 64, 97)
	h := &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: run.events, Operations: run.ops}
	for _, c := range []struct {
		within time.Duration
		says   string
	}{
		{29 * time.Second, "No cas and no write succeeded in 29s"},
		{32 * time.Second, "No cas succeeded in 32s"},
	} {
		if r := testhistory.Check(t, Liveness{Within: c.within}, h); r.Valid != harness.Invalid || !strings.Contains(r.Summary, c.says) {
			t.Errorf("found %v: %s\nexpected %s", r.Valid, r.Summary, c.says)
		}
	}
}
