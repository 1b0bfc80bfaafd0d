package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/conduct"
	"coup/harness"
	"coup/harness/timeline"
)

func TestStepsOfAFailover(t *testing.T) {
	const ms = time.Millisecond
	f := conduct.Failover{
		Cause: conduct.CauseFault, Old: "n1", OldTerm: 1, New: "n2", Term: 3, At: 2000 * ms, Elected: 350 * ms, Served: 500 * ms, Handed: 700 * ms, Drained: -1,
		Called:  []conduct.Call{{Node: "n3", Term: 2, After: 200 * ms, Silence: 210 * ms}, {Node: "n2", Term: 3, After: 300 * ms}, {Node: "n1", Term: 3, After: 340 * ms, Silence: 20 * ms}},
		Noticed: []conduct.Notice{{Node: "n3", After: 400 * ms}, {Node: "n1", After: 3000 * ms}},
	}
	var got []string
	for _, s := range steps(f, "kill n1", nil, nil) {
		got = append(got, fmt.Sprint(s.Number, " ", clock(s.At), " ", s.After, " ", s.Text))
	}
	want := []string{
		"1 1.990 s −10 ms n3 heard a heartbeat of its leader for the last time before it called for an election",
		"0 2.000 s +0 ms Kill n1: it hits n1, which leads in term 1",
		"2 2.200 s +200 ms n3 called for an election in term 2, in vain",
		"2 2.300 s +300 ms n2 called for an election in term 3",
		"2 2.340 s +340 ms n1 called for an election in term 3, in vain",
		"3 2.350 s +350 ms n2 was elected in term 3",
		"4 2.400 s +400 ms n3 learned that n2 leads",
		"0 2.500 s +500 ms The first operation of a client succeeded with the new leader",
		"5 2.700 s +700 ms Work that another client had, or that waited in a queue, was first given out again",
		"4 5.000 s +3,000 ms n1, the old leader, learned that n2 leads",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	f.Heartbeats = []conduct.LastHeartbeat{
		{Node: "n3", Before: []time.Duration{80 * ms, 95 * ms}, After: -20 * ms, Silent: 420 * ms, Missed: 3}, {Node: "n4", After: -5 * ms, Late: 900 * ms},
	}
	got = nil
	for _, s := range steps(f, "kill n1", nil, nil)[:3] {
		got = append(got, fmt.Sprint(s.Number, " ", clock(s.At), " ", s.After, " ", s.Text))
	}
	want = []string{
		"1 1.980 s −20 ms n3 received the last heartbeat of n1 (those before came 80, 95 ms apart), and the first one of n2 420 ms later: 3 were missed",
		"1 1.990 s −10 ms n3 heard anything of its leader, a heartbeat or entries, for the last time before it called for an election",
		"1 1.995 s −5 ms n4 received the last heartbeat of n1; one more came at +900 ms, when there was a new leader: the old one, or n4 itself, had been frozen",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// A node that tries again has heard of its leader once; who was down learned nothing.
	again := f
	again.Called = append(again.Called, conduct.Call{Node: "n3", Term: 4, After: 345 * ms, Silence: 355 * ms})
	faults := []*timeline.Fault{
		{Event: harness.Event{ID: 7, Fault: "kill", Target: "follower", Nodes: []string{"n5"}}, Start: 1000 * ms, End: 9000 * ms, Ended: true},
		{Event: harness.Event{ID: 8, Fault: "pause", Nodes: []string{"n4"}}, Start: 1000 * ms, End: 2100 * ms, Ended: true},
	}
	nodes := []string{"n1", "n2", "n3", "n4", "n5"}
	got = nil
	for _, s := range steps(again, "kill n1", unheard(again, nodes, faults), unaware(again, nodes, faults)) {
		got = append(got, s.Text)
	}
	if got[0] != "n2 told of no heartbeat of n1 in term 1" || got[1] != "n5 told of no heartbeat of n1 in term 1: kill follower #7 had hit it" {
		t.Errorf("nodes that heard nothing: %q", got[:2])
	}
	heard := func(text string) bool { return strings.HasPrefix(text, "n3 heard anything") }
	if i := slices.IndexFunc(got, heard); i < 0 || slices.ContainsFunc(got[i+1:], heard) {
		t.Errorf("%q does not tell once when n3 heard of its leader", got)
	}
	if end := got[len(got)-2:]; end[0] != "n4 did not learn that n2 leads before the next leader" || end[1] != "n5 did not learn that n2 leads before the next leader: kill follower #7 had hit it" {
		t.Errorf("unaware nodes: %q", end)
	}
	if n := again.Vain(); n != 3 {
		t.Errorf("%d calls in vain", n)
	}
	// Who is overtaken serves nobody, and a node that comes back disturbs a leader.
	f.Cause, f.Later, f.Called, f.Noticed = conduct.CauseHeal, true, nil, nil
	got = nil
	for _, s := range steps(f, "healing of kill n1", nil, nil) {
		got = append(got, s.Text)
	}
	for _, text := range []string{"A node calls for an election after the healing of kill n1, while n1 leads in term 1", "The first operation of a client succeeded, when yet another leader had been elected"} {
		if !slices.Contains(got, text) {
			t.Errorf("%q lacks %q", got, text)
		}
	}
	// Where no cause is known, times count from the election.
	f = conduct.Failover{Old: "n1", New: "n2", At: 2000 * ms, Elected: -1, Served: 20 * ms, Handed: -1, Drained: -1}
	if s := steps(f, "no known cause", nil, nil); len(s) != 2 || s[0].Text != "n2 was elected" || s[0].After != "+0 ms" {
		t.Errorf("%+v", s)
	}
}
