package conduct

import (
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/harness"
)

func TestConvergence(t *testing.T) {
	const sec = time.Second
	at := func(seconds float64, node string, position uint64) harness.Event {
		return harness.Event{Time: time.Duration(seconds * float64(sec)), Kind: harness.StateEvent, Node: node, Role: "follower", Applied: position}
	}
	fault := func(kind string, seconds float64, id int, nodes ...string) harness.Event {
		return harness.Event{Time: time.Duration(seconds * float64(sec)), Kind: kind, ID: id, Fault: "kill", Nodes: nodes}
	}
	h := &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: []harness.Event{
		at(1, "n1", 10), at(1, "n2", 10), at(1, "n3", 10),
		fault(harness.FaultStart, 2, 1, "n2"), fault(harness.FaultHold, 2, 1, "n2"),
		at(3, "n1", 40), at(3, "n3", 40),
		fault(harness.FaultEnd, 4, 1, "n2"),
		at(5, "n1", 60), at(5, "n2", 15), at(5, "n3", 60),
		at(6, "n1", 80), at(6, "n2", 40), at(6, "n3", 80), // what was there when it was healed; new entries do not count
		fault(harness.FaultStart, 7, 2, "n2", "n3"), fault(harness.FaultHold, 7, 2, "n2", "n3"),
		fault(harness.FaultEnd, 8, 2, "n2", "n3"),
		at(8.5, "n1", 90), at(8.5, "n2", 85),
		fault(harness.FaultStart, 9, 3, "n3"), fault(harness.FaultMiss, 9, 3, "n3"), fault(harness.FaultEnd, 9, 3, "n3"), // it had no effect
		fault(harness.FaultStart, 9, 4, "n3"), fault(harness.FaultHold, 9, 4, "n3"),
		at(9.5, "n3", 95),
	}}
	r := testhistory.Check(t, Convergence{}, h)
	d := r.Details.(ConvergenceDetails).Nodes
	want := []Converged{
		{ID: 1, Fault: "kill", Node: "n2", Healed: 4 * sec, Behind: 25, After: 2 * sec},
		{ID: 2, Fault: "kill", Node: "n2", Healed: 8 * sec, After: sec / 2},
		{ID: 2, Fault: "kill", Node: "n3", Healed: 8 * sec, After: -1, Cut: true}, // fault 4 came first, and was never healed
	}
	if len(d) != len(want) {
		t.Fatalf("got %+v", d)
	}
	for i := range want {
		if d[i] != want[i] {
			t.Errorf("got %+v, want %+v", d[i], want[i])
		}
	}
	if r.Valid != harness.Valid || !strings.Contains(r.Summary, "within 2.000 s, half of the time within 0.500 s; the slowest was n2") || !strings.HasSuffix(r.Summary, "In 1 of 3 cases the next fault came first.") {
		t.Errorf("%v: %s", r.Valid, r.Summary)
	}
	// While another fault is in force, the healing of one heals nothing.
	h.Events = []harness.Event{at(1, "n1", 10), fault(harness.FaultStart, 2, 1, "n2"), fault(harness.FaultHold, 2, 1, "n2"), fault(harness.FaultStart, 3, 2, "n2"), fault(harness.FaultHold, 3, 2, "n2"),
		fault(harness.FaultEnd, 4, 1, "n2"), at(5, "n2", 10), fault(harness.FaultEnd, 6, 2, "n2"), at(7, "n2", 10)}
	d = testhistory.Check(t, Convergence{}, h).Details.(ConvergenceDetails).Nodes
	if len(d) != 2 || !d[0].Cut || d[1].After != sec {
		t.Errorf("got %+v", d)
	}
	if r := testhistory.Check(t, Convergence{}, &harness.History{}); r.Valid != harness.Valid || r.Summary != "No fault at a node was healed." {
		t.Errorf("%v: %s", r.Valid, r.Summary)
	}
	// In each shard by itself.
	s := sharded(of(1, at(1, "n1", 10)), of(2, at(1, "n1", 99)), fault(harness.FaultStart, 2, 1, "n2"), fault(harness.FaultHold, 2, 1, "n2"), fault(harness.FaultEnd, 3, 1, "n2"),
		of(1, at(4, "n2", 10)), of(2, at(4, "n2", 10)), of(1, at(5, "n2", 11)), of(2, at(5, "n2", 99)))
	d = testhistory.Check(t, EachShard{Checker: Convergence{}}, s).Details.(ConvergenceDetails).Nodes
	if len(d) != 2 || d[0].Shard != 1 || d[0].After != sec || d[1].Shard != 2 || d[1].After != 2*sec {
		t.Errorf("got %+v", d)
	}
}
