package graph

// Snapshots is the graph of the starts and the commits of the transactions of a sealed
// graph under snapshot isolation, sealed: node 2i is the start of transaction i, node
// 2i+1 its commit. A transaction that replaced what another one read committed after
// that one started; one that depends on another in any other way started after that
// one had committed. So its cycles are those of the graph in which no two adjacent
// edges are of kind [RW] (Cerone and Gotsman, "Analysing snapshot isolation", PODC 2016;
// Zhang et al., "Viper", EuroSys 2023).
func (g *Graph) Snapshots() *Graph {
	// A node that stands for a set of edges belongs to edges of one kind.
	leads := make([]Dependency, g.nodes)
	var stack []int32
	for n := range int32(g.txns) {
		for e := g.start[n]; e < g.start[n+1]; e++ {
			if to := g.to[e]; int(to) >= g.txns && leads[to] == 0 {
				leads[to] = g.kind[e]
				stack = append(stack, to)
			}
		}
	}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for e := g.start[n]; e < g.start[n+1]; e++ {
			if to := g.to[e]; int(to) >= g.txns && leads[to] == 0 {
				leads[to] = leads[n]
				stack = append(stack, to)
			}
		}
	}
	s := New(2 * g.txns)
	s.nodes += g.nodes - g.txns
	node := func(n int32, commit bool) int32 {
		switch {
		case int(n) >= g.txns:
			return n + int32(g.txns)
		case commit:
			return 2*n + 1
		default:
			return 2 * n
		}
	}
	for n := range int32(g.nodes) {
		if int(n) < g.txns {
			s.Edge(2*n, 2*n+1, Link)
		}
		for e := g.start[n]; e < g.start[n+1]; e++ {
			kind := g.kind[e]
			if int(n) >= g.txns {
				kind = leads[n]
			}
			s.Edge(node(n, kind != RW), node(g.to[e], kind == RW), g.kind[e])
		}
	}
	s.Seal()
	return s
}

// Unsplit takes a cycle of a graph of starts and commits for one of its transactions.
func Unsplit(cycle []Step) (steps []Step) {
	for _, s := range cycle {
		if s.From/2 != s.To/2 {
			steps = append(steps, Step{s.From / 2, s.To / 2, s.Kind})
		}
	}
	return steps
}
