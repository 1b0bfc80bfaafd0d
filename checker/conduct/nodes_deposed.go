package conduct

import (
	"context"
	"fmt"
	"slices"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Deposed checks that a leader steps down soon after another node was elected in a newer
// term. A leader that hears from no majority of the voters has to step down by itself
// (section 6.2 of Ongaro's thesis). Otherwise requests to it hang for as long as it is
// cut off, and it may answer from an outdated state.
//
// Time in which something other than the network was broken at the old leader does not
// count: a frozen node cannot step down.
type Deposed struct {
	// Within is how long a deposed leader may take: the system's lease of a leader
	// without a majority, and what a busy machine adds to it.
	Within time.Duration
}

// DeposedDetails are the Details of [Deposed].
type DeposedDetails struct {
	Deposed int           `json:"deposed"` // leaders that still led when another one was elected
	Longest time.Duration `json:"longest"` // how long one of them went on, in nanoseconds
}

// Name implements [harness.Checker].
func (Deposed) Name() string { return "deposed" }

// Judges implements [harness.Judging].
func (Deposed) Judges() harness.Subject { return harness.Conduct }

// Needs implements [harness.Needing].
func (Deposed) Needs() harness.Facts {
	return harness.Facts{harness.Term, harness.Events}
}

// Check implements [harness.Checker].
func (c Deposed) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "deposed", Valid: harness.Valid}
	all := timeline.Reigns(h)
	end := timeline.LastEvent(h)
	broken := timeline.Faults(h, end)
	d := DeposedDetails{}
	for _, old := range all {
		for _, next := range all {
			if next.Term <= old.Term || next.Node == old.Node || next.From <= old.From || next.From >= old.To {
				continue
			}
			on := able(old.Node, next.From, old.To, end, broken)
			if on == 0 {
				break // it was dead or frozen until it was told
			}
			d.Deposed++
			d.Longest = max(d.Longest, on)
			if on > c.Within && r.Counterexample == nil {
				r.Valid = harness.Invalid
				r.Summary = fmt.Sprintf("%s went on leading in term %d for %s after %s was elected in term %d.",
					old.Node, old.Term, story.Seconds(old.To-next.From), next.Node, next.Term)
				if why := timeline.Overload(h, timeline.Stretch{From: next.From, To: old.To}); why != "" {
					r.Unproved(why)
					break
				}
				r.Counterexample = &harness.Counterexample{Witness: []harness.Witness{}, Story: []string{
					fmt.Sprintf("At %s %s became the leader in term %d.", story.Seconds(old.From), old.Node, old.Term),
					fmt.Sprintf("At %s %s became the leader in term %d: a majority no longer follows %s.", story.Seconds(next.From), next.Node, next.Term, old.Node),
					fmt.Sprintf("%s took itself for the leader until %s. Without a majority it has to step down within %s.", old.Node, story.Seconds(old.To), story.Seconds(c.Within)),
				}}
			}
			break // the first newer leader counts; this node is deposed already
		}
	}
	r.Details = d
	switch {
	case r.Valid != harness.Valid:
	case len(all) == 0:
		r.Valid, r.Summary = harness.Unknown, "No node ever said that it leads."
	case d.Deposed == 0:
		r.Summary = "No node still led when another one was elected."
	default:
		r.Summary = fmt.Sprintf("%s still led when another one was elected, for %s at most, not counting when it was frozen or down.",
			story.Plural(d.Deposed, "old leader"), story.Seconds(d.Longest))
	}
	return r, nil
}

// able is how much of the time between from and to nothing but the network was broken at
// node. A fault that was not healed counts to the end.
func able(node string, from, to, end time.Duration, all []*timeline.Fault) (sum time.Duration) {
	its := slices.DeleteFunc(slices.Clone(all), func(f *timeline.Fault) bool { return len(f.Links) > 0 || !f.Touches(node) })
	for _, g := range timeline.WithoutFault(its, from, to, func(f *timeline.Fault) time.Duration { return f.Until(end) }) {
		sum += g.Length()
	}
	return sum
}
