package graph

import (
	"iter"
	"math"
	"slices"
)

// none stands for no node, no edge and no component.
const none = int32(-1)

// Dependency is why one transaction must come before another (Adya 1999). The
// kinds are bits, so that a set of them is a number.
type Dependency uint8

// The kinds of dependency.
const (
	WW       Dependency = 1 << iota // it wrote the version before the one that the other wrote
	WR                              // the other read a version that it wrote
	RW                              // it read a version that the other replaced
	Process                         // the same process performed it before the other
	Realtime                        // it had ended when the other began
	Link                            // nothing by itself: the way on from a node that stands for a set of edges
)

// Graph is a graph of transactions, or of whatever else depends on each other.
// Further nodes stand for sets of edges: one kind of edge leads into such a node,
// and links lead on.
//
// It is made in two steps: first edges are added, then it is sealed, and only
// after that searched. Edges are gathered in chunks, and grouped by their node once
// all are there, so that neither is ever copied to grow. A graph is not safe for
// concurrent use.
type Graph struct {
	txns   int // nodes from here on stand for sets of edges
	nodes  int
	chunks []edgeChunk

	// Once sealed, the edges of node n are those from start[n] to start[n+1].
	start []int32
	to    []int32
	kind  []Dependency

	// Visits is how many nodes all calls of through together may still look at;
	// less than 0: one of them gave up.
	Visits int
	search searched // what path has found, kept to be used again
}

// New makes a graph of so many transactions, without edges.
func New(txns int) *Graph { return &Graph{txns: txns, nodes: txns} }

type edgeChunk struct {
	from, to []int32
	kind     []Dependency
}

const chunkSize = 1 << 16

// Node adds a node that stands for a set of edges.
func (g *Graph) Node() int32 {
	g.nodes++
	return int32(g.nodes - 1)
}

// Edge adds an edge. One that leads back to its own node is left out.
func (g *Graph) Edge(from, to int32, kind Dependency) {
	if from == to {
		return
	}
	n := len(g.chunks)
	switch {
	case n == 0:
		g.chunks = append(g.chunks, edgeChunk{})
		n++
	case len(g.chunks[n-1].to) == chunkSize:
		g.chunks = append(g.chunks, edgeChunk{make([]int32, 0, chunkSize), make([]int32, 0, chunkSize), make([]Dependency, 0, chunkSize)})
		n++
	}
	c := &g.chunks[n-1]
	c.from, c.to, c.kind = append(c.from, from), append(c.to, to), append(c.kind, kind)
}

// Fan adds an edge from each of some transactions to each of others, but for
// those that are on both sides, in no more edges than a small multiple of the
// transactions. The others come in ascending order.
func (g *Graph) Fan(from, to []int32, kind Dependency) {
	if len(from) == 0 || len(to) == 0 {
		return
	}
	// A chain of nodes that lead to the first, the first two, ... of the others,
	// and where one is on both sides, a chain that leads to the last ones.
	chain := func(at func(int) int32) []int32 {
		hubs := make([]int32, len(to))
		for i := range to {
			hubs[i] = g.Node()
			g.Edge(hubs[i], at(i), Link)
			if i > 0 {
				g.Edge(hubs[i], hubs[i-1], Link)
			}
		}
		return hubs
	}
	var first, last []int32
	for _, f := range from {
		if first == nil {
			first = chain(func(i int) int32 { return to[i] })
		}
		at, both := slices.BinarySearch(to, f)
		if !both {
			g.Edge(f, first[len(to)-1], kind)
			continue
		}
		if last == nil {
			last = chain(func(i int) int32 { return to[len(to)-1-i] })
		}
		if at > 0 {
			g.Edge(f, first[at-1], kind)
		}
		if at < len(to)-1 {
			g.Edge(f, last[len(to)-2-at], kind)
		}
	}
}

// Seal makes the graph ready to be walked. No edge can be added any more.
func (g *Graph) Seal() {
	g.start = make([]int32, g.nodes+2)
	edges := 0
	for _, c := range g.chunks {
		edges += len(c.from)
		for _, n := range c.from {
			g.start[n+2]++
		}
	}
	for i := 2; i < len(g.start); i++ {
		g.start[i] += g.start[i-1]
	}
	// start[n+1] counts up from where node n begins to where it ends.
	g.to, g.kind = make([]int32, edges), make([]Dependency, edges)
	for i, c := range g.chunks {
		for e, n := range c.from {
			at := g.start[n+1]
			g.to[at], g.kind[at] = c.to[e], c.kind[e]
			g.start[n+1]++
		}
		g.chunks[i] = edgeChunk{}
	}
	g.chunks = nil
}

