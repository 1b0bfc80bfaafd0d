package transactions

import (
	"cmp"
	"context"
	"math"
	"slices"

	"coup/checker/graph"
	"coup/checker/model"
	"coup/harness"
)

// polygraph is what is known of the order of some transactions, and what is open
// (Papadimitriou, "The serializability of concurrent database updates", 1979): of two
// that wrote to one key, either came first, and then all that read what it wrote came
// before the other one wrote.
//
// Under serializability each transaction takes effect at one moment. Under snapshot
// isolation it reads at one, its start, and writes at another, its commit, and two that
// write to one key do not overlap (Berenson et al., "A critique of ANSI SQL isolation
// levels", SIGMOD 1995; the graph of starts and commits is that of Zhang et al.,
// "Viper", EuroSys 2023, and equivalent to having no cycle without two adjacent rw
// edges: Cerone and Gotsman, "Analysing snapshot isolation", PODC 2016). What is open
// is pruned as far as what is known decides it (Tan et al., "Cobra", OSDI 2020; Huang
// et al., "PolySI", VLDB 2023), and the rest is left to [graph.Choices].
//
// Not all that is open is looked at, for that may be billions of pairs. A line of the
// transactions is guessed that keeps what is known. Where it does not explain what was
// read, because another write comes in between, that pair becomes a choice. With what
// is chosen the line is mended, and looked at again, until it explains everything or
// nothing can be chosen any more.
type polygraph struct {
	*txns
	snapshots bool
	order     graph.Dependency // of processes and of time, if they count
	all       []int32          // the transactions; from here on they are numbered by their place in it
	nodes     int32            // starts and commits, and then moments
	arcs      []arc
	reads     []readOf // by reader
	readFirst []int32  // by transaction: where its reads begin
	readBy    []int32  // places in reads, by writer and then by key; the last are those that found nothing
	byFirst   []int32  // by transaction: where those that read what it wrote begin in readBy
	wrote     []int32  // keys, by transaction, each once
	wroteFrom []int32  // by transaction: where its keys begin in wrote
	writers   [][]int32
}

// arc says that one node comes before another. An arc that was concluded rests on a
// path from one node to another over arcs of earlier rounds.
type arc struct {
	from, to int32
	kind     graph.Dependency
	round    int32 // 0: known, not concluded
	premise  [2]int32
	third    int32 // the third transaction that it is about; none
}

// readOf says that a transaction read the version of a key that another one wrote;
// none: that the key held nothing.
type readOf struct {
	key, reader, writer int32
}

// known is what is known of who read and wrote what, by the numbers of the operations.
type known struct {
	reads []readOf   // what others wrote, the first time that it was read
	then  [][2]int32 // who wrote to a key, and who next, where that is known
}

func (p *polygraph) start(i int32) int32 {
	if p.snapshots {
		return 2 * i
	}
	return i
}

func (p *polygraph) commit(i int32) int32 {
	if p.snapshots {
		return 2*i + 1
	}
	return i
}

// txnOf is the transaction of a node; none: the node stands for a moment in time.
func (p *polygraph) txnOf(node int32) int32 {
	switch {
	case node >= p.commit(int32(len(p.all)-1))+1:
		return none
	case p.snapshots:
		return node / 2
	default:
		return node
	}
}

