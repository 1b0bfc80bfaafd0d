package checker

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"coup/harness"
)

// CatchUp checks that every node comes to where the leader is, when nothing is
// broken and nobody asks for anything any more (the phase "agree"). A node that
// stays behind is one fewer to rely on, though the others serve as ever.
//
// A violation has to be proved: for all the time of the bound, every node that
// was looked at answered, the same one led in the same term, and the one
// behind did not come to where the leader had been at the beginning.
type CatchUp struct {
	Within time.Duration // the bound; 0: [DefaultServeWithin]
}

// Name implements [harness.Checker].
func (CatchUp) Name() string { return "catch-up" }

// look is how all nodes said they were, at a time.
type look map[string]harness.Event

// leader is the node that leads in the highest term, the first by name if two do; ""
// if none does.
func (l look) leader() (node string, term uint64) {
	for n, e := range l {
		if e.Role == "leader" && (node == "" || e.Term > term || e.Term == term && n < node) {
			node, term = n, e.Term
		}
	}
	return node, term
}

// Check implements [harness.Checker]. It takes O(n).
func (c CatchUp) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	c.Within = cmp.Or(c.Within, DefaultServeWithin)
	r := harness.Result{Checker: "catch-up", Valid: harness.Valid}
	var looks []look
	var at []time.Duration
	phase, unhealed := "", false
	for _, e := range h.Events {
		switch {
		case e.Kind == harness.PhaseEvent:
			phase = e.Message
		case e.Kind == harness.UnhealedEvent:
			unhealed = true
		case e.Kind == harness.StateEvent && phase == "agree" && e.Role != "": // no role: not asked for, the node passed a position
			if len(at) == 0 || at[len(at)-1] != e.Time {
				at, looks = append(at, e.Time), append(looks, look{})
			}
			looks[len(looks)-1][e.Node] = e
		}
	}
	switch {
	case len(looks) == 0:
		r.Summary = "Nobody looked in the end whether all nodes came to the same position."
		return r, nil
	case unhealed:
		r.Summary = "Not everything was healed, so that nodes may stay behind."
		return r, nil
	}
	first, last := looks[0], looks[len(looks)-1]
	waited := at[len(at)-1] - at[0]
	leader, term := last.leader()
	target := first[leader].Applied
	behind := ""
	for _, n := range h.Nodes {
		if e, ok := last[n]; ok && e.Applied < target && (behind == "" || e.Applied < last[behind].Applied) {
			behind = n
		}
	}
	switch {
	case leader == "":
		r.Summary = "No node led in the end."
		return r, nil
	case behind == "":
		r.Summary = fmt.Sprintf("Every node that answered in the end came to where the leader, %s, was.", leader)
		return r, nil
	}
	r.Summary = fmt.Sprintf("In the end %s was behind %s, which led.", behind, leader)
	if waited < c.Within {
		return r, nil
	}
	for _, l := range looks {
		if n, t := l.leader(); n != leader || t != term || len(l) < len(h.Nodes) {
			return r, nil
		}
	}
	r.Valid = harness.Invalid
	r.Summary = fmt.Sprintf("Nothing was broken, and %s did not catch up with the leader in %s.", behind, seconds(waited))
	r.Counterexample = &harness.Counterexample{Witness: []harness.Witness{}, Story: []string{
		fmt.Sprintf("At %s everything was healed and nobody asked for anything. %s led in term %d, and had applied its log up to position %d.",
			seconds(at[0]), leader, term, target),
		fmt.Sprintf("At %s it still led in that term, and %s was at position %d, as %s.", seconds(at[len(at)-1]), behind, last[behind].Applied, reported(last[behind])),
		fmt.Sprintf("A node that runs and can be reached has to be where the leader was within %s.", seconds(c.Within)),
	}}
	return r, nil
}

// reported is what a node said of itself.
func reported(e harness.Event) string {
	if e.Leader == "" {
		return fmt.Sprintf("a %s in term %d that knows of no leader", e.Role, e.Term)
	}
	return fmt.Sprintf("a %s in term %d that follows %s", e.Role, e.Term, e.Leader)
}
