package coup

import (
	"context"
	"slices"
	"time"

	"coup/cluster"
	"coup/harness"
	"coup/results"
)

// Try is one attempt to find a planted bug.
type Try struct {
	Bug   cluster.Bug
	Dir   string
	Seed  uint64
	Found bool
	// After is how long the load lasted, and Operations how many were invoked,
	// until the violation was found, or in all.
	After      time.Duration
	Operations int
	Verdict    Verdict
}

// TryBug runs the workload and the faults that should expose a planted bug,
// for at most the time of the plan, and says whether it was found.
func TryBug(ctx, soft context.Context, plan Plan, bug cluster.Bug, o RunOptions) (Try, error) {
	t := Try{Bug: bug, Seed: plan.Seed}
	plan.Bug, plan.Workload, plan.Nemesis, plan.Schedule, plan.FailFast = bug.Name, bug.Workload, slices.Clone(bug.Nemesis), nil, true
	if err := plan.Resolve(); err != nil {
		return t, err
	}
	var err error
	t.Dir, t.Verdict, err = Run(ctx, soft, plan, o)
	if err != nil {
		return t, err
	}
	t.Found = t.Verdict.Valid == harness.Invalid
	found, h, err := tillViolation(t.Dir)
	if err != nil {
		return t, err
	}
	from, to := loadOf(h)
	if t.After = to - from; found > 0 {
		t.After = found
	}
	for _, op := range h.Operations {
		if op.Start < from+t.After {
			t.Operations++
		}
	}
	return t, nil
}

// tillViolation reads the run in dir, and how long its load lasted until it was
// ended by a violation; 0 if it was not.
func tillViolation(dir string) (after time.Duration, h *harness.History, err error) {
	var stored Stored
	if err := results.ReadJSON(dir, results.PlanFile, &stored); err != nil {
		return 0, nil, err
	}
	if h, _, err = readRun(dir, stored); err != nil {
		return 0, nil, err
	}
	from, _ := loadOf(h)
	for _, e := range h.Events {
		if e.Kind == harness.ViolationEvent {
			return e.Time - from, h, nil
		}
	}
	return 0, h, nil
}

// loadOf is when the load of a run began and ended.
func loadOf(h *harness.History) (from, to time.Duration) {
	for _, e := range h.Events {
		switch {
		case e.Kind == harness.PhaseEvent && e.Message == "load":
			from = e.Time
		case e.Kind == harness.PhaseEvent && e.Message == "heal" && to == 0:
			to = e.Time
		}
	}
	return from, to
}
