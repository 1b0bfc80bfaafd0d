package search

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"coup/harness"
	"coup/judge"
	"coup/plan"
	"coup/results"
	"coup/runner"
	"coup/workloads"
)

// ShrinkOptions are the options of a shrink, beside its run.
type ShrinkOptions struct {
	runner.Options
	// Tries is how often a smaller plan may be run until it fails; 0: once with
	// its own seed and twice with others.
	Tries int
	// Runs is how many runs the search may take; 0: [DefaultShrinkRuns].
	Runs int
	// Keep names the checkers of which one has to find a violation still; nil: those that
	// found one in what clients were answered, or if there is none, all that found one.
	Keep []string
	// Step is called after every plan that was tried. May be nil.
	Step func(ShrinkStep)
}

// DefaultShrinkRuns bounds a search. A failure that needs hundreds of operations takes
// one to three runs for each of them, in every round.
const DefaultShrinkRuns = 1000

// ShrinkStep is one smaller plan that was tried.
type ShrinkStep struct {
	What  string // what was left out
	Fails bool   // it fails the same way: it is the best so far
	Runs  int    // so far
	Best  plan.Plan
}

// Shrunk is the result of a shrink.
type Shrunk struct {
	Dir     string // of a run of the smallest plan that fails the same way
	Plan    plan.Plan
	Verdict judge.Verdict
	Runs    int
	Bounded bool // it stopped because it had used up its runs
	Before  plan.Plan
}

// Shrink searches for the smallest plan that fails the same way as the run in
// dir: first with fewer faults, nodes, processes and objects and a shorter load, then
// with a list of as few operations as possible. When soft ends, or the runs are used
// up, it stops with the best plan so far, which is the plan of the run itself if nothing
// smaller was found.
func Shrink(ctx, soft context.Context, dir string, o ShrinkOptions) (Shrunk, error) {
	var stored plan.Stored
	if err := results.ReadJSON(dir, results.PlanFile, &stored); err != nil {
		return Shrunk{}, &judge.InputError{Err: err}
	}
	var verdict judge.Verdict
	if err := results.ReadJSON(dir, results.VerdictFile, &verdict); err != nil {
		return Shrunk{}, err
	}
	if verdict.Valid != harness.Invalid {
		return Shrunk{}, fmt.Errorf("%s is %s: there is no violation to keep", dir, verdict.Valid)
	}
	if o.Tries == 0 {
		o.Tries = 3
	}
	if o.Runs == 0 {
		o.Runs = DefaultShrinkRuns
	}
	want, err := toKeep(verdict, o.Keep)
	if err != nil {
		return Shrunk{}, &judge.InputError{Err: fmt.Errorf("%s: %w", dir, err)}
	}
	for i, name := range want {
		want[i] = withWorkload(name, stored.Plan)
	}
	s := &shrinking{ctx: ctx, soft: soft, o: o, want: want}
	s.best = Shrunk{Dir: dir, Plan: stored.Plan, Verdict: verdict, Before: stored.Plan}
	if err := s.look(dir); err != nil {
		return Shrunk{}, err
	}
	if stored.Plan.Backend == "sim" {
		sys, err := stored.Plan.FindSystem()
		if err != nil {
			return Shrunk{}, err
		}
		program, err := runner.SimulatedProgram(stored.Plan, sys)
		if err != nil {
			return Shrunk{}, err
		}
		// Another program may not fail with this seed. Then the whole search would be
		// in vain.
		if program.Hash != stored.Module && !s.run(stored.Plan) && s.err == nil {
			return Shrunk{}, fmt.Errorf("%s was recorded with another program of the nodes (%.12s), and this one (%.12s) does not fail so: give that one with --node, or hunt for a seed of this one", dir, stored.Module, program.Hash)
		}
	}
	for {
		before := s.best.Plan
		// The passes that make all later runs shorter come first.
		for _, pass := range []func(*shrinking){
			shrinkEnd, shrinkWorkloads, shrinkNodes, shrinkLoad, shrinkSchedule, shrinkTime, shrinkStrikes,
		} {
			pass(s)
		}
		if equalPlans(before, s.best.Plan) || s.best.Plan.Operations != nil {
			shrinkOperations(s) // last, because listed operations are not drawn any more
		}
		if s.err != nil || s.over() || equalPlans(before, s.best.Plan) {
			s.best.Runs, s.best.Bounded = s.runs, s.runs >= s.o.Runs
			return s.best, s.err
		}
	}
}

// toKeep are the names of checkers of which at least one must still find a violation:
// this is what failing the same way means. Checkers of what clients saw come first;
// otherwise the search could end at another violation that is easier to cause.
func toKeep(v judge.Verdict, named []string) ([]string, error) {
	all := broken(v)
	for _, name := range named {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("%s found no violation (%s did)", name, strings.Join(all, ", "))
		}
	}
	if named != nil {
		return named, nil
	}
	var answers judge.Verdict
	for _, r := range v.Results {
		if r.Judges == harness.Answers {
			answers.Results = append(answers.Results, r)
		}
	}
	if seen := broken(answers); len(seen) > 0 {
		return seen, nil
	}
	return all, nil
}

