package graph

import "slices"

// Order keeps nodes in a line such that every edge leads forward, while edges come
// and go. An edge that would close a cycle is refused, with that cycle. The algorithm
// is that of Pearce and Kelly ("A dynamic topological sort algorithm for directed
// acyclic graphs", 2007): an edge that leads backward moves only nodes between its
// ends. An Order is not safe for concurrent use.
type Order struct {
	place []int32 // by node
	nodes []int32 // by place
	edges []orderedEdge
	free  []int32 // edges that were taken away
	out   []int32 // by node: the first edge from it
	in    []int32 // by node: the first edge to it
	mark  []int32 // by node: the search that saw it
	came  []int32 // by node: over which edge that search came
	runs  int32

	ahead, behind, stack, spots []int32
}

// orderedEdge is an edge in the lists of the edges that begin and end at the same nodes.
type orderedEdge struct {
	from, to         int32
	label            int32
	nextOut, prevOut int32
	nextIn, prevIn   int32
}

// Labeled is an edge of an [Order], with the label that it was given.
type Labeled struct{ From, To, Label int32 }

// NewOrder begins with nodes in the given line: a permutation of the numbers from 0 on.
func NewOrder(line []int32) *Order {
	n := len(line)
	o := &Order{place: make([]int32, n), nodes: make([]int32, n), out: make([]int32, n), in: make([]int32, n), mark: make([]int32, n), came: make([]int32, n)}
	copy(o.nodes, line)
	for at, m := range line {
		o.place[m], o.out[m], o.in[m] = int32(at), none, none
	}
	return o
}

// Place is where a node stands in the line, counted from 0.
func (o *Order) Place(n int32) int32 { return o.place[n] }

// Line are the nodes in order. It changes with the next edge.
func (o *Order) Line() []int32 { return o.nodes }

// Add adds an edge and returns its number, to take it away by. If it would close a
// cycle it is not added, and the cycle is returned, this edge first.
func (o *Order) Add(from, to, label int32) (edge int32, cycle []Labeled) {
	if from == to {
		return none, []Labeled{{from, to, label}}
	}
	if o.place[from] > o.place[to] {
		if cycle = o.move(from, to); cycle != nil {
			return none, append([]Labeled{{from, to, label}}, cycle...)
		}
	}
	if n := len(o.free); n > 0 {
		edge, o.free = o.free[n-1], o.free[:n-1]
	} else {
		edge = int32(len(o.edges))
		o.edges = append(o.edges, orderedEdge{})
	}
	o.edges[edge] = orderedEdge{from: from, to: to, label: label, nextOut: o.out[from], prevOut: none, nextIn: o.in[to], prevIn: none}
	if next := o.out[from]; next != none {
		o.edges[next].prevOut = edge
	}
	if next := o.in[to]; next != none {
		o.edges[next].prevIn = edge
	}
	o.out[from], o.in[to] = edge, edge
	return edge, nil
}

// Remove takes an edge away.
func (o *Order) Remove(edge int32) {
	e := &o.edges[edge]
	if e.prevOut == none {
		o.out[e.from] = e.nextOut
	} else {
		o.edges[e.prevOut].nextOut = e.nextOut
	}
	if e.nextOut != none {
		o.edges[e.nextOut].prevOut = e.prevOut
	}
	if e.prevIn == none {
		o.in[e.to] = e.nextIn
	} else {
		o.edges[e.prevIn].nextIn = e.nextIn
	}
	if e.nextIn != none {
		o.edges[e.nextIn].prevIn = e.prevIn
	}
	o.free = append(o.free, edge)
}

// move makes room for an edge that leads backward. It returns the way from its end
// to its beginning, if there is one.
func (o *Order) move(from, to int32) (way []Labeled) {
	low, high := o.place[to], o.place[from]
	o.runs++
	o.mark[to], o.came[to] = o.runs, none
	o.ahead, o.stack = append(o.ahead[:0], to), append(o.stack[:0], to)
	for len(o.stack) > 0 {
		n := o.stack[len(o.stack)-1]
		o.stack = o.stack[:len(o.stack)-1]
		for e := o.out[n]; e != none; e = o.edges[e].nextOut {
			m := o.edges[e].to
			if o.mark[m] == o.runs || o.place[m] > high {
				continue
			}
			o.mark[m], o.came[m] = o.runs, e
			if m == from {
				return o.way(to, from)
			}
			o.ahead, o.stack = append(o.ahead, m), append(o.stack, m)
		}
	}
	o.runs++
	o.mark[from] = o.runs
	o.behind, o.stack = append(o.behind[:0], from), append(o.stack[:0], from)
	for len(o.stack) > 0 {
		n := o.stack[len(o.stack)-1]
		o.stack = o.stack[:len(o.stack)-1]
		for e := o.in[n]; e != none; e = o.edges[e].nextIn {
			m := o.edges[e].from
			if o.mark[m] == o.runs || o.place[m] < low {
				continue
			}
			o.mark[m] = o.runs
			o.behind, o.stack = append(o.behind, m), append(o.stack, m)
		}
	}
	// Those behind come before those ahead, in the places of both.
	byPlace := func(a, b int32) int { return int(o.place[a] - o.place[b]) }
	slices.SortFunc(o.behind, byPlace)
	slices.SortFunc(o.ahead, byPlace)
	moved := append(o.behind, o.ahead...)
	o.spots = o.spots[:0]
	for _, n := range moved {
		o.spots = append(o.spots, o.place[n])
	}
	slices.Sort(o.spots)
	for i, n := range moved {
		o.place[n], o.nodes[o.spots[i]] = o.spots[i], n
	}
	o.behind = moved[:0]
	return nil
}

// way is how the last search ahead came from one node to another.
func (o *Order) way(from, to int32) (way []Labeled) {
	for n := to; n != from; {
		e := o.edges[o.came[n]]
		way = append(way, Labeled{e.from, e.to, e.label})
		n = e.from
	}
	slices.Reverse(way)
	return way
}
