package transactions

import (
	"context"
	"math"
	"slices"
	"strings"

	"coup/checker/graph"
)

// How many transactions are looked at in search of cycles of each kind. There
// may be thousands of cycles, and a short one of each kind is enough.
const mostVisits = 3_000_000

// cycles looks for cycles: of each kind a short one, first without the order of
// processes and of time, then with it. A cycle lies within a strongly connected
// component, so that where there are none the search is over.
func (t *txns) cycles(ctx context.Context) {
	g := t.graph
	g.Seal()
	const whatever = graph.WW | graph.WR | graph.RW | graph.Process | graph.Realtime
	all, total := g.Components(whatever, nil)
	t.components = int(total)
	if total == 0 {
		return
	}
	for _, order := range []graph.Dependency{0, graph.Process, graph.Process | graph.Realtime} {
		component, count := all, total
		if order&graph.Realtime == 0 {
			component, count = g.Components(graph.WW|graph.WR|graph.RW|order, all)
		}
		if count == 0 {
			continue
		}
		for _, k := range []struct {
			name        string
			first, rest graph.Dependency // a cycle begins with an edge of the kind first
		}{
			{G0, graph.WW, graph.WW}, {G1c, graph.WR, graph.WW | graph.WR}, {GSingle, graph.RW, graph.WW | graph.WR}, {G2Item, graph.RW, graph.WW | graph.WR | graph.RW},
		} {
			if ctx.Err() != nil {
				return
			}
			if t.cycleOf(k.name) {
				continue // without so much order
			}
			within, some := component, count
			if k.first != graph.RW { // what is left lies within smaller ones
				within, some = g.Components(k.rest|order, component)
			}
			if some > 0 {
				t.search(k.name, k.first, k.rest|order, within, some)
			}
		}
		if len(t.cyclic()) == 0 {
			// A strongly connected component contains a cycle, even if it is of no kind
			// that was searched for.
			kinds := graph.WW | graph.WR | graph.RW | order
			t.foundCycle(g.Cycle(kinds|graph.Link, kinds, component), 1)
		}
	}
}

// cyclic are the kinds of anomalies that are cycles.
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
func (t *txns) search(name string, first, rest graph.Dependency, component []int32, count int32) {
	g := t.graph
	var best []graph.Step
	within := make([]bool, count)
	components := 0
	g.Visits = mostVisits
	for h := range g.Inside(first, component) {
		c := component[h.From]
		most := int32(math.MaxInt32)
		if within[c] {
			most = int32(len(best)) - 2 // one step less than the best
		}
		if most <= 0 {
			continue
		}
		cycle := g.Through(h, rest, component, most)
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

func (t *txns) foundCycle(cycle []graph.Step, components int) {
	base, suffix := nameOfCycle(cycle)
	a := Anomaly{Kind: base + suffix, Count: components, cycle: true, edges: cycle}
	for _, s := range cycle {
		a.txns = append(a.txns, s.From)
	}
	t.anomalies = append(t.anomalies, a)
}

// nameOfCycle is the kind of a cycle, and the order that is a part of it.
func nameOfCycle(cycle []graph.Step) (base, suffix string) {
	count := map[graph.Dependency]int{}
	for _, s := range cycle {
		count[s.Kind]++
	}
	switch {
	case count[graph.RW] > 1:
		base = G2Item
	case count[graph.RW] == 1:
		base = GSingle
	case count[graph.WR] > 0:
		base = G1c
	default:
		base = G0
	}
	switch {
	case count[graph.Realtime] > 0:
		suffix = "-realtime"
	case count[graph.Process] > 0:
		suffix = "-process"
	}
	return base, suffix
}

// snapshotCycles looks for cycles that snapshot isolation excludes, but that are of no
// kind searched for so far: cycles in which no two rw edges are adjacent. It also finds
// cycles for which the search gave up. A level that excludes only other kinds of cycles
// is decided by the components alone.
func (t *txns) snapshotCycles(ctx context.Context) {
	if t.components == 0 {
		return
	}
	// has says whether there is a cycle of these kinds that uses no stronger order than
	// this one.
	has := func(order graph.Dependency, kinds ...string) bool {
		return slices.ContainsFunc(t.anomalies, func(a Anomaly) bool {
			base, needs := kindOf(a.Kind)
			return a.cycle && slices.Contains(kinds, base) &&
				(needs == "" || needs == orderOfProcess && order != 0 || order&graph.Realtime != 0)
		})
	}
	for _, order := range []graph.Dependency{0, graph.Process, graph.Process | graph.Realtime} {
		for _, k := range []struct {
			kinds graph.Dependency
			names []string
		}{{graph.WW, []string{G0}}, {graph.WW | graph.WR, []string{G0, G1c}}} {
			if has(order, k.names...) || ctx.Err() != nil {
				continue
			}
			if component, count := t.graph.Components(k.kinds|order, nil); count > 0 {
				t.foundCycle(t.graph.Cycle(k.kinds, k.kinds|order, component), 1)
			}
		}
	}
	split := t.graph.Snapshots()
	for _, order := range []graph.Dependency{0, graph.Process, graph.Process | graph.Realtime} {
		if has(order, G0, G1c, GSingle, GNonadjacent) || ctx.Err() != nil {
			return
		}
		kinds := graph.WW | graph.WR | graph.RW | order
		component, count := split.Components(kinds, nil)
		if count == 0 {
			continue
		}
		var best []graph.Step
		split.Visits = mostVisits
		for h := range split.Inside(graph.RW, component) {
			most := int32(math.MaxInt32)
			if best != nil {
				most = int32(len(best)) - 2
			} else if split.Visits < 0 {
				split.Visits = math.MaxInt // one there must be
			}
			if cycle := split.Through(h, kinds, component, most); cycle != nil {
				best = cycle
			}
			if split.Visits < 0 {
				break
			}
		}
		if best != nil {
			t.foundCycle(graph.Unsplit(best), int(count))
			last := &t.anomalies[len(t.anomalies)-1]
			last.Kind = strings.Replace(last.Kind, G2Item, GNonadjacent, 1)
		}
	}
}
