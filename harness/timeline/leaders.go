package timeline

import (
	"time"

	"coup/harness"
)

// Reign is the time in which a node takes itself for the leader of a term.
type Reign struct {
	Node     string
	Term     uint64
	From, To time.Duration
}

// Reigns returns all reigns that the nodes told of, in the order in which they
// began. One that did not end ends with the run.
func Reigns(h *harness.History) []Reign {
	var all []Reign
	open := map[string]int{} // by node: its reign that has not ended
	var now time.Duration
	for _, e := range h.Events {
		now = max(now, e.Time)
		switch e.Kind {
		case harness.RoleEvent, harness.BootEvent, harness.ExitEvent, harness.GiveUpEvent:
		default:
			continue
		}
		if i, leads := open[e.Node]; leads {
			all[i].To = e.Time
			delete(open, e.Node)
		}
		if e.Kind == harness.RoleEvent && e.Role == "leader" {
			open[e.Node] = len(all)
			all = append(all, Reign{Node: e.Node, Term: e.Term, From: e.Time})
		}
	}
	for _, i := range open {
		all[i].To = now
	}
	return all
}

// Elected returns the events in which a node took the lead in a later term than
// any before, in order.
func Elected(h *harness.History) []harness.Event {
	var elected []harness.Event
	var term uint64
	for _, e := range h.Events {
		if e.Kind == harness.RoleEvent && e.Role == "leader" && (len(elected) == 0 || e.Term > term) {
			elected, term = append(elected, e), e.Term
		}
	}
	return elected
}