// newPolygraph gathers what is known of some transactions, in the order of their calls.
func (t *txns) newPolygraph(all []int32, k known, snapshots bool, order graph.Dependency) *polygraph {
	n := int32(len(all))
	p := &polygraph{txns: t, snapshots: snapshots, order: order, all: all, nodes: n}
	place := make([]int32, len(t.ops))
	for i := range place {
		place[i] = none
	}
	for at, i := range all {
		place[i] = int32(at)
	}
	if snapshots {
		p.nodes = 2 * n
		for i := range n {
			p.know(p.start(i), p.commit(i), graph.Link)
		}
	}
	// Who wrote what.
	p.wroteFrom = make([]int32, n+1)
	p.writers = make([][]int32, len(t.names))
	for at, i := range all {
		from := len(p.wrote)
		for step, m := range t.input(i) {
			if key := t.key(i, step); m.F != "r" && !slices.Contains(p.wrote[from:], key) {
				p.wrote = append(p.wrote, key)
				p.writers[key] = append(p.writers[key], int32(at))
			}
		}
		slices.Sort(p.wrote[from:])
		p.wroteFrom[at+1] = int32(len(p.wrote))
	}
	// Who read what.
	for _, r := range k.reads {
		reader, writer := place[r.reader], none
		if r.writer != none {
			if writer = place[r.writer]; writer == none {
				continue
			}
		}
		if reader != none && reader != writer {
			p.reads = append(p.reads, readOf{r.key, reader, writer})
		}
	}
	slices.SortStableFunc(p.reads, func(a, b readOf) int { return cmp.Compare(a.reader, b.reader) })
	p.readFirst = make([]int32, n+1)
	p.byFirst = make([]int32, n+2)
	p.readBy = make([]int32, len(p.reads))
	for at, r := range p.reads {
		p.readFirst[r.reader+1]++
		p.readBy[at] = int32(at)
		if r.writer != none {
			p.byFirst[r.writer+1]++
			p.know(p.commit(r.writer), p.start(r.reader), graph.WR)
		}
	}
	writer := func(at int32) int32 { // those that found nothing come last
		if w := p.reads[at].writer; w != none {
			return w
		}
		return math.MaxInt32
	}
	slices.SortStableFunc(p.readBy, func(a, b int32) int {
		return cmp.Or(cmp.Compare(writer(a), writer(b)), cmp.Compare(p.reads[a].key, p.reads[b].key))
	})
	for i := range n {
		p.readFirst[i+1] += p.readFirst[i]
		p.byFirst[i+1] += p.byFirst[i]
	}
	p.byFirst[n+1] = int32(len(p.reads))
	for _, two := range k.then {
		if a, b := place[two[0]], place[two[1]]; a != none && b != none && a != b {
			p.know(p.commit(a), p.start(b), graph.WW)
		}
	}
	p.ordered()
	return p
}

// ordered adds the order of processes and that of time, as [txns.order] does.
func (p *polygraph) ordered() {
	if slices.ContainsFunc(p.all, func(i int32) bool { return p.ops[i].Process == harness.Beginning }) {
		of, place, hub := make([]bool, len(p.ops)), make(map[int32]int32), none
		for at, i := range p.all {
			of[i], place[i] = true, int32(at)
		}
		p.beginning(of, func() int32 { hub = p.nodes; p.nodes++; return hub }, func(from, to int32, kind graph.Dependency) {
			if from == hub {
				p.know(hub, p.start(place[to]), kind)
			} else {
				p.know(p.commit(place[from]), hub, kind)
			}
		})
	}
	if p.order&graph.Process != 0 {
		last := map[int]int32{}
		for at, i := range p.all {
			op := p.ops[i]
			if before, ok := last[op.Process]; ok && model.Returned(p.ops[p.all[before]]) < op.Call {
				p.know(p.commit(before), p.start(int32(at)), graph.Process)
			}
			last[op.Process] = int32(at)
		}
	}
	if p.order&graph.Realtime == 0 {
		return
	}
	var byEnd []int32
	for at, i := range p.all {
		if p.ops[i].Type == harness.OK {
			byEnd = append(byEnd, int32(at))
		}
	}
	end := func(at int32) int { return p.ops[p.all[at]].Return }
	slices.SortFunc(byEnd, func(a, b int32) int { return cmp.Compare(end(a), end(b)) })
	moment, next := none, 0
	for at, i := range p.all {
		call := p.ops[i].Call
		if next < len(byEnd) && end(byEnd[next]) < call {
			m := p.nodes
			p.nodes++
			if moment != none {
				p.know(moment, m, graph.Link)
			}
			moment = m
			for ; next < len(byEnd) && end(byEnd[next]) < call; next++ {
				p.know(p.commit(byEnd[next]), moment, graph.Realtime)
			}
		}
		if moment != none {
			p.know(moment, p.start(int32(at)), graph.Link)
		}
	}
}

func (p *polygraph) know(from, to int32, kind graph.Dependency) {
	p.arcs = append(p.arcs, arc{from: from, to: to, kind: kind, third: none})
}

