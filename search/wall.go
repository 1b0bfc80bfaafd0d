package search

import (
	"context"
	"maps"
	"slices"
	"time"

	"coup/cluster"
	"coup/harness"
	"coup/harness/timeline"
	"coup/judge"
	"coup/plan"
	"coup/runner"
)

// Try is one attempt to find a planted bug.
type Try struct {
	Bug   cluster.Bug
	Dir   string
	Seed  uint64
	Found bool
	// After is how long the load lasted until the violation was found, and Operations
	// is how many operations were invoked until then. If none was found, both count the
	// whole run.
	After      time.Duration
	Operations int
	Verdict    judge.Verdict
}

// TryBug runs the workload and the faults that should expose a planted bug,
// for at most the time of the plan, and says whether it was found.
func TryBug(ctx, soft context.Context, p plan.Plan, bug cluster.Bug, o runner.Options) (Try, error) {
	t := Try{Bug: bug, Seed: p.Seed}
	p.Bug, p.Workload, p.Nemesis, p.Schedule, p.FailFast = bug.Name, bug.Workload, slices.Clone(bug.Nemesis), nil, true
	p.Settings = maps.Clone(p.Settings)
	for name, v := range bug.Settings {
		if p.Settings == nil {
			p.Settings = map[string]string{}
		}
		p.Settings[name] = v
	}
	if err := p.Resolve(); err != nil {
		return t, err
	}
	var err error
	t.Dir, t.Verdict, err = runner.Run(ctx, soft, p, o)
	if err != nil {
		return t, err
	}
	t.Found = t.Verdict.Valid == harness.Invalid
	var h *harness.History
	if t.After, h, err = TillFound(t.Dir); err != nil {
		return t, err
	}
	from, _ := timeline.Load(h)
	for _, op := range h.Operations {
		if op.Start < from+t.After {
			t.Operations++
		}
	}
	return t, nil
}
