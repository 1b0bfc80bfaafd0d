package checker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
	"coup/harness/timeline"
)

const ms = time.Millisecond

func state(at time.Duration, node string, applied uint64, hash string) harness.Event {
	return harness.Event{Time: at, Kind: harness.StateEvent, Node: node, Applied: applied, Hash: hash}
}

func phase(at time.Duration, name string) harness.Event {
	return harness.Event{Time: at, Kind: harness.PhaseEvent, Message: name}
}

func leads(at time.Duration, node string, term uint64) harness.Event {
	return harness.Event{Time: at, Kind: harness.RoleEvent, Node: node, Role: "leader", Term: term}
}

func TestReplicas(t *testing.T) {
	nodes := []string{"n1", "n2", "n3"}
	cases := []struct {
		name   string
		valid  harness.Validity
		says   string
		events []harness.Event
	}{
		{"silent", harness.Unknown, "No node reported", nil},
		{"nothing to compare", harness.Unknown, "No two nodes", []harness.Event{state(1, "n1", 4, "a"), state(2, "n2", 5, "b")}},
		{"equal at the end", harness.Valid, "the last one, 9, included", []harness.Event{
			state(1, "n1", 4, "a"), phase(2, "final"), state(3, "n1", 9, "b"), state(3, "n2", 9, "b"), state(3, "n3", 9, "b")}},
		{"one never catches up", harness.Unknown, "of 3 nodes, n1 at 9, n2 at 9, n3 at 8", []harness.Event{
			phase(2, "final"), state(3, "n1", 9, "b"), state(3, "n2", 9, "b"), state(3, "n3", 8, "x")}},
		{"different at the end", harness.Invalid, "position 9 of the log n1 and n2", []harness.Event{
			phase(2, "final"), state(3, "n1", 9, "b"), state(3, "n2", 9, "c")}},
		{"different on the way", harness.Invalid, "position 4 of the log n1 and n3", []harness.Event{
			state(1, "n1", 4, "a"), state(1, "n3", 4, "z"), phase(2, "final"), state(3, "n1", 9, "b"), state(3, "n3", 9, "b")}},
		{"one node, two states", harness.Invalid, "n1 was in two different states", []harness.Event{
			state(1, "n1", 4, "a"), state(7, "n1", 4, "b")}},
	}
	if r := testhistory.Check(t, Replicas{}, &harness.History{Events: []harness.Event{state(1, "n1", 4, "a")}, Nodes: []string{"n1"}}); r.Valid != harness.Valid {
		t.Errorf("one node alone: %v: %s", r.Valid, r.Summary)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := testhistory.Check(t, Replicas{}, &harness.History{Events: c.events, Nodes: nodes})
			if r.Valid != c.valid || !strings.Contains(r.Summary, c.says) {
				t.Errorf("found %v: %s\nexpected %v: %s", r.Valid, r.Summary, c.valid, c.says)
			}
		})
	}
}

func TestOneLeader(t *testing.T) {
	cases := []struct {
		name   string
		valid  harness.Validity
		events []harness.Event
	}{
		{"nobody", harness.Unknown, nil},
		{"one after the other", harness.Valid, []harness.Event{leads(1, "n1", 2), leads(2, "n2", 3), leads(3, "n1", 4)}},
		{"said twice", harness.Valid, []harness.Event{leads(1, "n1", 2), leads(2, "n1", 2)}},
		{"two in a term", harness.Invalid, []harness.Event{leads(1, "n1", 2), leads(2, "n2", 3), leads(3, "n3", 3)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := testhistory.Check(t, OneLeader{}, &harness.History{Events: c.events})
			if r.Valid != c.valid {
				t.Errorf("found %v: %s", r.Valid, r.Summary)
			}
			if c.valid == harness.Invalid && !strings.Contains(strings.Join(r.Counterexample.Story, " "), "n3 became the leader in the same term") {
				t.Errorf("story: %q", r.Counterexample.Story)
			}
		})
	}
}

