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
		case e.Message == "load":
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
		if e.Kind == harness.PhaseEvent && (e.Message == "heal" || e.Message == "final") {
			return e.Time
		}
	}
	return harness.Forever
}

// Look is what nodes said of themselves when they were asked at one moment of the
// phase "agree", in which nothing is broken and nobody asks for anything else.
type Look struct {
	Time  time.Duration
	Nodes map[string]harness.Event // what each node that answered said, by name
}

// Looks returns all looks of the run, in order.
func Looks(h *harness.History) []Look {
	var looks []Look
	phase := ""
	for _, e := range h.Events {
		switch {
		case e.Kind == harness.PhaseEvent:
			phase = e.Message
		case e.Kind == harness.StateEvent && phase == "agree" && e.Role != "": // no role: not asked for, the node passed a position
			if n := len(looks); n == 0 || looks[n-1].Time != e.Time {
				looks = append(looks, Look{e.Time, map[string]harness.Event{}})
			}
			looks[len(looks)-1].Nodes[e.Node] = e
		}
	}
	return looks
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
