package workloads

import (
	"cmp"
	"context"
	"slices"
	"time"

	"coup/checker/invariants"
	"coup/checker/model"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
)

// jobs are for systems that run by themselves what is handed to them. In the end, all looks
// until nothing waits or runs any more.
var jobs = Workload{
	Doc:       "submit jobs, which the system runs on its workers, and count their effects",
	Generator: func(Options) harness.Generator { return jobOps{} },
	Final: func(keys []string) harness.Generator {
		var ops []harness.Op
		for _, k := range keys {
			ops = append(ops, harness.Op{F: "look", Key: k})
		}
		return spaced{every: lookEvery, g: gen.Retry(ops, func(op harness.Op) bool {
			seen, ok := op.Value.(model.JobsSeen)
			return op.Type == harness.OK && ok && seen.Busy == 0
		})}
	},
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		j := c.(cluster.Jobs)
		switch op.F {
		case "submit":
			return nil, j.SubmitJob(ctx, op.Key, op.Value.(int64))
		case "look":
			seen, err := j.LookAtJobs(ctx, op.Key)
			if err != nil {
				return nil, err
			}
			all := model.JobsSeen{Jobs: []model.JobSeen{}, Busy: seen.Busy}
			for job, s := range seen.Jobs {
				all.Jobs = append(all.Jobs, model.JobSeen{Job: job, State: s.State, Effects: s.Effects})
			}
			slices.SortFunc(all.Jobs, func(a, b model.JobSeen) int { return cmp.Compare(a.Job, b.Job) })
			return all, nil
		}
		return nil, unknownFunction(op)
	},
	Supports: supports[cluster.Jobs],
	Looks:    func(op *harness.Operation) bool { return op.F == "look" },
	Decode:   model.DecodeJobs,
	Checkers: func() []harness.Checker { return []harness.Checker{invariants.Jobs{}} },
	Levels: []Level{
		oneWay(invariants.ExactlyOnce, "a job that was acknowledged has its effect once", invariants.Jobs{}),
		oneWay(invariants.AtLeastOnce, "a job that was acknowledged has its effect, perhaps more than once", invariants.Jobs{Repeats: true}),
		oneWay(invariants.AtMostOnce, "a job has its effect once at most; one that was acknowledged has it or is said to have failed", invariants.Jobs{Fails: true}),
		oneWay(invariants.Accounted, "a job that was acknowledged has its effect, perhaps more than once, or is said to have failed", invariants.Jobs{Repeats: true, Fails: true}),
	},
	// Looks are the harness's own: that it can't count effects is no fault of the system.
	Needs: []string{"submit"},
}

const (
	jobsKey   = "k0"                   // all jobs are of one kind
	mostBusy  = 6                      // jobs that wait or run at a time: each may be a process that takes a second to start
	lookEvery = 500 * time.Millisecond // a look starts a program on every worker
	mostLooks = 2                      // at a time: nodes that are slow become slower with each
	jobEvery  = 100 * time.Millisecond
	mostIdle  = 5 * time.Second // without a submission, however many jobs are busy: whether any is taken must be seen
)

// jobOps submits jobs as long as few are busy, and looks now and then.
type jobOps struct {
	last      int64         // the newest job
	asked     int           // submissions under way
	busy      int           // jobs that were acknowledged and not seen to have ended
	submitted time.Duration // when the newest job may be followed by another
	look      time.Duration // when the next look is due
	looks     int           // that are under way
}

func (g jobOps) Next(m harness.Moment) (harness.Op, harness.Generator) {
	look := g.look
	if g.looks == mostLooks {
		look = m.Time + lookEvery
	}
	switch {
	case m.Time >= look:
		g.look = m.Time + lookEvery
		g.looks++
		return harness.Op{F: "look", Key: jobsKey}, g
	case g.asked+g.busy >= mostBusy && m.Time < g.submitted+mostIdle:
		return harness.Op{Time: min(look, g.submitted+mostIdle)}, g
	case m.Time < g.submitted:
		return harness.Op{Time: min(g.submitted, look)}, g
	}
	g.last++
	g.asked++
	g.submitted = m.Time + jobEvery
	return harness.Op{F: "submit", Key: jobsKey, Value: g.last}, g
}

func (g jobOps) Update(_ harness.Moment, op harness.Op) harness.Generator {
	switch op.F {
	case "look":
		g.looks--
		if op.Type == harness.OK {
			g.busy = op.Value.(model.JobsSeen).Busy
		}
	case "submit":
		g.asked--
		if op.Type == harness.OK {
			g.busy++
		}
	}
	return g
}

// spaced lets the operations of g begin a while after each other.
type spaced struct {
	every, due time.Duration
	g          harness.Generator
}

func (s spaced) Next(m harness.Moment) (harness.Op, harness.Generator) {
	if m.Time < s.due {
		return harness.Op{Time: s.due}, s
	}
	op, g := s.g.Next(m)
	if g == nil {
		return op, nil
	}
	if op.F != "" {
		s.due = m.Time + s.every
	}
	s.g = g
	return op, s
}

func (s spaced) Update(m harness.Moment, op harness.Op) harness.Generator {
	s.g = s.g.Update(m, op)
	return s
}