func TestRan(t *testing.T) {
	m := model.Register()
	start := harness.Event{Kind: harness.FaultStart, ID: 1, Fault: "kill"}
	hold := harness.Event{Kind: harness.FaultHold, ID: 1, Time: 1}
	miss := harness.Event{Kind: harness.FaultMiss, ID: 1, Message: "there was no leader"}
	cases := []struct {
		name   string
		ran    Ran
		valid  harness.Validity
		says   string
		text   string
		events []harness.Event
	}{
		{"fine", Ran{Faults: []string{"kill"}}, harness.Valid, "1 of 1 fault bit", `[write 1]`, []harness.Event{start, hold}},
		{"no operations", Ran{}, harness.Unknown, "0 operations succeeded", ``, nil},
		{"too few operations", Ran{MinOK: 2}, harness.Unknown, "1 operation succeeded, and 2 must", `[write 1]`, nil},
		{"no read succeeded", Ran{}, harness.Unknown, "of 1 operations read 0 succeeded", `[write 1] [read>`, nil},
		{"fault missed", Ran{}, harness.Unknown, "there was no leader", `[write 1]`, []harness.Event{start, miss}},
		{"fault may miss", Ran{Misses: 1}, harness.Valid, "0 of 1 fault bit", `[write 1]`, []harness.Event{start, miss}},
		{"fault never held", Ran{}, harness.Unknown, "never seen to bite", `[write 1]`, []harness.Event{start}},
		{"nobody was there to do it", Ran{}, harness.Valid, "0 of 0 faults bit", `[write 1]`, []harness.Event{start, {Kind: harness.FaultSkip, ID: start.ID}}},
		{"what comes of healing is no load", Ran{}, harness.Unknown, "0 operations succeeded", `[write 1]`, []harness.Event{phase(0, "heal"), phase(9, "final")}},
		{"a needed function was never tried", Ran{Needs: []string{"cas", "write"}}, harness.Unknown, "of 0 operations cas 0 succeeded", `[write 1]`, nil},
		{"the last look is no load", Ran{}, harness.Unknown, "0 operations succeeded", `[write 1]`, []harness.Event{phase(0, "final")}},
		{"fault never tried", Ran{Faults: []string{"partition"}}, harness.Unknown, "the fault partition never bit", `[write 1]`, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := testhistory.Parse(t, m, c.text)
			h.Events = c.events
			if r := testhistory.Check(t, c.ran, h); r.Valid != c.valid || !strings.Contains(r.Summary, c.says) {
				t.Errorf("found %v: %s\nexpected %v: %s", r.Valid, r.Summary, c.valid, c.says)
			}
		})
	}
}

func TestAvailability(t *testing.T) {
	m := model.Register()
	h := testhistory.Parse(t, m, ``)
	add := func(start, end time.Duration, kind harness.Type) {
		h.Operations = append(h.Operations, harness.Operation{F: "write", Start: start, End: end, Type: kind})
	}
	add(1000*ms, 1010*ms, harness.OK)
	add(1100*ms, 1200*ms, harness.OK)
	add(1300*ms, 2500*ms, harness.Info)
	add(1300*ms, 2600*ms, harness.Fail)
	add(3400*ms, 3500*ms, harness.OK)
	add(5000*ms, 5100*ms, harness.OK) // after the load
	h.Events = []harness.Event{
		phase(0, "setup"), phase(1000*ms, "load"),
		{Kind: harness.FaultStart, Time: 1500 * ms, ID: 7, Fault: "kill", Target: "leader", Nodes: []string{"n1"}},
		{Kind: harness.FaultHold, Time: 1501 * ms, ID: 7},
		{Kind: harness.FaultEnd, Time: 3000 * ms, ID: 7},
		phase(4000*ms, "heal"),
	}
	d := testhistory.Check(t, Availability{}, h).Details.(AvailabilityDetails)
	if d.LongestGap != (timeline.Stretch{From: 1200 * ms, To: 3500 * ms}) {
		t.Errorf("longest gap %v", d.LongestGap)
	}
	want := []AvailableSecond{{1, 2, 0, 0}, {2, 0, 1, 1}, {3, 1, 0, 0}}
	if len(d.Seconds) != len(want) {
		t.Fatalf("seconds %v", d.Seconds)
	}
	for i := range want {
		if d.Seconds[i] != want[i] {
			t.Errorf("second %v, expected %v", d.Seconds[i], want[i])
		}
	}
	if len(d.Faults) != 1 || d.Faults[0].LongestGap != d.LongestGap || d.Faults[0].Fail != 1 || d.Faults[0].Info != 1 || d.Faults[0].OK != 0 {
		t.Errorf("faults %+v", d.Faults)
	}
	if r := testhistory.Check(t, Availability{}, &harness.History{}); r.Valid != harness.Valid {
		t.Errorf("an empty history is %v", r.Valid)
	}
}

