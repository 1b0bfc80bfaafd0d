package linearizable

import (
	"cmp"
	"context"
	"slices"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// turnsTier decides mutexes in O(n log n). It is exact, open operations included.
//
// Acquire and release take turns, so at every moment it is clear which function
// comes next, and it does not matter which process calls it. Before an operation
// returns, it must have taken effect, and nothing else needs to: so what takes
// effect before the return is that operation, or one of the other function and
// then that one. Of several that could be the other one, the one that returns
// first is taken, open ones last: an order that uses another one now and this one
// later stays an order if the two change places. More than these are never needed
// before a return: in an order in which more took effect, move the one that
// returns forward to the first turn of its function, and those that it passes keep
// their turns.
func turnsTier(_ context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	if m.Kind != model.MutexKind {
		return decision{}, false, nil
	}
	var returns []int32
	for i, op := range ops {
		if op.Type == harness.OK {
			returns = append(returns, int32(i))
		}
	}
	slices.SortFunc(returns, func(a, b int32) int { return cmp.Compare(ops[a].Return, ops[b].Return) })
	rank := make([]int64, len(ops))
	for n, op := range returns {
		rank[op] = int64(n)
	}

	const acquire, release = 0, 1
	function := func(op int32) int {
		if ops[op].F == "acquire" {
			return acquire
		}
		return release
	}
	var waiting [2]smallest // completed operations under way, by their returns
	var open [2][]int32     // open ones
	done := make([]bool, len(ops))
	order := make([]int32, 0, len(ops))
	turn, next := acquire, 0
	take := func() bool {
		op := none
		switch {
		case len(waiting[turn]) > 0:
			op = returns[waiting[turn].take()]
		case len(open[turn]) > 0:
			op, open[turn] = open[turn][0], open[turn][1:]
		default:
			return false
		}
		done[op] = true
		order = append(order, op)
		turn = 1 - turn
		return true
	}
	for _, must := range returns {
		for ; next < len(ops) && ops[next].Call < ops[must].Return; next++ {
			if f := function(int32(next)); ops[next].Type == harness.OK {
				waiting[f].add(rank[next])
			} else {
				open[f] = append(open[f], int32(next))
			}
		}
		for !done[must] {
			if !take() {
				var proof []int32
				for op := range next {
					proof = append(proof, int32(op))
				}
				return decision{valid: harness.Invalid, proof: proof, until: ops[must].Return}, true, nil
			}
		}
	}
	return decision{valid: harness.Valid, order: order}, true, nil
}

// crowding finds why the return at a position is the first that no turns explain:
// a time, as short as possible, in which more operations of one function began and
// ended than of the other were under way. whole is all that was done to the mutex.
func crowding(whole []*harness.Operation, until int) (c story.Crowded, ok bool) {
	var to *harness.Operation
	for _, op := range whole {
		if model.Returned(op) == until {
			to = op
		}
	}
	if to == nil {
		return c, false
	}
	// From the end on: where another operation of its function is called, one more
	// began and ended, and those of the other function that returned later were
	// under way.
	var others []int // returns
	begun := 0
	for _, op := range whole {
		if op.F != to.F && op.Type != harness.Fail && op.Call < until {
			others = append(others, model.Returned(op))
			begun++
		}
	}
	slices.Sort(others)
	did := 0
	for _, op := range slices.Backward(whole) {
		if op.F != to.F || op.Type != harness.OK || op.Return > until {
			continue
		}
		did++
		over, _ := slices.BinarySearch(others, op.Call)
		if did > begun-over+1 {
			c = story.CrowdedIn(whole, to.F, op, to)
			return c, c.Holds(whole)
		}
	}
	c = story.CrowdedIn(whole, to.F, nil, to)
	return c, c.Holds(whole)
}

// crowd are the operations of a time in which there were too many of one function.
func crowd(whole []*harness.Operation, c story.Crowded) (ops []harness.Operation) {
	begin := -1
	if c.From != nil {
		begin = c.From.Call
	}
	for _, op := range whole {
		did := op.F == c.F && op.Type == harness.OK && op.Call >= begin && op.Return <= c.To.Return
		other := op.F != c.F && op.Type != harness.Fail && op.Call < c.To.Return && model.Returned(op) > begin
		if did || other {
			ops = append(ops, *op)
		}
	}
	return model.Prefix(ops, c.To.Return)
}
