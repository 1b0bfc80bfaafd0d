package conduct

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// CatchUp checks that every node reaches the leader's position in the log when nothing
// is broken and no client asks for anything any more (the phase "agree"). If a node stays
// behind, the cluster can tolerate one failure less, even if it serves as before.
//
// A violation has to be proved: for the whole time of the bound, every node answered, the
// same node led in the same term, and the node behind did not reach the position that the
// leader had at the beginning.
type CatchUp struct {
	Within time.Duration // the bound; 0: [DefaultServeWithin]
}

// Name implements [harness.Checker].
func (CatchUp) Name() string { return "catch-up" }

// Judges implements [harness.Judging].
func (CatchUp) Judges() harness.Subject { return harness.Conduct }

// Needs implements [harness.Needing].
func (CatchUp) Needs() harness.Facts {
	return harness.Facts{harness.Leader, harness.Term, harness.Position}
}

// Check implements [harness.Checker]. It takes O(n).
func (c CatchUp) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	c.Within = cmp.Or(c.Within, DefaultServeWithin)
	r := harness.Result{Checker: "catch-up", Valid: harness.Valid}
	looks := timeline.Looks(h)
	switch {
	case len(looks) == 0:
		r.Summary = "Nobody looked in the end whether all nodes came to the same position."
		return r, nil
	case slices.ContainsFunc(h.Events, func(e harness.Event) bool { return e.Kind == harness.UnhealedEvent }):
		r.Summary = "Not everything was healed, so that nodes may stay behind."
		return r, nil
	}
	first, last := looks[0], looks[len(looks)-1]
	waited := last.Time - first.Time
	leader, term := last.Leader()
	target := first.Nodes[leader].Applied
	behind := ""
	for _, n := range h.Nodes {
		if e, ok := last.Nodes[n]; ok && e.Applied < target && (behind == "" || e.Applied < last.Nodes[behind].Applied) {
			behind = n
		}
	}
	together := len(last.Nodes) == len(h.Nodes)
	for _, e := range last.Nodes {
		together = together && e.Applied == last.Nodes[h.Nodes[0]].Applied
	}
	switch {
	case together:
		r.Summary = fmt.Sprintf("Every node was at position %d in the end.", last.Nodes[h.Nodes[0]].Applied)
		return r, nil
	case leader == "":
		r.Summary = fmt.Sprintf("No node led when they were looked at last, at %s.", story.Seconds(last.Time))
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
		if n, t := l.Leader(); n != leader || t != term || len(l.Nodes) < len(h.Nodes) {
			return r, nil
		}
	}
	if why := timeline.Overload(h, timeline.Stretch{From: first.Time, To: last.Time}); why != "" {
		r.Unproved(why)
		return r, nil
	}
	r.Valid = harness.Invalid
	r.Summary = fmt.Sprintf("Nothing was broken, and %s did not catch up with the leader in %s.", behind, story.Seconds(waited))
	r.Counterexample = &harness.Counterexample{Witness: []harness.Witness{}, Story: []string{
		fmt.Sprintf("At %s everything was healed and nobody asked for anything. %s led in term %d, and had applied its log up to position %d.",
			story.Seconds(first.Time), leader, term, target),
		fmt.Sprintf("At %s it still led in that term, and %s was at position %d, as %s.", story.Seconds(last.Time), behind, last.Nodes[behind].Applied, reported(last.Nodes[behind])),
		fmt.Sprintf("A node that runs and can be reached has to be where the leader was within %s.", story.Seconds(c.Within)),
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
