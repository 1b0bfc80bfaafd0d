package graph

import "slices"

// Choices finds for each of some choices which of two sets of edges to take, such
// that the graph has no cycle together with the edges that it has anyway.
//
// It is a SAT solver that learns from conflicts (Marques-Silva and Sakallah, "GRASP",
// 1996; Moskewicz et al., "Chaff", 2001; Eén and Sörensson, "MiniSat", 2003), with
// acyclicity as a theory: as soon as the sides taken close a cycle, the clause that
// forbids to take them together is learned (as in Bayless et al., "SAT modulo
// monotonic theories", AAAI 2015). A Choices is not safe for concurrent use.
type Choices struct {
	// Most is how many numbers may be kept of what was learned; 0: any.
	Most int

	order  *Order
	sides  []Arc   // of the choices, one after the other
	begin  []int32 // by literal: where its edges begin in sides
	value  []int8  // by literal: 1 true, -1 false, 0 open
	level  []int32 // by choice
	reason []int32 // by choice: the clause that it follows from
	likes  []bool  // by choice: whether its second side was taken last
	trail  []int32 // literals in the order in which they became true
	limits []int32 // by level: where it begins in the trail
	edges  []int32 // those of literals in the order
	at     []int32 // by place in the trail: how many edges there were before its own
	done   int     // so much of the trail was followed

	clauses []clause
	watched [][]int32 // by literal: the clauses that watch it
	kept    int       // numbers in clauses

	heat   []float64 // by choice: how much it took part in conflicts lately
	warmth float64
	heap   []int32
	inHeap []int32 // by choice: its place in the heap; none

	seen []bool // by choice, while a conflict is analyzed
	bad  int32  // a clause that cannot be true; none
}

// Arc is an edge of a [Choices].
type Arc struct{ From, To int32 }

// clause says that one of some literals is true. Literal 2c is that the first side
// of choice c is taken, literal 2c+1 that the second is.
type clause struct {
	literals []int32
	rests    []int32 // the clauses that it was learned from
	cycle    []Labeled
}

// NewChoices begins with nodes in the given line, which should lead most edges
// forward, and without edges.
func NewChoices(line []int32) *Choices {
	return &Choices{order: NewOrder(line), begin: []int32{0}, warmth: 1, bad: none}
}

// Line are the nodes in an order that keeps all edges, once Solve returned Found.
// It changes with the next call.
func (c *Choices) Line() []int32 { return c.order.Line() }

// Require adds an edge that is there whatever is chosen. The tag, 0 or more, names it
// in what [Choices.Core] tells.
func (c *Choices) Require(from, to, tag int32) {
	c.back(0)
	if c.bad != none {
		return
	}
	if _, cycle := c.order.Add(from, to, -1-tag); cycle != nil {
		c.bad = c.forbid(cycle) // the choices on it are not open any more
	}
}

// Choose adds a choice between two sets of edges and returns its number. second
// says which is to be tried first.
func (c *Choices) Choose(first, second []Arc, preferSecond bool) int32 {
	v := int32(len(c.level))
	c.sides = append(append(c.sides, first...), second...)
	n := c.begin[len(c.begin)-1]
	c.begin = append(c.begin, n+int32(len(first)), n+int32(len(first)+len(second)))
	c.value = append(c.value, 0, 0)
	c.level, c.reason = append(c.level, 0), append(c.reason, none)
	c.likes, c.seen = append(c.likes, preferSecond), append(c.seen, false)
	c.heat, c.inHeap = append(c.heat, 0), append(c.inHeap, none)
	c.watched = append(c.watched, nil, nil)
	c.push(v)
	return v
}

// Taken says whether the second side of a choice was taken.
func (c *Choices) Taken(choice int32) (second bool) { return c.value[2*choice+1] > 0 }

// Outcome is what [Choices.Solve] came to.
type Outcome int

// The outcomes.
const (
	Found  Outcome = iota // a side of each choice was taken
	None                  // whatever is taken, there is a cycle
	GaveUp                // it was told to stop, or more was learned than may be kept
)

// Solve takes a side of each choice. stop is asked now and then whether to give up.
func (c *Choices) Solve(stop func() bool) Outcome {
	c.back(0)
	conflicts, restart := 0, 0
	until := 64
	for steps := 0; ; steps++ {
		if c.bad != none {
			return None
		}
		if conflict := c.follow(); conflict != none {
			if !c.learn(conflict) {
				return None
			}
			if conflicts++; conflicts%64 == 0 && stop() || c.Most > 0 && c.kept > c.Most {
				return GaveUp
			}
			continue
		}
		if conflicts >= until {
			restart++
			until = conflicts + 64*luby(restart)
			c.back(0)
			continue
		}
		if steps%64 == 0 && stop() {
			return GaveUp
		}
		v := c.pop()
		if v == none {
			return Found
		}
		c.limits = append(c.limits, int32(len(c.trail)))
		literal := 2 * v
		if c.likes[v] {
			literal++
		}
		c.assume(literal, none)
	}
}

