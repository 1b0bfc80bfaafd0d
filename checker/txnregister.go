package checker

import (
	"fmt"
	"slices"

	"coup/harness"
)

// registerTxns infers the order of transactions that write registers and read
// them, where every value is written to a register once. A read tells only who
// wrote what it shows; which version came before which shows only where one
// transaction reads a version and then writes the next one, and in that
// nothing comes before what was written first.
type registerTxns struct {
	*txns
	writers map[item]writer
	nexts   map[item][]int32 // who read a version and then wrote another one
	readers map[item][]int32
	nothing map[int32][]int32 // by key: who found nothing in it
}

func (r *registerTxns) infer() error {
	r.writers, r.nexts, r.readers, r.nothing = map[item]writer{}, map[item][]int32{}, map[item][]int32{}, map[int32][]int32{}
	r.why = r.explain
	for i, op := range r.ops {
		steps := op.Input.(Txn)
		for at, m := range steps {
			if m.F != "w" {
				continue
			}
			k := r.key(m.Key)
			if other, twice := r.writers[item{k, m.Value}]; twice {
				return fmt.Errorf("%d is written to %s by %s and by %s: values must be unique", m.Value, m.Key, r.txn(other.txn), r.txn(int32(i)))
			}
			r.writers[item{k, m.Value}] = writer{txn: int32(i), final: !slices.ContainsFunc(steps[at+1:], func(n Micro) bool { return n.F == "w" && n.Key == m.Key })}
		}
	}
	for i, op := range r.ops {
		if op.Type == harness.OK {
			r.reads(int32(i))
		}
	}
	r.link()
	return nil
}

// reads judges what a transaction read, and notes what it read before it wrote.
func (r *registerTxns) reads(i int32) {
	own := map[string]Maybe{} // what each register must show to it
	wrote := map[string]bool{}
	for _, m := range r.ops[i].Output.(Txn) {
		k := r.key(m.Key)
		now, touched := own[m.Key]
		if m.F == "w" {
			if touched && !wrote[m.Key] && now.Set {
				r.nexts[item{k, now.Int}] = append(r.nexts[item{k, now.Int}], i)
			}
			own[m.Key], wrote[m.Key] = Just(m.Value), true
			continue
		}
		if touched {
			if m.Seen != now {
				r.found(Internal, []int32{i}, "The transaction read %s as %s, after it had seen or made it %s.", m.Key, m.Seen, now)
			}
			continue
		}
		own[m.Key] = m.Seen
		if !m.Seen.Set {
			r.nothing[k] = append(r.nothing[k], i)
			continue
		}
		w, known := r.writers[item{k, m.Seen.Int}]
		switch {
		case !known:
			r.found(Garbage, []int32{i}, "Nobody wrote %d to %s.", m.Seen.Int, m.Key)
			continue
		case w.txn == i:
			r.found(Internal, []int32{i}, "The transaction read %s as %d before it wrote that.", m.Key, m.Seen.Int)
			continue
		case r.ops[w.txn].Type == harness.Fail:
			r.found(G1a, []int32{w.txn, i}, "%s was read as %d, which a transaction wrote that failed.", m.Key, m.Seen.Int)
		case !w.final:
			r.found(G1b, []int32{w.txn, i}, "%s was read as %d, but the transaction that wrote it wrote something else to it afterwards.", m.Key, m.Seen.Int)
		}
		r.did[w.txn] = true
		r.readers[item{k, m.Seen.Int}] = append(r.readers[item{k, m.Seen.Int}], i)
		r.graph.edge(w.txn, i, wr)
	}
}

// link adds the order of versions.
func (r *registerTxns) link() {
	writers := map[int32][]int32{}
	for i, op := range r.ops {
		for _, m := range op.Input.(Txn) {
			if m.F == "w" && r.did[i] {
				writers[r.key(m.Key)] = append(writers[r.key(m.Key)], int32(i))
			}
		}
	}
	for k := range int32(len(r.names)) {
		r.graph.fan(r.nothing[k], writers[k], rw)
	}
	// In the order of the history, so that results are the same every time.
	for i, op := range r.ops {
		if !r.did[i] {
			continue
		}
		for _, m := range op.Input.(Txn) {
			if m.F != "w" {
				continue
			}
			v := item{r.key(m.Key), m.Value}
			nexts := r.nexts[v]
			for n, next := range nexts {
				r.graph.edge(int32(i), next, ww)
				if n > 0 {
					r.found(LostUpdate, []int32{int32(i), nexts[0], next}, "Two transactions read %s as %d, and both replaced it.", m.Key, m.Value)
				}
				for _, reader := range r.readers[v] {
					r.graph.edge(reader, next, rw)
				}
			}
		}
	}
}

// explain tells why one transaction must come before another.
func (r *registerTxns) explain(s step) string {
	from, to := r.effects(s.from), r.effects(s.to)
	for _, n := range from {
		for _, m := range to {
			if n.Key != m.Key {
				continue
			}
			switch {
			case s.kind == wr && n.F == "w" && m.F == "r" && m.Seen == Just(n.Value):
				return fmt.Sprintf("the other read %s as its %d", m.Key, n.Value)
			case s.kind == rw && n.F == "r" && m.F == "w" && !n.Seen.Set:
				return fmt.Sprintf("it found nothing in %s, which the other wrote", m.Key)
			case s.kind == rw && n.F == "r" && m.F == "r" && n.Seen == m.Seen && n.Seen.Set:
				return fmt.Sprintf("it read %s as %d, which the other replaced", m.Key, n.Seen.Int)
			case s.kind == ww && n.F == "w" && m.F == "r" && m.Seen == Just(n.Value):
				return fmt.Sprintf("the other replaced its %d in %s", n.Value, m.Key)
			}
		}
	}
	return "what was read says so"
}
