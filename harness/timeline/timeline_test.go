package timeline_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"coup/harness"
	"coup/harness/timeline"
)

const sec = time.Second

func phase(at time.Duration, name string) harness.Event {
	return harness.Event{Time: at, Kind: harness.PhaseEvent, Message: name}
}

func role(at time.Duration, node, role string, term uint64) harness.Event {
	return harness.Event{Time: at, Kind: harness.RoleEvent, Node: node, Role: role, Term: term}
}

func fault(at time.Duration, kind string, id int, message string, nodes ...string) harness.Event {
	return harness.Event{Time: at, Kind: kind, ID: id, Fault: "kill", Message: message, Nodes: nodes}
}

func history(events ...harness.Event) *harness.History {
	return &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: events}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

func TestFaults(t *testing.T) {
	h := history(
		fault(1*sec, harness.FaultStart, 1, ""),
		fault(2*sec, harness.FaultHold, 1, "the process is gone", "n1"),
		fault(2*sec, harness.FaultSkip, 2, "no leader"), // never began
		fault(3*sec, harness.FaultStart, 3, "", "n2"),
		fault(4*sec, harness.FaultMiss, 3, ""),
		fault(5*sec, harness.FaultEnd, 3, "it could not be started"),
		fault(6*sec, harness.FaultStart, 4, "", "n3"),
		fault(7*sec, harness.FaultSkip, 4, "nobody is left"),
		fault(8*sec, harness.FaultEnd, 1, ""),
	)
	all := timeline.Faults(h, 9*sec)
	if len(all) != 3 {
		t.Fatalf("got %d faults, want 3", len(all))
	}
	bit, missed, skipped := all[0], all[1], all[2]
	same(t, "ids", []int{bit.ID, missed.ID, skipped.ID}, []int{1, 3, 4})
	same(t, "hold", bit.Hold, 2*sec)
	same(t, "end", bit.End, 8*sec)
	if !bit.Touches("n1") || bit.Touches("n2") {
		t.Errorf("the victims of fault 1 are %v, want n1", bit.Nodes)
	}
	same(t, "a miss without a reason", missed.Missed, "no reason was given")
	same(t, "never held", missed.Hold, time.Duration(-1))
	same(t, "over, not healed", missed.Until(9*sec), 9*sec)
	same(t, "over, healed", bit.Until(9*sec), 8*sec)
	if !skipped.Skipped || skipped.Ended || skipped.End != 9*sec {
		t.Errorf("fault 4 is %+v, want skipped and open until the end", skipped)
	}
}

func TestStretchesWithoutFault(t *testing.T) {
	h := history(
		phase(1*sec, "load"),
		fault(2*sec, harness.FaultStart, 1, "", "n1"),
		fault(3*sec, harness.FaultStart, 2, "", "n2"),
		fault(4*sec, harness.FaultEnd, 1, ""),
		fault(5*sec, harness.FaultEnd, 2, ""),
		phase(8*sec, "heal"),
		phase(9*sec, "serve"),
		phase(12*sec, "final"),
	)
	h.Operations = []harness.Operation{{Start: 1 * sec, End: 11 * sec}}
	stretches, healed := timeline.Quiet(h)
	same(t, "quiet", stretches, []timeline.Stretch{{1 * sec, 2 * sec}, {5 * sec, 8 * sec}, {9 * sec, 11 * sec}})
	same(t, "healed", healed, 9*sec)
	same(t, "unbroken", timeline.Unbroken(h), []timeline.Stretch{{1 * sec, 2 * sec}, {5 * sec, 12 * sec}})
	from, to := timeline.Load(h)
	same(t, "load", timeline.Stretch{from, to}, timeline.Stretch{1 * sec, 8 * sec})
	same(t, "load over", timeline.LoadOver(h), 8*sec)

	none := history()
	if stretches, healed = timeline.Quiet(none); healed != -1 || len(stretches) != 0 {
		t.Errorf("a run without events: quiet %v, healed at %v", stretches, healed)
	}
	same(t, "never over", timeline.LoadOver(none), time.Duration(harness.Forever))
	same(t, "unbroken without a load", len(timeline.Unbroken(none)), 0)
}

