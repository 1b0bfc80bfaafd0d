package conduct

import (
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/harness"
)

func TestSteady(t *testing.T) {
	const s = time.Second
	// A new leader every 900 ms from one moment to another.
	restless := func(from, to time.Duration) (events []harness.Event) {
		for at, term := from, uint64(from/ms); at < to; at += 900 * ms {
			events = append(events, leads(at, "n1", term))
			term++
		}
		return events
	}
	strike := func(id int, fault string, start, hold, end time.Duration, message string) []harness.Event {
		e := harness.Event{ID: id, Fault: fault, Nodes: []string{"n2"}}
		all := make([]harness.Event, 3)
		for i, kind := range []string{harness.FaultStart, harness.FaultHold, harness.FaultEnd} {
			all[i] = e
			all[i].Kind, all[i].Time = kind, []time.Duration{start, hold, end}[i]
		}
		all[2].Message = message
		return all
	}
	load, done := phase(1*s, "load"), phase(40*s, "done")
	for _, c := range []struct {
		name   string
		valid  harness.Validity
		says   string
		events [][]harness.Event
	}{
		{"one leader", harness.Valid, "In 36.000 s in which nothing was broken there were 0 elections", [][]harness.Event{{leads(500*ms, "n1", 2)}}},
		{"the lead goes round", harness.Invalid, "Nothing was broken, and 6 leaders were elected in 4.500 s", [][]harness.Event{restless(10*s, 30*s)}},
		{"for a while", harness.Valid, "5 elections in any 10.000 s", [][]harness.Event{restless(10*s, 14*s)}},
		{"slowly", harness.Valid, "4 elections", [][]harness.Event{{leads(5*s, "n1", 2), leads(8*s, "n2", 3), leads(11*s, "n1", 4), leads(14*s, "n1", 5),
			leads(17*s, "n1", 6), leads(20*s, "n1", 7)}}},
		{"before the load", harness.Valid, "0 elections", [][]harness.Event{restless(0, 1*s)}},
		{"while it is struck", harness.Valid, "always something broken", [][]harness.Event{strike(1, "partition", 5*s, 5*s, 30*s, ""), restless(6*s, 32*s)}},
		{"after it was struck", harness.Invalid, "Nothing was broken", [][]harness.Event{strike(1, "partition", 2*s, 2*s, 5*s, ""), restless(6*s, 32*s)}},
		{"what was struck was not healed", harness.Valid, "always something broken", [][]harness.Event{strike(1, "kill", 2*s, 2*s, 5*s, "not healed: no"), restless(6*s, 32*s)}},
		{"a member without a vote is not broken", harness.Invalid, "Nothing was broken", [][]harness.Event{strike(1, "membership", 2*s, 3*s, 38*s, ""), restless(6*s, 32*s)}},
		{"in the middle of something else", harness.Valid, "always something broken", [][]harness.Event{
			strike(1, "pause", 2*s, 2*s, 30*s, ""), strike(2, "loss", 5*s, 5*s, 6*s, ""), restless(8*s, 28*s)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &harness.History{Events: append(slices.Concat(c.events...), load, done)}
			harness.SortEvents(h.Events)
			r := testhistory.Check(t, Steady{}, h)
			if r.Valid != c.valid || !strings.Contains(r.Summary, c.says) {
				t.Errorf("found %v: %s\nexpected %v: %s", r.Valid, r.Summary, c.valid, c.says)
			}
		})
	}
}
