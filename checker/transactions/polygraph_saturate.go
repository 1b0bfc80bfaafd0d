package transactions

import (
	"context"
	"slices"
	"sort"

	"coup/checker/graph"
)

// mostClocks is how many numbers may be kept to prune what is open.
const mostClocks = 200_000_000

// clocks tell which transactions come before which. They are put into chains, each in
// a known order, such as those of one process; for each node and each chain the last
// transaction of the chain is kept that comes before it (Fidge and Mattern's vector
// clocks, 1988).
type clocks struct {
	chains    int
	chain     []int32 // by transaction
	index     []int32 // by transaction: its place in its chain
	started   []int32 // by node and chain: the index of the last one whose start leads to the node
	committed []int32 // the same of commits; under serializability the same array
	moved     []bool  // by node: whether its clock did since conclusions were drawn
}

func (c *clocks) of(list []int32, node int32) []int32 {
	return list[int(node)*c.chains : (int(node)+1)*c.chains]
}

// newClocks makes chains, nil if there are too many.
func (p *polygraph) newClocks() *clocks {
	n := len(p.all)
	c := &clocks{chain: make([]int32, n), index: make([]int32, n)}
	before := make([]int32, n)
	for i := range before {
		before[i] = none
	}
	for _, a := range p.arcs {
		if a.kind == graph.Process {
			before[p.txnOf(a.to)] = p.txnOf(a.from)
		}
	}
	for i := range n {
		if b := before[i]; b != none {
			c.chain[i], c.index[i] = c.chain[b], c.index[b]+1
		} else {
			c.chain[i] = int32(c.chains)
			c.chains++
		}
	}
	each := 1
	if p.snapshots {
		each = 2
	}
	if each*c.chains*int(p.nodes) > mostClocks {
		return nil
	}
	c.started = make([]int32, c.chains*int(p.nodes))
	c.committed = c.started
	if p.snapshots {
		c.committed = make([]int32, c.chains*int(p.nodes))
	}
	c.moved = make([]bool, p.nodes)
	for i := range c.started {
		c.started[i], c.committed[i] = none, none
	}
	for n := range c.moved {
		c.moved[n] = true
	}
	return c
}

// run sets the clocks. It returns arcs that go in a circle if there are any.
func (c *clocks) run(ctx context.Context, p *polygraph) (circle []int32) {
	first, next := p.outgoing()
	line := p.topological(first, next)
	if len(line) < int(p.nodes) {
		return p.circle(first, next, line)
	}
	// Arcs are only added, so clocks only advance.
	for at, n := range line {
		if at%256 == 0 && ctx.Err() != nil {
			return nil // whoever asked sees that the time is over
		}
		started, committed := c.of(c.started, n), c.of(c.committed, n)
		if i := p.txnOf(n); i != none {
			if n == p.start(i) {
				started[c.chain[i]] = max(started[c.chain[i]], c.index[i])
			}
			if n == p.commit(i) {
				committed[c.chain[i]] = max(committed[c.chain[i]], c.index[i])
			}
		}
		for _, at := range next[first[n]:first[n+1]] {
			to := p.arcs[at].to
			moved := further(c.of(c.started, to), started)
			if p.snapshots && further(c.of(c.committed, to), committed) {
				moved = true
			}
			c.moved[to] = c.moved[to] || moved
		}
	}
	return nil
}

// further advances a clock to the maximum of itself and another one, and says whether
// that changed it.
func further(clock, other []int32) (moved bool) {
	for i, v := range other {
		if v > clock[i] {
			clock[i], moved = v, true
		}
	}
	return moved
}

// outgoing groups the arcs by the node that they begin at: those of node n are
// next[first[n]:first[n+1]].
func (p *polygraph) outgoing() (first, next []int32) {
	first = make([]int32, p.nodes+2)
	for i := range p.arcs {
		first[p.arcs[i].from+2]++
	}
	for n := 2; n < len(first); n++ {
		first[n] += first[n-1]
	}
	next = make([]int32, len(p.arcs))
	for i := range p.arcs {
		from := p.arcs[i].from
		next[first[from+1]] = int32(i)
		first[from+1]++
	}
	return first[:p.nodes+1], next
}

