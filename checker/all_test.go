package checker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"coup/checker/conduct"
	"coup/checker/internal/testhistory"
	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/harness"
)

type broken struct{ err error }

func (broken) Name() string { return "broken" }

func (b broken) Check(context.Context, *harness.History) (harness.Result, error) {
	if b.err == nil {
		panic("nobody expected this")
	}
	return harness.Result{}, b.err
}

func TestCheckAll(t *testing.T) {
	m := model.Register()
	valid, invalid := testhistory.Parse(t, m, `[write 1] [read -> 1]`), testhistory.Parse(t, m, `[write 1] [read -> 2]`)
	lin := linearizable.Checker{Model: m}
	cases := []struct {
		name     string
		history  *harness.History
		checkers []harness.Checker
		valid    harness.Validity
	}{
		{"none", valid, nil, harness.Unknown},
		{"valid", valid, []harness.Checker{lin, conduct.Availability{}}, harness.Valid},
		{"a panic is unknown", valid, []harness.Checker{lin, broken{}}, harness.Unknown},
		{"an error is unknown", valid, []harness.Checker{broken{errors.New("garbled")}, lin}, harness.Unknown},
		{"the worst wins", invalid, []harness.Checker{broken{}, lin, conduct.Availability{}}, harness.Invalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := CheckAll(context.Background(), c.checkers, c.history)
			if v.Valid != c.valid || len(v.Results) != len(c.checkers) {
				t.Errorf("verdict %+v", v)
			}
			for _, checker := range c.checkers {
				if !slices.ContainsFunc(v.Results, func(r harness.Result) bool { return r.Checker == checker.Name() && r.Summary != "" && r.Judges != "" }) {
					t.Errorf("no result of %s in %+v", checker.Name(), v.Results)
				}
			}
		})
	}
}

// Who needs what the nodes don't tell is not asked, and worsens nothing; but somebody has
// to have decided what clients were answered. Their results come first.
func TestNotJudged(t *testing.T) {
	m := model.Register()
	valid, invalid := testhistory.Parse(t, m, `[write 1] [read -> 1]`), testhistory.Parse(t, m, `[write 1] [read -> 2]`)
	lin := linearizable.Checker{Model: m}
	nodes := []harness.Checker{conduct.Terms{}, conduct.CatchUp{}, conduct.Availability{}}
	for _, c := range []struct {
		name     string
		history  *harness.History
		tells    harness.Facts
		checkers []harness.Checker
		valid    harness.Validity
		results  string
	}{
		{"nothing is told", valid, nil, append(nodes, lin), harness.Valid, "linearizable valid, availability valid, terms not judged, catch-up not judged"},
		{"a broken promise stays one", invalid, nil, append(nodes, lin), harness.Invalid, "linearizable invalid, availability valid, terms not judged, catch-up not judged"},
		{"nothing is judged", valid, nil, nodes[:2], harness.Unknown, "terms not judged, catch-up not judged"},
		{"no answer was judged", valid, nil, nodes, harness.Unknown, "availability valid, terms not judged, catch-up not judged"},
		{"what is told is judged", valid, harness.Facts{harness.Leader, harness.Term, harness.Position}, append(nodes, lin), harness.Valid,
			"linearizable valid, availability valid, terms not judged, catch-up valid"},
		{"all is told", valid, harness.Facts{harness.Leader, harness.Term, harness.Events}, append(nodes, lin), harness.Unknown,
			"linearizable valid, availability valid, terms unknown, catch-up not judged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.history.Tells = c.tells
			v := CheckAll(t.Context(), c.checkers, c.history)
			var got []string
			for _, r := range v.Results {
				got = append(got, r.Checker+" "+r.Valid.String())
			}
			if v.Valid != c.valid || strings.Join(got, ", ") != c.results {
				t.Errorf("%v: %s\nwant %v: %s", v.Valid, strings.Join(got, ", "), c.valid, c.results)
			}
		})
	}
	h := *valid
	h.Tells = harness.Facts{harness.Leader}
	v := CheckAll(t.Context(), []harness.Checker{conduct.CatchUp{}}, &h)
	if got := v.Results[0].Summary; got != "The nodes do not tell their term and their position in the log." {
		t.Error(got)
	}
}
