package conduct

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
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
			{Kind: harness.ElectionEvent, Time: 2200 * ms, Node: "n2", Term: 2, Heard: 180 * ms},
			{Kind: harness.RoleEvent, Time: 2200 * ms, Node: "n2", Role: "candidate", Term: 2},
			{Kind: harness.ElectionEvent, Time: 2300 * ms, Node: "n2", Term: 2},
			leads(2350*ms, "n2", 2),
			{Kind: harness.LeaderEvent, Time: 2340 * ms, Node: "n3", Leader: "n1", Term: 1}, // late, of the old one
			{Kind: harness.LeaderEvent, Time: 2400 * ms, Node: "n3", Leader: "n2", Term: 2},
			{Kind: harness.LeaderEvent, Time: 4000 * ms, Node: "n1", Leader: "n2", Term: 2},
			{Kind: harness.StateEvent, Time: 4500 * ms, Node: "n1", Role: "follower", Leader: "n2", Term: 2},
			{Kind: harness.FaultEnd, Time: 5000 * ms, ID: 1},
			leads(5500*ms, "n3", 4),
			leads(7000*ms, "n1", 5),
		},
	}
	d := testhistory.Check(t, Failovers{}, h).Details.(FailoverDetails)
	want := []Failover{
		{Cause: CauseFault, FaultID: 2, Fault: "kill", Target: "leader", Old: "n1", OldTerm: 1, New: "n2", Term: 2,
			At: 2000 * ms, Held: 10 * ms, Detected: 200 * ms, Elected: 350 * ms, Served: 500 * ms, Silence: 180 * ms, Handed: -1, Drained: -1,
			Calls: 2, Called: []Call{{"n2", 2, 200 * ms, 180 * ms}, {"n2", 2, 300 * ms, 0}}, Noticed: []Notice{{"n3", 400 * ms}, {"n1", 2000 * ms}}},
		{Cause: CauseHeal, FaultID: 1, Fault: "kill", Old: "n2", OldTerm: 2, New: "n3", Term: 4,
			At: 5000 * ms, Held: -1, Detected: -1, Elected: 500 * ms, Served: 1100 * ms, Silence: -1, Handed: -1, Drained: -1, Called: []Call{}, Noticed: []Notice{}},
		{Cause: CauseNone, Old: "n3", OldTerm: 4, New: "n1", Term: 5, At: 7000 * ms, Held: -1, Detected: -1, Elected: -1, Served: -1, Silence: -1, Handed: -1, Drained: -1, Called: []Call{}, Noticed: []Notice{}},
	}
	if len(d.Failovers) != len(want) {
		t.Fatalf("%d failovers", len(d.Failovers))
	}
	for i := range want {
		if !reflect.DeepEqual(d.Failovers[i], want[i]) {
			t.Errorf("failover %d:\n%+v, expected\n%+v", i, d.Failovers[i], want[i])
		}
	}
}

// A node that comes back may call for an election long after that: the leader led until then.
// And a leader that is overtaken before a client was served is not who served it.
func TestFailoverAfterHealingAndOvertaken(t *testing.T) {
	h := &harness.History{
		Operations: []harness.Operation{{Type: harness.OK, Start: 4000 * ms, End: 4900 * ms, Node: "n3"}, {Type: harness.OK, Start: 8000 * ms, End: 8100 * ms, Node: "n2"}},
		Events: []harness.Event{
			{Kind: harness.FaultStart, Time: 500 * ms, ID: 1, Fault: "kill", Nodes: []string{"n1"}},
			leads(1000*ms, "n3", 2),
			{Kind: harness.FaultEnd, Time: 3000 * ms, ID: 1},
			{Kind: harness.ElectionEvent, Time: 2900 * ms, Node: "n2", Term: 3},
			{Kind: harness.ElectionEvent, Time: 5000 * ms, Node: "n1", Term: 3},
			leads(5200*ms, "n1", 3),
			{Kind: harness.FaultStart, Time: 5300 * ms, ID: 2, Fault: "pause", Nodes: []string{"n1"}},
			leads(7000*ms, "n2", 4),
		},
	}
	harness.SortEvents(h.Events)
	all := testhistory.Check(t, Failovers{}, h).Details.(FailoverDetails).Failovers
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	if f := all[0]; f.Cause != CauseHeal || f.At != 5000*ms || f.Elected != 200*ms || f.Detected != 0 || f.Served != 3100*ms || !f.Later {
		t.Errorf("after healing: %+v", f)
	}
	if f := all[1]; f.Cause != CauseFault || f.Served != 2800*ms || f.Later {
		t.Errorf("after the pause: %+v", f)
	}
}

