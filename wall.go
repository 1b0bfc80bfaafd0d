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
	var stored Stored
	if err := results.ReadJSON(t.Dir, results.PlanFile, &stored); err != nil {
		return t, err
	}
	h, _, err := readRun(t.Dir, stored)
	if err != nil {
		return t, err
	}
	var from, to time.Duration
	for _, e := range h.Events {
		switch {
		case e.Kind == harness.PhaseEvent && e.Message == "load":
			from = e.Time
		case e.Kind == harness.PhaseEvent && e.Message == "heal", e.Kind == harness.ViolationEvent:
			if to == 0 {
				to = e.Time
			}
		}
	}
	t.After = to - from
	for _, op := range h.Operations {
		if op.Start < to {
			t.Operations++
		}
	}
	return t, nil
}
