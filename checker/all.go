package checker

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"

	"coup/harness"
)

// Verdict is what all checkers together say of a history.
type Verdict struct {
	Valid   harness.Validity `json:"valid"` // the worst of the results
	Results []harness.Result `json:"results"`
}

// CheckAll lets every checker judge the history, one after the other, so that a bound
// on memory holds for one checker. It takes the worst verdict. The result of a checker
// that fails or panics is unknown. Without checkers the verdict is unknown.
//
// A checker that needs something that the nodes do not tell ([harness.Needing],
// [harness.History.Tells]) does not run. Its result is "not judged", which makes the
// verdict no worse. But the verdict is never valid unless a checker of what clients were
// answered came to a decision.
//
// Results are sorted by subject, what clients were answered first, and within a subject
// in the order of the checkers.
func CheckAll(ctx context.Context, checkers []harness.Checker, h *harness.History) Verdict {
	v := Verdict{Results: []harness.Result{}}
	decided := false // whether a checker of what clients were answered came to a decision
	worst := harness.Valid
	for _, c := range checkers {
		r := checkOne(ctx, c, h)
		v.Results = append(v.Results, r)
		worst = harness.Worst(worst, r.Valid)
		decided = decided || r.Judges == harness.Answers && (r.Valid == harness.Valid || r.Valid == harness.Invalid)
	}
	if v.Valid = worst; !decided {
		v.Valid = harness.Worst(worst, harness.Unknown)
	}
	v.Results = Sorted(v.Results)
	return v
}

// Sorted are results in the order in which they are told: by subject, what clients were
// answered first.
func Sorted(results []harness.Result) []harness.Result {
	slices.SortStableFunc(results, func(a, b harness.Result) int { return place(a.Judges) - place(b.Judges) })
	return results
}

// place is the place of a subject in the order of results.
func place(s harness.Subject) int {
	return slices.Index([]harness.Subject{harness.Answers, harness.Service, harness.Conduct, harness.TheTest}, s)
}

func checkOne(ctx context.Context, c harness.Checker, h *harness.History) harness.Result {
	var r harness.Result
	if lacking := h.Tells.Lacking(harness.NeedsOf(c)...); len(lacking) > 0 {
		r = harness.Result{Valid: harness.NotJudged, Summary: notTold(lacking)}
	} else {
		r = checkSafely(ctx, c, h)
	}
	r.Checker, r.Judges = c.Name(), harness.SubjectOf(c)
	return r
}

func notTold(lacking harness.Facts) string {
	s := "The nodes do not tell "
	for i, f := range lacking {
		switch {
		case i > 0 && i == len(lacking)-1:
			s += " and "
		case i > 0:
			s += ", "
		}
		s += f.String()
	}
	return s + "."
}

func checkSafely(ctx context.Context, c harness.Checker, h *harness.History) (r harness.Result) {
	defer func() {
		if p := recover(); p != nil {
			r = harness.Result{
				Valid:   harness.Unknown,
				Summary: fmt.Sprintf("The checker broke: %v.", p),
				Details: map[string]string{"stack": string(debug.Stack())},
			}
		}
	}()
	r, err := c.Check(ctx, h)
	if err != nil {
		r.Valid = harness.Unknown
		r.Summary = fmt.Sprintf("The history could not be judged: %v.", err)
	}
	return r
}
