package transactions

import (
	"context"
	"fmt"
	"math"
	"slices"

	"coup/checker/graph"
	"coup/checker/model"
	"coup/harness"
)

// conclusions are what follows from what transactions over registers read. If T
// read what W wrote, any other transaction that wrote to that register came
// before W or after T, whatever the order: so if it is known to have come after
// W, it came after T, and if it came before T, it came before W. All that is
// known holds of every order that explains the reads. If it goes in a circle
// there is none (Papadimitriou, "The serializability of concurrent database
// updates", 1979; as pruning in Tan et al., "Cobra", OSDI 2020).
//
// That is not complete: a history can be without an order though nothing follows
// from its single reads. To decide that is NP-complete.
type conclusions struct {
	*registerTxns
	nodes []int32 // transactions that took effect, in the order of their calls
	reads []registerRead
	wrote []registerWrite // in the order of the nodes
	facts []fact
	// By node: the last fact that leads from it, and to it.
	out, in []int32
	// By node: when it was called, at least, and when it ended. Where only what was
	// read counts there are none.
	from, end []int
}

// fact says that one node comes before another.
type fact struct {
	from, to int32
	kind     graph.Dependency
	// A conclusion rests on that premise[0] comes before premise[1], if they are not the same.
	premise [2]int32
	known   int32 // how many facts were known before this one
	// The facts before it that lead from the same node, and to the same.
	nextOut, nextIn int32
}

// registerRead says that a transaction read a register that another one wrote; none:
// that it found nothing.
type registerRead struct {
	key, reader, writer int32
}

// registerWrite says that a transaction wrote to a register.
type registerWrite struct {
	key, node int32
}

// deduction is the explanation of a conclusion, in words.
type deduction struct{ key, text string }

// saturate looks for transactions that no order explains, with the order of
// time or without it. It gives up when ctx ends, or after so much work that the
// time would be over anyway, and says so.
func (r *registerTxns) saturate(ctx context.Context, timed bool) {
	var all []int32
	place := make([]int32, len(r.ops))
	for i := range r.ops {
		place[i] = none
		if r.did[i] {
			place[i] = int32(len(all))
			all = append(all, int32(i))
		}
	}
	// What follows without the order of time follows with it, and that is decided sooner.
	t := timely{conclusions: r.gather(all, place, 0)}
	circle := t.conclude(ctx)
	switch {
	case circle != nil && (timed || !t.restsOnTime(circle)):
		t.tellCircle(circle)
	case timed || circle == nil && !t.gaveUp:
		r.undrawn = t.gaveUp
	default:
		t = timely{}
		r.saturateWindows(ctx, all, place)
	}
}

// gather notes what some transactions read and wrote. place tells where each
// transaction is among all, and first is where these begin.
func (r *registerTxns) gather(nodes, place []int32, first int32) conclusions {
	c := conclusions{registerTxns: r, nodes: nodes, out: make([]int32, len(nodes)), in: make([]int32, len(nodes))}
	var touched, written []int32 // reads of what it saw or wrote itself tell nothing new
	for n, i := range nodes {
		c.out[n], c.in[n] = none, none
		touched, written = touched[:0], written[:0]
		steps, answered := r.ops[i].Output.(model.Txn)
		if !answered {
			steps = r.input(i)
		}
		for at, m := range steps {
			k := r.key(i, at)
			if m.F == "w" {
				if !slices.Contains(written, k) {
					c.wrote = append(c.wrote, registerWrite{k, int32(n)})
					written = append(written, k)
				}
			} else if answered && !slices.Contains(touched, k) {
				writer, known := none, true
				if m.Seen.Set {
					writer = place[r.writers[item{k, m.Seen.Int}].txn] - first
					known = writer >= 0 && int(writer) < len(nodes)
				}
				if known && writer != int32(n) {
					c.reads = append(c.reads, registerRead{k, int32(n), writer})
				}
			}
			touched = append(touched, k)
		}
	}
	return c
}

