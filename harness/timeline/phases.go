package timeline

import (
	"time"

	"coup/harness"
)

// Load is the time in which clients worked at will: the phase "load", or all of
// the run where no phases were recorded.
func Load(h *harness.History) (from, to time.Duration) {
	for i := range h.Operations {
		to = max(to, h.Operations[i].Start, h.Operations[i].End)
	}
	if len(h.Operations) > 0 {
		from = h.Operations[0].Start
	}
	inLoad := false
	for _, e := range h.Events {
		switch {
		case e.Kind != harness.PhaseEvent:
		case e.Enters(harness.PhaseLoad):
			from, inLoad = e.Time, true
		case inLoad:
			return from, e.Time
		}
	}
	return from, to
}

// LoadOver is when the load was over and healing began (the phase "heal", or
// "final" where there is none); [harness.Forever] if that never came.
func LoadOver(h *harness.History) time.Duration {
	for _, e := range h.Events {
		if e.Enters(harness.PhaseHeal) || e.Enters(harness.PhaseFinal) {
			return e.Time
		}
	}
	return harness.Forever
}

// Look is what nodes said of themselves when they were asked at one moment.
type Look struct {
	Time  time.Duration
	Nodes map[string]harness.Event // what each node that answered said, by name
}

// Looks returns all looks of the phase "agree", in which nothing is broken and nobody
// asks for anything else, in order.
func Looks(h *harness.History) []Look {
	return looks(h, func(e harness.Event, phase harness.Phase) bool { return phase == harness.PhaseAgree })
}

// AllLooks returns all looks of the run, in order.
func AllLooks(h *harness.History) []Look {
	return looks(h, func(harness.Event, harness.Phase) bool { return true })
}

// Digests returns what nodes said, one by one, that they hold when they were asked for
// a digest in the phase "agree", in order.
func Digests(h *harness.History) []Look {
	return gather(h, func(e harness.Event, phase harness.Phase) bool {
		return e.Role == "" && e.Hash != "" && phase == harness.PhaseAgree
	})
}

// looks are what nodes said of themselves when they were asked how they are.
func looks(h *harness.History, wanted func(harness.Event, harness.Phase) bool) []Look {
	return gather(h, func(e harness.Event, phase harness.Phase) bool {
		return e.Role != "" && wanted(e, phase) // no role: not asked for, the node passed a position
	})
}

func gather(h *harness.History, wanted func(harness.Event, harness.Phase) bool) []Look {
	var all []Look
	var phase harness.Phase
	for _, e := range h.Events {
		switch {
		case e.Kind == harness.PhaseEvent:
			phase = harness.Phase(e.Message)
		case e.Kind == harness.StateEvent && wanted(e, phase):
			if n := len(all); n == 0 || all[n-1].Time != e.Time {
				all = append(all, Look{e.Time, map[string]harness.Event{}})
			}
			all[len(all)-1].Nodes[e.Node] = e
		}
	}
	return all
}

// Leader is the node that leads in the highest term, the first by name if two do;
// "" if none does.
func (l Look) Leader() (node string, term uint64) {
	for n, e := range l.Nodes {
		if e.Role == "leader" && (node == "" || e.Term > term || e.Term == term && n < node) {
			node, term = n, e.Term
		}
	}
	return node, term
}
