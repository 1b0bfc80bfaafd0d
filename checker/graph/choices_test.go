package graph_test

import (
	"math/rand/v2"
	"testing"

	"coup/checker/graph"
)

// acyclic says whether some edges are without a cycle.
func acyclic(n int, edges []graph.Arc) bool {
	var steps []graph.Step
	for _, e := range edges {
		if e.From == e.To {
			return false
		}
		steps = append(steps, graph.Step{From: e.From, To: e.To, Kind: graph.WW})
	}
	for i, r := range reach(n, steps, graph.WW) {
		if r[i] {
			return false
		}
	}
	return true
}

// Sides are found exactly where trying all finds some, the line keeps all edges that
// were taken, and what a refutation rests on is enough to refute.
func TestChoicesAgainstAll(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	outcomes := map[graph.Outcome]int{}
	for round := range 20_000 {
		n := 3 + rng.IntN(6)
		some := func(most int) (edges []graph.Arc) {
			for range 1 + rng.IntN(most) {
				edges = append(edges, graph.Arc{From: int32(rng.IntN(n)), To: int32(rng.IntN(n))})
			}
			return edges
		}
		var line []int32
		for _, i := range rng.Perm(n) {
			line = append(line, int32(i))
		}
		c := graph.NewChoices(line)
		var required []graph.Arc
		var sides [][2][]graph.Arc
		never := func() bool { return false }
		for range 1 + rng.IntN(3) { // edges and choices come in several rounds
			for range rng.IntN(3) {
				e := some(1)[0]
				if e.From != e.To {
					c.Require(e.From, e.To, int32(len(required)))
					required = append(required, e)
				}
			}
			for range rng.IntN(5) {
				s := [2][]graph.Arc{some(2), some(2)}
				sides = append(sides, s)
				c.Choose(s[0], s[1], rng.IntN(2) == 0)
			}
			possible := func(required []graph.Arc, sides [][2][]graph.Arc) bool {
				for pick := range 1 << len(sides) {
					edges := append([]graph.Arc{}, required...)
					for i, s := range sides {
						edges = append(edges, s[pick>>i&1]...)
					}
					if acyclic(n, edges) {
						return true
					}
				}
				return false
			}
			got := c.Solve(never)
			outcomes[got]++
			if want := possible(required, sides); (got == graph.Found) != want || got == graph.GaveUp {
				t.Fatalf("round %d: outcome %v, sides can be taken: %v\n%v\n%v", round, got, want, required, sides)
			}
			if got == graph.None {
				_, choices, tags := c.Core()
				var few []graph.Arc
				for _, tag := range tags {
					few = append(few, required[tag])
				}
				var fewSides [][2][]graph.Arc
				for _, v := range choices {
					fewSides = append(fewSides, sides[v])
				}
				if possible(few, fewSides) {
					t.Fatalf("round %d: the core %v %v does not refute\n%v\n%v", round, few, fewSides, required, sides)
				}
				break
			}
			place := make([]int, n)
			for at, m := range c.Line() {
				place[m] = at
			}
			edges := append([]graph.Arc{}, required...)
			for i, s := range sides {
				side := s[0]
				if c.Taken(int32(i)) {
					side = s[1]
				}
				edges = append(edges, side...)
			}
			for _, e := range edges {
				if place[e.From] >= place[e.To] {
					t.Fatalf("round %d: %v is not kept", round, e)
				}
			}
		}
	}
	if outcomes[graph.Found] < 5000 || outcomes[graph.None] < 2000 {
		t.Errorf("outcomes %v", outcomes)
	}
}
