package linearizable

import (
	"cmp"
	"context"
	"slices"

	"coup/checker/model"
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
