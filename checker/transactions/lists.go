package transactions

import (
	"cmp"
	"fmt"
	"slices"

	"coup/checker/graph"
	"coup/checker/model"
	"coup/harness"
)

// listTxns infers the order of transactions that append to lists and read
// them. Since a list only grows and every element is appended once, a read
// tells the whole past of its list: the longest read of a list is the order of
// its versions, every other one is a prefix of it, and what no read shows comes
// after it.
//
// So nothing is left open. If the order that follows is without a cycle, put the
// transactions into a line that keeps it: then the appends to each list stand in
// the order of its longest read with the unseen ones behind, and every read of
// n elements stands behind the n-th of them and before the next.
type listTxns struct {
	*txns
	all     []appended // by key, and within a key by value
	begin   []int32    // by key: where its elements begin in all
	longest [][]int64  // by key: the longest read
	reader  []int32    // by key: who read it

	// What the longest read of key k shows at place n was written by
	// by[place[k]+n]. The version of n elements was read, and then appended to,
	// by replaced[place[k]+k+n].
	place    []int32
	by       []int32
	replaced []int32

	mine  []int32 // by key: 1 + its index in views, while a transaction is looked at
	views []view
}

// appended is a value that a transaction appends.
type appended struct {
	value int64
	txn   int32
	pos   int32 // in the longest read of its list; none: no read shows it
}

// view is what a transaction knows of a list.
type view struct {
	key   int32
	list  []int64 // what the list was seen to be, own appends included
	whole bool    // and not only its end
	fresh bool    // nothing was appended yet
}

func (l *listTxns) infer() error {
	if err := l.gather(); err != nil {
		return err
	}
	l.why = l.explain
	l.versions()
	l.mine = make([]int32, len(l.names))
	for i, op := range l.ops {
		if op.Type == harness.OK {
			l.reads(int32(i))
		}
	}
	l.unseen()
	return nil
}

// gather finds the appended elements and the longest reads.
func (l *listTxns) gather() error {
	keys := len(l.names)
	l.begin = make([]int32, keys+2)
	for i := range l.ops {
		for at, m := range l.input(int32(i)) {
			if m.F == "append" {
				l.begin[l.key(int32(i), at)+2]++
			}
		}
	}
	for k := 2; k < len(l.begin); k++ {
		l.begin[k] += l.begin[k-1]
	}
	l.all = make([]appended, l.begin[keys+1])
	l.longest, l.reader = make([][]int64, keys), make([]int32, keys)
	for k := range l.reader {
		l.reader[k] = none
	}
	for i, op := range l.ops {
		for at, m := range l.input(int32(i)) {
			if m.F == "append" {
				// begin[k+1] counts up from where key k begins to where it ends.
				next := &l.begin[l.key(int32(i), at)+1]
				l.all[*next] = appended{m.Value, int32(i), none}
				*next++
			}
		}
		if op.Type != harness.OK {
			continue
		}
		for at, m := range l.output(int32(i)) {
			if k := l.key(int32(i), at); m.F == "r" && (len(m.List) > len(l.longest[k]) || l.reader[k] == none) {
				l.longest[k], l.reader[k] = m.List, int32(i)
			}
		}
	}
	byValue := func(a, b appended) int { return cmp.Compare(a.value, b.value) }
	for k := range keys {
		list := l.elements(int32(k))
		if !slices.IsSortedFunc(list, byValue) {
			slices.SortStableFunc(list, byValue)
		}
		for n := 1; n < len(list); n++ {
			if list[n-1].value == list[n].value {
				return fmt.Errorf("%d is appended to %s by %s and by %s: elements must be unique",
					list[n].value, l.names[k], l.txn(list[n-1].txn), l.txn(list[n].txn))
			}
		}
	}
	return nil
}

// elements are what is appended to a list, by value.
func (l *listTxns) elements(k int32) []appended { return l.all[l.begin[k]:l.begin[k+1]] }