// broken are the names of the checkers that found a violation.
func broken(v judge.Verdict) (names []string) {
	for _, r := range v.Results {
		if r.Valid == harness.Invalid {
			names = append(names, r.Checker)
		}
	}
	return names
}

type shrinking struct {
	ctx, soft context.Context
	o         ShrinkOptions
	want      []string
	best      Shrunk
	own       string        // the run directory of best, if it was made here
	after     time.Duration // how long the load of the best lasted until the violation ended it; 0: it did not
	known     map[[sha256.Size]byte]bool
	runs      int
	err       error
}

func (s *shrinking) over() bool {
	return s.err != nil || s.runs >= s.o.Runs || s.soft.Err() != nil || s.ctx.Err() != nil
}

// try runs a changed plan, and keeps it if it fails the same way.
func (s *shrinking) try(what string, change func(*plan.Plan)) bool {
	return s.tryOften(what, s.o.Tries, change)
}

// tryOften is like try, up to so many times with different seeds.
func (s *shrinking) tryOften(what string, tries int, change func(*plan.Plan)) bool {
	if s.over() {
		return false
	}
	p := s.best.Plan
	p.Schedule, p.Operations = slices.Clone(p.Schedule), slices.Clone(p.Operations)
	change(&p)
	p.Nemesis = faultsOf(p.Schedule)
	if p.Resolve() != nil || equalPlans(p, s.best.Plan) {
		return false
	}
	fails, runs := false, s.runs
	for i := 0; i < tries && !fails && !s.over(); i++ {
		candidate := p
		if p.Backend == "sim" {
			candidate.Seed += uint64(i) // the same seed again would do the same
			if s.isKnown(candidate) {
				continue
			}
		}
		fails = s.run(candidate)
	}
	if runs == s.runs {
		return false
	}
	if s.o.Step != nil && !s.over() {
		s.o.Step(ShrinkStep{What: what, Fails: fails, Runs: s.runs, Best: s.best.Plan})
	}
	return fails
}

// isKnown reports whether the plan was tried before. A simulated run would have the same
// result again.
func (s *shrinking) isKnown(p plan.Plan) bool {
	b, err := json.Marshal(p)
	if err != nil {
		return false // running it will tell
	}
	sum := sha256.Sum256(b)
	known := s.known[sum]
	if s.known == nil {
		s.known = map[[sha256.Size]byte]bool{}
	}
	s.known[sum] = true
	return known
}

func (s *shrinking) run(p plan.Plan) (fails bool) {
	dir, v, err := runner.Run(s.ctx, s.soft, p, s.o.Options)
	s.runs++
	if err != nil {
		if s.ctx.Err() == nil {
			s.err = errors.Join(s.err, err)
		}
		return false
	}
	if v.Valid == harness.Invalid && slices.ContainsFunc(broken(v), func(c string) bool { return slices.Contains(s.want, withWorkload(c, p)) }) {
		if s.own != "" {
			os.RemoveAll(s.own)
		}
		s.own = dir
		s.best.Dir, s.best.Plan, s.best.Verdict = dir, p, v
		s.err = s.look(dir)
		return true
	}
	os.RemoveAll(dir)
	return false
}

