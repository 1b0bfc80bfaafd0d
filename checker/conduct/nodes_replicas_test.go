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

// Nodes that know of no positions have to hold the same in the end, once they have had
// their time.
func TestReplicasWithoutPositions(t *testing.T) {
	const sec = 1000 * ms
	digests := func(at time.Duration, hashes ...string) (all []harness.Event) {
		for i, hash := range hashes {
			if hash != "" {
				all = append(all, state(at, fmt.Sprintf("n%d", i+1), 0, hash))
			}
		}
		return all
	}
	run := func(looks ...[]harness.Event) []harness.Event {
		return append([]harness.Event{state(1, "n1", 0, "before"), phase(1*sec, "final"), phase(2*sec, "agree")}, slices.Concat(looks...)...)
	}
	for _, c := range []struct {
		name   string
		valid  harness.Validity
		says   string
		events []harness.Event
	}{
		{"equal at once", harness.Valid, "3 nodes said so", run(digests(2*sec, "a", "a", "a"))},
		{"equal in time", harness.Valid, "held the same", run(digests(2*sec, "a", "b", "c"), digests(9*sec, "c", "c", "c"))},
		{"different, and a node had ended", harness.Unknown, "n2 ended by itself", run(digests(2*sec, "a", "a", "b"),
			[]harness.Event{{Time: 5 * sec, Kind: harness.ExitEvent, Node: "n2", Message: "exit status 137"}}, digests(13*sec, "a", "a", "b"))},
		{"different, and a node had ended long before", harness.Invalid, "n1 and n3 did not hold the same", run(digests(2*sec, "a", "a", "b"),
			[]harness.Event{{Time: 5 * sec, Kind: harness.ExitEvent, Node: "n2", Message: "exit status 137"}}, digests(17*sec, "a", "a", "b"))},
		{"different when the time is over", harness.Invalid, "n1 and n3 did not hold the same", run(digests(2*sec, "a", "a", "b"), digests(13*sec, "a", "a", "b"))},
		{"different, and there was no time", harness.Unknown, "only 10.000 s", run(digests(2*sec, "a", "a", "b"), digests(12*sec, "a", "a", "b"))},
		{"two differ, one is silent", harness.Invalid, "n1 and n2", run(digests(2*sec, "a", "b", ""), digests(13*sec, "a", "b", ""))},
		{"one is silent", harness.Unknown, "n3 did not say", run(digests(2*sec, "a", "a", "a"), digests(13*sec, "a", "a", ""))},
		{"two are silent", harness.Unknown, "no two nodes", run(digests(2*sec, "a", "", ""))},
		{"not healed", harness.Unknown, "Not everything was healed", append(run(digests(2*sec, "a", "b", "b"), digests(13*sec, "a", "b", "b")),
			harness.Event{Kind: harness.UnhealedEvent, Time: 14 * sec})},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := testhistory.Check(t, Replicas{Within: 11 * sec}, &harness.History{Events: c.events, Nodes: []string{"n1", "n2", "n3"}})
			if r.Valid != c.valid || !strings.Contains(r.Summary, c.says) || (r.Counterexample != nil) != (c.valid == harness.Invalid) {
				t.Errorf("found %v: %s (%+v)\nexpected %v: %s", r.Valid, r.Summary, r.Counterexample, c.valid, c.says)
			}
		})
	}
}
