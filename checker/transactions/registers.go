package transactions

import (
	"fmt"
	"slices"

	"coup/checker/graph"
	"coup/checker/model"
	"coup/harness"
)

// registerTxns infers the order of transactions that write registers and read
// them, where every value is written to a register once. A read tells only who
// wrote what it shows; which version came before which shows only where one
// transaction reads a version and then writes the next one, and in that
// nothing comes before what was written first.
type registerTxns struct {
	*txns
	writers  map[item]writer
	nexts    map[item][]int32 // who read a version and then wrote another one
	readers  map[item][]int32
	previous map[item]item // the version that one followed
	// By key: who found nothing in it, and who then wrote it.
	nothing, begun map[int32][]int32
}

// item is a version of a register.
type item struct {
	key   int32
	value int64
}

// writer is the transaction that wrote an item.
type writer struct {
	txn   int32
	final bool // it wrote nothing to the same key afterwards
}

func (r *registerTxns) infer() error {
	r.writers, r.nexts, r.readers, r.previous = map[item]writer{}, map[item][]int32{}, map[item][]int32{}, map[item]item{}
	r.nothing, r.begun = map[int32][]int32{}, map[int32][]int32{}
	r.concluded = map[graph.Step]deduction{}
	r.why = r.explain
	for i := range r.ops {
		steps := r.input(int32(i))
		for at, m := range steps {
			if m.F != "w" {
				continue
			}
			k := r.key(int32(i), at)
			if other, twice := r.writers[item{k, m.Value}]; twice {
				return fmt.Errorf("%d is written to %s by %s and by %s: values must be unique", m.Value, m.Key, r.txn(other.txn), r.txn(int32(i)))
			}
			r.writers[item{k, m.Value}] = writer{txn: int32(i), final: !slices.ContainsFunc(steps[at+1:], func(n model.Micro) bool { return n.F == "w" && n.Key == m.Key })}
		}
	}
	for i, op := range r.ops {
		if op.Type == harness.OK {
			r.reads(int32(i))
		}
	}
	r.circles()
	r.link()
	return nil
}

// reads judges what a transaction read, and notes what it read before it wrote.
func (r *registerTxns) reads(i int32) {
	own := map[int32]model.Maybe{} // what each register must show to it
	wrote := map[int32]bool{}
	for at, m := range r.output(i) {
		k := r.key(i, at)
		now, touched := own[k]
		if m.F == "w" {
			if touched && !wrote[k] {
				r.replace(i, k, now)
			}
			if now.Set {
				r.previous[item{k, m.Value}] = item{k, now.Int}
			}
			own[k], wrote[k] = model.Just(m.Value), true
			continue
		}
		if touched {
			if m.Seen != now {
				r.found(Internal, m.Key, []int32{i}, "The transaction read %s as %s, after it had seen or made it %s.", m.Key, m.Seen, now)
			}
			continue
		}
		own[k] = m.Seen
		if !m.Seen.Set {
			r.nothing[k] = append(r.nothing[k], i)
			continue
		}
		w, known := r.writers[item{k, m.Seen.Int}]
		switch {
		case !known:
			r.found(Garbage, m.Key, []int32{i}, "Nobody wrote %d to %s.", m.Seen.Int, m.Key)
			continue
		case w.txn == i:
			r.found(Internal, m.Key, []int32{i}, "The transaction read %s as %d before it wrote that.", m.Key, m.Seen.Int)
			continue
		case r.ops[w.txn].Type == harness.Fail:
			r.found(G1a, m.Key, []int32{w.txn, i}, "%s was read as %d, which a transaction wrote that failed.", m.Key, m.Seen.Int).
				with(graph.Step{From: w.txn, To: i, Kind: graph.WR})
		case !w.final:
			r.found(G1b, m.Key, []int32{w.txn, i}, "%s was read as %d, but the transaction that wrote it wrote something else to it afterwards.", m.Key, m.Seen.Int).
				with(graph.Step{From: w.txn, To: i, Kind: graph.WR})
		}
		r.did[w.txn] = true
		r.readers[item{k, m.Seen.Int}] = append(r.readers[item{k, m.Seen.Int}], i)
		r.graph.Edge(w.txn, i, graph.WR)
	}
}