// faultsOf lists the faults of a schedule, as the plan's field nemesis does.
func faultsOf(schedule []plan.Strike) []string {
	all := []string{}
	for _, s := range schedule {
		if f := s.Fault + ":" + s.Target; !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all
}

// look records how long the load of the run in dir lasted, if the violation ended it.
func (s *shrinking) look(dir string) (err error) {
	s.after, _, err = tillViolation(dir)
	return err
}

func equalPlans(a, b plan.Plan) bool {
	return a.Workload == b.Workload && a.FailFast == b.FailFast && a.Nodes == b.Nodes && a.Time == b.Time && a.Concurrency == b.Concurrency && a.Rate == b.Rate &&
		a.Keys == b.Keys && slices.Equal(a.Schedule, b.Schedule) && slices.Equal(a.Operations, b.Operations)
}

// shrinkSchedule leaves out strikes.
func shrinkSchedule(s *shrinking) {
	all := s.best.Plan.Schedule
	ddmin(len(all), func(keep []int) bool {
		return s.try(fmt.Sprintf("%d of %d strikes", len(keep), len(s.best.Plan.Schedule)), func(p *plan.Plan) {
			p.Schedule = []plan.Strike{}
			for _, i := range keep {
				p.Schedule = append(p.Schedule, all[i])
			}
		})
	}, s.over)
}

// shrinkEnd ends the load at the violation, if that can be found while the run goes on.
func shrinkEnd(s *shrinking) {
	s.try("ending at the violation", func(p *plan.Plan) { p.FailFast = true })
	if s.after > 0 {
		s.try("no time beyond the violation", func(p *plan.Plan) {
			setTime(p, (s.after + time.Second).Truncate(time.Second))
		})
	}
}

// shrinkWorkloads leaves out workloads, of several.
func shrinkWorkloads(s *shrinking) {
	all := workloads.Split(s.best.Plan.Workload)
	if len(all) == 1 || s.best.Plan.Operations != nil {
		return // operations that are listed are left out one by one
	}
	var failed []string // those that found a violation are the likeliest to need no other
	for _, name := range s.want {
		if _, w := workloads.Without(name); w != "" && !slices.Contains(failed, w) {
			failed = append(failed, w)
		}
	}
	for _, w := range failed {
		if s.try("only the workload "+w, func(p *plan.Plan) { setWorkload(p, w) }) {
			return
		}
	}
	ddmin(len(all), func(keep []int) bool {
		if len(keep) == 0 {
			return false
		}
		var left []string
		for _, i := range keep {
			left = append(left, all[i])
		}
		return s.try(fmt.Sprintf("%d of %d workloads", len(left), len(workloads.Split(s.best.Plan.Workload))), func(p *plan.Plan) { setWorkload(p, strings.Join(left, ",")) })
	}, s.over)
}

// setWorkload asks for fewer workloads. None of those left may know what was promised.
func setWorkload(p *plan.Plan, w string) {
	p.Workload = w
	if _, err := p.Judged(); err != nil {
		p.Consistency = ""
	}
}

// withWorkload is the name that a checker of what clients saw has in a load of several
// workloads, whether the plan has several or one.
func withWorkload(checker string, p plan.Plan) string {
	w, err := p.Judged()
	if err != nil {
		return checker
	}
	for _, c := range w.Checkers() {
		if c.Name() == checker && len(workloads.Split(p.Workload)) == 1 {
			return workloads.Part{Of: p.Workload, Checker: c}.Name()
		}
	}
	return checker
}

// setTime ends the load, and every strike, at d. Listed operations for the time after
// the load are moved along with its end.
func setTime(p *plan.Plan, d time.Duration) {
	const shortest = time.Second
	before := p.Time
	p.Time = min(p.Time, plan.Duration(max(shortest, d)))
	p.Operations = slices.DeleteFunc(p.Operations, func(o plan.Operation) bool { return o.At >= p.Time && o.At < before })
	for i, o := range p.Operations {
		if o.At >= before {
			p.Operations[i].At -= before - p.Time
		}
	}
	p.Schedule = slices.DeleteFunc(p.Schedule, func(st plan.Strike) bool { return st.At >= p.Time })
	for i := range p.Schedule {
		p.Schedule[i].For = min(p.Schedule[i].For, p.Time-p.Schedule[i].At)
	}
}

// shrinkTime ends the load sooner.
func shrinkTime(s *shrinking) {
	for _, part := range []float64{0.25, 0.5, 0.75, 0.9} {
		for s.try(fmt.Sprintf("%.0f%% of the time", 100*part), func(p *plan.Plan) {
			setTime(p, time.Duration(part*float64(p.Time)).Truncate(100*time.Millisecond))
		}) {
		}
	}
}

func shrinkNodes(s *shrinking) {
	for _, n := range []int{1, 2, 3, 5, 7} {
		if n < s.best.Plan.Nodes && s.try(fmt.Sprintf("%d nodes", n), func(p *plan.Plan) { p.Nodes = n }) {
			return
		}
	}
}

// shrinkLoad takes away clients and objects, and lowers the rate.
func shrinkLoad(s *shrinking) {
	if s.best.Plan.Operations != nil {
		return
	}
	for _, n := range []int{1, 2, 3, 5, 8} {
		if n < s.best.Plan.Concurrency && s.try(fmt.Sprintf("%d processes", n), func(p *plan.Plan) { p.Concurrency = n }) {
			break
		}
	}
	for _, n := range []int{1, 2, 3} {
		if n < s.best.Plan.Keys && s.try(fmt.Sprintf("%d objects", n), func(p *plan.Plan) { p.Keys = n }) {
			break
		}
	}
	for _, rate := range []float64{5, 10, 20, 50, 100} {
		if (s.best.Plan.Rate == 0 || rate < s.best.Plan.Rate) && s.try(fmt.Sprintf("%g operations a second", rate), func(p *plan.Plan) { p.Rate = rate }) {
			break
		}
	}
}

// shrinkStrikes makes everything begin sooner, and each strike shorter.
func shrinkStrikes(s *shrinking) {
	s.try("everything sooner", func(p *plan.Plan) {
		first := p.Time
		for _, st := range p.Schedule {
			first = min(first, st.At)
		}
		for _, o := range p.Operations {
			first = min(first, o.At)
		}
		for i := range p.Schedule {
			p.Schedule[i].At -= first / 2
		}
		for i := range p.Operations {
			p.Operations[i].At -= first / 2
		}
	})
	for i := range s.best.Plan.Schedule {
		s.try(fmt.Sprintf("strike %d half as long", i+1), func(p *plan.Plan) {
			p.Schedule[i].For = max(p.Schedule[i].For/2, plan.Duration(100*time.Millisecond))
		})
	}
}