// find is the element of a value; nil if nobody appends it.
func (l *listTxns) find(k int32, v int64) *appended {
	list := l.elements(k)
	at, ok := slices.BinarySearchFunc(list, v, func(e appended, v int64) int { return cmp.Compare(e.value, v) })
	if !ok {
		return nil
	}
	return &list[at]
}

// versions orders the writers of each list.
func (l *listTxns) versions() {
	l.place = make([]int32, len(l.longest)+1)
	for k, list := range l.longest {
		l.place[k+1] = l.place[k] + int32(len(list))
	}
	l.by = make([]int32, l.place[len(l.longest)])
	l.replaced = make([]int32, len(l.by)+len(l.longest))
	for i := range l.replaced {
		l.replaced[i] = none
	}
	for k, list := range l.longest {
		by, before := l.writers(int32(k)), none
		for n, v := range list {
			e := l.find(int32(k), v)
			if e == nil {
				by[n] = none
				l.found(Garbage, l.names[k], []int32{l.reader[k]}, "Nobody appended %d to %s.", v, l.names[k])
				continue
			}
			if e.pos != none {
				l.found(DuplicateElements, l.names[k], []int32{l.reader[k]}, "%d stands twice in %s.", v, l.names[k])
			} else {
				e.pos = int32(n)
			}
			by[n] = e.txn
			if l.ops[e.txn].Type == harness.Fail {
				if a := l.found(G1a, l.names[k], []int32{e.txn}, failedRead, l.names[k], v); a != nil {
					a.read(e.txn, l.firstReader(int32(k), n))
				}
			} else if before != none && l.ops[before].Type == harness.Fail {
				if a := l.found(DirtyUpdate, l.names[k], []int32{before, e.txn}, "%d was appended to %s behind what a transaction had appended that failed.", v, l.names[k]); a != nil {
					a.edges = []graph.Step{{From: before, To: e.txn, Kind: graph.WW}}
					a.read(e.txn, l.firstReader(int32(k), n))
				}
			}
			l.did[e.txn] = true
			before = e.txn
		}
		for n := 1; n < len(by); n++ {
			switch {
			case by[n-1] == none || by[n] == none:
			case by[n-1] != by[n]:
				l.graph.Edge(by[n-1], by[n], graph.WW)
			case l.stepOf(by[n], l.names[k], list[n-1]) > l.stepOf(by[n], l.names[k], list[n]):
				l.found(IncompatibleOrder, l.names[k], []int32{by[n], l.reader[k]}, "%s was read as %s, but the transaction appended %d before %d.",
					l.names[k], model.AroundText(list, list[n]), list[n], list[n-1])
			}
		}
	}
}

const failedRead = "%s was read with %d in it, which a transaction appended that failed."

// read adds to an anomaly that a transaction read what another wrote.
func (a *Anomaly) read(writer, reader int32) {
	a.txns = append(a.txns, reader)
	if reader != writer {
		a.edges = append(a.edges, graph.Step{From: writer, To: reader, Kind: graph.WR})
	}
}

// writers are those of the elements of the longest read of a list.
func (l *listTxns) writers(k int32) []int32 { return l.by[l.place[k]:l.place[k+1]] }

// stepOf is the step in which a transaction appended v.
func (l *listTxns) stepOf(i int32, key string, v int64) int {
	return slices.IndexFunc(l.input(i), func(m model.Micro) bool { return m.F == "append" && m.Key == key && m.Value == v })
}

// final says whether v is the last that the transaction appended to the list.
func (l *listTxns) final(i int32, key string, v int64) bool {
	for _, m := range slices.Backward(l.input(i)) {
		if m.F == "append" && m.Key == key {
			return m.Value == v
		}
	}
	return false
}

