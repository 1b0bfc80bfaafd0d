package conduct

import (
	"context"
	"fmt"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Steady checks that leaders do not change again and again while nothing is
// broken. A cluster that elects one leader after another still serves now and
// then, so other checkers may find nothing wrong, but it is of little use. A node
// that was made a member without a vote, or taken out, is not broken.
//
// It is for machines whose nodes never starve, such as simulated ones: on others,
// an election proves nothing about the system.
type Steady struct{}

// SteadyDetails are the Details of [Steady].
type SteadyDetails struct {
	Quiet time.Duration `json:"quiet"` // the time that was looked at, in nanoseconds
	Most  int           `json:"most"`  // elections within [steadyWindow] of it
}

const (
	steadyAfter  = 3 * time.Second  // a healed fault may still cause elections for so long
	steadyWindow = 10 * time.Second // in a window of this length
	steadyMost   = 5                // at most so many elections are allowed
)

// Name implements [harness.Checker].
func (Steady) Name() string { return "steady" }

// Judges implements [harness.Judging].
func (Steady) Judges() harness.Subject { return harness.Conduct }

// Needs implements [harness.Needing].
func (Steady) Needs() harness.Facts {
	return harness.Facts{harness.Term, harness.Events}
}

// Check implements [harness.Checker].
func (Steady) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "steady", Valid: harness.Valid}
	d := SteadyDetails{}
	elections := timeline.RolesOf(h).Elected()
	for _, s := range timeline.Unbroken(h) {
		s.From += steadyAfter
		if s.Length() < steadyWindow {
			continue
		}
		d.Quiet += s.Length()
		var within []harness.Event // the newest of the stretch
		for _, e := range elections {
			if e.Time < s.From || e.Time > s.To {
				continue
			}
			within = append(within, e)
			for e.Time-within[0].Time > steadyWindow {
				within = within[1:]
			}
			d.Most = max(d.Most, len(within))
			if len(within) > steadyMost && r.Counterexample == nil {
				first := within[0]
				r.Valid = harness.Invalid
				r.Summary = fmt.Sprintf("Nothing was broken, and %d leaders were elected in %s.", len(within), story.Seconds(e.Time-first.Time))
				r.Counterexample = &harness.Counterexample{Witness: []harness.Witness{}, Story: []string{
					fmt.Sprintf("From %s to %s every node ran, and packets passed between all of them.", story.Seconds(s.From-steadyAfter), story.Seconds(s.To)),
				}}
				for _, e := range within {
					r.Counterexample.Story = append(r.Counterexample.Story,
						fmt.Sprintf("At %s %s became the leader in term %d.", story.Seconds(e.Time), e.Node, e.Term))
				}
			}
		}
	}
	r.Details = d
	switch {
	case r.Valid == harness.Invalid:
	case d.Quiet == 0:
		r.Summary = fmt.Sprintf("There was always something broken in any %s.", story.Seconds(steadyAfter+steadyWindow))
	default:
		r.Summary = fmt.Sprintf("In %s in which nothing was broken there were %s in any %s at most.", story.Seconds(d.Quiet), story.Plural(d.Most, "election"), story.Seconds(steadyWindow))
	}
	return r, nil
}
