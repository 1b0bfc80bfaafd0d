package judge

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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
		bounds Bounds
		want   harness.Validity
		note   string
	}{
		{Bounds{}, harness.Invalid, ""},
		{Bounds{Time: p.CheckTime, Memory: p.CheckMemory}, harness.Invalid, ""},
		{Bounds{Time: 1}, harness.Unknown, "each checker was given 1ns and 2048 MiB, and by the plan of the run it is 1m0s and 2048 MiB"},
		{Bounds{Memory: 64}, harness.Invalid, "each checker was given 1m0s and 64 MiB, and by the plan of the run it is 1m0s and 2048 MiB"},
	} {
		v, err := Within(t.Context(), store.Dir, c.bounds)
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