// reads judges the reads of one transaction.
func (l *listTxns) reads(i int32) {
	for at, m := range l.output(i) {
		k := l.key(i, at)
		known := l.mine[k] > 0
		if !known {
			l.views = append(l.views, view{key: k})
			l.mine[k] = int32(len(l.views))
		}
		o := &l.views[l.mine[k]-1]
		if m.F == "append" {
			if o.whole && o.fresh {
				l.replace(i, k, o.list)
			}
			o.list, o.fresh = append(slices.Clip(o.list), m.Value), false
			continue
		}
		if known {
			right := slices.Equal(o.list, m.List)
			if !o.whole {
				right = len(m.List) >= len(o.list) && slices.Equal(o.list, m.List[len(m.List)-len(o.list):])
			}
			if !right {
				must := "after it had read it as %s: nobody else's step may come in between"
				switch {
				case !o.whole:
					must = "but must find what it appended itself, %s, at the end"
				case !o.fresh:
					must = "but with what it appended itself it must be %s"
				}
				l.found(Internal, m.Key, []int32{i}, "The transaction read %s as %s, "+must+".", m.Key, model.EndText(m.List), model.EndText(o.list))
				continue
			}
		}
		if n := len(m.List); !known && n > 0 {
			if e := l.find(k, m.List[n-1]); e != nil && e.txn == i {
				l.found(Internal, m.Key, []int32{i}, "The transaction read %s with %d in it before it appended that.", m.Key, e.value)
				continue
			}
		}
		o.list, o.whole, o.fresh = m.List, true, !known || o.fresh
		l.read(i, k, m.List)
	}
	for _, o := range l.views {
		l.mine[o.key] = 0
	}
	l.views = l.views[:0]
}

// prefix says whether a read fits the longest one of its list.
func (l *listTxns) prefix(k int32, list []int64) bool {
	longest := l.longest[k]
	return len(list) <= len(longest) && slices.Equal(list, longest[:len(list)])
}

// replace notes that a transaction read a version of a list and appended to it.
func (l *listTxns) replace(i, k int32, list []int64) {
	if !l.prefix(k, list) {
		return
	}
	first := &l.replaced[l.place[k]+k+int32(len(list))]
	if *first == none {
		*first = i
		return
	}
	l.found(LostUpdate, l.names[k], []int32{*first, i}, "Two transactions read %s as %s, and both appended to it, the other's append unseen.", l.names[k], model.EndText(list)).
		with(graph.Step{From: *first, To: i, Kind: graph.RW}, graph.Step{From: i, To: *first, Kind: graph.RW})
}

// read adds what follows from a read of a list.
func (l *listTxns) read(i, k int32, list []int64) {
	if !l.prefix(k, list) {
		if a := l.found(IncompatibleOrder, l.names[k], []int32{i}, "%s was read as %s and as %s: neither is what the other was before.",
			l.names[k], model.ApartText(list, l.longest[k]), model.ApartText(l.longest[k], list)); a != nil {
			a.txns = append(a.txns, l.firstReader(k, model.ApartAt(list, l.longest[k])))
		}
		l.stray(i, k, list)
		return
	}
	by := l.writers(k)
	if n := len(list); n > 0 {
		if w := by[n-1]; w != none && w != i {
			l.graph.Edge(w, i, graph.WR)
			if !l.final(w, l.names[k], list[n-1]) {
				l.found(G1b, l.names[k], []int32{w, i}, "%s was read with %d as its last element, but the transaction that appended it appended more to it.", l.names[k], list[n-1]).
					with(graph.Step{From: w, To: i, Kind: graph.WR})
			}
		}
	}
	// The next element was appended after this read.
	n := len(list)
	for n < len(by) && by[n] == i {
		n++ // its own
	}
	if n < len(by) && by[n] != none {
		l.graph.Edge(i, by[n], graph.RW)
	}
}

// firstReader is the first transaction that read a list with what its longest
// read has at place n.
func (l *listTxns) firstReader(k int32, n int) int32 {
	for i, op := range l.ops {
		if op.Type != harness.OK {
			continue
		}
		for at, m := range l.output(int32(i)) {
			if m.F == "r" && l.key(int32(i), at) == k && len(m.List) > n && l.prefix(k, m.List) {
				return int32(i)
			}
		}
	}
	return l.reader[k]
}

