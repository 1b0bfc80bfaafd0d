package search

import (
	"slices"
	"strings"
	"testing"

	"coup/checker"
	"coup/harness"
	"coup/judge"
)

// What clients were answered is kept rather than what nodes said, unless it is said
// otherwise.
func TestWhatShrinkKeeps(t *testing.T) {
	result := func(name string, s harness.Subject, v harness.Validity) harness.Result {
		return harness.Result{Checker: name, Judges: s, Valid: v}
	}
	lin, terms := result("linearizable", harness.Answers, harness.Invalid), result("terms", harness.Conduct, harness.Invalid)
	fine := result("set", harness.Answers, harness.Valid)
	for _, c := range []struct {
		results []harness.Result
		keep    []string
		want    []string
		err     string
	}{
		{[]harness.Result{lin, terms}, nil, []string{"linearizable"}, ""},
		{[]harness.Result{fine, terms}, nil, []string{"terms"}, ""},
		{[]harness.Result{lin, terms}, []string{"terms"}, []string{"terms"}, ""},
		{[]harness.Result{fine, terms}, []string{"set"}, nil, "set found no violation (terms did)"},
		// An older verdict does not say what a checker judges.
		{[]harness.Result{result("linearizable", "", harness.Invalid), result("terms", "", harness.Invalid)}, nil, []string{"linearizable", "terms"}, ""},
	} {
		v := judge.Verdict{Verdict: checker.Verdict{Valid: harness.Invalid, Results: c.results}}
		got, err := toKeep(v, c.keep)
		if !slices.Equal(got, c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
	a := judge.Verdict{Verdict: checker.Verdict{Valid: harness.Invalid, Results: []harness.Result{lin, terms}}}
	if f := Fingerprint(a, ""); !strings.HasPrefix(f, "linearizable") {
		t.Errorf("the fingerprint begins with something else: %s", f)
	}
}
