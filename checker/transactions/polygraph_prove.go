package transactions

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"coup/checker/graph"
)

// Bounds on the search for a small proof that no order explains some transactions: how
// many transactions a proof may name, how many rounds of conclusions it may draw, and
// how often the search tries to leave a transaction out.
const (
	mostProven   = 400
	mostDerived  = 5000
	mostWithouts = 2000
)

// refutation is a proof that no order explains some transactions, one which a person
// can follow: facts of which each is known or follows from earlier ones, and some of
// them in a circle.
type refutation struct {
	*polygraph
	facts  []proven
	circle []int32 // facts
}

// proven is the fact that one node comes before another.
type proven struct {
	arc
	key      int32       // what it is about, if it was concluded
	supposed bool        // only for the sake of the argument
	absurd   *refutation // it must be so, since the contrary goes in a circle
}

// refute looks for a small set of transactions that no order explains, given a larger
// one, and proves it. It returns nil if that takes too long.
func (t *txns) refute(ctx context.Context, core []int32, k known, snapshots bool, order graph.Dependency) *refutation {
	try := func(txns []int32) (*polygraph, []int32) {
		p := t.newPolygraph(txns, t.among(txns, k), snapshots, order)
		d := p.decide(ctx, nil)
		if d.outcome != graph.None {
			return nil, nil
		}
		var left []int32
		for _, i := range d.core {
			left = append(left, txns[i])
		}
		return p, left
	}
	for {
		_, left := try(core)
		if left == nil {
			return nil
		}
		if len(left) >= len(core) {
			break
		}
		core = left
	}
	for at, tries := len(core)-1, 0; at >= 0 && tries < mostWithouts && ctx.Err() == nil; at, tries = at-1, tries+1 {
		if _, left := try(slices.Delete(slices.Clone(core), at, at+1)); left != nil {
			core = left
			at = min(at, len(core))
		}
	}
	p, _ := try(core)
	if p == nil || p.nodes > mostProven {
		return nil
	}
	// Begin with the known arcs only, without those that were concluded.
	p = t.newPolygraph(core, t.among(core, k), snapshots, order)
	r := &refutation{polygraph: p}
	for _, a := range p.arcs {
		r.facts = append(r.facts, proven{arc: a, key: none})
	}
	for _, read := range p.reads {
		for _, w := range p.writers[read.key] {
			if read.writer == none && w != read.reader {
				r.facts = append(r.facts, proven{arc: arc{from: p.start(read.reader), to: p.commit(w), kind: graph.RW, third: none}, key: none})
			}
		}
	}
	for depth := range 5 {
		budget := mostDerived
		if r.close(depth, &budget) {
			return r
		}
	}
	return nil
}

// among is the part of the polygraph that is about some transactions, given in
// ascending order.
func (t *txns) among(txns []int32, k known) (few known) {
	in := make(map[int32]bool, len(txns))
	for _, i := range txns {
		in[i] = true
	}
	for _, r := range k.reads {
		if in[r.reader] && (r.writer == none || in[r.writer]) {
			few.reads = append(few.reads, r)
		}
	}
	for _, two := range k.then {
		if in[two[0]] && in[two[1]] {
			few.then = append(few.then, two)
		}
	}
	return few
}

// close draws conclusions until facts form a cycle, and says whether they do. Where
// nothing more follows, it supposes an order of two writes. If that leads to a cycle,
// the opposite order holds. depth bounds how many suppositions may be nested.
func (r *refutation) close(depth int, budget *int) bool {
	for {
		reach, circle := r.derive()
		if circle != nil {
			r.circle = circle
			return true
		}
		if depth == 0 {
			return false
		}
		learned := false
		for k, writers := range r.writers {
			for _, a := range writers {
				for _, b := range writers {
					if a == b || reach[r.commit(a)][r.start(b)] || reach[r.commit(b)][r.start(a)] {
						continue
					}
					if *budget--; *budget < 0 {
						return false
					}
					fact := proven{arc: arc{from: r.commit(a), to: r.start(b), kind: graph.WW, third: none}, key: int32(k), supposed: true}
					sub := &refutation{polygraph: r.polygraph, facts: append(slices.Clone(r.facts), fact)}
					if sub.close(depth-1, budget) {
						r.facts = append(r.facts, proven{arc: arc{from: r.commit(b), to: r.start(a), kind: graph.WW, third: none}, key: int32(k), absurd: sub})
						learned = true
						break
					}
				}
				if learned {
					break
				}
			}
			if learned {
				break
			}
		}
		if !learned {
			return false
		}
	}
}

