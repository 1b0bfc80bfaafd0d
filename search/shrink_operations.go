package search

import (
	"fmt"
	"slices"
	"time"

	"coup/harness"
	"coup/harness/timeline"
	"coup/plan"
)

// shrinkOperations replaces what the workload draws by a list of what clients
// asked for in the best run so far, and leaves as few of that as it can.
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
		// What draws operations also draws from the seed: with the list, another seed
		// may do what this one did.
		if !s.tryOften("operations as a list", s.often(20), func(p *plan.Plan) { p.Operations = listed }) {
			return
		}
	}
	s.witnessed()
	all := s.best.Plan.Operations
	ddmin(len(all), func(keep []int) bool {
		const many = 100 // of so many, other seeds would cost too much
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

// tryOperations tries those of all operations that keep numbers.
func (s *shrinking) tryOperations(tries int, all []plan.Operation, keep []int) bool {
	if len(keep) == 0 {
		return false // no list is no empty list
	}
	return s.tryOften(fmt.Sprintf("%d of %d operations", len(keep), len(s.best.Plan.Operations)), tries, func(p *plan.Plan) {
		p.Operations = nil
		for _, i := range keep {
			p.Operations = append(p.Operations, all[i])
		}
	})
}

// fewerStill looks harder where few operations are left that can't do without any
// one of them. An operation that contradicts nothing may be there for what it does
// to the times of others, which another seed does as well, or for another such one.
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

// often is the number of tries for what is worth so many times as many: on
// simulated machines other seeds cost little.
func (s *shrinking) often(times int) int {
	if s.best.Plan.Backend != "sim" {
		return s.o.Tries
	}
	return times * s.o.Tries
}

// witnessed tries at once what often is enough: the operations of the
// counterexample. Without all others, another node may lead when they come: with
// another seed the right one may.
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
