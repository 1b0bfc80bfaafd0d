package nightly

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coup/harness"
	"coup/plan"
)

const defects = `
look: {again: 1, unknown: 0}
plan: {backend: docker, system: etcd, nodes: 3, time: 10s, nemesis: ["kill:leader"]}
cells:
  - name: found
    expect: invalid
    link: https://example.com/1
    plan: {version: 3.5.1, workload: set, settings: {snapshot-count: "7"}}
    without: {name: 3.5.2, plan: {version: 3.5.2}}
  - name: seldom
    expect: invalid
    plan: {version: 3.5.1, workload: queue}
    without: {name: 3.5.2, plan: {version: 3.5.2}}
  - name: everywhere
    expect: invalid
    plan: {version: 3.5.1, workload: register}
    without: {name: another load, plan: {workload: set}}
  - name: doubtful
    expect: invalid
    plan: {version: 3.5.1, workload: counter}
    without: {name: 3.5.2, plan: {version: 3.5.2}}
  - {name: no defect, plan: {version: 3.5.2}}
`

// showsDefects is what the cells of defects show: those of 3.5.1 are invalid, but for
// queues, of which one run in three is; nothing is known of counters in 3.5.2.
func showsDefects(p plan.Plan, _ int) (harness.Validity, string, int, string) {
	switch {
	case p.Workload == "queue" && p.Version == "3.5.1" && p.Seed != 2:
		return harness.Valid, "", 0, ""
	case p.Version == "3.5.1":
		return harness.Invalid, "wrong", 1, ""
	case p.Workload == "counter":
		return harness.Unknown, "too little", 2, ""
	}
	return harness.Valid, "", 0, ""
}

func TestDefects(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bugs.yaml")
	if err := os.WriteFile(file, []byte(defects), 0o644); err != nil {
		t.Fatal(err)
	}
	try := func(runs int, only ...string) Report {
		t.Helper()
		r, err := tryNight(t, context.Background(), file, t.TempDir(), &pretender{shows: showsDefects}, func(o *Options) { o.Runs, o.ControlRuns, o.Only = runs, runs-1, only })
		if err != nil {
			t.Fatal(err)
		}
		return r
	}

	rows := try(3).Defects(time.Minute)
	want := []struct {
		name, with, without, valid, problem string
		found                               int
		unproved                            bool
	}{
		{"found", "etcd 3.5.1 snapshot-count=7", "3.5.2", "2 of 2", "", 3, false},
		{"seldom", "etcd 3.5.1", "3.5.2", "2 of 2", "found in 1 of 3 runs", 1, false},
		{"everywhere", "etcd 3.5.1", "another load", "0 of 2", "another load shows it as well", 3, false},
		{"doubtful", "etcd 3.5.1", "3.5.2", "0 of 2", "whether 3.5.2 shows it is unknown", 3, true},
	}
	if len(rows) != len(want) {
		t.Fatalf("%d rows: %+v", len(rows), rows)
	}
	for i, w := range want {
		r := rows[i]
		if r.Name != w.name || r.With != w.with || r.Without != w.without || r.Valid != w.valid || len(r.Found) != w.found || r.Runs != 3 || r.Unproved != w.unproved ||
			!strings.HasPrefix(r.Problem, w.problem) || (w.problem == "") != (r.Problem == "") || len(r.Seeds) != 3 || r.Seeds[2] != 3 {
			t.Errorf("%+v, want %+v", r, w)
		}
	}

	// Some of them come with their controls, and nothing else.
	if r := try(2, "f*"); len(r.Outcomes) != 2 || r.Outcomes[1].Cell != "found, control" || r.Outcomes[1].Expect != ExpectValid {
		t.Errorf("%+v", r.Outcomes)
	}
	_, err := tryNight(t, context.Background(), file, t.TempDir(), &pretender{shows: showsDefects}, func(o *Options) { o.Only = []string{"nothing*"} })
	if err == nil || !strings.Contains(err.Error(), "there is no cell nothing*") {
		t.Errorf("%v", err)
	}
}

func TestDefectBounds(t *testing.T) {
	report := func(found []float64, runs, controls int) Report {
		return Report{Outcomes: []Outcome{
			{Cell: "a", Runs: runs, Wanted: 5, Defect: &Defect{Control: "b", Without: "2.0", Found: found}},
			{Cell: "b", Runs: controls, Wanted: 5, Verdict: "valid"},
		}}
	}
	for _, c := range []struct {
		found          []float64
		runs, controls int
		median         time.Duration
		problem        string
	}{
		{[]float64{1, 2, 3}, 5, 5, 3 * time.Second, ""},
		{[]float64{1, 2, 90, 91, 92}, 5, 5, 90 * time.Second, "found after 1m30s, and 1m0s is the bound"},
		{[]float64{1, 2}, 5, 5, -1, "found in 2 of 5 runs"},
		{[]float64{1, 2, 3}, 4, 5, 2 * time.Second, "not all runs were made"},
		{[]float64{1, 2, 3, 4, 5}, 5, 0, 3 * time.Second, "not all runs were made"},
		{nil, 0, 0, -1, "not all runs were made"},
	} {
		rows := report(c.found, c.runs, c.controls).Defects(time.Minute)
		if len(rows) != 1 || rows[0].Median != c.median || rows[0].Problem != c.problem {
			t.Errorf("%v: %+v", c, rows)
		}
	}
}
