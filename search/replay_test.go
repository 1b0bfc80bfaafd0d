package search

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"coup/checker"
	"coup/cluster/sim"
	"coup/harness"
	"coup/harness/timeline"
	"coup/internal/testnode"
	"coup/judge"
	"coup/plan"
	"coup/results"
	"coup/runner"
)

func TestFingerprint(t *testing.T) {
	verdict := func(valid harness.Validity, summaries ...string) judge.Verdict {
		v := judge.Verdict{Verdict: checker.Verdict{Valid: valid}}
		for _, s := range summaries {
			v.Results = append(v.Results, harness.Result{Checker: "c", Valid: valid, Summary: s})
		}
		return v
	}
	if f := Fingerprint(verdict(harness.Valid, "fine"), ""); f != "" {
		t.Errorf("a valid run has %q", f)
	}
	a := Fingerprint(verdict(harness.Invalid, "Nodes n1, n3 and n5 differ at 1200."), "")
	b := Fingerprint(verdict(harness.Invalid, "Nodes n2 and n4 differ at 7."), "")
	if a != b || a != "c: Nodes # differ at #" {
		t.Errorf("%q and %q", a, b)
	}
	if c := Fingerprint(verdict(harness.Invalid, "Two leaders in term 4."), ""); c == a {
		t.Errorf("%q says nothing", c)
	}
}

// simulatedPlan is a short run with a planted bug that this seed shows.
func simulatedPlan(t *testing.T) plan.Plan {
	t.Helper()
	t.Setenv(sim.NodeVariable, testnode.File(t, testnode.Node))
	p := plan.Default()
	p.Backend, p.Nodes, p.Time, p.Concurrency, p.Rate = "sim", 3, plan.Duration(10*time.Second), 5, 30
	p.Bug, p.Nemesis = "stale-leader-read", []string{"partition:leader", "kill:leader"}
	return p
}

