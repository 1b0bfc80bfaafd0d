package checker

import (
	"fmt"
	"slices"

	"coup/harness"
)

// listTxns infers the order of transactions that append to lists and read
// them. Since a list only grows and every element is appended once, a read
// tells the whole past of its list: the longest read of a list is the order of
// its versions, every other one is a prefix of it, and what no read shows comes
// after it.
type listTxns struct {
	*txns
	writers map[item]writer
	longest [][]int64 // by key
	reader  []int32   // by key: who read it
	by      [][]int32 // by key: the writers of the longest read, none if nobody wrote it

	replacing map[version]int32 // who read a version of a list and then appended to it
}

// version is a list of a certain length.
type version struct {
	key    int32
	length int
}

// item is an element of a list or a version of a register.
type item struct {
	key   int32
	value int64
}

// writer is the transaction that wrote an item.
type writer struct {
	txn   int32
	final bool // it wrote nothing to the same key afterwards
}

func (l *listTxns) infer() error {
	if err := l.gather(); err != nil {
		return err
	}
	l.why = l.explain
	l.versions()
	for i, op := range l.ops {
		if op.Type == harness.OK {
			l.reads(int32(i))
		}
	}
	l.unseen()
	return nil
}

// gather finds the writers and the longest reads.
func (l *listTxns) gather() error {
	l.writers, l.replacing = make(map[item]writer, len(l.ops)), map[version]int32{}
	for i, op := range l.ops {
		steps := op.Input.(Txn)
		for at, m := range steps {
			k := l.list(m.Key)
			if m.F != "append" {
				continue
			}
			w := writer{txn: int32(i), final: !slices.ContainsFunc(steps[at+1:], func(n Micro) bool { return n.F == "append" && n.Key == m.Key })}
			if other, twice := l.writers[item{k, m.Value}]; twice {
				return fmt.Errorf("%d is appended to %s by %s and by %s: elements must be unique", m.Value, m.Key, l.txn(other.txn), l.txn(int32(i)))
			}
			l.writers[item{k, m.Value}] = w
		}
		if op.Type != harness.OK {
			continue
		}
		for _, m := range op.Output.(Txn) {
			if m.F != "r" {
				continue
			}
			k := l.list(m.Key)
			if len(m.List) > len(l.longest[k]) || l.reader[k] == none {
				l.longest[k], l.reader[k] = m.List, int32(i)
			}
		}
	}
	return nil
}

// list is the number of a key.
func (l *listTxns) list(name string) int32 {
	k := l.key(name)
	if int(k) == len(l.longest) {
		l.longest, l.reader = append(l.longest, nil), append(l.reader, none)
	}
	return k
}

// versions orders the writers of each list.
func (l *listTxns) versions() {
	l.by = make([][]int32, len(l.longest))
	for k, list := range l.longest {
		by := make([]int32, len(list))
		seen := make(map[int64]bool, len(list))
		for n, v := range list {
			if seen[v] {
				l.found(DuplicateElements, []int32{l.reader[k]}, "%d stands twice in %s.", v, l.names[k])
			}
			seen[v] = true
			w, known := l.writers[item{int32(k), v}]
			if !known {
				by[n] = none
				l.found(Garbage, []int32{l.reader[k]}, "Nobody appended %d to %s.", v, l.names[k])
				continue
			}
			by[n] = w.txn
			if l.ops[w.txn].Type == harness.Fail {
				l.found(G1a, []int32{w.txn, l.reader[k]}, "%d in %s was appended by a transaction that failed.", v, l.names[k])
			}
			l.did[w.txn] = true
		}
		for n := 1; n < len(by); n++ {
			if by[n-1] != none && by[n] != none {
				l.graph.edge(by[n-1], by[n], ww)
			}
		}
		l.by[k] = by
	}
}

// reads judges what a transaction read.
func (l *listTxns) reads(i int32) {
	type known struct {
		list  []int64 // what the list was seen to be, own appends included
		whole bool    // and not only its end
		fresh bool    // nothing was appended yet
	}
	own := map[string]*known{}
	for _, m := range l.ops[i].Output.(Txn) {
		o := own[m.Key]
		if m.F == "append" {
			if o == nil {
				o = &known{}
				own[m.Key] = o
			}
			if o.whole && o.fresh {
				l.replace(i, l.key(m.Key), o.list)
			}
			o.list, o.fresh = append(slices.Clip(o.list), m.Value), false
			continue
		}
		if o != nil {
			right := slices.Equal(o.list, m.List)
			if !o.whole {
				right = len(m.List) >= len(o.list) && slices.Equal(o.list, m.List[len(m.List)-len(o.list):])
			}
			if !right {
				l.found(Internal, []int32{i}, "The transaction read %s as %s, after it had seen or made it end with %s.", m.Key, listText(m.List), listText(o.list))
				continue
			}
		}
		own[m.Key] = &known{m.List, true, o == nil || o.fresh}
		l.read(i, l.key(m.Key), m.List)
	}
}

// replace notes that a transaction read a version of a list and appended to it.
func (l *listTxns) replace(i, k int32, list []int64) {
	longest := l.longest[k]
	if len(list) > len(longest) || !slices.Equal(list, longest[:len(list)]) {
		return
	}
	v := version{k, len(list)}
	if other, twice := l.replacing[v]; twice {
		l.found(LostUpdate, []int32{other, i}, "Two transactions read %s as %s, and both appended to it.", l.names[k], listText(list))
		return
	}
	l.replacing[v] = i
}

