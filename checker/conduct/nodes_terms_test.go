package conduct

import (
	"context"
	"strings"
	"testing"

	"coup/harness"
)

func TestTerms(t *testing.T) {
	role := func(node, role string, term uint64) harness.Event {
		return harness.Event{Kind: harness.RoleEvent, Node: node, Role: role, Term: term}
	}
	leads := harness.Event{Kind: harness.LeaderEvent, Node: "n1", Leader: "n2", Term: 4}
	for _, c := range []struct {
		name   string
		events []harness.Event
		want   harness.Validity
	}{
		{"terms grow", []harness.Event{role("n1", "follower", 1), role("n1", "leader", 2), leads}, harness.Valid},
		{"each node has its own", []harness.Event{role("n1", "leader", 5), role("n2", "follower", 4)}, harness.Valid},
		{"a restart knows no term yet", []harness.Event{role("n1", "leader", 5), role("n1", "follower", 0)}, harness.Valid},
		{"an election that is not entered", []harness.Event{role("n1", "candidate", 6), role("n1", "follower", 5)}, harness.Valid},
		{"a leader of the past", []harness.Event{role("n1", "leader", 5), role("n1", "leader", 4)}, harness.Invalid},
		{"a follower of the past", []harness.Event{leads, role("n1", "follower", 3)}, harness.Invalid},
		{"nothing is known", nil, harness.Unknown},
	} {
		r, err := Terms{}.Check(context.Background(), &harness.History{Events: c.events})
		if err != nil || r.Valid != c.want {
			t.Errorf("%s: %v %q, %v; want %v", c.name, r.Valid, r.Summary, err, c.want)
		}
	}
}

func TestAlive(t *testing.T) {
	r, err := Alive{}.Check(context.Background(), &harness.History{Events: []harness.Event{{Kind: harness.BootEvent, Node: "n1"}}})
	if err != nil || r.Valid != harness.Valid {
		t.Errorf("%v, %v", r, err)
	}
	exit := harness.Event{Kind: harness.ExitEvent, Node: "n3", Message: "exit code 2"}
	r, err = Alive{}.Check(context.Background(), &harness.History{Events: []harness.Event{exit, exit}})
	if err != nil || r.Valid != harness.Unknown || !strings.Contains(r.Summary, "n3 2 times") {
		t.Errorf("%v, %v", r, err)
	}
}
