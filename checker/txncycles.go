package checker

import (
	"context"
	"math"
)

// How many transactions are looked at in search of cycles of each kind. There
// may be thousands of cycles, and a short one of each kind is enough.
const mostVisits = 3_000_000

// cycles looks for cycles: of each kind a short one, first without the order of
// processes and of time, then with it. A cycle lies within a strongly connected
// component, so that where there are none the search is over.
func (t *txns) cycles(ctx context.Context) {
	g := t.graph
	g.seal()
	const whatever = ww | wr | rw | process | realtime
	all, total := g.components(whatever, nil)
	t.components = int(total)
	if total == 0 {
		return
	}
	for _, order := range []dependency{0, process, process | realtime} {
		component, count := all, total
		if order&realtime == 0 {
			component, count = g.components(ww|wr|rw|order, all)
		}
		if count == 0 {
			continue
		}
		for _, k := range []struct {
			name        string
			first, rest dependency // a cycle begins with an edge of the kind first
		}{
			{G0, ww, ww}, {G1c, wr, ww | wr}, {GSingle, rw, ww | wr}, {G2Item, rw, ww | wr | rw},
		} {
			if ctx.Err() != nil {
				return
			}
			if t.cycleOf(k.name) {
				continue // without so much order
			}
			within, some := component, count
			if k.first != rw { // what is left lies within smaller ones
				within, some = g.components(k.rest|order, component)
			}
			if some > 0 {
				t.search(k.name, k.first, k.rest|order, within, some)
			}
		}
		if len(t.cyclic()) == 0 {
			// Where each reaches each, there is a cycle, if none of a plain kind.
			kinds := ww | wr | rw | order
			t.foundCycle(g.cycle(kinds|link, kinds, component), 1)
		}
	}
}

// cyclic are the anomalies that are cycles.
func (t *txns) cyclic() (kinds []string) {
	for _, a := range t.anomalies {
		if a.cycle {
			kinds = append(kinds, a.Kind)
		}
	}
	return kinds
}

// cycleOf says whether there is a cycle of a kind, with whatever order.
func (t *txns) cycleOf(name string) bool {
	for _, kind := range t.cyclic() {
		if kind == name || kind == name+"-process" || kind == name+"-realtime" {
			return true
		}
	}
	return false
}

// search finds a short cycle of a kind, and counts the components with one. It
// begins with every edge of the kind first and looks for a way back.
func (t *txns) search(name string, first, rest dependency, component []int32, count int32) {
	g := t.graph
	var best []step
	within := make([]bool, count)
	components := 0
	g.visits = mostVisits
	for h := range g.inside(first, component) {
		c := component[h.from]
		most := int32(math.MaxInt32)
		if within[c] {
			most = int32(len(best)) - 2 // one step less than the best
		}
		if most <= 0 {
			continue
		}
		cycle := g.through(h, rest, component, most)
		if g.visits < 0 {
			t.gaveUp = true
		}
		if cycle == nil {
			continue
		}
		if base, _ := nameOfCycle(cycle); base != name {
			if !t.cycleOf(base) {
				t.foundCycle(cycle, 1) // the search for its kind had given up
			}
			continue
		}
		if !within[c] {
			within[c] = true
			components++
		}
		if best == nil || len(cycle) < len(best) {
			best = cycle
		}
	}
	if best != nil {
		t.foundCycle(best, components)
	}
}

func (t *txns) foundCycle(cycle []step, components int) {
	base, suffix := nameOfCycle(cycle)
	a := TxnAnomaly{Kind: base + suffix, Count: components, cycle: true, edges: cycle}
	for _, s := range cycle {
		a.txns = append(a.txns, s.from)
	}
	t.anomalies = append(t.anomalies, a)
}

// nameOfCycle is the kind of a cycle, and the order that is a part of it.
func nameOfCycle(cycle []step) (base, suffix string) {
	count := map[dependency]int{}
	for _, s := range cycle {
		count[s.kind]++
	}
	switch {
	case count[rw] > 1:
		base = G2Item
	case count[rw] == 1:
		base = GSingle
	case count[wr] > 0:
		base = G1c
	default:
		base = G0
	}
	switch {
	case count[realtime] > 0:
		suffix = "-realtime"
	case count[process] > 0:
		suffix = "-process"
	}
	return base, suffix
}