// derive draws all conclusions that the rules allow. It returns the facts by their
// nodes, and a cycle of facts if there is one.
func (r *refutation) derive() (reach [][]bool, circle []int32) {
	n := r.nodes
	for {
		reach = make([][]bool, n)
		next := make([][]int32, n)
		for _, f := range r.facts {
			next[f.from] = append(next[f.from], f.to)
		}
		for from := range n {
			reach[from] = make([]bool, n)
			stack := []int32{from}
			for len(stack) > 0 {
				m := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				for _, to := range next[m] {
					if !reach[from][to] {
						reach[from][to] = true
						stack = append(stack, to)
					}
				}
			}
		}
		for m := range n {
			if reach[m][m] {
				if way := r.path(m, m, int32(len(r.facts))); circle == nil || len(way) < len(circle) {
					circle = way
				}
			}
		}
		if circle != nil {
			return reach, circle
		}
		before := len(r.facts)
		know := func(from, to int32, kind graph.Dependency, key int32, premise [2]int32, third int32) {
			if !reach[from][to] {
				r.facts = append(r.facts, proven{arc: arc{from: from, to: to, kind: kind, round: int32(before), premise: premise, third: third}, key: key})
			}
		}
		for _, read := range r.reads {
			for _, o := range r.writers[read.key] {
				w := read.writer
				if w == none || o == w || o == read.reader {
					continue
				}
				if reach[r.commit(o)][r.start(read.reader)] {
					know(r.commit(o), r.start(w), graph.WW, read.key, [2]int32{r.commit(o), r.start(read.reader)}, read.reader)
				}
				if reach[r.start(w)][r.commit(o)] {
					know(r.start(read.reader), r.commit(o), graph.RW, read.key, [2]int32{r.start(w), r.commit(o)}, w)
				}
			}
		}
		for k, writers := range r.writers {
			for _, a := range writers {
				for _, b := range writers {
					if r.snapshots && a != b && reach[r.start(a)][r.commit(b)] {
						know(r.commit(a), r.start(b), graph.WW, int32(k), [2]int32{r.start(a), r.commit(b)}, none)
					}
				}
			}
		}
		if len(r.facts) == before {
			return reach, nil
		}
	}
}

// path is a shortest path over the facts that were known first. It has at least one
// fact.
func (r *refutation) path(from, to, known int32) (way []int32) {
	came := map[int32]int32{}
	queue := []int32{from}
	for at := 0; at < len(queue); at++ {
		for i := range r.facts[:known] {
			f := &r.facts[i]
			if _, seen := came[f.to]; seen || f.from != queue[at] {
				continue
			}
			came[f.to] = int32(i)
			queue = append(queue, f.to)
			if f.to == to {
				for m := to; ; {
					way = append(way, came[m])
					if m = r.facts[came[m]].from; m == from {
						slices.Reverse(way)
						return way
					}
				}
			}
		}
	}
	return nil
}

// step is a fact, or several that pass through moments, between two transactions.
type step struct {
	graph.Step
	fact int32
}

// steps are those of a way; what leads from the start of a transaction to its own
// commit is none. A way may begin at a moment if it is a circle.
func (r *refutation) steps(way []int32) (list []step) {
	for at, e := range way {
		if r.txnOf(r.facts[e].from) != none {
			way = append(slices.Clone(way[at:]), way[:at]...)
			break
		}
	}
	for _, e := range way {
		f := &r.facts[e]
		from, to := r.txnOf(f.from), r.txnOf(f.to)
		switch {
		case from == none && to == none:
		case from == none:
			list[len(list)-1].To = r.all[to]
		case from == to: // to its own commit
		case to == none:
			list = append(list, step{graph.Step{From: r.all[from], Kind: f.kind}, e})
		default:
			list = append(list, step{graph.Step{From: r.all[from], To: r.all[to], Kind: f.kind}, e})
		}
	}
	return list
}

