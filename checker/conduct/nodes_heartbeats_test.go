package conduct

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/harness"
	"coup/harness/timeline"
)

// beats are what a node told at a moment: the last of them arrived 10 ms before.
func beats(at time.Duration, node, leader string, term uint64, silent time.Duration, intervals ...time.Duration) harness.Event {
	b := &harness.Heartbeats{Due: 100 * ms, Last: 10 * ms, From: 10 * ms, Silent: silent, Recent: intervals, Intervals: map[time.Duration]int{}}
	for _, d := range intervals {
		b.Intervals[d]++
		b.From += d
		b.Longest = max(b.Longest, d)
	}
	return harness.Event{Time: at, Kind: harness.HeartbeatsEvent, Node: node, Leader: leader, Term: term, Heartbeats: b}
}

func TestHeartbeats(t *testing.T) {
	h := &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: []harness.Event{
		beats(1000*ms, "n2", "n1", 2, 0, 80*ms, 90*ms, 110*ms, 199*ms),
		beats(1000*ms, "n3", "n1", 2, 0, 80*ms, 80*ms),
		beats(3000*ms, "n3", "n1", 2, 0, 70*ms, 90*ms, 450*ms, 200*ms),
		beats(6000*ms, "n3", "n2", 3, 2500*ms), // a silence between two leaders is no interval
	}}
	r := testhistory.Check(t, Heartbeats{}, h)
	d := r.Details.(HeartbeatDetails)
	if r.Valid != harness.Valid || d.Due != 100*ms || len(d.Nodes) != 2 {
		t.Fatalf("%+v", r)
	}
	for i, want := range []NodeHeartbeat{
		{Node: "n2", Beats: Beats{Intervals: 4, Median: 90 * ms, P99: 199 * ms, Longest: 199 * ms, Part: timeline.Stretch{From: 511 * ms, To: 990 * ms}, Leader: "n1"}},
		{Node: "n3", Beats: Beats{Intervals: 6, Median: 80 * ms, P99: 450 * ms, Longest: 450 * ms, Part: timeline.Stretch{From: 2180 * ms, To: 2990 * ms}, Leader: "n1", Missed: 4, Late: 2}},
	} {
		got := d.Nodes[i]
		got.Due, got.counts = 0, nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, expected %+v", got, want)
		}
	}
	if d.All.Missed != 4 || d.All.Intervals != 10 || d.All.Longest != 450*ms || d.All.Median != 90*ms {
		t.Errorf("%+v", d.All)
	}
	if !strings.Contains(r.Summary, "followers missed 4 in 2 of 10 intervals; the longest was 0.450 s, at n3 between 2.180 s and 2.990 s") {
		t.Error(r.Summary)
	}
	if r = testhistory.Check(t, Heartbeats{}, &harness.History{}); r.Details != nil || r.Valid != harness.Valid {
		t.Errorf("%+v", r)
	}
}

func TestMissedHeartbeats(t *testing.T) {
	for interval, want := range map[time.Duration]int{0: 0, 100 * ms: 0, 199 * ms: 0, 200 * ms: 1, 299 * ms: 1, 1050 * ms: 9} {
		if got := harness.MissedHeartbeats(interval, 100*ms); got != want {
			t.Errorf("%v: %d, want %d", interval, got, want)
		}
	}
	if harness.MissedHeartbeats(time.Second, 0) != 0 {
		t.Error("nothing is due, and it is missed")
	}
}

func TestLastHeartbeats(t *testing.T) {
	h := &harness.History{Events: []harness.Event{
		beats(1000*ms, "n2", "n1", 2, 0, 80*ms),
		beats(1000*ms, "n3", "n1", 2, 0, 80*ms),
		beats(2010*ms, "n3", "n1", 2, 0, 70*ms, 90*ms),
		beats(2610*ms, "n2", "n1", 2, 0, 60*ms), // heard it longer
		beats(4010*ms, "n3", "n2", 3, 1000*ms),
		beats(4500*ms, "n4", "n2", 3, 2000*ms), // of a leader in between
		beats(5000*ms, "n3", "n4", 5, 700*ms),
		beats(5100*ms, "n5", "n1", 2, 0, 80*ms, 90*ms, 3000*ms), // it had been frozen, and read then what had come before
		beats(5200*ms, "n6", "n1", 2, 0),                        // it heard nothing before the election
	}}
	got := lastHeartbeats(h, Failover{Old: "n1", OldTerm: 2, New: "n2", Term: 3, At: 2100 * ms}, 3000*ms, 4600*ms)
	want := []LastHeartbeat{
		{Node: "n2", Before: []time.Duration{60 * ms}, After: 500 * ms},
		{Node: "n3", Before: []time.Duration{70 * ms, 90 * ms}, After: -100 * ms, Silent: 1000 * ms, Missed: 9},
		{Node: "n5", Before: []time.Duration{80 * ms, 90 * ms}, After: -10 * ms, Late: 2990 * ms},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got = lastHeartbeats(h, Failover{Old: "n2", OldTerm: 3, New: "n4", Term: 5}, 4900*ms, harness.Forever); len(got) != 2 || got[0].Silent != 700*ms || got[1].Silent != 0 {
		t.Errorf("%+v", got)
	}
	// One that came only after yet another leader tells nothing of this one.
	if got = lastHeartbeats(h, Failover{Old: "n2", OldTerm: 3, New: "n4", Term: 5}, 4500*ms, 4600*ms); len(got) != 2 || got[0].Silent != 0 {
		t.Errorf("%+v", got)
	}
	if got = lastHeartbeats(&harness.History{}, Failover{}, 0, 0); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
