package conduct

import (
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/harness"
)

func TestDeposed(t *testing.T) {
	follows := func(at time.Duration, node string, term uint64) harness.Event {
		return harness.Event{Time: at, Kind: harness.RoleEvent, Node: node, Role: "follower", Term: term}
	}
	during := func(from, to time.Duration, fault harness.Event) []harness.Event {
		fault.ID = 1
		a, b := fault, fault
		a.Time, a.Kind = from, harness.FaultStart
		b.Time, b.Kind = to, harness.FaultEnd
		return []harness.Event{a, b}
	}
	cut := harness.Event{Fault: "partition", Links: []harness.Link{{From: "n1", To: "n2"}}}
	frozen := harness.Event{Fault: "pause", Nodes: []string{"n1"}}
	another := harness.Event{Fault: "pause", Nodes: []string{"n3"}}
	const s = time.Second
	for _, c := range []struct {
		name   string
		valid  harness.Validity
		says   string
		events []harness.Event
	}{
		{"nobody leads", harness.Unknown, "No node ever said", nil},
		{"one after the other", harness.Valid, "No node still led", []harness.Event{
			leads(1*s, "n1", 1), follows(2*s, "n1", 1), leads(3*s, "n2", 2), follows(9*s, "n2", 2)}},
		{"in time", harness.Valid, "1 old leader still led when another one was elected, for 0.900 s", []harness.Event{
			leads(1*s, "n1", 1), leads(3*s, "n2", 2), follows(3900*ms, "n1", 1), follows(9*s, "n2", 2)}},
		{"too long", harness.Invalid, "n1 went on leading in term 1 for 2.000 s after n2 was elected in term 2", []harness.Event{
			leads(1*s, "n1", 1), leads(3*s, "n2", 2), follows(5*s, "n1", 2)}},
		{"the first successor counts", harness.Invalid, "after n2 was elected in term 2", []harness.Event{
			leads(1*s, "n1", 1), leads(3*s, "n2", 2), follows(4*s, "n2", 2), leads(4500*ms, "n3", 3), follows(5*s, "n1", 3)}},
		{"never", harness.Invalid, "n1 went on leading in term 1 for 5.000 s", []harness.Event{
			leads(1*s, "n1", 1), leads(3*s, "n2", 2), phase(8*s, "done")}},
		{"it was killed", harness.Valid, "1 old leader still led", []harness.Event{
			leads(1*s, "n1", 1), leads(3*s, "n2", 2), {Time: 3500 * ms, Kind: harness.BootEvent, Node: "n1"}, phase(8*s, "done")}},
		{"it was cut off", harness.Invalid, "n1 went on", append(append([]harness.Event{leads(1*s, "n1", 1)}, during(2*s, 6*s, cut)...),
			leads(3*s, "n2", 2), follows(6*s, "n1", 2))},
		{"it was killed, and not started for long", harness.Valid, "No node still led", append(append([]harness.Event{leads(1*s, "n1", 1), leads(3*s, "n2", 2)},
			during(2*s, 4*s, harness.Event{Fault: "kill", Nodes: []string{"n1"}})[0]),
			harness.Event{Time: 4 * s, Kind: harness.FaultEnd, ID: 1, Message: "not healed: deadline exceeded"}, harness.Event{Time: 30 * s, Kind: harness.BootEvent, Node: "n1"})},
		{"it gave up because of its disk", harness.Valid, "1 old leader still led", []harness.Event{
			leads(1*s, "n1", 1), leads(3*s, "n2", 2), {Time: 3500 * ms, Kind: harness.GiveUpEvent, Node: "n1"}, phase(8*s, "done")}},
		{"it was frozen", harness.Valid, "for 0.500 s at most", append(append([]harness.Event{leads(1*s, "n1", 1)}, during(2*s, 6*s, frozen)...),
			leads(3*s, "n2", 2), follows(6500*ms, "n1", 2))},
		{"another one was frozen", harness.Invalid, "n1 went on", append(append([]harness.Event{leads(1*s, "n1", 1)}, during(2*s, 6*s, another)...),
			leads(3*s, "n2", 2), follows(6*s, "n1", 2))},
		{"a term that is older deposes nobody", harness.Valid, "No node still led", []harness.Event{
			leads(1*s, "n1", 5), leads(3*s, "n2", 4), follows(3100*ms, "n2", 5), phase(8*s, "done")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &harness.History{Events: c.events}
			harness.SortEvents(h.Events)
			r := testhistory.Check(t, Deposed{Within: time.Second}, h)
			if r.Valid != c.valid || !strings.Contains(r.Summary, c.says) {
				t.Errorf("found %v: %s\nexpected %v: %s", r.Valid, r.Summary, c.valid, c.says)
			}
		})
	}
}