// anomaly is what is to be told of a refutation.
func (r *refutation) anomaly(kind string) Anomaly {
	a := Anomaly{Kind: kind, Count: 1, lines: r.lines}
	suffix := 0
	seen := map[graph.Step]bool{}
	a.txns = append(a.txns, r.all...)
	var visit func(r *refutation, way []int32, outer bool)
	visit = func(r *refutation, way []int32, outer bool) {
		for _, s := range r.steps(way) {
			f := &r.facts[s.fact]
			if f.round > 0 {
				visit(r, r.path(f.premise[0], f.premise[1], f.round), outer)
			}
			if f.absurd != nil {
				visit(f.absurd, f.absurd.circle, false)
			}
			switch s.Kind {
			case graph.Realtime:
				suffix = 2
			case graph.Process:
				suffix = max(suffix, 1)
			}
			if outer && !seen[s.Step] {
				seen[s.Step] = true
				a.edges = append(a.edges, s.Step)
				if f.round > 0 || f.absurd != nil {
					if r.concluded == nil {
						r.concluded = map[graph.Step]deduction{}
					}
					r.concluded[s.Step] = deduction{key: r.names[f.key], text: "it follows that %s comes before %s here"}
				}
			}
			if f.key != none && !slices.Contains(a.keys, r.names[f.key]) {
				a.keys = append(a.keys, r.names[f.key])
			}
			if f.key == none && s.Kind&(graph.WR|graph.WW|graph.RW) != 0 {
				if key, _ := r.reason(s.Step, "", ""); key != "" && !slices.Contains(a.keys, key) {
					a.keys = append(a.keys, key)
				}
			}
		}
	}
	visit(r, r.circle, true)
	a.Kind += [...]string{"", "-process", "-realtime"}[suffix]
	return a
}

// lines tells a refutation, given the names of transactions.
func (r *refutation) lines(name func(i int32) string) (lines []string) {
	told := map[graph.Step]bool{}
	return r.told(name, told)
}

// told tells a refutation but for the facts that are told already.
func (r *refutation) told(name func(i int32) string, told map[graph.Step]bool) (lines []string) {
	var tell func(way []int32)
	tell = func(way []int32) {
		for _, s := range r.steps(way) {
			if told[s.Step] {
				continue
			}
			told[s.Step] = true
			f := &r.facts[s.fact]
			if f.round > 0 {
				tell(r.path(f.premise[0], f.premise[1], f.round))
			}
			if so := r.relation(s, name); f.absurd != nil {
				within := make(map[graph.Step]bool, len(told))
				for s := range told {
					within[s] = true
				}
				lines = append(lines, f.absurd.told(name, within)...)
				lines = append(lines, fmt.Sprintf("That cannot be: so %s (%s).", so, s.Kind))
			} else if f.supposed {
				lines = append(lines, fmt.Sprintf("%s and %s both wrote to %s. Suppose that %s (%s).", name(s.From), name(s.To), r.names[f.key], so, s.Kind))
			} else {
				lines = append(lines, fmt.Sprintf("%s: so %s (%s).", r.because(s, f, name), so, s.Kind))
			}
		}
	}
	tell(r.circle)
	var chain []string
	for _, s := range r.steps(r.circle) {
		chain = append(chain, r.relation(s, name))
	}
	what := "a transaction came before itself"
	if r.snapshots {
		what = "a moment came before itself"
	}
	return append(lines, "But then "+strings.Join(chain, ", and ")+": "+what+".")
}

// relation words what a step says.
func (r *refutation) relation(s step, name func(i int32) string) string {
	switch {
	case !r.snapshots:
		return fmt.Sprintf("%s came before %s", name(s.From), name(s.To))
	case s.Kind == graph.RW:
		return fmt.Sprintf("%s started before %s committed", name(s.From), name(s.To))
	default:
		return fmt.Sprintf("%s had committed when %s started", name(s.From), name(s.To))
	}
}

// because words why a step holds.
func (r *refutation) because(s step, f *proven, name func(i int32) string) string {
	if f.round == 0 {
		_, why := r.known(s.Step, name(s.From), name(s.To))
		return why
	}
	key := r.names[f.key]
	before := "came before"
	switch {
	case f.third == none:
		return fmt.Sprintf("%s and %s both wrote to %s, and %s started before %s committed", name(s.From), name(s.To), key, name(s.From), name(s.To))
	case s.Kind == graph.WW:
		reader := r.all[f.third]
		if r.snapshots {
			return fmt.Sprintf("%s read %s as %s wrote it, and %s, which wrote to it too, had committed when %s started", name(reader), key, name(s.To), name(s.From), name(reader))
		}
		return fmt.Sprintf("%s read %s as %s wrote it, and %s, which wrote to it too, %s %s", name(reader), key, name(s.To), name(s.From), before, name(reader))
	default:
		writer := r.all[f.third]
		if r.snapshots {
			return fmt.Sprintf("%s read %s as %s wrote it, and %s, which wrote to it too, committed after %s had started", name(s.From), key, name(writer), name(s.To), name(writer))
		}
		return fmt.Sprintf("%s read %s as %s wrote it, and %s, which wrote to it too, came after %s", name(s.From), key, name(writer), name(s.To), name(writer))
	}
}