// luby is the n-th number of 1 1 2 1 1 2 4 ... (Luby, Sinclair and Zuckerman, 1993).
func luby(n int) int {
	for k := 1; ; k++ {
		if n+1 == 1<<k {
			return 1 << (k - 1)
		}
		if n+1 < 1<<k {
			return luby(n - (1<<(k-1) - 1))
		}
	}
}

// Core tells what the refutation rests on, once Solve returned None: the cycles, which
// may use any of the choices, the choices, and the tags of the required edges.
func (c *Choices) Core() (nodes, choices, tags []int32) {
	used := make([]bool, len(c.clauses))
	stack := []int32{c.bad}
	used[c.bad] = true
	use := func(at int32) {
		if at != none && !used[at] {
			used[at] = true
			stack = append(stack, at)
		}
	}
	for len(stack) > 0 {
		k := &c.clauses[stack[len(stack)-1]]
		stack = stack[:len(stack)-1]
		for _, at := range k.rests {
			use(at)
		}
		for _, l := range k.literals {
			if v := l / 2; c.value[l] != 0 && c.level[v] == 0 {
				use(c.reason[v])
			}
		}
		for _, e := range k.cycle {
			nodes = append(nodes, e.From)
			if e.Label < 0 {
				tags = append(tags, -1-e.Label)
			} else {
				choices = append(choices, e.Label/2)
			}
		}
	}
	for _, s := range []*[]int32{&nodes, &choices, &tags} {
		slices.Sort(*s)
		*s = slices.Compact(*s)
	}
	return nodes, choices, tags
}

// assume makes a literal true.
func (c *Choices) assume(literal, reason int32) {
	v := literal / 2
	c.value[literal], c.value[literal^1] = 1, -1
	c.level[v], c.reason[v] = int32(len(c.limits)), reason
	c.trail, c.at = append(c.trail, literal), append(c.at, 0)
}

// back undoes all levels above one.
func (c *Choices) back(level int) {
	if len(c.limits) <= level {
		return
	}
	to := int(c.limits[level])
	if to < c.done {
		for len(c.edges) > int(c.at[to]) {
			c.order.Remove(c.edges[len(c.edges)-1])
			c.edges = c.edges[:len(c.edges)-1]
		}
	}
	for i := len(c.trail) - 1; i >= to; i-- {
		l := c.trail[i]
		c.value[l], c.value[l^1] = 0, 0
		c.likes[l/2] = l&1 == 1
		if c.inHeap[l/2] == none {
			c.push(l / 2)
		}
	}
	c.trail, c.at, c.limits = c.trail[:to], c.at[:to], c.limits[:level]
	c.done = min(c.done, to)
}

// follow draws what follows from the literals that became true. It returns a clause
// that is false, none if there is none.
func (c *Choices) follow() int32 {
	for c.done < len(c.trail) {
		l := c.trail[c.done]
		c.at[c.done] = int32(len(c.edges))
		c.done++
		for _, a := range c.sides[c.begin[l]:c.begin[l+1]] {
			edge, cycle := c.order.Add(a.From, a.To, l)
			if cycle != nil {
				return c.forbid(cycle)
			}
			c.edges = append(c.edges, edge)
		}
		falseNow := l ^ 1
		list := c.watched[falseNow]
		kept := list[:0]
		for i, at := range list {
			k := c.clauses[at].literals
			if k[0] == falseNow {
				k[0], k[1] = k[1], k[0]
			}
			if c.value[k[0]] > 0 {
				kept = append(kept, at)
				continue
			}
			other := -1
			for j := 2; j < len(k); j++ {
				if c.value[k[j]] >= 0 {
					other = j
					break
				}
			}
			if other >= 0 {
				k[1], k[other] = k[other], k[1]
				c.watched[k[1]] = append(c.watched[k[1]], at)
				continue
			}
			kept = append(kept, at)
			if c.value[k[0]] < 0 {
				kept = append(kept, list[i+1:]...)
				c.watched[falseNow] = kept
				return at
			}
			c.assume(k[0], at)
		}
		c.watched[falseNow] = kept
	}
	return none
}