// The fifth step: what workers had is given to others, and what waited in queues is taken.
func TestWorkIsHandedOutAgain(t *testing.T) {
	id := 0
	op := func(f string, in, out any, start, end time.Duration, node string) harness.Operation {
		id += 2
		return harness.Operation{Type: harness.OK, F: f, Key: "k0", Input: in, Output: out, Start: start, End: end, Node: node, Call: id, Return: id + 1}
	}
	take := func(task, token int64, start, end time.Duration, node string) harness.Operation {
		return op("take", nil, model.Assignment{Task: task, Token: token}, start, end, node)
	}
	events := []harness.Event{
		leads(100*ms, "n1", 1),
		{Kind: harness.FaultStart, Time: 2000 * ms, ID: 2, Fault: "kill", Target: "leader", Nodes: []string{"n1"}},
		leads(2500*ms, "n2", 2),
		leads(9000*ms, "n1", 3),
	}
	for name, c := range map[string]struct {
		ops             []harness.Operation
		handed, drained time.Duration
	}{
		"nothing to do":                        {nil, -1, -1},
		"a task goes to another":               {[]harness.Operation{take(1, 1, 1000*ms, 1100*ms, "n1"), take(2, 2, 2600*ms, 2700*ms, "n2"), take(1, 3, 3000*ms, 3100*ms, "n2")}, 1100 * ms, -1},
		"a new task is nothing that was there": {[]harness.Operation{take(1, 1, 1000*ms, 1100*ms, "n1"), take(2, 2, 2600*ms, 2700*ms, "n2"), take(2, 3, 5000*ms, 5100*ms, "n2")}, -1, -1},
		"after the next election":              {[]harness.Operation{take(1, 1, 1000*ms, 1100*ms, "n1"), take(1, 3, 9000*ms, 9100*ms, "n1")}, -1, -1},
		"an answer of the old leader":          {[]harness.Operation{op("enqueue", int64(1), nil, 1000*ms, 1100*ms, "n1"), op("dequeue", nil, model.Just(1), 1990*ms, 2100*ms, "n1")}, -1, -1},
		"messages": {[]harness.Operation{
			op("enqueue", int64(1), nil, 1000*ms, 1100*ms, "n1"), op("enqueue", int64(2), nil, 1000*ms, 1200*ms, "n1"), op("enqueue", int64(3), nil, 2600*ms, 2700*ms, "n2"),
			op("dequeue", nil, model.Just(1), 2600*ms, 2800*ms, "n2"), op("dequeue", nil, model.Just(2), 2900*ms, 3000*ms, "n2"), op("dequeue", nil, model.Just(3), 4000*ms, 4100*ms, "n2"),
		}, 800 * ms, 1000 * ms},
		"one message stays": {[]harness.Operation{
			op("enqueue", int64(1), nil, 1000*ms, 1100*ms, "n1"), op("enqueue", int64(2), nil, 1000*ms, 1200*ms, "n1"), op("dequeue", nil, model.Just(1), 2600*ms, 2800*ms, "n2"),
		}, 800 * ms, -1},
	} {
		t.Run(name, func(t *testing.T) {
			f := testhistory.Check(t, Failovers{}, &harness.History{Operations: c.ops, Events: events}).Details.(FailoverDetails).Failovers[0]
			if f.Handed != c.handed || f.Drained != c.drained {
				t.Errorf("handed out after %v, drained after %v; want %v, %v", f.Handed, f.Drained, c.handed, c.drained)
			}
		})
	}
}

func TestAllNoticed(t *testing.T) {
	f := Failover{New: "n2", Noticed: []Notice{{"n3", 400 * ms}, {"n1", 2000 * ms}}}
	if got := f.AllNoticed([]string{"n1", "n2", "n3"}); got != 2000*ms {
		t.Errorf("all of them: %v", got)
	}
	if got := f.AllNoticed([]string{"n1", "n2", "n3"}, "n1"); got != 400*ms {
		t.Errorf("all but n1: %v", got)
	}
	if got := f.AllNoticed([]string{"n1", "n2", "n3", "n4"}); got != -1 {
		t.Errorf("n4 never noticed: %v", got)
	}
}

// Without a later term there is no failover, but a leader that was down meanwhile is no
// leader that never changed.
func TestLeadersThatLeadAgain(t *testing.T) {
	boot := harness.Event{Kind: harness.BootEvent, Time: 3000 * ms, Node: "n2"}
	for name, c := range map[string]struct {
		events []harness.Event
		want   string
	}{
		"once":          {[]harness.Event{leads(100*ms, "n2", 2)}, "The leader never changed."},
		"said again":    {[]harness.Event{leads(100*ms, "n2", 2), leads(200*ms, "n2", 2)}, "The leader never changed."},
		"down":          {[]harness.Event{leads(100*ms, "n2", 2), boot}, "The leader never changed."},
		"led again":     {[]harness.Event{leads(100*ms, "n2", 2), boot, leads(3500*ms, "n2", 2)}, "No leader of a later term took over, but n2 did not lead all the time: n2 led term 2 from 3.500 s on."},
		"another leads": {[]harness.Event{leads(100*ms, "n2", 2), boot, leads(3500*ms, "n1", 2)}, "No leader of a later term took over, but n2 did not lead all the time: n1 led term 2 from 3.500 s on."},
	} {
		r := testhistory.Check(t, Failovers{}, &harness.History{Events: c.events})
		if r.Summary != c.want || r.Valid != harness.Valid {
			t.Errorf("%s: %s", name, r.Summary)
		}
	}
}