// read adds what follows from a read of a list.
func (l *listTxns) read(i, k int32, list []int64) {
	longest := l.longest[k]
	if len(list) > len(longest) || !slices.Equal(list, longest[:len(list)]) {
		l.found(IncompatibleOrder, []int32{i, l.reader[k]}, "%s was read as %s and as %s.", l.names[k], listText(list), listText(longest))
		l.stray(i, k, list)
		return
	}
	if n := len(list); n > 0 {
		if w := l.by[k][n-1]; w != none && w != i {
			l.graph.edge(w, i, wr)
			if !l.writers[item{k, list[n-1]}].final {
				l.found(G1b, []int32{w, i}, "%s was read with %d as its last element, but the transaction that appended it appended more to it.", l.names[k], list[n-1])
			}
		}
	}
	// What comes next was written after the read.
	n := len(list)
	for n < len(longest) && l.by[k][n] == i {
		n++ // its own
	}
	if n < len(longest) && l.by[k][n] != none {
		l.graph.edge(i, l.by[k][n], rw)
	}
}

// stray looks at the elements of a read that fits in no order.
func (l *listTxns) stray(i, k int32, list []int64) {
	seen := make(map[int64]bool, len(list))
	for _, v := range list {
		if seen[v] {
			l.found(DuplicateElements, []int32{i}, "%d stands twice in %s.", v, l.names[k])
		}
		seen[v] = true
		w, known := l.writers[item{k, v}]
		switch {
		case !known:
			l.found(Garbage, []int32{i}, "Nobody appended %d to %s.", v, l.names[k])
		case l.ops[w.txn].Type == harness.Fail:
			l.found(G1a, []int32{w.txn, i}, "%d in %s was appended by a transaction that failed.", v, l.names[k])
		}
	}
}

// unseen orders the acknowledged appends that no read shows: they come after
// everything that the longest read shows, and after that read.
func (l *listTxns) unseen() {
	shown := make([]map[int64]bool, len(l.longest))
	late := make([][]int32, len(l.longest)) // by key: who appended what no read shows
	for i, op := range l.ops {
		if !l.did[i] {
			continue
		}
		for _, m := range op.Input.(Txn) {
			k := l.key(m.Key)
			if m.F != "append" || l.reader[k] == none {
				continue
			}
			if shown[k] == nil {
				shown[k] = make(map[int64]bool, len(l.longest[k]))
				for _, v := range l.longest[k] {
					shown[k][v] = true
				}
			}
			if n := len(late[k]); !shown[k][m.Value] && (n == 0 || late[k][n-1] != int32(i)) {
				late[k] = append(late[k], int32(i))
			}
		}
	}
	readers := make([][]int32, len(l.longest))
	for i, op := range l.ops {
		if op.Type != harness.OK {
			continue
		}
		for _, m := range op.Output.(Txn) {
			if m.F != "r" {
				continue
			}
			if k := l.key(m.Key); len(late[k]) > 0 && slices.Equal(m.List, l.longest[k]) {
				readers[k] = append(readers[k], int32(i))
			}
		}
	}
	for k := range late {
		l.graph.fan(readers[k], late[k], rw)
		if n := len(l.by[k]); n > 0 && l.by[k][n-1] != none {
			l.graph.fan(l.by[k][n-1:], late[k], ww)
		}
	}
}

// explain tells why one transaction must come before another.
func (l *listTxns) explain(s step) string {
	for _, m := range l.ops[s.to].Input.(Txn) {
		k := l.key(m.Key)
		if m.F != "append" || s.kind == wr {
			continue
		}
		for _, n := range l.effects(s.from) {
			if n.Key != m.Key {
				continue
			}
			if s.kind == rw && n.F == "r" && !slices.Contains(n.List, m.Value) {
				return fmt.Sprintf("it read %s as %s, without the other's %d", m.Key, listText(n.List), m.Value)
			}
			if s.kind == ww && n.F == "append" && l.before(k, n.Value, m.Value) {
				return fmt.Sprintf("its %d comes before the other's %d in %s", n.Value, m.Value, m.Key)
			}
		}
	}
	for _, m := range l.effects(s.to) {
		for _, n := range l.effects(s.from) {
			if s.kind == wr && m.F == "r" && n.F == "append" && n.Key == m.Key && slices.Contains(m.List, n.Value) {
				return fmt.Sprintf("the other read %s as %s, with its %d", m.Key, listText(m.List), n.Value)
			}
		}
	}
	return "what was read says so"
}

// before says whether a comes before b in the longest read of a list, which
// need not show b.
func (l *listTxns) before(k int32, a, b int64) bool {
	i, j := slices.Index(l.longest[k], a), slices.Index(l.longest[k], b)
	return i >= 0 && (j < 0 || i < j)
}

// effects are the steps of a transaction with what is known of its reads.
func (t *txns) effects(i int32) Txn {
	if out, ok := t.ops[i].Output.(Txn); ok {
		return out
	}
	return slices.DeleteFunc(slices.Clone(t.ops[i].Input.(Txn)), func(m Micro) bool { return m.F == "r" })
}