// stray looks at the elements of a read that is no prefix of the longest one.
func (l *listTxns) stray(i, k int32, list []int64) {
	seen := make(map[int64]bool, len(list))
	for _, v := range list {
		if seen[v] {
			l.found(DuplicateElements, l.names[k], []int32{i}, "%d stands twice in %s.", v, l.names[k])
		}
		seen[v] = true
		switch e := l.find(k, v); {
		case e == nil:
			l.found(Garbage, l.names[k], []int32{i}, "Nobody appended %d to %s.", v, l.names[k])
		case l.ops[e.txn].Type == harness.Fail:
			if a := l.found(G1a, l.names[k], []int32{e.txn}, failedRead, l.names[k], v); a != nil {
				a.read(e.txn, i)
			}
		}
	}
}

// unseen orders the appends that took effect though no read shows them: they
// come after everything that the longest read shows, and after that read.
func (l *listTxns) unseen() {
	late := make([][]int32, len(l.longest)) // by key: who appended what no read shows
	some := false
	for k := range late {
		if l.reader[k] == none {
			continue
		}
		for _, e := range l.elements(int32(k)) {
			if e.pos == none && l.did[e.txn] {
				late[k], some = append(late[k], e.txn), true
			}
		}
		slices.Sort(late[k])
		late[k] = slices.Compact(late[k])
	}
	if !some {
		return
	}
	readers := make([][]int32, len(l.longest))
	for i, op := range l.ops {
		if op.Type != harness.OK {
			continue
		}
		for at, m := range l.output(int32(i)) {
			if k := l.key(int32(i), at); m.F == "r" && len(late[k]) > 0 && len(m.List) == len(l.longest[k]) && l.prefix(k, m.List) {
				readers[k] = append(readers[k], int32(i))
			}
		}
	}
	for k := range late {
		l.graph.Fan(slices.Compact(readers[k]), late[k], graph.RW)
		if by := l.writers(int32(k)); len(by) > 0 && by[len(by)-1] != none {
			l.graph.Fan(by[len(by)-1:], late[k], graph.WW)
		}
	}
}

// explain tells why one transaction must come before another, and on which list.
func (l *listTxns) explain(s graph.Step, from, to string) (key, why string) {
	for at, m := range l.input(s.To) {
		if m.F != "append" || s.Kind == graph.WR {
			continue
		}
		k := l.key(s.To, at)
		for _, n := range l.effects(s.From) {
			switch {
			case n.Key != m.Key:
			case s.Kind == graph.RW && n.F == "r" && !slices.Contains(n.List, m.Value):
				return m.Key, fmt.Sprintf("%s read %s as %s, without the %d that %s appended", from, m.Key, model.EndText(n.List), m.Value, to)
			case s.Kind == graph.WW && n.F == "append" && l.before(k, n.Value, m.Value):
				return m.Key, fmt.Sprintf("%s appended %d to %s, and %s appended %d behind it", from, n.Value, m.Key, to, m.Value)
			}
		}
	}
	for _, m := range l.effects(s.To) {
		for _, n := range l.effects(s.From) {
			if s.Kind == graph.WR && m.F == "r" && n.F == "append" && n.Key == m.Key && slices.Contains(m.List, n.Value) {
				return m.Key, fmt.Sprintf("%s read %s as %s, with the %d that %s appended", to, m.Key, model.AroundText(m.List, n.Value), n.Value, from)
			}
		}
	}
	return "", "what was read says so"
}

// before says whether a comes before b in the longest read of a list, which
// need not show b.
func (l *listTxns) before(k int32, a, b int64) bool {
	x, y := l.find(k, a), l.find(k, b)
	return x != nil && y != nil && x.pos != none && (y.pos == none || x.pos < y.pos)
}