// Components numbers the strongly connected components of the graph that has
// only edges of the kinds: nodes of the same number reach each other. Single
// nodes have number none. Of a graph with more kinds, within are the components:
// these lie within those; nil: nothing is known. The algorithm is Tarjan's (1972), without recursion.
func (g *Graph) Components(kinds Dependency, within []int32) (component []int32, count int32) {
	kinds |= Link
	const open = none - 1 // not decided yet: not seen, or on the stack
	component = make([]int32, g.nodes)
	index := make([]int32, g.nodes) // 0: not seen
	low := make([]int32, g.nodes)
	at := make([]int32, g.nodes)
	for i := range component {
		component[i] = open
	}
	var stack, path []int32
	seen := int32(0)
	for root := range int32(g.nodes) {
		if within != nil && within[root] == none {
			component[root] = none
			continue
		}
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
			}
			deeper := false
			for ; at[n] < g.start[n+1]; at[n]++ {
				if g.kind[at[n]]&kinds == 0 {
					continue
				}
				to := g.to[at[n]]
				if within != nil && within[to] != within[n] {
					continue
				}
				if index[to] == 0 {
					path = append(path, to)
					deeper = true
					break
				}
				if component[to] == open {
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
				if component[m] = none; size > 1 {
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

// searched is what a search for a way knows of each node.
type searched struct {
	run       int32   // the number of the search
	in        []int32 // the search that last reached the node
	dist      []int32 // how many steps it took
	came      []int32 // over which edge, and from where
	from      []int32
	now, next []int32
}

// path is a way with the fewest steps over edges of the kinds between two nodes
// that does not leave their component, as nodes and the edges that lead on from
// them; nil if there is none of at most so many steps, or if the visits are used up.
// A link is no step.
func (g *Graph) path(from, to int32, kinds Dependency, component []int32, most int32) []Hop {
	kinds |= Link
	s := &g.search
	if s.in == nil {
		s.in, s.dist = make([]int32, g.nodes), make([]int32, g.nodes)
		s.came, s.from = make([]int32, g.nodes), make([]int32, g.nodes)
	}
	s.run++
	s.in[from], s.dist[from], s.came[from] = s.run, 0, none
	s.now, s.next = append(s.now[:0], from), s.next[:0]
	for steps := int32(0); len(s.now) > 0 && steps <= most; steps++ {
		for len(s.now) > 0 {
			n := s.now[len(s.now)-1]
			s.now = s.now[:len(s.now)-1]
			if n == to {
				return g.way(from, to)
			}
			if s.dist[n] != steps {
				continue // there was a shorter way
			}
			if g.Visits--; g.Visits < 0 {
				return nil
			}
			for e := g.start[n]; e < g.start[n+1]; e++ {
				m := g.to[e]
				if g.kind[e]&kinds == 0 || component[m] != component[from] {
					continue
				}
				far := steps + 1
				if g.kind[e] == Link {
					far = steps
				}
				if s.in[m] == s.run && s.dist[m] <= far {
					continue
				}
				s.in[m], s.dist[m], s.came[m], s.from[m] = s.run, far, e, n
				switch {
				case far == steps && m == to:
					return g.way(from, to)
				case far == steps:
					s.now = append(s.now, m)
				default:
					s.next = append(s.next, m)
				}
			}
		}
		s.now, s.next = s.next, s.now[:0]
	}
	return nil
}

// Cycle is a cycle over edges of the kinds that begins with one of the kinds
// first; nil if there is none. component is that of the kinds.
func (g *Graph) Cycle(first, kinds Dependency, component []int32) []Step {
	g.Visits = math.MaxInt
	for h := range g.Inside(first, component) {
		return g.Through(h, kinds, component, math.MaxInt32)
	}
	return nil
}

// Hop is an edge, as [Graph.Inside] finds it.
type Hop struct {
	From int32 // the node that it begins at
	edge int32
}

// Inside are the edges of the kinds that do not leave their component.
func (g *Graph) Inside(kinds Dependency, component []int32) iter.Seq[Hop] {
	return func(yield func(Hop) bool) {
		for from := range int32(g.nodes) {
			if component[from] == none {
				continue
			}
			for e := g.start[from]; e < g.start[from+1]; e++ {
				if g.kind[e]&kinds != 0 && component[from] == component[g.to[e]] && !yield(Hop{from, e}) {
					return
				}
			}
		}
	}
}

// Through is a cycle that begins with an edge and goes back over edges of the
// kinds, with at most so many steps back and no more than there must be. It is nil
// if there is none, or if the visits are used up. component is that of the kinds.
func (g *Graph) Through(first Hop, kinds Dependency, component []int32, most int32) []Step {
	back := g.path(g.to[first.edge], first.From, kinds, component, most)
	if back == nil {
		return nil
	}
	return g.steps(append([]Hop{first}, back...))
}

// way is what the last search found between two nodes.
func (g *Graph) way(from, to int32) (way []Hop) {
	for n := to; n != from; n = g.search.from[n] {
		way = append(way, Hop{g.search.from[n], g.search.came[n]})
	}
	slices.Reverse(way)
	return way
}

// Step is an edge between two transactions.
type Step struct {
	From, To int32
	Kind     Dependency
}

// steps are the edges of a cycle as steps between transactions: links are part
// of the step that led to them.
func (g *Graph) steps(cycle []Hop) []Step {
	// A cycle may begin within a chain of links.
	for i, h := range cycle {
		if int(h.From) < g.txns {
			cycle = append(slices.Clone(cycle[i:]), cycle[:i]...)
			break
		}
	}
	var list []Step
	for _, h := range cycle {
		if n := len(list); n > 0 && int(list[n-1].To) >= g.txns {
			list[n-1].To = g.to[h.edge]
		} else {
			list = append(list, Step{h.From, g.to[h.edge], g.kind[h.edge]})
		}
	}
	return list
}

// String is the name of a single kind: ww, wr, rw, process, realtime or link.
func (d Dependency) String() string {
	switch d {
	case WW:
		return "ww"
	case WR:
		return "wr"
	case RW:
		return "rw"
	case Process:
		return "process"
	case Realtime:
		return "realtime"
	default:
		return "link"
	}
}
