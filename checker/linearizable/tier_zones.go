package linearizable

import (
	"cmp"
	"context"
	"slices"

	"coup/checker/clusters"
	"coup/checker/model"
	"coup/harness"
)

// zonesTier decides registers with read, write and compare-and-set in
// O(n log n) if every value is written by at most one operation. It is exact,
// open operations included.
//
// Gibbons and Korach ("Testing shared memories", 1997) group each write with
// the reads of its value into a cluster; an explanation is an order of
// clusters. A cluster spans the zone from its first return f to its last call
// s. Cluster A must come before B if something in A returned before something
// in B was called, that is if f(A) < s(B). There is no order if and only if two
// clusters must come before each other: if there is a longer cycle, then the
// cluster with the least f in it must come before its predecessor, too.
//
// A successful compare-and-set from u to v ends the cluster of u and begins
// that of v: nothing can come between them. So clusters linked by successful
// compare-and-sets make one block, whose inner order is given, and the blocks
// take the place of the clusters.
//
// An open operation whose value was seen by somebody did happen, and so did
// what it saw itself. One whose value nobody saw can be left out: a
// compare-and-set that fails tells what it saw and is a read, so no answer
// depends on a value that nobody is told of.
func zonesTier(_ context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	if m.Kind != model.RegisterKind {
		return decision{}, false, nil
	}
	values, ok := clusters.Gather(ops)
	if !ok {
		return decision{}, false, nil
	}
	z := zones{Clusters: values}
	if proof := z.Settle(); proof != nil {
		return decision{valid: harness.Invalid, proof: proof}, true, nil
	}
	if proof := z.link(); proof != nil {
		return decision{valid: harness.Invalid, proof: proof}, true, nil
	}
	order, proof := z.order()
	if proof != nil {
		return decision{valid: harness.Invalid, proof: proof}, true, nil
	}
	return decision{valid: harness.Valid, order: order}, true, nil
}

// block is a chain of clusters, linked by compare-and-sets.
type block struct {
	root   int32 // the first cluster
	f, s   int   // the first return and the last call of its operations
	fo, so int32 // the operations whose they are
}

// zones are the clusters of a register, and the blocks that they make.
type zones struct {
	*clusters.Clusters
	blocks []block
}

// link makes blocks of clusters. It returns a proof if a value was replaced
// twice, if values replaced each other in a circle, or if the operations of a
// block cannot happen in the order of the block.
func (z *zones) link() (proof []int32) {
	if proof := z.Chain(); proof != nil {
		return proof
	}
	for i := range z.All {
		if c := &z.All[i]; c.Did && c.From == none {
			if proof := z.walk(int32(i)); proof != nil {
				return proof
			}
		}
	}
	for i := range z.All {
		if c := &z.All[i]; c.Did && !c.Linked {
			return z.Complete([]int32{int32(i)}, nil) // it has no beginning
		}
	}
	return nil
}

// walk makes a block of the clusters from root on.
func (z *zones) walk(root int32) (proof []int32) {
	b := block{root: root, f: harness.Open, s: -1, fo: none, so: none}
	if root == 0 {
		b.f = -1 // the nothing was there before all
	}
	for c := root; c != none; c = z.All[c].Next {
		z.All[c].Linked = true
		latest, by := b.s, b.so // the last call of what must happen before
		take := func(op int32) bool {
			if call := z.Ops[op].Call; call > b.s {
				b.s, b.so = call, op
			}
			if r := model.Returned(z.Ops[op]); r < b.f {
				b.f, b.fo = r, op
			}
			return model.Returned(z.Ops[op]) > latest
		}
		if w := z.All[c].Writer; w != none {
			if !take(w) {
				return z.Complete([]int32{c}, []int32{by, w})
			}
			latest, by = b.s, b.so
		}
		for r := z.All[c].Reader; r != none; r = z.Readers[r] {
			if !take(r) {
				return z.Complete([]int32{c}, []int32{by, r})
			}
		}
	}
	if b.so != none { // not the nothing that nobody saw
		z.blocks = append(z.blocks, b)
	}
	return nil
}

// order puts the blocks in order, or proves that there is none.
func (z *zones) order() (order, proof []int32) {
	left := func(b *block) int { return min(b.f, b.s) }
	slices.SortFunc(z.blocks, func(a, b block) int { return cmp.Compare(left(&a), left(&b)) })
	var forward *block // the last zone with f < s
	for i := range z.blocks {
		b := &z.blocks[i]
		if forward != nil && forward.f < b.s && b.f < forward.s {
			return nil, z.clash(forward, b)
		}
		if b.f < b.s {
			forward = b
		}
	}
	order = make([]int32, 0, len(z.Ops))
	for i := range z.blocks {
		for c := z.blocks[i].root; c != none; c = z.All[c].Next {
			if w := z.All[c].Writer; w != none {
				order = append(order, w)
			}
			for r := z.All[c].Reader; r != none; r = z.Readers[r] {
				order = append(order, r)
			}
		}
	}
	return order, nil
}

// clash is the proof that two blocks must each come before the other.
func (z *zones) clash(a, b *block) []int32 {
	ops := slices.DeleteFunc([]int32{a.fo, a.so, b.fo, b.so}, func(op int32) bool { return op == none })
	return z.Complete(z.Touching(ops...), ops)
}