// forbid makes a clause of a cycle, and returns it.
func (c *Choices) forbid(cycle []Labeled) int32 {
	k := clause{cycle: slices.Clone(cycle)}
	for _, e := range cycle {
		if e.Label >= 0 && !slices.Contains(k.literals, e.Label^1) {
			k.literals = append(k.literals, e.Label^1)
		}
	}
	return c.keep(k)
}

func (c *Choices) keep(k clause) int32 {
	c.kept += len(k.literals) + len(k.rests) + 3*len(k.cycle) + 24
	c.clauses = append(c.clauses, k)
	return int32(len(c.clauses) - 1)
}

// learn learns from a clause that is false, up to the first literal that all of the
// conflict goes through, and goes back to where what was learned says something. It
// returns false if nothing can make all clauses true.
func (c *Choices) learn(conflict int32) bool {
	top := int32(0)
	for _, l := range c.clauses[conflict].literals {
		top = max(top, c.level[l/2])
	}
	if top == 0 {
		c.bad = conflict
		return false
	}
	c.back(int(top))
	learned := []int32{none}
	var rests, touched []int32
	open, at := 0, len(c.trail)-1
	for from := conflict; ; {
		rests = append(rests, from)
		for _, l := range c.clauses[from].literals {
			v := l / 2
			if c.seen[v] || c.value[l] > 0 {
				continue // seen, or what this clause made true
			}
			if c.level[v] == 0 {
				if c.reason[v] != none {
					rests = append(rests, c.reason[v])
				}
				continue
			}
			c.seen[v] = true
			touched = append(touched, v)
			c.warm(v)
			if c.level[v] == top {
				open++
			} else {
				learned = append(learned, l)
			}
		}
		for !c.seen[c.trail[at]/2] {
			at--
		}
		l := c.trail[at]
		at--
		if open--; open == 0 {
			learned[0] = l ^ 1
			break
		}
		from = c.reason[l/2]
	}
	for _, v := range touched {
		c.seen[v] = false
	}
	c.warmth /= 0.95
	level := int32(0)
	for i := 1; i < len(learned); i++ {
		if l := c.level[learned[i]/2]; l > level {
			level = l
			learned[1], learned[i] = learned[i], learned[1]
		}
	}
	k := c.keep(clause{literals: learned, rests: rests})
	if len(learned) > 1 {
		for _, l := range learned[:2] {
			c.watched[l] = append(c.watched[l], k)
		}
	}
	c.back(int(level))
	c.assume(learned[0], k)
	return true
}

// warm notes that a choice took part in a conflict.
func (c *Choices) warm(v int32) {
	if c.heat[v] += c.warmth; c.heat[v] > 1e100 {
		for i := range c.heat {
			c.heat[i] *= 1e-100
		}
		c.warmth *= 1e-100
	}
	if c.inHeap[v] != none {
		c.up(c.inHeap[v])
	}
}

// push puts a choice into the heap, the hottest on top.
func (c *Choices) push(v int32) {
	c.heap = append(c.heap, v)
	c.inHeap[v] = int32(len(c.heap) - 1)
	c.up(c.inHeap[v])
}

// pop takes the hottest choice that is open; none if there is none.
func (c *Choices) pop() int32 {
	for len(c.heap) > 0 {
		v, last := c.heap[0], c.heap[len(c.heap)-1]
		c.heap = c.heap[:len(c.heap)-1]
		c.inHeap[v] = none
		if v != last {
			c.heap[0], c.inHeap[last] = last, 0
			c.down(0)
		}
		if c.value[2*v] == 0 {
			return v
		}
	}
	return none
}

func (c *Choices) up(at int32) {
	v := c.heap[at]
	for at > 0 {
		above := (at - 1) / 2
		if c.heat[c.heap[above]] >= c.heat[v] {
			break
		}
		c.heap[at] = c.heap[above]
		c.inHeap[c.heap[at]] = at
		at = above
	}
	c.heap[at], c.inHeap[v] = v, at
}

func (c *Choices) down(at int32) {
	v := c.heap[at]
	for n := int32(len(c.heap)); 2*at+1 < n; {
		below := 2*at + 1
		if below+1 < n && c.heat[c.heap[below+1]] > c.heat[c.heap[below]] {
			below++
		}
		if c.heat[c.heap[below]] <= c.heat[v] {
			break
		}
		c.heap[at] = c.heap[below]
		c.inHeap[c.heap[at]] = at
		at = below
	}
	c.heap[at], c.inHeap[v] = v, at
}
