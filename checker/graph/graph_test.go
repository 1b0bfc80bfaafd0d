package graph_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"coup/checker/graph"
)

// reach says which things reach which over edges of the kinds, by trying all.
func reach(n int, edges []graph.Step, kinds graph.Dependency) [][]bool {
	r := make([][]bool, n)
	for i := range r {
		r[i] = make([]bool, n)
	}
	for _, e := range edges {
		if e.Kind&kinds != 0 {
			r[e.From][e.To] = true
		}
	}
	for k := range n {
		for i := range n {
			for j := range n {
				r[i][j] = r[i][j] || r[i][k] && r[k][j]
			}
		}
	}
	return r
}

// The components and cycles of random graphs are those that a search of everything
// finds, whether the edges were added one by one or by Fan.
func TestComponentsAndCycles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	cyclic := 0
	for range 2000 {
		n := 2 + rng.IntN(7)
		g := graph.New(n)
		var edges []graph.Step
		kinds := []graph.Dependency{graph.WW, graph.WR, graph.RW}
		for range rng.IntN(2 * n) {
			e := graph.Step{From: int32(rng.IntN(n)), To: int32(rng.IntN(n)), Kind: kinds[rng.IntN(3)]}
			if e.From != e.To {
				edges = append(edges, e)
				g.Edge(e.From, e.To, e.Kind)
			}
		}
		var from, to []int32
		for i := range int32(n) {
			if rng.IntN(4) == 0 {
				from = append(from, i)
			}
			if rng.IntN(4) == 0 {
				to = append(to, i)
			}
		}
		g.Fan(from, to, graph.RW)
		for _, f := range from {
			for _, t := range to {
				if f != t {
					edges = append(edges, graph.Step{From: f, To: t, Kind: graph.RW})
				}
			}
		}
		g.Seal()
		for _, over := range []graph.Dependency{graph.WW, graph.WW | graph.WR, graph.WW | graph.WR | graph.RW} {
			r := reach(n, edges, over)
			component, _ := g.Components(over, nil)
			for i := range n {
				for j := range n {
					together := i != j && r[i][j] && r[j][i]
					if same := i != j && component[i] >= 0 && component[i] == component[j]; same != together {
						t.Fatalf("%d and %d: one component %v, they reach each other %v, over %v of %v", i, j, same, together, over, edges)
					}
				}
			}
			first := kinds[rng.IntN(3)] & over
			want := false
			for _, e := range edges {
				want = want || e.Kind == first && r[e.To][e.From]
			}
			cycle := g.Cycle(first, over, component)
			if (cycle != nil) != want {
				t.Fatalf("cycle %v, there is one %v: from %v over %v of %v", cycle, want, first, over, edges)
			}
			if want {
				cyclic++
			}
			for i, s := range cycle {
				found := false
				for _, e := range edges {
					found = found || e == s
				}
				if next := cycle[(i+1)%len(cycle)]; !found || s.To != next.From || s.Kind&over == 0 {
					t.Fatalf("%v is no cycle over %v of %v", cycle, over, edges)
				}
			}
		}
	}
	if cyclic < 500 {
		t.Errorf("only %d cycles were looked for that are there", cyclic)
	}
}

// Through finds the shortest way back, and gives up when the visits are used up.
func TestThrough(t *testing.T) {
	g := graph.New(6)
	for _, e := range [][2]int32{{0, 1}, {1, 2}, {2, 3}, {3, 0}, {1, 4}, {4, 5}, {5, 2}, {1, 3}} {
		g.Edge(e[0], e[1], graph.WW)
	}
	g.Seal()
	component, _ := g.Components(graph.WW, nil)
	for h := range g.Inside(graph.WW, component) {
		g.Visits = math.MaxInt
		if c := g.Through(h, graph.WW, component, math.MaxInt32); h.From == 0 && len(c) != 3 {
			t.Errorf("the cycle through 0 -> 1 has %d steps, want 3", len(c))
		}
		if h.From == 0 && g.Through(h, graph.WW, component, 1) != nil {
			t.Error("there is no cycle through 0 -> 1 with one step back")
		}
		g.Visits = 0
		if g.Through(h, graph.WW, component, math.MaxInt32) != nil || g.Visits >= 0 {
			t.Error("it went on without any visits left")
		}
	}
}
