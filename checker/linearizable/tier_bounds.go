package linearizable

import (
	"context"
	"slices"

	"coup/checker/elements"
	"coup/checker/model"
	"coup/harness"
)

// boundsTier finds counters that show too little or too much, in O(n log n): a
// read must lie between what was acknowledged before it began and what had
// begun when it ended (see [elements.Counter]). What lies within these bounds it leaves
// to others: whether adds of different amounts make a sum is a hard question
// (subset sum).
func boundsTier(_ context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	if m.Kind != model.CounterKind {
		return decision{}, false, nil
	}
	wrong := elements.WrongReads(ops)
	until := harness.Open // the first read that is wrong, and all before it, are the proof
	for _, proof := range wrong {
		if len(proof) > 0 {
			until = min(until, proof[len(proof)-1].Return)
		}
	}
	if until == harness.Open {
		return decision{}, false, nil
	}
	var proof []int32
	for i, op := range ops {
		last := op.Return == until
		if op.Call < until && (last || op.F == "add" || slices.ContainsFunc(wrong["backward"], func(o harness.Operation) bool { return o.Call == op.Call })) {
			proof = append(proof, int32(i))
		}
	}
	return decision{valid: harness.Invalid, proof: proof}, true, nil
}