// topological puts nodes into an order in which all arcs lead forward. Nodes on a cycle
// or behind one are left out.
func (p *polygraph) topological(first, next []int32) []int32 {
	in := make([]int32, p.nodes)
	for i := range p.arcs {
		in[p.arcs[i].to]++
	}
	line := make([]int32, 0, p.nodes)
	for n := range p.nodes {
		if in[n] == 0 {
			line = append(line, n)
		}
	}
	for at := 0; at < len(line); at++ {
		for _, e := range next[first[line[at]]:first[line[at]+1]] {
			to := p.arcs[e].to
			if in[to]--; in[to] == 0 {
				line = append(line, to)
			}
		}
	}
	return line
}

// circle is a short cycle of arcs among the nodes that have no place in a topological
// order.
func (p *polygraph) circle(first, next, line []int32) (best []int32) {
	in := make([]bool, p.nodes)
	for _, n := range line {
		in[n] = true
	}
	tries := 0
	for n := range p.nodes {
		if in[n] {
			continue
		}
		if tries++; tries > mostTries && best != nil {
			break
		}
		if way := p.way(first, next, n, n, maxRound); way != nil && (best == nil || len(way) < len(best)) {
			best = way
		}
	}
	return best
}

const maxRound = int32(1 << 30)

// way is a shortest path over the arcs that were known before a round. It has at least
// one arc.
func (p *polygraph) way(first, next []int32, from, to, before int32) (way []int32) {
	came := map[int32]int32{}
	queue := []int32{from}
	for at := 0; at < len(queue); at++ {
		n := queue[at]
		for _, e := range next[first[n]:first[n+1]] {
			a := &p.arcs[e]
			if _, seen := came[a.to]; seen || a.round >= before {
				continue
			}
			came[a.to] = e
			if a.to != to {
				queue = append(queue, a.to)
				continue
			}
			for m := to; ; {
				way = append(way, came[m])
				if m = p.arcs[came[m]].from; m == from {
					slices.Reverse(way)
					return way
				}
			}
		}
	}
	return nil
}

// restsOn are the transactions that some arcs are about, with those that they follow from.
func (p *polygraph) restsOn(arcs []int32) (txns []int32) {
	first, next := p.outgoing()
	told := map[int32]bool{}
	for len(arcs) > 0 {
		e := arcs[len(arcs)-1]
		arcs = arcs[:len(arcs)-1]
		if told[e] {
			continue
		}
		told[e] = true
		a := p.arcs[e]
		for _, i := range []int32{p.txnOf(a.from), p.txnOf(a.to), a.third} {
			if i != none {
				txns = append(txns, i)
			}
		}
		if a.round > 0 && a.premise[0] != a.premise[1] {
			arcs = append(arcs, p.way(first, next, a.premise[0], a.premise[1], a.round)...)
		}
	}
	return distinct(txns)
}

// chained are the writers of a key, grouped by their chains and within them in order.
type chained struct {
	writers []int32
	first   []int32 // where each group begins, and where the last ends
}

