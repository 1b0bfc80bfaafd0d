package checker

import "slices"

// dependency is why one transaction must come before another (Adya 1999). The
// kinds are bits, so that a set of them is a number.
type dependency uint8

const (
	ww       dependency = 1 << iota // it wrote the version before the one that the other wrote
	wr                              // the other read a version that it wrote
	rw                              // it read a version that the other replaced
	process                         // the same process performed it before the other
	realtime                        // it had ended when the other began
	link                            // nothing by itself: the way on from a node that is no transaction
)

// depGraph is a graph of transactions. Nodes from txns on are no transactions:
// they stand for sets of edges. One kind of edge leads into such a node, and
// links lead on.
type depGraph struct {
	txns  int
	nodes int
	from  []int32
	to    []int32
	kind  []dependency

	start []int32 // where the edges of each node begin in next
	next  []int32 // edges, grouped by their node

	visits int // how many nodes all calls of path together may still look at
}

// node adds a node that is no transaction.
func (g *depGraph) node() int32 {
	g.nodes++
	return int32(g.nodes - 1)
}

func (g *depGraph) edge(from, to int32, kind dependency) {
	if from != to {
		g.from, g.to, g.kind = append(g.from, from), append(g.to, to), append(g.kind, kind)
	}
}

// fan adds an edge from each of some transactions to each of others, in as many
// edges as there are transactions, but for those that are on both sides.
func (g *depGraph) fan(from, to []int32, kind dependency) {
	if len(from) == 0 || len(to) == 0 {
		return
	}
	target := make(map[int32]bool, len(to))
	for _, t := range to {
		target[t] = true
	}
	hub := none
	for _, f := range from {
		if target[f] {
			for _, t := range to {
				g.edge(f, t, kind)
			}
			continue
		}
		if hub == none {
			hub = g.node()
			for _, t := range to {
				g.edge(hub, t, link)
			}
		}
		g.edge(f, hub, kind)
	}
}

// seal makes the graph ready to be walked.
func (g *depGraph) seal() {
	g.start = make([]int32, g.nodes+1)
	for _, n := range g.from {
		g.start[n+1]++
	}
	for i := 1; i <= g.nodes; i++ {
		g.start[i] += g.start[i-1]
	}
	at := slices.Clone(g.start)
	g.next = make([]int32, len(g.from))
	for e, n := range g.from {
		g.next[at[n]] = int32(e)
		at[n]++
	}
}

// components numbers the strongly connected components of the graph that has
// only edges of the kinds: nodes of the same number reach each other. Single
// nodes have number none. The algorithm is Tarjan's (1972), without recursion.
func (g *depGraph) components(kinds dependency) (component []int32, count int32) {
	kinds |= link
	component = make([]int32, g.nodes)
	index := make([]int32, g.nodes) // 0: not seen
	low := make([]int32, g.nodes)
	on := make([]bool, g.nodes)
	at := make([]int32, g.nodes)
	for i := range component {
		component[i] = none
	}
	var stack, path []int32
	seen := int32(0)
	for root := range int32(g.nodes) {
		if index[root] != 0 {
			continue
		}
		path = append(path[:0], root)
		for len(path) > 0 {
			n := path[len(path)-1]
			if index[n] == 0 {
				seen++
				index[n], low[n], at[n] = seen, seen, g.start[n]
				stack = append(stack, n)
				on[n] = true
			}
			deeper := false
			for ; at[n] < g.start[n+1]; at[n]++ {
				e := g.next[at[n]]
				if g.kind[e]&kinds == 0 {
					continue
				}
				to := g.to[e]
				if index[to] == 0 {
					path = append(path, to)
					deeper = true
					break
				}
				if on[to] {
					low[n] = min(low[n], low[to])
				}
			}
			if deeper {
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				up := path[len(path)-1]
				low[up] = min(low[up], low[n])
			}
			if low[n] != index[n] {
				continue
			}
			size := 0
			for i := len(stack) - 1; ; i-- {
				size++
				if stack[i] == n {
					break
				}
			}
			for range size {
				m := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				on[m] = false
				if size > 1 {
					component[m] = count
				}
			}
			if size > 1 {
				count++
			}
		}
	}
	return component, count
}

// path is a shortest way over edges of the kinds between two nodes that does
// not leave their component, as edges; nil if there is none, or if the visits
// are used up.
func (g *depGraph) path(from, to int32, kinds dependency, component []int32) []int32 {
	kinds |= link
	came := map[int32]int32{from: none}
	queue := []int32{from}
	for len(queue) > 0 && g.visits > 0 {
		n := queue[0]
		queue = queue[1:]
		g.visits--
		for _, e := range g.next[g.start[n]:g.start[n+1]] {
			m := g.to[e]
			if g.kind[e]&kinds == 0 || component[m] != component[from] {
				continue
			}
			if _, seen := came[m]; seen {
				continue
			}
			came[m] = e
			if m == to {
				var way []int32
				for m != from {
					way = append(way, came[m])
					m = g.from[came[m]]
				}
				slices.Reverse(way)
				return way
			}
			queue = append(queue, m)
		}
	}
	return nil
}

// step is an edge between two transactions.
type step struct {
	from, to int32
	kind     dependency
}

// steps are the edges of a way or cycle as steps between transactions: links
// are part of the step that led to them.
func (g *depGraph) steps(way []int32) []step {
	// A cycle may begin within a chain of links.
	for i, e := range way {
		if int(g.from[e]) < g.txns {
			way = append(slices.Clone(way[i:]), way[:i]...)
			break
		}
	}
	var list []step
	for _, e := range way {
		if n := len(list); n > 0 && int(list[n-1].to) >= g.txns {
			list[n-1].to = g.to[e]
		} else {
			list = append(list, step{g.from[e], g.to[e], g.kind[e]})
		}
	}
	return list
}
