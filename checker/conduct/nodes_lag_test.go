package conduct

import (
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/harness"
)

// asked are the answers of n1, n2, ... to who asks at a moment; 0 is none.
func asked(at time.Duration, positions ...uint64) (all []harness.Event) {
	for i, p := range positions {
		if p > 0 {
			all = append(all, harness.Event{Time: at, Kind: harness.StateEvent, Node: []string{"n1", "n2", "n3"}[i], Role: "follower", Applied: p})
		}
	}
	return all
}

func TestLag(t *testing.T) {
	h := &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: []harness.Event{phase(0, "setup")}}
	for _, look := range [][]harness.Event{
		asked(50*ms, 1, 1, 1),
		{phase(100*ms, "load")},
		asked(250*ms, 10, 9, 1),
		asked(500*ms, 20, 20, 1),
		asked(750*ms, 30, 28, 0),
		asked(1000*ms, 30, 30, 12), // beyond what was newest at 250 ms, not beyond that of 500 ms
		asked(1250*ms, 30, 30, 30),
	} {
		h.Events = append(h.Events, look...)
	}
	r := testhistory.Check(t, Lag{}, h)
	d := r.Details.(LagDetails)
	if r.Valid != harness.Valid || d.Looks != 5 || len(d.Nodes) != 3 {
		t.Fatalf("%+v", r)
	}
	for i, want := range []NodeLag{
		{Node: "n1", Asked: 5, At: 250 * ms},
		{Node: "n2", Asked: 5, Median: 0, P99: 1, Entries: 2, At: 250 * ms},
		{Node: "n3", Asked: 4, Silent: 1, Median: 9, P99: 18, Entries: 19, Time: 500 * ms, At: 1000 * ms},
	} {
		if d.Nodes[i] != want {
			t.Errorf("%+v, expected %+v", d.Nodes[i], want)
		}
	}
	if !strings.Contains(r.Summary, "The farthest behind was n3, at 1.000 s: by 0.500 s.") {
		t.Error(r.Summary)
	}
}

func TestLagOfNodesThatTellNothing(t *testing.T) {
	r := testhistory.Check(t, Lag{}, &harness.History{Events: []harness.Event{phase(0, "load")}})
	if r.Valid != harness.Valid || r.Details != nil || r.Summary != "Nobody asked the nodes where in the log they are." {
		t.Errorf("%+v", r)
	}
}