// readsOf are the reads of a transaction.
func (p *polygraph) readsOf(i int32) []readOf { return p.reads[p.readFirst[i]:p.readFirst[i+1]] }

// keysOf are the keys that a transaction wrote to, in ascending order.
func (p *polygraph) keysOf(i int32) []int32 { return p.wrote[p.wroteFrom[i]:p.wroteFrom[i+1]] }

// readersOf calls do for the transactions that read what a transaction wrote to a key;
// writer none: for those that found nothing in it.
func (p *polygraph) readersOf(writer, key int32, do func(reader int32)) {
	if writer == none {
		writer = int32(len(p.all))
	}
	all := p.readBy[p.byFirst[writer]:p.byFirst[writer+1]]
	from := 0
	if len(all) > 8 {
		from, _ = slices.BinarySearchFunc(all, key, func(at, key int32) int { return cmp.Compare(p.reads[at].key, key) })
	}
	for _, at := range all[from:] {
		if r := &p.reads[at]; r.key == key {
			do(r.reader)
		} else if r.key > key {
			break
		}
	}
}

// What deciding a polygraph may cost: numbers that are kept of what was learned.
const mostLearned = 100_000_000

// decision is what came out of a polygraph: an order that explains everything, or
// transactions that none explains.
type decision struct {
	outcome graph.Outcome
	line    []int32 // nodes
	core    []int32 // transactions
}

// decide looks for a line of the transactions that keeps all known arcs and explains
// all reads. Likely arcs help to guess a line.
func (p *polygraph) decide(ctx context.Context, likely []arc) decision {
	circle, over := p.saturate(ctx)
	if over {
		return decision{outcome: graph.GaveUp}
	}
	if circle != nil {
		return decision{outcome: graph.None, core: p.restsOn(circle)}
	}
	c := graph.NewChoices(p.guess(likely))
	c.Most = mostLearned
	for i, a := range p.arcs {
		c.Require(a.from, a.to, int32(i))
	}
	type two struct{ a, b int32 }
	var pairs []two
	choices := map[two]bool{}
	required := map[two]bool{}
	stop := func() bool { return ctx.Err() != nil }
	for {
		broken := p.broken(c.Line())
		if len(broken) == 0 {
			return decision{outcome: graph.Found, line: slices.Clone(c.Line())}
		}
		for _, b := range broken {
			if b.writer == none {
				// The key was not written yet: every writer of it came later.
				r := two{b.reader, b.other}
				if !required[r] {
					required[r] = true
					p.know(p.start(b.reader), p.commit(b.other), graph.RW)
					c.Require(p.start(b.reader), p.commit(b.other), int32(len(p.arcs)-1))
				}
				continue
			}
			if r := (two{b.writer, b.other}); !choices[r] && !choices[two{r.b, r.a}] {
				choices[r] = true
				pairs = append(pairs, r)
				c.Choose(p.side(r.a, r.b), p.side(r.b, r.a), false)
			}
		}
		switch c.Solve(stop) {
		case graph.GaveUp:
			return decision{outcome: graph.GaveUp}
		case graph.None:
			nodes, taken, tags := c.Core()
			var core, rest []int32
			for _, n := range nodes {
				if i := p.txnOf(n); i != none {
					core = append(core, i)
				}
			}
			for _, v := range taken {
				core = append(core, pairs[v].a, pairs[v].b)
			}
			rest = append(rest, tags...)
			return decision{outcome: graph.None, core: distinct(append(core, p.restsOn(rest)...))}
		}
	}
}

// side is one side of a choice: the arcs that follow if one transaction wrote before
// another.
func (p *polygraph) side(a, b int32) []graph.Arc {
	arcs := []graph.Arc{{From: p.commit(a), To: p.start(b)}}
	theirs := p.keysOf(b)
	for _, at := range p.readBy[p.byFirst[a]:p.byFirst[a+1]] {
		r := p.reads[at]
		if _, both := slices.BinarySearch(theirs, r.key); both && r.reader != b {
			arcs = append(arcs, graph.Arc{From: p.start(r.reader), To: p.commit(b)})
		}
	}
	return arcs
}

func distinct(list []int32) []int32 {
	slices.Sort(list)
	return slices.Compact(list)
}