func (c *conclusions) add(f fact) {
	at := int32(len(c.facts))
	f.known, f.nextOut, f.nextIn = at, c.out[f.from], c.in[f.to]
	c.out[f.from], c.in[f.to] = at, at
	c.facts = append(c.facts, f)
}

// unordered tells for each node how many of its predecessors have no place in a
// topological order, because the facts contain a cycle; nil: there is no cycle.
func (c *conclusions) unordered() []int32 {
	in := make([]int32, len(c.nodes))
	for i := range c.facts {
		in[c.facts[i].to]++
	}
	if c.inOrder(in, func(int32) {}) == len(in) {
		return nil
	}
	return in
}

// inOrder calls do for nodes so that facts lead only to later ones, and returns
// for how many it could. in is how many facts lead to each, and becomes how many
// lead to it from those that it could not.
func (c *conclusions) inOrder(in []int32, do func(n int32)) (done int) {
	ready := make([]int32, 0, 100)
	for n := range int32(len(in)) {
		if in[n] != 0 {
			continue
		}
		for ready = append(ready, n); len(ready) > 0; {
			m := ready[len(ready)-1]
			ready = ready[:len(ready)-1]
			in[m] = none // not again
			do(m)
			done++
			for f := c.out[m]; f != none; f = c.facts[f].nextOut {
				to := c.facts[f].to
				if in[to]--; in[to] == 0 && to < n {
					ready = append(ready, to)
				}
			}
		}
	}
	return done
}

// mostTries is from how many nodes the search for a short cycle begins.
const mostTries = 100

// circle is the shortest cycle found among the nodes that have no place in a
// topological order.
func (c *conclusions) circle(in []int32) (best []fact) {
	tries := 0
	for n := range in {
		if in[n] <= 0 {
			continue
		}
		if tries++; tries > mostTries && best != nil {
			break
		}
		if way := c.path(int32(n), int32(n), int32(len(c.facts))); way != nil && (best == nil || len(way) < len(best)) {
			best = way
		}
	}
	return best
}

// path is a shortest path from one node to another over the facts that were known
// first. It has at least one fact. A step by the order of time counts as two facts, and
// is made up here.
func (c *conclusions) path(from, to, known int32) (way []fact) {
	type came struct {
		from int32
		fact int32 // none: by time
	}
	reached := map[int32]came{}
	reach := func(n int32, by came) bool {
		if _, already := reached[n]; already {
			return false
		}
		reached[n] = by
		return true
	}
	// Those from here on were called after one ended that was reached. Of them only
	// those can lead on to the last one by facts that were not called after it began.
	later := len(c.nodes)
	soonest, due := none, none // of those reached, the one that ended first; and as it was a step ago
	now, next := []int32{from}, []int32(nil)
	for len(now) > 0 || due != soonest {
		if _, there := reached[to]; there {
			break
		}
		due = soonest
		for _, n := range now {
			for f := c.out[n]; f != none; f = c.facts[f].nextOut {
				if t := c.facts[f].to; f < known && reach(t, came{n, f}) {
					next = append(next, t)
				}
			}
			if c.end != nil && c.end[n] < math.MaxInt && (soonest == none || c.end[n] < c.end[soonest]) {
				soonest = n
			}
		}
		if due != none {
			first, _ := slices.BinarySearchFunc(c.nodes, c.end[due]+1, func(i int32, at int) int { return c.ops[i].Call - at })
			for n := first; n < later && c.ops[c.nodes[n]].Call <= c.from[to]; n++ {
				if reach(int32(n), came{due, none}) {
					next = append(next, int32(n))
				}
			}
			later = min(later, first)
		}
		now, next = next, now[:0]
	}
	if _, there := reached[to]; !there {
		return nil
	}
	for n := to; ; {
		by := reached[n]
		if by.fact == none {
			way = append(way, fact{from: by.from, to: n, kind: graph.Realtime})
		} else {
			way = append(way, c.facts[by.fact])
		}
		if n = by.from; n == from {
			break
		}
	}
	slices.Reverse(way)
	return way
}