// What nobody told as it happened is seen by polls, as late as they are; and what nobody
// would have seen is not claimed.
func TestFailoversByPolls(t *testing.T) {
	say := func(at time.Duration, leader string, term uint64, nodes ...string) (all []harness.Event) {
		for _, n := range nodes {
			role := "follower"
			if n == leader {
				role = "leader"
			}
			all = append(all, harness.Event{Time: at, Kind: harness.StateEvent, Node: n, Role: role, Term: term, Leader: leader})
		}
		return all
	}
	run := func(terms bool) *harness.History {
		h := &harness.History{Nodes: []string{"n1", "n2", "n3"}, Tells: harness.Facts{harness.Leader}}
		h.Operations = []harness.Operation{{Type: harness.OK, Start: 2050 * ms, End: 3900 * ms, Node: "n2"}}
		for at := time.Duration(0); at < 8000*ms; at += 250 * ms {
			leader, term, nodes := "n1", uint64(4), h.Nodes
			if at > 2000*ms {
				leader, nodes = "", []string{"n2", "n3"}
			}
			if at > 3000*ms {
				leader, term = "n2", 5
			}
			if !terms {
				term = 0
			}
			h.Events = append(h.Events, say(at, leader, term, nodes...)...)
		}
		h.Events = append(h.Events, harness.Event{Kind: harness.FaultStart, Time: 2000 * ms, ID: 1, Fault: "kill", Target: "leader", Nodes: []string{"n1"}},
			harness.Event{Kind: harness.FaultHold, Time: 2010 * ms, ID: 1}, harness.Event{Kind: harness.FaultEnd, Time: 7900 * ms, ID: 1})
		harness.SortEvents(h.Events)
		return h
	}
	for _, terms := range []bool{true, false} {
		r := testhistory.Check(t, Failovers{}, run(terms))
		d := r.Details.(FailoverDetails)
		if len(d.Failovers) != 1 || d.Polls != 250*ms || !strings.Contains(r.Summary, "The leader changed once") || !strings.Contains(r.Summary, "seen by polls every 250ms") {
			t.Fatalf("with terms %v: %s %+v", terms, r.Summary, d)
		}
		f := d.Failovers[0]
		if f.Old != "n1" || f.New != "n2" || f.Cause != CauseFault || f.Elected != 1250*ms || f.Served != 1900*ms || f.Detected != -1 {
			t.Errorf("with terms %v: %+v", terms, f)
		}
	}
	still := &harness.History{Events: append(say(0, "n1", 0, "n1", "n2"), say(250*ms, "n1", 0, "n1", "n2")...)}
	if r := testhistory.Check(t, Failovers{}, still); r.Summary != "Polls every 250ms never saw the leader change." {
		t.Errorf("%v: %s", r.Valid, r.Summary)
	}
	if r := testhistory.Check(t, Failovers{}, &harness.History{}); r.Valid != harness.NotJudged || r.Details != nil {
		t.Errorf("nobody looked: %v: %s", r.Valid, r.Summary)
	}
}

// A fault that was over while the leader was still heard did not end its lead: a lead
// that is handed over later is none of its doing.
func TestHandOverIsNoFailover(t *testing.T) {
	for heard, want := range map[time.Duration]string{12 * ms: CauseHeal, 8 * time.Second: CauseFault} {
		h := &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: []harness.Event{
			leads(100*ms, "n1", 1),
			{Kind: harness.FaultStart, Time: time.Second, ID: 1, Fault: "delay", Nodes: []string{"n1"}},
			{Kind: harness.FaultHold, Time: 1100 * ms, ID: 1},
			{Kind: harness.FaultEnd, Time: 2 * time.Second, ID: 1},
			{Kind: harness.ElectionEvent, Time: 9 * time.Second, Node: "n2", Term: 2, Heard: heard},
			leads(9100*ms, "n2", 2),
		}}
		d := testhistory.Check(t, Failovers{}, h).Details.(FailoverDetails)
		if len(d.Failovers) != 1 || d.Failovers[0].Cause != want {
			t.Errorf("heard %v before: %+v, want %q", heard, d.Failovers, want)
		}
	}
}
