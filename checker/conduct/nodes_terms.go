package conduct

import (
	"context"
	"fmt"

	"coup/checker/story"
	"coup/harness"
)

// Terms checks that a node's term never goes back. Raft's nodes keep their term on disk
// (Ongaro's thesis, figure 3.1), so not even a restart brings an older one back.
// Elections are left out, because a node may call for one in a term that it then does
// not enter.
type Terms struct{}

// Name implements [harness.Checker].
func (Terms) Name() string { return "terms" }

// Judges implements [harness.Judging].
func (Terms) Judges() harness.Subject { return harness.Conduct }

// Needs implements [harness.Needing].
func (Terms) Needs() harness.Facts {
	return harness.Facts{harness.Term, harness.Events}
}

// Check implements [harness.Checker].
func (Terms) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "terms", Valid: harness.Valid}
	newest := map[string]harness.Event{}
	for _, e := range h.Events {
		entered := e.Kind == harness.LeaderEvent || e.Kind == harness.RoleEvent && (e.Role == "leader" || e.Role == "follower")
		if !entered || e.Term == 0 {
			continue
		}
		before, seen := newest[e.Node]
		if !seen || e.Term >= before.Term {
			newest[e.Node] = e
			continue
		}
		r.Valid = harness.Invalid
		r.Summary = fmt.Sprintf("%s went back from term %d to term %d.", e.Node, before.Term, e.Term)
		r.Counterexample = &harness.Counterexample{Witness: []harness.Witness{}, Story: []string{
			fmt.Sprintf("At %s %s was in term %d.", story.Seconds(before.Time), e.Node, before.Term),
			fmt.Sprintf("At %s it was in term %d, which is over.", story.Seconds(e.Time), e.Term),
			"A node that forgets its term can vote in it once more, and so help two leaders into the same term.",
		}}
		return r, nil
	}
	if len(newest) == 0 {
		r.Valid, r.Summary = harness.Unknown, "No node ever said which term it was in."
	} else {
		r.Summary = fmt.Sprintf("No term of %s ever went back.", story.Plural(len(newest), "node"))
	}
	return r, nil
}
