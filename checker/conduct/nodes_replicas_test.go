package conduct

import (
	"strings"
	"testing"

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