// saturate draws conclusions until no more follow, or until so many rounds have passed
// that it is better to choose. It returns a cycle of arcs if it finds one; over says
// that the time was used up.
func (p *polygraph) saturate(ctx context.Context) (circle []int32, over bool) {
	c := p.newClocks()
	if c == nil {
		first, next := p.outgoing()
		if line := p.topological(first, next); len(line) < int(p.nodes) {
			return p.circle(first, next, line), false
		}
		return nil, false
	}
	keys := make([]chained, len(p.writers))
	for k, writers := range p.writers {
		w := slices.Clone(writers)
		slices.SortFunc(w, func(a, b int32) int {
			if c.chain[a] != c.chain[b] {
				return int(c.chain[a] - c.chain[b])
			}
			return int(c.index[a] - c.index[b])
		})
		keys[k].writers = w
		for at := range w {
			if at == 0 || c.chain[w[at]] != c.chain[w[at-1]] {
				keys[k].first = append(keys[k].first, int32(at))
			}
		}
		keys[k].first = append(keys[k].first, int32(len(w)))
	}
	for round := int32(1); ; round++ {
		if circle := c.run(ctx, p); circle != nil {
			return circle, false
		}
		if ctx.Err() != nil {
			return nil, true
		}
		if !p.conclude(ctx, c, keys, round) {
			return nil, ctx.Err() != nil
		}
	}
}

// latest calls do for the last writer of a key in each chain that is no later than
// what a clock says.
func (c *clocks) latest(k *chained, clock []int32, do func(writer int32)) {
	for g := range len(k.first) - 1 {
		group := k.writers[k.first[g]:k.first[g+1]]
		most := clock[c.chain[group[0]]]
		if c.index[group[0]] > most {
			continue
		}
		at := sort.Search(len(group), func(i int) bool { return c.index[group[i]] > most }) - 1
		do(group[at])
	}
}

// conclude draws conclusions from what the clocks say, and says whether there were any.
func (p *polygraph) conclude(ctx context.Context, c *clocks, keys []chained, round int32) bool {
	before := len(p.arcs)
	add := func(from, to int32, kind graph.Dependency, premise [2]int32, third int32) {
		p.arcs = append(p.arcs, arc{from: from, to: to, kind: kind, round: round, premise: premise, third: third})
	}
	starts := func(i, node int32) bool { return c.of(c.started, node)[c.chain[i]] >= c.index[i] }
	commits := func(i, node int32) bool { return c.of(c.committed, node)[c.chain[i]] >= c.index[i] }
	own := make([]int32, c.chains)
	for i := range int32(len(p.all)) {
		if i%4096 == 0 && ctx.Err() != nil {
			return false
		}
		if !c.moved[p.start(i)] && !c.moved[p.commit(i)] {
			continue // what follows was concluded
		}
		// Others that wrote before it read did so before whoever wrote what it read.
		clock := c.of(c.committed, p.start(i))
		if !p.snapshots {
			copy(own, clock)
			own[c.chain[i]]--
			clock = own
		}
		for _, r := range p.readsOf(i) {
			if r.writer == none {
				if round > 1 {
					continue
				}
				// All others wrote later: the first ones of each chain, and so the rest.
				k := &keys[r.key]
				for g := range len(k.first) - 1 {
					at := k.first[g]
					if k.writers[at] == i {
						if at++; at == k.first[g+1] {
							continue
						}
					}
					add(p.start(i), p.commit(k.writers[at]), graph.RW, [2]int32{}, none)
				}
				continue
			}
			c.latest(&keys[r.key], clock, func(w int32) {
				if w != r.writer && w != i && !commits(w, p.start(r.writer)) {
					add(p.commit(w), p.start(r.writer), graph.WW, [2]int32{p.commit(w), p.start(i)}, i)
				}
			})
		}
		// Whoever began before it wrote did so before it began, and all that read that.
		clock = c.of(c.started, p.commit(i))
		copy(own, clock)
		own[c.chain[i]] = c.index[i] - 1
		for _, k := range p.keysOf(i) {
			c.latest(&keys[k], own, func(w int32) {
				if !commits(w, p.start(i)) {
					add(p.commit(w), p.start(i), graph.WW, [2]int32{p.start(w), p.commit(i)}, none)
				}
				p.readersOf(w, k, func(r int32) {
					if r != i && !starts(r, p.commit(i)) {
						add(p.start(r), p.commit(i), graph.RW, [2]int32{p.start(w), p.commit(i)}, w)
					}
				})
			})
		}
	}
	clear(c.moved)
	return len(p.arcs) > before
}
