package clusters

import (
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// None stands for no operation or no cluster.
const None = int32(-1)

// Cluster is a value of a register with the operations that wrote and saw it.
// Cluster 0 is the register before the first write, which holds nothing.
type Cluster struct {
	Writer int32 // the operation that may have written the value
	From   int32 // the cluster that the writer saw, if it is a compare-and-set
	Next   int32 // the cluster that replaced this one by compare-and-set
	Reader int32 // the first of a list of operations that saw the value
	by     int32 // an operation that took effect and saw the value
	Did    bool  // the writer took effect
	Linked bool  // for callers: it has been visited
}

// Clusters are the operations on one register, by value.
type Clusters struct {
	Ops     []*harness.Operation
	All     []Cluster
	Readers []int32 // for each operation the next reader of the same value
	byValue map[int64]int32
}

func (z *Clusters) cluster(v model.Maybe) int32 {
	if !v.Set {
		return 0
	}
	c, ok := z.byValue[v.Int]
	if !ok {
		c = int32(len(z.All))
		z.byValue[v.Int] = c
		z.All = append(z.All, Cluster{Writer: None, From: None, Next: None, Reader: None, by: None})
	}
	return c
}

// Gather groups operations, which come in the order of their calls, into clusters.
// It returns false if two operations write the same value, or if a compare-and-set
// failed without telling what it saw.
func Gather(ops []*harness.Operation) (*Clusters, bool) {
	z := &Clusters{Ops: ops}
	z.byValue = make(map[int64]int32, len(z.Ops)/2)
	z.All = append(make([]Cluster, 0, len(z.Ops)/2), Cluster{Writer: None, From: None, Next: None, Reader: None, by: None, Did: true})
	z.Readers = make([]int32, len(z.Ops))
	for i := len(z.Ops) - 1; i >= 0; i-- { // backwards: lists of readers grow at their head
		r := model.RegisterEffectOf(z.Ops[i])
		switch {
		case r.Avoids: // which open operations took effect can matter to it
			return nil, false
		case r.Observes && (!r.Writes || r.Saw == model.Just(r.To)): // replacing a value by itself only reads
			c := z.cluster(r.Saw)
			z.Readers[i] = z.All[c].Reader
			z.All[c].Reader = int32(i)
		case r.Compares && r.From == model.Just(r.To), !r.Writes:
		default:
			from := None
			if r.Observes {
				from = z.cluster(r.Saw)
			} else if r.Compares {
				from = z.cluster(r.From)
			}
			c := &z.All[z.cluster(model.Just(r.To))]
			if c.Writer != None {
				return nil, false
			}
			c.Writer, c.From = int32(i), from
			c.Did = z.Ops[i].Type == harness.OK
		}
	}
	return z, true
}

// Settle finds out which open operations took effect: those whose value was seen. If a
// value was seen that nobody wrote, it returns a proof of that.
func (z *Clusters) Settle() (proof []int32) {
	var todo []int32
	see := func(c, by int32) {
		if z.All[c].by == None {
			z.All[c].by = by
			todo = append(todo, c)
		}
	}
	for i := range z.All {
		c := &z.All[i]
		if c.Reader != None {
			see(int32(i), c.Reader)
		}
		if c.Did && c.From != None {
			see(c.From, c.Writer)
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		c := &z.All[i]
		if c.Writer == None && i != 0 {
			seen := map[int32]bool{}
			z.sight(i, seen)
			return sorted(seen)
		}
		if !c.Did {
			c.Did = true
			if c.From != None {
				see(c.From, c.Writer)
			}
		}
	}
	return nil
}

// Chain links the cluster of each compare-and-set to the cluster of the value that it
// replaced. If a value was replaced twice, it returns a proof of that.
func (z *Clusters) Chain() []int32 {
	for i := range z.All {
		c := &z.All[i]
		if !c.Did || c.From == None {
			continue
		}
		from := &z.All[c.From]
		if from.Next != None {
			return z.Complete([]int32{int32(i), from.Next}, nil)
		}
		from.Next = int32(i)
	}
	return nil
}

// Touching returns the clusters that the operations belong to; a compare-and-set belongs
// to two.
func (z *Clusters) Touching(ops ...int32) (clusters []int32) {
	for _, op := range ops {
		r := model.RegisterEffectOf(z.Ops[op])
		if r.Observes {
			clusters = append(clusters, z.cluster(r.Saw))
		}
		if r.Writes && r.Saw != model.Just(r.To) {
			clusters = append(clusters, z.cluster(model.Just(r.To)))
		}
	}
	return clusters
}

// Complete makes a proof of operations and clusters that contradict each other. It adds
// the operations that wrote the values of the clusters and the values that
// compare-and-sets replaced. For each of these that is open it adds an operation that saw
// its value. Without them, the proof would be wrong for another reason: that nobody wrote
// those values.
func (z *Clusters) Complete(clusters, ops []int32) []int32 {
	proof := map[int32]bool{}
	for _, op := range ops {
		proof[op] = true
	}
	done := map[int32]bool{}
	for _, c := range clusters {
		for ; c != None && !done[c]; c = z.All[c].From {
			done[c] = true
			if w := z.All[c].Writer; w != None {
				proof[w] = true
				if z.Ops[w].Type != harness.OK {
					z.sight(c, proof)
				}
			}
		}
	}
	return sorted(proof)
}

// sight adds to the proof an operation that saw the value of c. If that one is open
// itself, it adds an operation that saw its value, and so on.
func (z *Clusters) sight(c int32, proof map[int32]bool) {
	for {
		by := z.All[c].by
		proof[by] = true
		if z.Ops[by].Type == harness.OK {
			return
		}
		c = z.cluster(model.Just(model.RegisterEffectOf(z.Ops[by]).To))
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
