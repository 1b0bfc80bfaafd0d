package judge

import (
	"context"
	"slices"
	"time"

	"coup/checker"
	"coup/checker/conduct"
	"coup/checker/linearizable"
	"coup/checker/promise"
	"coup/checker/transactions"
	"coup/harness"
	"coup/plan"
	"coup/workloads"
)

// minOKPerSecond says how many operations must have succeeded for a verdict to mean
// something: fewer than this many a second on average is no load. It is far below
// what a cluster under every fault at once does.
const minOKPerSecond = 1

func minOK(p plan.Plan) int {
	perSecond := float64(minOKPerSecond)
	if p.Rate > 0 {
		perSecond = min(perSecond, p.Rate/2)
	}
	return int(perSecond * time.Duration(p.Time).Seconds())
}

// Checkers are the checkers that judge a run.
func Checkers(stored plan.Stored) ([]harness.Checker, error) {
	p := stored.Plan
	w, err := p.Judged()
	if err != nil {
		return nil, err
	}
	var faults []string
	for _, s := range p.Schedule {
		if !slices.Contains(faults, s.Fault) {
			faults = append(faults, s.Fault)
		}
	}
	// The order matters: that a run did not finish is reported first, because it explains
	// the rest.
	perFunction := min(5, 1+minOK(p)/10/len(workloads.Split(p.Workload)))
	ran := conduct.Ran{Faults: faults, MinOK: minOK(p), MinPerFunction: perFunction, Needs: w.Needs, Conditional: w.Conditional}
	if p.Operations != nil { // a list is meant as it is, however few operations it has
		ran = conduct.Ran{Faults: faults}
	}
	all := []harness.Checker{conduct.Finished{}, ran}
	all = append(all, promises(p, w)...)
	if p.MayBeStale() {
		all = append(all, w.Weaker()...)
	}
	for _, text := range p.Promises {
		promised, err := promise.Parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, ofClients(promised, w))
	}
	if stored.Lease > 0 {
		all = append(all, conduct.EachShard{Checker: conduct.Deposed{Within: time.Duration(stored.Lease) + overtime(p.Backend)}})
	}
	if p.Backend == plan.Simulated {
		all = append(all, conduct.EachShard{Checker: conduct.Steady{}})
	}
	within := time.Duration(p.ServeWithin)
	all = append(all, conduct.EachShard{Checker: ofClients(conduct.Liveness{Within: within, Conditional: w.Conditional}, w), Whole: true})
	for _, c := range []harness.Checker{conduct.CatchUp{Within: within}, conduct.OneLeader{}, conduct.Terms{}, conduct.Replicas{Within: within}, conduct.Lag{}, conduct.Convergence{}} {
		all = append(all, conduct.EachShard{Checker: c})
	}
	all = append(all, conduct.Heartbeats{}, conduct.Alive{}, ofClients(conduct.Availability{}, w), conduct.EachShard{Checker: conduct.Failovers{}})
	if stored.Shards > 1 {
		all = append(all, conduct.Shards{})
	}
	return all, nil
}

// overtime is what a deposed leader may take beside its lease: on real machines
// a process may have to wait long for a processor or a disk.
func overtime(backend string) time.Duration {
	if backend == plan.Simulated {
		return time.Second
	}
	return 20 * time.Second
}

// promises are the checkers of what the workload promises, within the bounds
// of the plan.
func promises(p plan.Plan, w workloads.Workload) []harness.Checker {
	return withinBounds(p, w.Checkers())
}

// withinBounds gives the checkers the bounds of the plan on time and memory.
func withinBounds(p plan.Plan, all []harness.Checker) []harness.Checker {
	for i, c := range all {
		switch c := c.(type) {
		case workloads.Part:
			c.Checker = withinBounds(p, []harness.Checker{c.Checker})[0]
			all[i] = c
		case linearizable.Checker:
			c.Timeout, c.MemoryBytes = time.Duration(p.CheckTime), uint64(p.CheckMemory)<<20
			all[i] = c
		case transactions.Checker:
			c.Timeout = time.Duration(p.CheckTime)
			all[i] = c
		}
	}
	return all
}

// addPartitions adds what each side of each partition kept: [conduct.Partitions] needs
// to know what the other checkers say.
func (v *Verdict) addPartitions(ctx context.Context, p plan.Plan, h *harness.History) error {
	w, err := p.Judged()
	if err != nil {
		return err
	}
	answers := promises(p, w)
	whole := harness.Valid
	for _, r := range v.Results {
		if slices.ContainsFunc(answers, func(c harness.Checker) bool { return c.Name() == r.Checker }) {
			whole = harness.Worst(whole, r.Valid)
		}
	}
	sides := conduct.Partitions{Answers: answers, Whole: whole, Looks: w.OnlyLooks, Timeout: time.Duration(p.CheckTime)}
	added := checker.CheckAll(ctx, []harness.Checker{ofClients(sides, w)}, h).Results
	v.Results = checker.Sorted(append(v.Results, added...))
	return nil
}

// served is a checker of how well a system serves, which leaves out what it must not serve.
type served struct {
	harness.Checker
	unserved []string // functions
}

// ofClients is c for the clients of a workload.
func ofClients(c harness.Checker, w workloads.Workload) harness.Checker {
	if len(w.Unserved) == 0 {
		return c
	}
	return served{c, w.Unserved}
}

// Judges implements [harness.Judging].
func (c served) Judges() harness.Subject { return harness.SubjectOf(c.Checker) }

// Needs implements [harness.Needing].
func (c served) Needs() harness.Facts { return harness.NeedsOf(c.Checker) }

// Check implements [harness.Checker].
func (c served) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	clients := *h
	clients.Operations = slices.DeleteFunc(slices.Clone(h.Operations), func(op harness.Operation) bool {
		return slices.Contains(c.unserved, op.F)
	})
	return c.Checker.Check(ctx, &clients)
}
