package checker

import (
	"cmp"
	"context"
	"slices"

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
func zonesTier(_ context.Context, m Model, ops []*harness.Operation) (decision, bool, error) {
	if m.kind != registerKind {
		return decision{}, false, nil
	}
	z := zones{ops: ops}
	if !z.gather() {
		return decision{}, false, nil
	}
	if proof := z.settle(); proof != nil {
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

// none stands for no operation or no cluster.
const none = int32(-1)

// cluster is a value of a register with the operations that wrote and saw it.
// Cluster 0 is the nothing before the first write.
type cluster struct {
	writer int32 // the operation that may have written the value
	from   int32 // the cluster that the writer saw, if it is a compare-and-set
	next   int32 // the cluster that replaced this one by compare-and-set
	reader int32 // the first of a list of operations that saw the value
	by     int32 // an operation that took effect and saw the value
	did    bool  // the writer took effect
	linked bool  // it stands in a block
}

// block is a chain of clusters, linked by compare-and-sets.
type block struct {
	root   int32 // the first cluster
	f, s   int   // the first return and the last call of its operations
	fo, so int32 // the operations whose they are
}

type zones struct {
	ops      []*harness.Operation
	clusters []cluster
	byValue  map[int64]int32
	readers  []int32 // for each operation the next reader of the same value
	blocks   []block
}

func (z *zones) cluster(v Maybe) int32 {
	if !v.Set {
		return 0
	}
	c, ok := z.byValue[v.Int]
	if !ok {
		c = int32(len(z.clusters))
		z.byValue[v.Int] = c
		z.clusters = append(z.clusters, cluster{writer: none, from: none, next: none, reader: none, by: none})
	}
	return c
}

// gather finds the clusters. It returns false if a value has two writers, or if
// an operation tells what the register did not hold.
func (z *zones) gather() bool {
	z.byValue = make(map[int64]int32, len(z.ops)/2)
	z.clusters = append(make([]cluster, 0, len(z.ops)/2), cluster{writer: none, from: none, next: none, reader: none, by: none, did: true})
	z.readers = make([]int32, len(z.ops))
	for i := len(z.ops) - 1; i >= 0; i-- { // backwards: lists of readers grow at their head
		r := registerOp(z.ops[i])
		switch {
		case r.avoids: // which open operations took effect can matter to it
			return false
		case r.observes && (!r.writes || r.saw == Just(r.to)): // replacing a value by itself only reads
			c := z.cluster(r.saw)
			z.readers[i] = z.clusters[c].reader
			z.clusters[c].reader = int32(i)
		case r.compares && r.from == Just(r.to), !r.writes:
		default:
			from := none
			if r.observes {
				from = z.cluster(r.saw)
			} else if r.compares {
				from = z.cluster(r.from)
			}
			c := &z.clusters[z.cluster(Just(r.to))]
			if c.writer != none {
				return false
			}
			c.writer, c.from = int32(i), from
			c.did = z.ops[i].Type == harness.OK
		}
	}
	return true
}

// settle finds out which open operations took effect: those whose value was
// seen. It returns a proof if a value was seen that nobody wrote.
func (z *zones) settle() (proof []int32) {
	var todo []int32
	see := func(c, by int32) {
		if z.clusters[c].by == none {
			z.clusters[c].by = by
			todo = append(todo, c)
		}
	}
	for i := range z.clusters {
		c := &z.clusters[i]
		if c.reader != none {
			see(int32(i), c.reader)
		}
		if c.did && c.from != none {
			see(c.from, c.writer)
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		c := &z.clusters[i]
		if c.writer == none && i != 0 {
			seen := map[int32]bool{}
			z.sight(i, seen)
			return sorted(seen)
		}
		if !c.did {
			c.did = true
			if c.from != none {
				see(c.from, c.writer)
			}
		}
	}
	return nil
}

// link makes blocks of clusters. It returns a proof if a value was replaced
// twice, if values replaced each other in a circle, or if the operations of a
// block cannot happen in the order of the block.
func (z *zones) link() (proof []int32) {
	if proof := z.chain(); proof != nil {
		return proof
	}
	for i := range z.clusters {
		if c := &z.clusters[i]; c.did && c.from == none {
			if proof := z.walk(int32(i)); proof != nil {
				return proof
			}
		}
	}
	for i := range z.clusters {
		if c := &z.clusters[i]; c.did && !c.linked {
			return z.closed([]int32{int32(i)}, nil) // it has no beginning
		}
	}
	return nil
}

// chain links the clusters of compare-and-sets to what they saw. It returns a
// proof if a value was replaced twice.
func (z *zones) chain() []int32 {
	for i := range z.clusters {
		c := &z.clusters[i]
		if !c.did || c.from == none {
			continue
		}
		from := &z.clusters[c.from]
		if from.next != none {
			return z.closed([]int32{int32(i), from.next}, nil)
		}
		from.next = int32(i)
	}
	return nil
}

// walk makes a block of the clusters from root on.
func (z *zones) walk(root int32) (proof []int32) {
	b := block{root: root, f: harness.Open, s: -1, fo: none, so: none}
	if root == 0 {
		b.f = -1 // the nothing was there before all
	}
	for c := root; c != none; c = z.clusters[c].next {
		z.clusters[c].linked = true
		latest, by := b.s, b.so // the last call of what must happen before
		take := func(op int32) bool {
			if call := z.ops[op].Call; call > b.s {
				b.s, b.so = call, op
			}
			if r := ret(z.ops[op]); r < b.f {
				b.f, b.fo = r, op
			}
			return ret(z.ops[op]) > latest
		}
		if w := z.clusters[c].writer; w != none {
			if !take(w) {
				return z.closed([]int32{c}, []int32{by, w})
			}
			latest, by = b.s, b.so
		}
		for r := z.clusters[c].reader; r != none; r = z.readers[r] {
			if !take(r) {
				return z.closed([]int32{c}, []int32{by, r})
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
	order = make([]int32, 0, len(z.ops))
	for i := range z.blocks {
		for c := z.blocks[i].root; c != none; c = z.clusters[c].next {
			if w := z.clusters[c].writer; w != none {
				order = append(order, w)
			}
			for r := z.clusters[c].reader; r != none; r = z.readers[r] {
				order = append(order, r)
			}
		}
	}
	return order, nil
}

// clash is the proof that two blocks must each come before the other.
func (z *zones) clash(a, b *block) []int32 {
	ops := slices.DeleteFunc([]int32{a.fo, a.so, b.fo, b.so}, func(op int32) bool { return op == none })
	return z.closed(z.clustersOf(ops...), ops)
}

// clustersOf are the clusters that the operations belong to.
func (z *zones) clustersOf(ops ...int32) (clusters []int32) {
	for _, op := range ops {
		r := registerOp(z.ops[op])
		if r.observes {
			clusters = append(clusters, z.cluster(r.saw))
		}
		if r.writes && r.saw != Just(r.to) {
			clusters = append(clusters, z.cluster(Just(r.to)))
		}
	}
	return clusters
}

// closed adds to ops the writers of the clusters and of all that they came
// from, so that every value that is seen in a proof is written in it, and
// somebody who saw the values that open operations wrote.
func (z *zones) closed(clusters, ops []int32) []int32 {
	proof := map[int32]bool{}
	for _, op := range ops {
		proof[op] = true
	}
	done := map[int32]bool{}
	for _, c := range clusters {
		for ; c != none && !done[c]; c = z.clusters[c].from {
			done[c] = true
			if w := z.clusters[c].writer; w != none {
				proof[w] = true
				if z.ops[w].Type != harness.OK {
					z.sight(c, proof)
				}
			}
		}
	}
	return sorted(proof)
}

// sight adds to the proof that somebody saw the value of c: an operation that
// did, and if that is open itself, one that saw its own value.
func (z *zones) sight(c int32, proof map[int32]bool) {
	for {
		by := z.clusters[c].by
		proof[by] = true
		if z.ops[by].Type == harness.OK {
			return
		}
		c = z.cluster(Just(registerOp(z.ops[by]).to))
	}
}

func sorted(set map[int32]bool) []int32 {
	list := make([]int32, 0, len(set))
	for op := range set {
		list = append(list, op)
	}
	slices.Sort(list)
	return list
}
