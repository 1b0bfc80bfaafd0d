package search

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker"
	"coup/harness"
	"coup/judge"
	"coup/plan"
	"coup/runner"
)

// A failure among several workloads is the same to the byte when it is replayed; and when
// it is shrunk, only the workload that failed is left.
func TestReplayAndShrinkOfSeveralWorkloads(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out whole runs")
	}
	p := simulatedPlan(t)
	p.Workload, p.Bug, p.Nemesis, p.Seed, p.FailFast = "counter,list-append,queue,register,set", "dequeue-outside-log", []string{"kill:follower"}, 1, true
	p.Time, p.Rate, p.Keys, p.Concurrency = plan.Duration(6*time.Second), 150, 1, 8
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	o := runner.Options{Out: t.TempDir()}
	dir, v, err := runner.Run(t.Context(), t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(broken(v), "queue (queue)") {
		t.Fatalf("%s: %v", v.Sentence(), broken(v))
	}
	if f := Fingerprint(v, dir); !strings.HasPrefix(f, "queue: ") {
		t.Errorf("the fingerprint %q tells of several workloads", f)
	}
	r, err := Replay(t.Context(), t.Context(), dir, o)
	if err != nil || r.Differs != "" {
		t.Errorf("%s, %v", r.Differs, err)
	}
	s, err := Shrink(t.Context(), t.Context(), dir, ShrinkOptions{Options: o, Runs: 12})
	if err != nil {
		t.Fatal(err)
	}
	if s.Plan.Workload != "queue" || s.Verdict.Valid != harness.Invalid {
		t.Errorf("shrunk to %s: %v", s.Plan.Workload, s.Verdict.Valid)
	}
	if _, err := os.Stat(s.Dir); err != nil {
		t.Error(err)
	}
}

// The same defect has one fingerprint, whether one workload shows it or one of several.
func TestFingerprintsOfSeveralWorkloads(t *testing.T) {
	verdict := func(checkerName, summary string) judge.Verdict {
		return judge.Verdict{Verdict: checker.Verdict{Valid: harness.Invalid, Results: []harness.Result{
			{Checker: checkerName, Judges: harness.Answers, Valid: harness.Invalid, Summary: summary}}}}
	}
	for _, c := range [][2]string{
		{"set", "Elements went wrong: 3 lost."}, {"counter", "Reads went wrong: 2 low."}, {"transactions", "Not strict-serializable: G1a."},
	} {
		alone, among := Fingerprint(verdict(c[0], c[1]), ""), Fingerprint(verdict(c[0]+" (x)", c[1]), "")
		if alone != among || alone == "" {
			t.Errorf("%q and %q", alone, among)
		}
	}
	// Of several, what tells the most of its cause.
	v := verdict("counter (counter)", "Reads went wrong: 2 low.")
	v.Results = append(v.Results, verdict("linearizable (counter)", "Not linearizable.").Results[0], verdict("set (set)", "Elements went wrong: 1 lost.").Results[0])
	if f := Fingerprint(v, ""); f != "set: lost" {
		t.Errorf("%q", f)
	}
	for _, c := range [][3]string{
		{"queue", "queue", "queue (queue)"}, {"linearizable", "set", "linearizable (set)"}, {"terms", "set", "terms"}, {"linearizable (set)", "queue,set", "linearizable (set)"},
	} {
		if got := withWorkload(c[0], plan.Plan{Workload: c[1]}); got != c[2] {
			t.Errorf("%s in a load of %s is %s, want %s", c[0], c[1], got, c[2])
		}
	}
}