// whole calls do for the facts of a way, before each with those that it rests on.
func (c *conclusions) whole(way []fact, do func(f fact)) {
	told := map[int32]bool{}
	var tell func(way []fact)
	tell = func(way []fact) {
		for _, f := range way {
			if f.premise[0] != f.premise[1] && !told[f.known] {
				told[f.known] = true
				tell(c.path(f.premise[0], f.premise[1], f.known))
			}
		}
		for _, f := range way {
			do(f)
		}
	}
	tell(way)
}

// restsOnTime says whether a circle rests on the order of time.
func (c *conclusions) restsOnTime(circle []fact) (timed bool) {
	c.whole(circle, func(f fact) { timed = timed || f.kind == graph.Realtime })
	return timed
}

// tellCircle records the anomaly, with all that the facts rest on.
func (c *conclusions) tellCircle(circle []fact) {
	a := Anomaly{Kind: Unserializable, Count: 1, tail: []string{
		"So a transaction came before itself: no order of these transactions explains what was read."}}
	told := map[graph.Step]bool{}
	c.whole(circle, func(f fact) {
		st := graph.Step{From: c.nodes[f.from], To: c.nodes[f.to], Kind: f.kind}
		if told[st] {
			return
		}
		told[st] = true
		if f.premise[0] != f.premise[1] {
			c.concluded[st] = c.deduce(f)
		}
		if f.kind == graph.Realtime {
			a.Kind = Unserializable + "-realtime"
		}
		a.edges = append(a.edges, st)
		a.txns = append(a.txns, st.From, st.To)
	})
	c.anomalies = append(c.anomalies, a)
}

// deduce words a conclusion, with the names of its two transactions left open.
func (c *conclusions) deduce(f fact) deduction {
	reader, other, writer := f.from, f.to, f.premise[0]
	if f.kind == graph.WW {
		reader, other, writer = f.premise[1], f.from, f.to
	}
	value := func(n, key int32) (last int64, wrote bool) {
		for at, m := range c.input(c.nodes[n]) {
			if m.F == "w" && c.key(c.nodes[n], at) == key {
				last, wrote = m.Value, true
			}
		}
		return last, wrote
	}
	for _, r := range c.reads {
		if r.reader != reader || r.writer != writer {
			continue
		}
		written, wrote := value(other, r.key)
		if !wrote {
			continue
		}
		name := c.names[r.key]
		read, _ := value(writer, r.key)
		if f.kind == graph.WW {
			return deduction{name, fmt.Sprintf("%%s, which wrote %d to %s, came before that was read as %d, which %%s wrote", written, name, read)}
		}
		return deduction{name, fmt.Sprintf("%%s read %s as %d, and %%s, which wrote %d to it, came after the one that wrote that", name, read, written)}
	}
	return deduction{text: "what was read says of %s and %s"}
}

// ends is when a transaction had ended; never, if that is not known.
func (r *registerTxns) ends(i int32) int {
	if r.ops[i].Type == harness.OK {
		return r.ops[i].Return
	}
	return math.MaxInt
}

// known is who read what others wrote.
func (r *registerTxns) known() (k known) {
	var touched []int32
	for i, op := range r.ops {
		if op.Type != harness.OK {
			continue
		}
		touched = touched[:0]
		for at, m := range r.output(int32(i)) {
			key := r.key(int32(i), at)
			if slices.Contains(touched, key) {
				continue
			}
			touched = append(touched, key)
			if m.F != "r" {
				continue
			}
			writer := none
			if m.Seen.Set {
				w, written := r.writers[item{key, m.Seen.Int}]
				if !written {
					continue
				}
				writer = w.txn
			}
			k.reads = append(k.reads, readOf{key, int32(i), writer})
		}
	}
	return k
}
