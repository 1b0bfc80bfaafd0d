package checker

import (
	"slices"

	"coup/checker/model"
	"coup/harness"
)

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

// clusters are the operations on one register, by value.
type clusters struct {
	ops     []*harness.Operation
	all     []cluster
	readers []int32 // for each operation the next reader of the same value
	byValue map[int64]int32
}

func (z *clusters) cluster(v model.Maybe) int32 {
	if !v.Set {
		return 0
	}
	c, ok := z.byValue[v.Int]
	if !ok {
		c = int32(len(z.all))
		z.byValue[v.Int] = c
		z.all = append(z.all, cluster{writer: none, from: none, next: none, reader: none, by: none})
	}
	return c
}

// gatherClusters groups operations, which come in the order of their calls, into
// clusters. It returns false if a value has two writers, or if an operation tells
// what the register did not hold.
func gatherClusters(ops []*harness.Operation) (*clusters, bool) {
	z := &clusters{ops: ops}
	z.byValue = make(map[int64]int32, len(z.ops)/2)
	z.all = append(make([]cluster, 0, len(z.ops)/2), cluster{writer: none, from: none, next: none, reader: none, by: none, did: true})
	z.readers = make([]int32, len(z.ops))
	for i := len(z.ops) - 1; i >= 0; i-- { // backwards: lists of readers grow at their head
		r := model.RegisterEffectOf(z.ops[i])
		switch {
		case r.Avoids: // which open operations took effect can matter to it
			return nil, false
		case r.Observes && (!r.Writes || r.Saw == model.Just(r.To)): // replacing a value by itself only reads
			c := z.cluster(r.Saw)
			z.readers[i] = z.all[c].reader
			z.all[c].reader = int32(i)
		case r.Compares && r.From == model.Just(r.To), !r.Writes:
		default:
			from := none
			if r.Observes {
				from = z.cluster(r.Saw)
			} else if r.Compares {
				from = z.cluster(r.From)
			}
			c := &z.all[z.cluster(model.Just(r.To))]
			if c.writer != none {
				return nil, false
			}
			c.writer, c.from = int32(i), from
			c.did = z.ops[i].Type == harness.OK
		}
	}
	return z, true
}

// settle finds out which open operations took effect: those whose value was
// seen. It returns a proof if a value was seen that nobody wrote.
func (z *clusters) settle() (proof []int32) {
	var todo []int32
	see := func(c, by int32) {
		if z.all[c].by == none {
			z.all[c].by = by
			todo = append(todo, c)
		}
	}
	for i := range z.all {
		c := &z.all[i]
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
		c := &z.all[i]
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

// chain links the clusters of compare-and-sets to what they saw. It returns a
// proof if a value was replaced twice.
func (z *clusters) chain() []int32 {
	for i := range z.all {
		c := &z.all[i]
		if !c.did || c.from == none {
			continue
		}
		from := &z.all[c.from]
		if from.next != none {
			return z.closed([]int32{int32(i), from.next}, nil)
		}
		from.next = int32(i)
	}
	return nil
}

// clustersOf are the clusters that the operations belong to.
func (z *clusters) clustersOf(ops ...int32) (clusters []int32) {
	for _, op := range ops {
		r := model.RegisterEffectOf(z.ops[op])
		if r.Observes {
			clusters = append(clusters, z.cluster(r.Saw))
		}
		if r.Writes && r.Saw != model.Just(r.To) {
			clusters = append(clusters, z.cluster(model.Just(r.To)))
		}
	}
	return clusters
}

// closed adds to ops the writers of the clusters and of all that they came
// from, so that every value that is seen in a proof is written in it, and
// somebody who saw the values that open operations wrote.
func (z *clusters) closed(clusters, ops []int32) []int32 {
	proof := map[int32]bool{}
	for _, op := range ops {
		proof[op] = true
	}
	done := map[int32]bool{}
	for _, c := range clusters {
		for ; c != none && !done[c]; c = z.all[c].from {
			done[c] = true
			if w := z.all[c].writer; w != none {
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
func (z *clusters) sight(c int32, proof map[int32]bool) {
	for {
		by := z.all[c].by
		proof[by] = true
		if z.ops[by].Type == harness.OK {
			return
		}
		c = z.cluster(model.Just(model.RegisterEffectOf(z.ops[by]).To))
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
