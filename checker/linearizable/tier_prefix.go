package linearizable

import (
	"cmp"
	"context"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// prefixTier decides lists whose elements are appended once each, in
// O(n log n) and what it takes to look at every element of every read. It is
// exact, open operations included.
//
// The longest read is the order of what it shows, and every other one must be
// a prefix of it. That leaves one order: an append, the reads that end with it,
// the next append, and at the end the completed appends that no read shows, in
// the order of their calls. Only reads of the same and those last appends can
// change places, which changes nothing. So it is enough to see whether an
// operation returned before one was called that is put before it.
func prefixTier(_ context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	if m.Kind != model.ListKind {
		return decision{}, false, nil
	}
	appends := make(map[int64]int32, len(ops)/2)
	var reads []int32
	for i, op := range ops {
		if op.F == "read" {
			if op.Type == harness.OK {
				reads = append(reads, int32(i))
			}
			continue
		}
		v := op.Input.(int64)
		if _, twice := appends[v]; twice {
			return decision{}, false, nil
		}
		appends[v] = int32(i)
	}
	shown := func(r int32) []int64 { return ops[r].Output.([]int64) }
	slices.SortStableFunc(reads, func(a, b int32) int { return cmp.Compare(len(shown(a)), len(shown(b))) })
	invalid := func(proof ...int32) (decision, bool, error) {
		// A proof must contain the appends of what its reads show.
		for _, op := range slices.Clone(proof) {
			if ops[op].F == "read" {
				for _, v := range shown(op) {
					if a, known := appends[v]; known {
						proof = append(proof, a)
					}
				}
			}
		}
		slices.Sort(proof)
		return decision{valid: harness.Invalid, proof: slices.Compact(proof)}, true, nil
	}

	var longest []int64
	last := none
	if n := len(reads); n > 0 {
		last = reads[n-1]
		longest = shown(last)
	}
	placed := make([]bool, len(ops))
	for _, v := range longest {
		a, known := appends[v]
		if !known || placed[a] {
			return invalid(last) // from nowhere, or twice
		}
		placed[a] = true
	}
	for _, r := range reads {
		if !slices.Equal(shown(r), longest[:len(shown(r))]) {
			return invalid(r, last)
		}
	}

	order := make([]int32, 0, len(ops))
	for next, n := 0, 0; n <= len(longest); n++ {
		if n > 0 {
			order = append(order, appends[longest[n-1]])
		}
		for ; next < len(reads) && len(shown(reads[next])) == n; next++ {
			order = append(order, reads[next])
		}
	}
	for i, op := range ops {
		if op.F == "append" && op.Type == harness.OK && !placed[i] {
			order = append(order, int32(i))
		}
	}
	latest, by := -1, none
	for at := 0; at < len(order); {
		// Reads of the same elements are next to each other.
		end := at + 1
		for end < len(order) && ops[order[at]].F == "read" && ops[order[end]].F == "read" {
			end++
		}
		for _, op := range order[at:end] {
			if model.Returned(ops[op]) < latest {
				proof := []int32{by, op}
				if last != none {
					proof = append(proof, last)
				}
				return invalid(proof...)
			}
		}
		for _, op := range order[at:end] {
			if ops[op].Call > latest {
				latest, by = ops[op].Call, op
			}
		}
		at = end
	}
	return decision{valid: harness.Valid, order: order}, true, nil
}