// replace notes that a transaction read a version and then wrote the next.
func (r *registerTxns) replace(i, k int32, version model.Maybe) {
	var all []int32
	if version.Set {
		v := item{k, version.Int}
		r.nexts[v] = append(r.nexts[v], i)
		all = r.nexts[v]
		if w, known := r.writers[v]; known && r.ops[w.txn].Type == harness.Fail {
			r.found(DirtyUpdate, r.names[k], []int32{w.txn, i}, "%s was changed from %d, which a transaction wrote that failed.", r.names[k], version.Int).
				with(graph.Step{From: w.txn, To: i, Kind: graph.WW})
		}
	} else {
		r.begun[k] = append(r.begun[k], i)
		all = r.begun[k]
	}
	if len(all) > 1 {
		r.found(LostUpdate, r.names[k], []int32{all[0], i}, "Two transactions read %s as %s, and both replaced that, the other's write unseen.", r.names[k], version).
			with(graph.Step{From: all[0], To: i, Kind: graph.RW}, graph.Step{From: i, To: all[0], Kind: graph.RW})
	}
}

// circles looks for versions that follow themselves. Each follows at most one.
func (r *registerTxns) circles() {
	const open, done = 1, 2
	state := map[item]int{}
	for i := range r.ops {
		for at, m := range r.input(int32(i)) {
			v := item{r.key(int32(i), at), m.Value}
			if _, follows := r.previous[v]; m.F != "w" || !follows || state[v] != 0 {
				continue
			}
			var way []item
			for state[v] == 0 {
				state[v] = open
				way = append(way, v)
				before, known := r.previous[v]
				if !known {
					break
				}
				v = before
			}
			if first := slices.Index(way, v); first >= 0 && first < len(way)-1 && r.previous[way[len(way)-1]] == v {
				r.circle(way[first:])
			}
			for _, v := range way {
				state[v] = done
			}
		}
	}
}

// circle tells that each of some versions followed the next, and the last the first.
func (r *registerTxns) circle(versions []item) {
	var txns []int32
	text := ""
	for _, v := range versions {
		txns = append(txns, r.writers[v].txn)
		text += fmt.Sprintf("%d followed %d, ", v.value, r.previous[v].value)
	}
	name := r.names[versions[0].key]
	a := r.found(CyclicVersions, name, txns, "In %s %sand so each of them itself.", name, text)
	for n, i := range txns {
		if next := txns[(n+1)%len(txns)]; a != nil && next != i {
			a.edges = append(a.edges, graph.Step{From: next, To: i, Kind: graph.WW})
		}
	}
}

// link adds the order of versions.
func (r *registerTxns) link() {
	writers := map[int32][]int32{}
	for i := range r.ops {
		for at, m := range r.input(int32(i)) {
			if m.F == "w" && r.did[i] {
				k := r.key(int32(i), at)
				writers[k] = append(writers[k], int32(i))
			}
		}
	}
	for k := range int32(len(r.names)) {
		r.graph.Fan(r.nothing[k], slices.Compact(writers[k]), graph.RW)
	}
	// In the order of the history, so that results are the same every time.
	for i := range r.ops {
		if !r.did[i] {
			continue
		}
		for at, m := range r.input(int32(i)) {
			if m.F != "w" {
				continue
			}
			v := item{r.key(int32(i), at), m.Value}
			for _, next := range r.nexts[v] {
				r.graph.Edge(int32(i), next, graph.WW)
			}
			r.graph.Fan(r.readers[v], r.nexts[v], graph.RW)
		}
	}
}

// explain tells why one transaction must come before another, and on which register.
func (r *registerTxns) explain(s graph.Step, first, second string) (key, why string) {
	from, to := r.effects(s.From), r.effects(s.To)
	for _, n := range from {
		for _, m := range to {
			if n.Key != m.Key {
				continue
			}
			switch {
			case s.Kind == graph.WR && n.F == "w" && m.F == "r" && m.Seen == model.Just(n.Value):
				return m.Key, fmt.Sprintf("%s read %s as %d, which %s wrote", second, m.Key, n.Value, first)
			case s.Kind == graph.RW && n.F == "r" && m.F == "w" && !n.Seen.Set:
				return m.Key, fmt.Sprintf("%s found nothing in %s, to which %s wrote %d", first, m.Key, second, m.Value)
			case s.Kind == graph.RW && n.F == "r" && m.F == "r" && n.Seen == m.Seen && n.Seen.Set && writes(to, m.Key):
				return m.Key, fmt.Sprintf("%s read %s as %d, which %s replaced", first, m.Key, n.Seen.Int, second)
			case s.Kind == graph.WW && n.F == "w" && m.F == "r" && m.Seen == model.Just(n.Value) && writes(to, m.Key):
				return m.Key, fmt.Sprintf("%s wrote %d to %s, and %s read and replaced it", first, n.Value, m.Key, second)
			}
		}
	}
	return "", "what was read says so"
}

func writes(t model.Txn, key string) bool {
	return slices.ContainsFunc(t, func(m model.Micro) bool { return m.F == "w" && m.Key == key })
}
