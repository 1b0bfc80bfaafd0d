package checker

import (
	"context"
	"fmt"
	"runtime/debug"

	"coup/harness"
)

// Verdict is what all checkers together say of a history.
type Verdict struct {
	Valid   harness.Validity `json:"valid"` // the worst of the results
	Results []harness.Result `json:"results"`
}

// CheckAll lets every checker judge the history, one after the other (so that
// a bound on memory means one checker), and takes the worst verdict. A checker
// that errs or panics found nothing out: its result is unknown. So is the
// verdict of no checkers at all.
func CheckAll(ctx context.Context, checkers []harness.Checker, h *harness.History) Verdict {
	v := Verdict{Valid: harness.Unknown, Results: []harness.Result{}}
	for i, c := range checkers {
		r := checkSafely(ctx, c, h)
		if i == 0 {
			v.Valid = r.Valid
		}
		v.Valid = harness.Worst(v.Valid, r.Valid)
		v.Results = append(v.Results, r)
	}
	return v
}

func checkSafely(ctx context.Context, c harness.Checker, h *harness.History) (r harness.Result) {
	defer func() {
		if p := recover(); p != nil {
			r = harness.Result{
				Checker: c.Name(), Valid: harness.Unknown,
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
	r.Checker = c.Name()
	return r
}
