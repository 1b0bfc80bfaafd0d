package conduct

import (
	"context"
	"fmt"

	"coup/checker/story"
	"coup/harness"
)

// OneLeader checks that at most one node ever leads in one term.
type OneLeader struct{}

// LeaderDetails are the Details of [OneLeader].
type LeaderDetails struct {
	Terms   int `json:"terms"`   // terms that had a leader
	Leaders int `json:"leaders"` // nodes that ever led
}

// Name implements [harness.Checker].
func (OneLeader) Name() string { return "one-leader" }

// Judges implements [harness.Judging].
func (OneLeader) Judges() harness.Subject { return harness.Conduct }

// Needs implements [harness.Needing].
func (OneLeader) Needs() harness.Facts {
	return harness.Facts{harness.Term, harness.Events}
}

// Check implements [harness.Checker].
func (OneLeader) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "one-leader", Valid: harness.Valid}
	first := map[uint64]harness.Event{}
	leaders := map[string]bool{}
	for _, e := range h.Events {
		if e.Kind != harness.RoleEvent || e.Role != "leader" {
			continue
		}
		leaders[e.Node] = true
		f, seen := first[e.Term]
		if !seen {
			first[e.Term] = e
		} else if f.Node != e.Node && r.Counterexample == nil {
			r.Valid = harness.Invalid
			r.Summary = fmt.Sprintf("Two leaders in term %d: %s and %s.", e.Term, f.Node, e.Node)
			r.Counterexample = &harness.Counterexample{Witness: []harness.Witness{}, Story: []string{
				fmt.Sprintf("At %s %s became the leader in term %d.", story.Seconds(f.Time), f.Node, f.Term),
				fmt.Sprintf("At %s %s became the leader in the same term.", story.Seconds(e.Time), e.Node),
				"A term has one leader at most: two of them can acknowledge different things for the same position of the log.",
			}}
		}
	}
	r.Details = LeaderDetails{Terms: len(first), Leaders: len(leaders)}
	switch {
	case r.Valid == harness.Invalid:
	case len(first) == 0:
		r.Valid, r.Summary = harness.Unknown, "No node ever said that it leads."
	default:
		r.Summary = fmt.Sprintf("Each of %s had one leader.", story.Plural(len(first), "term"))
	}
	return r, nil
}
