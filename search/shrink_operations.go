package search

import (
	"fmt"
	"slices"
	"time"

	"coup/harness"
	"coup/harness/timeline"
	"coup/plan"
)

// shrinkOperations replaces what the workload draws by a list of the operations of
// the best run so far, and leaves out as many of them as it can.
func shrinkOperations(s *shrinking) {
	if s.best.Plan.Operations == nil {
		if s.over() {
			return
		}
		listed, err := operationsOf(s.best.Dir)
		if err != nil || len(listed) == 0 {
			s.err = err
			return
		}
		// Drawing operations takes random numbers from the seed. With a list nothing is
		// drawn, so another seed may be needed to fail in the same way.
		if !s.tryOften("operations as a list", s.often(20), func(p *plan.Plan) { p.Operations = listed }) {
			return
		}
	}
	s.witnessed()
	all := s.best.Plan.Operations
	ddmin(len(all), func(keep []int) bool {
		const many = 100 // for more operations than this, trying other seeds would cost too much
		if len(keep) > many {
			return s.tryOperations(1, all, keep)
		}
		return s.tryOperations(s.o.Tries, all, keep)
	}, s.over)
	for s.fewerStill() {
	}
	shrinkClients(s)
	roundOperations(s)
}

// tryOperations tries only those operations of all whose indexes are in keep.
func (s *shrinking) tryOperations(tries int, all []plan.Operation, keep []int) bool {
	if len(keep) == 0 {
		return false // an empty list would mean that the workload draws operations again
	}
	return s.tryOften(fmt.Sprintf("%d of %d operations", len(keep), len(s.best.Plan.Operations)), tries, func(p *plan.Plan) {
		p.Operations = nil
		for _, i := range keep {
			p.Operations = append(p.Operations, all[i])
		}
	})
}

// fewerStill looks harder when few operations are left and none can be left out. An
// operation that is no part of the contradiction may only be needed because it shifts
// the times of others. Another seed can do that as well, so more seeds are tried, and
// pairs of operations are left out together.
func (s *shrinking) fewerStill() bool {
	const few = 8
	all := s.best.Plan.Operations
	if len(all) > few {
		return false
	}
	without := func(gone ...int) (keep []int) {
		for i := range all {
			if !slices.Contains(gone, i) {
				keep = append(keep, i)
			}
		}
		return keep
	}
	for i := range all {
		if s.tryOperations(s.often(3), all, without(i)) {
			return true
		}
	}
	for i := range all {
		for j := range i {
			if s.tryOperations(1, all, without(i, j)) {
				return true
			}
		}
	}
	return false
}

// often is how often a plan is tried that is worth so many times the usual number of
// tries. Only on simulated machines, where another seed costs little.
func (s *shrinking) often(times int) int {
	if s.best.Plan.Backend != "sim" {
		return s.o.Tries
	}
	return times * s.o.Tries
}

// witnessed tries only the operations of the counterexample, which are often enough.
// Without the others, another node may lead when they are called, so several seeds are
// tried.
func (s *shrinking) witnessed() {
	_, h, err := tillViolation(s.best.Dir)
	if err != nil {
		s.err = err
		return
	}
	from, _ := timeline.Load(h)
	starts := map[plan.Duration]bool{}
	for _, r := range s.best.Verdict.Results {
		if r.Valid == harness.Invalid && r.Counterexample != nil {
			for _, w := range r.Counterexample.Witness {
				starts[plan.Duration(time.Duration(w.Start)-from)] = true
			}
		}
	}
	if len(starts) == 0 {
		return // what the nodes did was wrong, and no answer
	}
	s.tryOften("the operations of the counterexample", s.often(10), func(p *plan.Plan) {
		p.Operations = slices.DeleteFunc(p.Operations, func(o plan.Operation) bool { return !starts[o.At] })
	})
}

// shrinkClients gives the operations to fewer clients, or at least to the first ones.
func shrinkClients(s *shrinking) {
	for n := 1; n <= s.clients() && !s.over(); n++ {
		if s.try(fmt.Sprintf("%d clients", n), func(p *plan.Plan) {
			place := map[int]int{}
			for i, o := range p.Operations {
				if _, ok := place[o.Client]; !ok {
					place[o.Client] = len(place) % n
				}
				p.Operations[i].Client = place[o.Client]
			}
			p.Concurrency = n
		}) {
			return
		}
	}
	s.try("no idle clients", func(p *plan.Plan) {
		p.Concurrency = 1
		for _, o := range p.Operations {
			p.Concurrency = max(p.Concurrency, o.Client+1)
		}
	})
}

// clients is how many clients have anything to do.
func (s *shrinking) clients() int {
	busy := map[int]bool{}
	for _, o := range s.best.Plan.Operations {
		busy[o.Client] = true
	}
	return len(busy)
}

// roundOperations makes the times of operations as round as they can be.
func roundOperations(s *shrinking) {
	for _, unit := range []time.Duration{100 * time.Millisecond, 10 * time.Millisecond, time.Millisecond} {
		if s.try(fmt.Sprintf("operations at multiples of %v", unit), func(p *plan.Plan) {
			for i, o := range p.Operations {
				p.Operations[i].At = plan.Duration(time.Duration(o.At).Round(unit))
			}
		}) {
			return
		}
	}
}