func TestLeaders(t *testing.T) {
	h := history(
		role(1*sec, "n1", "leader", 2),
		role(2*sec, "n2", "leader", 3),
		role(3*sec, "n1", "follower", 3),
		role(4*sec, "n3", "leader", 3), // not a later term
		harness.Event{Time: 5 * sec, Kind: harness.BootEvent, Node: "n2"},
		phase(6*sec, "done"),
	)
	same(t, "reigns", timeline.Reigns(h), []timeline.Reign{
		{"n1", 2, 1 * sec, 3 * sec, 0}, {"n2", 3, 2 * sec, 5 * sec, 0}, {"n3", 3, 4 * sec, 6 * sec, 0},
	})
	var who []string
	for _, e := range timeline.RolesOf(h).Elected() {
		who = append(who, e.Node)
	}
	same(t, "elected", who, []string{"n1", "n2"})
	same(t, "last event", timeline.LastEvent(h), 6*sec)
}

func TestLooks(t *testing.T) {
	says := func(at time.Duration, node, role string, term uint64) harness.Event {
		return harness.Event{Time: at, Kind: harness.StateEvent, Node: node, Role: role, Term: term}
	}
	h := history(
		says(1*sec, "n1", "leader", 1), // before the phase
		phase(2*sec, "agree"),
		says(3*sec, "n1", "follower", 2), says(3*sec, "n2", "leader", 2),
		says(3*sec, "n3", "", 2), // nobody asked
		says(4*sec, "n3", "leader", 3), says(4*sec, "n2", "leader", 2),
		phase(5*sec, "final"),
		says(6*sec, "n1", "leader", 4), // after it
	)
	looks := timeline.Looks(h)
	if len(looks) != 2 {
		t.Fatalf("got %d looks, want 2", len(looks))
	}
	same(t, "nodes", len(looks[0].Nodes), 2)
	for i, want := range []string{"n2", "n3"} {
		if leader, term := looks[i].Leader(); leader != want || term != uint64(i+2) {
			t.Errorf("look %d: leader %s in term %d, want %s in term %d", i, leader, term, want, i+2)
		}
	}
}

func TestRolesByPolls(t *testing.T) {
	says := func(at time.Duration, node, role string, term uint64) harness.Event {
		return harness.Event{Time: at, Kind: harness.StateEvent, Node: node, Role: role, Term: term}
	}
	polled := []harness.Event{
		says(1*sec, "n1", "leader", 1), says(1*sec, "n2", "follower", 1),
		says(2*sec, "n1", "leader", 1), says(2*sec, "n2", "follower", 1),
		says(3*sec, "n2", "follower", 1), // n1 is silent from now on
		says(4*sec, "n2", "candidate", 2), says(5*sec, "n2", "leader", 2),
		says(6*sec, "n2", "leader", 2), says(7*sec, "n1", "follower", 2), says(7*sec, "n2", "leader", 2),
	}
	r := timeline.RolesOf(history(polled...))
	same(t, "polls", []any{r.Seen, r.Polls}, []any{true, sec})
	same(t, "changes", r.Changes, []harness.Event{
		role(1*sec, "n1", "leader", 1), role(1*sec, "n2", "follower", 1),
		role(3*sec, "n1", "", 0), role(4*sec, "n2", "candidate", 2), role(5*sec, "n2", "leader", 2), role(7*sec, "n1", "follower", 2),
	})
	same(t, "reigns", timeline.Reigns(history(polled...)), []timeline.Reign{{"n1", 1, 1 * sec, 3 * sec, 0}, {"n2", 2, 5 * sec, 7 * sec, 0}})

	// One poll left unanswered says nothing.
	r = timeline.RolesOf(history(says(1*sec, "n1", "leader", 1), says(2*sec, "n2", "follower", 1), says(3*sec, "n1", "leader", 1), says(3*sec, "n2", "follower", 1)))
	same(t, "one silence", len(r.Changes), 2)

	// What nodes tell as it happens counts alone.
	r = timeline.RolesOf(history(append(slices.Clone(polled), role(8*sec, "n1", "leader", 3))...))
	same(t, "told", []any{r.Seen, r.Polls, len(r.Changes)}, []any{true, time.Duration(0), 1})
	r = timeline.RolesOf(&harness.History{Tells: harness.Facts{harness.Events}})
	same(t, "it would have been told", r.Seen, true)
	same(t, "nobody looked", timeline.RolesOf(history()).Seen, false)

	// Without terms, another leader is a change.
	r = timeline.Roles{Changes: []harness.Event{role(1, "n1", "leader", 0), role(2, "n1", "follower", 0), role(3, "n1", "leader", 0), role(4, "n2", "leader", 0)}}
	same(t, "without terms", len(r.Elected()), 2)
}
