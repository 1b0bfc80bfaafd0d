package weaker

import (
	"context"
	"fmt"
	"slices"

	"coup/checker/clusters"
	"coup/checker/graph"
	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Sequential checks sequential consistency (Lamport 1979) of registers whose values are
// written once each: whether the operations on each key have an order that agrees with
// the order of each process, whatever the clock says. Reads of a replica may promise that
// when they are not linearizable. Keys are judged one by one. That is weaker than judging
// all keys together, which is NP-complete. For one key it is exact and takes O(n log n).
// Its Details are [SequentialDetails].
//
// As in the tier of zones, the operations on one value are a cluster, and clusters that
// compare-and-sets link are a block. One block must come before another if a process
// worked on it first. An order exists if there is no cycle of blocks.
type Sequential struct{}

// SequentialDetails are the Details of [Sequential].
type SequentialDetails struct {
	Keys    int      `json:"keys"`    // that were judged
	Invalid []string `json:"invalid"` // of them have no order
	Left    []string `json:"left"`    // keys that were not judged, since a value was written twice to them
}

// Name implements [harness.Checker].
func (Sequential) Name() string { return "sequential" }

// Check implements [harness.Checker].
func (Sequential) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "sequential"}
	m := model.Register()
	if err := m.CheckTypes(h.Operations); err != nil {
		return r, err
	}
	d := SequentialDetails{Invalid: []string{}, Left: []string{}}
	for _, k := range m.Partition(h.Operations) {
		if ctx.Err() != nil {
			r.Valid, r.Summary, r.Details = harness.Unknown, "There was no time to judge all keys.", d
			return r, nil
		}
		proof, ok := outOfSequence(k.Ops)
		if !ok {
			d.Left = append(d.Left, k.Key)
			continue
		}
		d.Keys++
		if proof == nil {
			continue
		}
		d.Invalid = append(d.Invalid, k.Key)
		if r.Counterexample == nil {
			r.Counterexample = tellSequence(m, k, proof)
		}
	}
	r.Details = d
	switch {
	case len(d.Invalid) > 0:
		r.Valid = harness.Invalid
		r.Summary = fmt.Sprintf("Not sequentially consistent: %s.", story.List(d.Invalid))
	case len(d.Left) > 0:
		r.Valid = harness.Unknown
		r.Summary = fmt.Sprintf("Nobody knows whether %s are sequentially consistent, since a value was written twice to them.", story.List(d.Left))
	default:
		r.Summary = fmt.Sprintf("Sequentially consistent: %s.", story.Plural(d.Keys, "key"))
	}
	return r, nil
}

// outOfSequence is a proof that operations on one key have no order; nil if
// they have one. ok is false if a value was written twice.
func outOfSequence(ops []*harness.Operation) (proof []int32, ok bool) {
	z, ok := clusters.Gather(ops)
	if !ok {
		return nil, false
	}
	if proof := z.Settle(); proof != nil {
		return proof, true
	}
	if proof := z.Chain(); proof != nil {
		return proof, true
	}
	// Each operation's place: its block, and where it stands in it.
	block := make([]int32, len(ops))
	rank := make([]int32, len(ops))
	for i := range block {
		block[i] = clusters.None
	}
	blocks := int32(0)
	for root := range z.All {
		if c := &z.All[root]; !c.Did || c.From != clusters.None {
			continue
		}
		at := int32(0)
		for c := int32(root); c != clusters.None; c = z.All[c].Next {
			if w := z.All[c].Writer; w != clusters.None {
				block[w], rank[w] = blocks, at
			}
			for r := z.All[c].Reader; r != clusters.None; r = z.Readers[r] {
				block[r], rank[r] = blocks, at+1
			}
			at += 2
			z.All[c].Linked = true
		}
		blocks++
	}
	for c := range z.All {
		if z.All[c].Did && !z.All[c].Linked {
			return z.Complete([]int32{int32(c)}, nil), true // compare-and-sets replaced values in a cycle
		}
	}

	g := graph.New(int(blocks))
	for b := int32(1); b < blocks; b++ {
		g.Edge(0, b, graph.WW) // the block of the initial state comes first
	}
	last := map[int]int32{} // by process: its last operation
	evidence := map[[2]int32][2]int32{}
	for i := range ops {
		if block[i] == clusters.None {
			continue
		}
		before, some := last[ops[i].Process]
		last[ops[i].Process] = int32(i)
		if !some {
			continue
		}
		if block[before] == block[i] {
			if rank[before] > rank[i] {
				return z.Complete(z.Touching(before, int32(i)), []int32{before, int32(i)}), true
			}
			continue
		}
		g.Edge(block[before], block[i], graph.Process)
		evidence[[2]int32{block[before], block[i]}] = [2]int32{before, int32(i)}
	}
	g.Seal()
	component, count := g.Components(graph.WW|graph.Process, nil)
	if count == 0 {
		return nil, true
	}
	cycle := g.Cycle(graph.Process, graph.WW|graph.Process, component)
	if cycle == nil {
		return nil, true
	}
	var involved []int32
	for _, s := range cycle {
		if pair, ok := evidence[[2]int32{s.From, s.To}]; ok {
			involved = append(involved, pair[0], pair[1])
		}
	}
	return z.Complete(z.Touching(involved...), involved), true
}

func tellSequence(m model.Model, k model.Object, proof []int32) *harness.Counterexample {
	slices.Sort(proof)
	var ops []harness.Operation
	for _, i := range slices.Compact(proof) {
		ops = append(ops, model.Settled(k.Ops[i]))
	}
	c := &harness.Counterexample{Key: k.Key, Witness: story.Witnesses(m, ops)}
	for i := range ops {
		c.Story = append(c.Story, story.Sentence(m, ops, i))
	}
	c.Story = append(c.Story, "No order of these operations explains all the answers in which each process's own come in its order.")
	return c
}