// One test, because the nodes' program is loaded once: a failure that a hunt
// finds is the same to the byte when it is replayed, and smaller when it was
// shrunk.
func TestHuntReplayShrink(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out whole runs")
	}
	ctx := t.Context()
	p, out := simulatedPlan(t), t.TempDir()
	var failure Hunted
	seeds := 0
	err := Hunt(ctx, ctx, p, out, HuntOptions{
		From: 1, To: 30,
		Start: func() (io.WriteCloser, io.Reader, func() error, error) {
			r, in := io.Pipe()
			answers, w := io.Pipe()
			go func() { w.CloseWithError(HuntWorker(ctx, ctx, r, w, runner.Options{})) }()
			return in, answers, func() error { return nil }, nil
		},
		Done: func(h Hunted) {
			seeds++
			if h.Valid == harness.Invalid {
				failure = h
			}
			if h.Simulated < 10*time.Second {
				t.Errorf("seed %d took %v", h.Seed, h.Simulated)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if failure.Dir == "" {
		t.Fatalf("%d seeds did not show the bug", seeds)
	}
	left, err := filepath.Glob(filepath.Join(out, "*", results.PlanFile))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 { // the run, and as latest
		t.Errorf("run directories are left of valid runs: %v", left)
	}

	r, err := Replay(ctx, ctx, failure.Dir, runner.Options{Out: out, Trace: true}) // which changes nothing
	if err != nil {
		t.Fatal(err)
	}
	if r.Differs != "" || Fingerprint(r.Verdict, r.Dir) != failure.Fingerprint {
		t.Errorf("the replay differs: %s; %s", r.Differs, r.Verdict.Sentence())
	}
	// With the operations as a list, clients do the same.
	listed, err := operationsOf(failure.Dir)
	if err != nil {
		t.Fatal(err)
	}
	withList := p
	withList.Seed, withList.Operations = failure.Seed, listed
	if err := withList.Resolve(); err != nil {
		t.Fatal(err)
	}
	dir, v, err := runner.Run(ctx, ctx, withList, runner.Options{Out: out})
	if err != nil || v.Valid != harness.Invalid {
		t.Fatalf("with a list of %d operations: %s, %v", len(listed), v.Sentence(), err)
	}
	if a, b := loadOperations(t, failure.Dir), loadOperations(t, dir); !reflect.DeepEqual(a, b) {
		t.Errorf("with a list of operations other ones were performed: %d and %d", len(a), len(b))
	}
	// What was changed after the fact, or by another build, is noticed.
	var stored plan.Stored
	if err := results.ReadJSON(failure.Dir, results.PlanFile, &stored); err != nil {
		t.Fatal(err)
	}
	if len(stored.Module) != 64 {
		t.Errorf("the hash of the nodes' program is %q", stored.Module)
	}
	stored.Module = strings.Repeat("0", 64)
	stored.Plan.Seed++
	if err := results.WriteJSON(failure.Dir, results.PlanFile, stored); err != nil {
		t.Fatal(err)
	}
	if r, err = Replay(ctx, ctx, failure.Dir, runner.Options{Out: out}); err != nil || !strings.Contains(r.Differs, "another program") {
		t.Errorf("another build: %q, %v", r.Differs, err)
	}
	mended := stored
	mended.Plan.Bug = ""
	if err := results.WriteJSON(failure.Dir, results.PlanFile, mended); err != nil {
		t.Fatal(err)
	}
	if _, err = Shrink(ctx, ctx, failure.Dir, ShrinkOptions{Options: runner.Options{Out: out}}); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("shrinking what this build does not show: %v", err)
	}
	stored.Plan.Seed--
	if err := results.WriteJSON(failure.Dir, results.PlanFile, stored); err != nil {
		t.Fatal(err)
	}

	soft, stop := context.WithCancel(ctx)
	steps := 0
	s, err := Shrink(ctx, soft, failure.Dir, ShrinkOptions{Options: runner.Options{Out: out}, Tries: 1, Step: func(ShrinkStep) {
		if steps++; steps == 12 {
			stop() // the best so far is kept
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Verdict.Valid != harness.Invalid || len(s.Plan.Schedule) >= len(s.Before.Schedule) && s.Plan.Time >= s.Before.Time {
		t.Errorf("after %d steps: %d of %d strikes, %s of %s, %s", steps, len(s.Plan.Schedule), len(s.Before.Schedule), s.Plan.Time, s.Before.Time, s.Verdict.Valid)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, results.ReportFile)); err != nil {
		t.Error(err)
	}
	if again, err := judge.Judge(ctx, s.Dir); err != nil || again.Valid != harness.Invalid {
		t.Errorf("judged again: %s, %v", again.Valid, err)
	}
}

// loadOperations are the operations of the load of a run.
func loadOperations(t *testing.T, dir string) (ops []harness.Operation) {
	t.Helper()
	_, h, err := tillViolation(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, to := timeline.Load(h)
	for _, op := range h.Operations {
		if op.Start < to && op.End < to {
			ops = append(ops, op)
		}
	}
	return ops
}

func TestShrinkNeedsAFailure(t *testing.T) {
	dir := t.TempDir()
	p := plan.Default()
	if err := results.WriteJSON(dir, results.PlanFile, plan.Stored{Plan: p}); err != nil {
		t.Fatal(err)
	}
	if err := results.WriteJSON(dir, results.VerdictFile, judge.Verdict{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Shrink(t.Context(), t.Context(), dir, ShrinkOptions{}); err == nil || !strings.Contains(err.Error(), "no violation") {
		t.Errorf("error %v", err)
	}
}

// What the log lost is shown by one operation, on one node that is killed once.
func TestShrinkOperationByOperation(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out whole runs")
	}
	ctx, out := t.Context(), t.TempDir()
	p := simulatedPlan(t)
	p.Bug, p.Workload, p.Nemesis = "lost-log", "set", []string{"kill:all"}
	p.Nodes, p.Time, p.Rate, p.Concurrency, p.Seed = 1, plan.Duration(2*time.Second), 20, 2, 1
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	dir, v, err := runner.Run(ctx, ctx, p, runner.Options{Out: out})
	if err != nil || v.Valid != harness.Invalid {
		t.Fatalf("%s, %v", v.Sentence(), err)
	}
	before, err := operationsOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	bounded, err := Shrink(ctx, ctx, dir, ShrinkOptions{Options: runner.Options{Out: out}, Tries: 1, Runs: 3})
	if err != nil || bounded.Runs != 3 || !bounded.Bounded || bounded.Verdict.Valid != harness.Invalid {
		t.Errorf("of 3 runs it took %d (bounded %v), to %q, %v", bounded.Runs, bounded.Bounded, bounded.Verdict.Sentence(), err)
	}
	last := plan.Plan{}
	s, err := Shrink(ctx, ctx, dir, ShrinkOptions{Options: runner.Options{Out: out}, Tries: 1, Step: func(s ShrinkStep) { last = s.Best }})
	if err != nil {
		t.Fatal(err)
	}
	if s.Bounded || len(s.Plan.Operations) != 1 || s.Plan.Concurrency != 1 || len(s.Plan.Schedule) > 1 || !equalPlans(s.Plan, last) {
		t.Errorf("of %d operations are left %+v, of %d clients, with %d strikes", len(before), s.Plan.Operations, s.Plan.Concurrency, len(s.Plan.Schedule))
	}
	r, err := Replay(ctx, ctx, s.Dir, runner.Options{Out: out})
	if err != nil || r.Differs != "" || r.Verdict.Valid != harness.Invalid {
		t.Errorf("replayed: %s, %q, %v", r.Verdict.Sentence(), r.Differs, err)
	}
}

// Where the nodes are at fault and no answer is, one operation is left as well.
func TestShrinkWhatNoAnswerShows(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out whole runs")
	}
	ctx, out := t.Context(), t.TempDir()
	p := simulatedPlan(t)
	p.Bug, p.Nemesis = "forgotten-vote", []string{"kill:all"}
	p.Nodes, p.Time, p.Rate, p.Concurrency, p.Seed = 1, plan.Duration(3*time.Second), 10, 2, 1
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	dir, v, err := runner.Run(ctx, ctx, p, runner.Options{Out: out})
	if err != nil || v.Valid != harness.Invalid {
		t.Fatalf("%s, %v", v.Sentence(), err)
	}
	for _, r := range v.Results {
		if r.Valid == harness.Invalid && r.Counterexample != nil && len(r.Counterexample.Witness) > 0 {
			t.Fatalf("an answer shows it: %s", v.Sentence())
		}
	}
	s, err := Shrink(ctx, ctx, dir, ShrinkOptions{Options: runner.Options{Out: out}, Tries: 1})
	if err != nil || len(s.Plan.Operations) != 1 {
		t.Errorf("left are %+v, %v", s.Plan.Operations, err)
	}
}
