package judge

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker"
	"coup/checker/linearizable"
	"coup/harness"
	"coup/plan"
	"coup/results"
)

// A run is judged within the bounds of its plan, or within others, and then says so.
func TestJudgeWithin(t *testing.T) {
	p := resolved(t, func(p *plan.Plan) { p.Workload = "register" })
	store, err := results.Create(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := results.WriteJSON(store.Dir, results.PlanFile, plan.Stored{Plan: p}); err != nil {
		t.Fatal(err)
	}
	const history = `{"time":1,"process":0,"type":"invoke","f":"write","key":"x","value":1}
{"time":2,"process":0,"type":"ok","f":"write","key":"x","value":null}
{"time":3,"process":0,"type":"invoke","f":"read","key":"x","value":null}
{"time":4,"process":0,"type":"ok","f":"read","key":"x","value":2}
`
	if err := os.WriteFile(filepath.Join(store.Dir, results.HistoryFile), []byte(history), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bounds Instead
		want   harness.Validity
		note   string
	}{
		{Instead{}, harness.Invalid, ""},
		{Instead{Time: p.CheckTime, Memory: p.CheckMemory}, harness.Invalid, ""},
		{Instead{Time: 1}, harness.Unknown, "each checker was given 1ns and 2048 MiB, and by the plan of the run it is 1m0s and 2048 MiB"},
		{Instead{Memory: 64}, harness.Invalid, "each checker was given 1m0s and 64 MiB, and by the plan of the run it is 1m0s and 2048 MiB"},
	} {
		v, err := By(t.Context(), store.Dir, c.bounds)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(v.Results, func(r harness.Result) bool { return r.Checker == (linearizable.Checker{}).Name() })
		if got, note := v.Results[i].Valid, strings.Join(v.Notes, "; "); got != c.want || note != c.note {
			t.Errorf("%+v: %s, %q; want %s, %q", c.bounds, got, note, c.want, c.note)
		}
	}
}

func TestASlowRateAsksForFewerOperations(t *testing.T) {
	fast, slow := resolved(t, nil), resolved(t, func(p *plan.Plan) { p.Rate = 1 })
	if minOK(fast) != 30 || minOK(slow) != 15 {
		t.Errorf("at full speed %d and at one a second %d operations must succeed in 30 s, want 30 and 15", minOK(fast), minOK(slow))
	}
}

func resolved(t *testing.T, change func(*plan.Plan)) plan.Plan {
	t.Helper()
	p := plan.Default()
	p.Seed = 7
	if change != nil {
		change(&p)
	}
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	return p
}

// A verdict is told in one sentence, beginning with what clients were answered, and with
// why the test proves nothing where that is so.
func TestSentence(t *testing.T) {
	result := func(name string, s harness.Subject, v harness.Validity) harness.Result {
		return harness.Result{Checker: name, Judges: s, Valid: v, Summary: name + " said so."}
	}
	const answers, conduct, test = harness.Answers, harness.Conduct, harness.TheTest
	const valid, invalid, unknown, not = harness.Valid, harness.Invalid, harness.Unknown, harness.NotJudged
	for want, v := range map[string]checker.Verdict{
		"valid: lin said so. ran said so.":                        {Valid: valid, Results: []harness.Result{result("lin", answers, valid), result("terms", conduct, not), result("ran", test, valid)}},
		"invalid: lin said so.":                                   {Valid: invalid, Results: []harness.Result{result("lin", answers, invalid), result("terms", conduct, invalid), result("ran", test, unknown)}},
		"unknown: ran said so.":                                   {Valid: unknown, Results: []harness.Result{result("lin", answers, unknown), result("terms", conduct, unknown), result("ran", test, unknown)}},
		"unknown: terms said so.":                                 {Valid: unknown, Results: []harness.Result{result("lin", answers, valid), result("terms", conduct, unknown), result("ran", test, valid)}},
		"unknown: Nothing that clients were answered was judged.": {Valid: unknown, Results: []harness.Result{result("terms", conduct, not), result("ran", test, valid)}},
	} {
		if got := (Verdict{Verdict: v}).Sentence(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	said := Verdict{Verdict: checker.Verdict{Results: []harness.Result{
		{Checker: "terms", Valid: not, Summary: "No terms."}, {Checker: "steady", Valid: not, Summary: "No terms."}, {Checker: "replicas", Valid: not, Summary: "No digest."},
	}}}.NotJudged()
	if got := strings.Join(said, "; "); got != "replicas (No digest); terms, steady (No terms)" {
		t.Error(got)
	}
}

// What nodes say they run is not always what was asked for.
func TestAnotherReleaseThanAskedFor(t *testing.T) {
	for release, note := range map[string]string{"v3.5.21": "", "3.5.21": "", "": "", "3.5.20": "the plan asks for etcd 3.5.21, and the nodes say that they run 3.5.20"} {
		p := resolved(t, func(p *plan.Plan) { p.System = "etcd@3.5.21" })
		dir := t.TempDir()
		if err := results.WriteJSON(dir, results.PlanFile, plan.Stored{Plan: p, Release: release}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, results.HistoryFile), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		v, err := Judge(t.Context(), dir)
		if got := strings.Join(v.Notes, "; "); err != nil || got != note {
			t.Errorf("%q: %q, %v", release, got, err)
		}
	}
}