func TestFailovers(t *testing.T) {
	h := &harness.History{
		Operations: []harness.Operation{
			{Type: harness.OK, Start: 2100 * ms, End: 2400 * ms, Node: "n1"}, // an answer of the old leader on its way
			{Type: harness.OK, Start: 2050 * ms, End: 2500 * ms, Node: "n2"}, // waited for the new one
			{Type: harness.OK, Start: 6000 * ms, End: 6100 * ms, Node: "n3"},
		},
		Events: []harness.Event{
			leads(100*ms, "n1", 1),
			{Kind: harness.FaultStart, Time: 1000 * ms, ID: 1, Fault: "kill", Nodes: []string{"n3"}}, // not the leader
			{Kind: harness.FaultStart, Time: 2000 * ms, ID: 2, Fault: "kill", Target: "leader", Nodes: []string{"n1"}},
			{Kind: harness.FaultHold, Time: 2010 * ms, ID: 2},
			{Kind: harness.ElectionEvent, Time: 2200 * ms, Node: "n2", Term: 2},
			leads(2350*ms, "n2", 2),
			{Kind: harness.FaultEnd, Time: 5000 * ms, ID: 1},
			leads(5500*ms, "n3", 4),
			leads(7000*ms, "n1", 5),
		},
	}
	d := testhistory.Check(t, Failovers{}, h).Details.(FailoverDetails)
	want := []Failover{
		{Cause: CauseFault, FaultID: 2, Fault: "kill", Target: "leader", Old: "n1", OldTerm: 1, New: "n2", Term: 2,
			At: 2000 * ms, Held: 10 * ms, Detected: 200 * ms, Elected: 350 * ms, Served: 500 * ms},
		{Cause: CauseHeal, FaultID: 1, Fault: "kill", Old: "n2", OldTerm: 2, New: "n3", Term: 4,
			At: 5000 * ms, Held: -1, Detected: -1, Elected: 500 * ms, Served: 1100 * ms},
		{Cause: CauseNone, Old: "n3", OldTerm: 4, New: "n1", Term: 5, At: 7000 * ms, Held: -1, Detected: -1, Elected: -1, Served: -1},
	}
	if len(d.Failovers) != len(want) {
		t.Fatalf("%d failovers", len(d.Failovers))
	}
	for i := range want {
		if d.Failovers[i] != want[i] {
			t.Errorf("failover %d:\n%+v, expected\n%+v", i, d.Failovers[i], want[i])
		}
	}
}

type broken struct{ err error }

func (broken) Name() string { return "broken" }
func (b broken) Check(context.Context, *harness.History) (harness.Result, error) {
	if b.err == nil {
		panic("nobody expected this")
	}
	return harness.Result{}, b.err
}

func TestCheckAll(t *testing.T) {
	m := model.Register()
	valid, invalid := testhistory.Parse(t, m, `[write 1] [read -> 1]`), testhistory.Parse(t, m, `[write 1] [read -> 2]`)
	lin := Linearizable{Model: m}
	cases := []struct {
		name     string
		history  *harness.History
		checkers []harness.Checker
		valid    harness.Validity
	}{
		{"none", valid, nil, harness.Unknown},
		{"valid", valid, []harness.Checker{lin, Availability{}}, harness.Valid},
		{"a panic is unknown", valid, []harness.Checker{lin, broken{}}, harness.Unknown},
		{"an error is unknown", valid, []harness.Checker{broken{errors.New("garbled")}, lin}, harness.Unknown},
		{"the worst wins", invalid, []harness.Checker{broken{}, lin, Availability{}}, harness.Invalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := CheckAll(context.Background(), c.checkers, c.history)
			if v.Valid != c.valid || len(v.Results) != len(c.checkers) {
				t.Errorf("verdict %+v", v)
			}
			for i, r := range v.Results {
				if r.Checker != c.checkers[i].Name() || r.Summary == "" {
					t.Errorf("result %+v", r)
				}
			}
		})
	}
}
