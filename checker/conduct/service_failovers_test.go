package conduct

import (
	"testing"

	"coup/checker/internal/testhistory"
	"coup/harness"
)

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
