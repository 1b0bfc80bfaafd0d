package transactions

import (
	"cmp"
	"container/heap"
	"slices"

	"coup/checker/graph"
	"coup/checker/model"
	"coup/harness"
)

// broken is what a line does not explain: a read, or two writers of one key that
// overlap. In the second case the reader is the other writer.
type broken struct {
	writer, other, reader int32
}

// broken finds what a line does not explain. For each read it looks at the last write
// before it in the line.
func (p *polygraph) broken(line []int32) (list []broken) {
	wrote := make([]int32, len(p.names)) // by key: who did last
	under := make([]int32, len(p.names)) // by key: who began and will write to it
	for k := range wrote {
		wrote[k], under[k] = none, none
	}
	for _, n := range line {
		i := p.txnOf(n)
		if i == none {
			continue
		}
		if n == p.start(i) {
			for _, r := range p.readsOf(i) {
				if now := wrote[r.key]; now != r.writer {
					list = append(list, broken{r.writer, now, i})
				}
			}
			if p.snapshots {
				for _, k := range p.keysOf(i) {
					if other := under[k]; other != none {
						list = append(list, broken{other, i, i})
					}
					under[k] = i
				}
			}
		}
		if n == p.commit(i) {
			for _, k := range p.keysOf(i) {
				wrote[k] = i
				if under[k] == i {
					under[k] = none
				}
			}
		}
	}
	return list
}

// guess makes a line of the nodes that keeps all known arcs and explains as many reads
// as it can. It performs the transactions one by one. A transaction waits while it
// would overwrite a value that another one has yet to read. Likely arcs are kept as
// long as possible.
func (p *polygraph) guess(likely []arc) []int32 {
	first, next := p.outgoing()
	sure := len(p.arcs)
	if len(likely) > 0 {
		both := *p
		both.arcs = append(slices.Clone(p.arcs), likely...)
		p = &both
		first, next = p.outgoing()
	}
	g := guessing{
		polygraph: p, in: make([]int32, p.nodes), hint: p.hints(),
		wrote: make([]int32, len(p.names)), pending: make([]int32, len(p.names)), under: make([]int32, len(p.names)),
		waits: make([]byHint, len(p.names)), state: make([]int8, p.nodes), likely: make([]int32, p.nodes),
	}
	for i := range p.arcs {
		if i < sure {
			g.in[p.arcs[i].to]++
		} else {
			g.likely[p.arcs[i].to]++
		}
	}
	for k := range g.wrote {
		g.wrote[k], g.under[k] = none, none
	}
	for _, r := range p.reads {
		if r.writer == none {
			g.pending[r.key]++
		}
	}
	for n := range p.nodes {
		g.free(n)
	}
	line := make([]int32, 0, p.nodes)
	for len(line) < int(p.nodes) {
		n := g.take()
		line = append(line, n)
		g.perform(n)
		for _, e := range next[first[n]:first[n+1]] {
			to := p.arcs[e].to
			if int(e) < sure {
				g.in[to]--
			} else {
				g.likely[to]--
			}
			g.free(to)
		}
	}
	return line
}

// guessing is the state of a guess.
type guessing struct {
	*polygraph
	in      []int32  // by node: how many arcs lead to it from nodes that are not in the line
	hint    []int64  // by transaction: when it probably was
	wrote   []int32  // by key: who did last
	pending []int32  // by key: how many are still to read that
	under   []int32  // by key: who began and will write to it
	likely  []int32  // by node: how many likely arcs do
	waits   []byHint // by key: nodes that wait because of it
	state   []int8   // by node
	now     byHint   // nodes that can be performed
	later   byHint   // nodes that wait
	against byHint   // nodes that could be performed but for likely arcs
}

const (
	held    = 4
	waiting = 1
	running = 2
	gone    = 3
)

// hinted is a node with the hint of when it happened.
type hinted struct {
	hint int64
	node int32
}

// byHint is a heap.
type byHint []hinted

func (h byHint) Len() int { return len(h) }
func (h byHint) Less(i, j int) bool {
	return h[i].hint < h[j].hint || h[i].hint == h[j].hint && h[i].node < h[j].node
}
func (h byHint) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *byHint) Push(x any)   { *h = append(*h, x.(hinted)) }
func (h *byHint) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// hints say when transactions probably took effect: in the order of their calls. Where
// the file lists one process after the other, it is their place within the process that
// counts.
func (p *polygraph) hints() []int64 {
	hints := make([]int64, len(p.all))
	total, done := map[int]int64{}, map[int]int64{}
	same := 0
	for at, i := range p.all {
		hints[at] = int64(at)
		total[p.ops[i].Process]++
		if at > 0 && p.ops[i].Process == p.ops[p.all[at-1]].Process {
			same++
		}
	}
	if len(total) > 1 && same > len(p.all)*9/10 {
		for at, i := range p.all {
			process := p.ops[i].Process
			hints[at] = done[process] << 32 / total[process]
			done[process]++
		}
	}
	return hints
}

func (g *guessing) key(n int32) hinted {
	if i := g.txnOf(n); i != none {
		return hinted{g.hint[i], n}
	}
	return hinted{-1, n} // a moment
}

// free checks whether all predecessors of a node are in the line.
func (g *guessing) free(n int32) {
	switch {
	case g.in[n] > 0 || g.state[n] != 0 && g.state[n] != held:
	case g.likely[n] == 0:
		g.ready(n)
	case g.state[n] != held:
		g.state[n] = held
		heap.Push(&g.against, g.key(n))
	}
}

// ready notes that all predecessors of a node are in the line.
func (g *guessing) ready(n int32) {
	if k := g.blocked(n); k != none {
		g.wait(n, k)
		heap.Push(&g.later, g.key(n))
		return
	}
	g.state[n] = running
	heap.Push(&g.now, g.key(n))
}

// blocked is a key for which a node should wait, because somebody has yet to read its
// value; none: the node need not wait.
func (g *guessing) blocked(n int32) int32 {
	i := g.txnOf(n)
	if i == none {
		return none
	}
	if n == g.start(i) && g.snapshots {
		for _, k := range g.keysOf(i) {
			if g.under[k] != none && g.under[k] != i {
				return k
			}
		}
	}
	if n == g.commit(i) {
		for _, k := range g.keysOf(i) {
			left := g.pending[k]
			if left > 0 && !g.snapshots {
				for _, r := range g.readsOf(i) {
					if r.key == k && r.writer == g.wrote[k] {
						left--
					}
				}
			}
			if left > 0 {
				return k
			}
		}
	}
	return none
}

// take returns the next node: the first that need not wait, otherwise the first that
// waits.
func (g *guessing) take() int32 {
	for len(g.now) > 0 {
		n := heap.Pop(&g.now).(hinted).node
		if g.state[n] != running {
			continue
		}
		if k := g.blocked(n); k != none { // by now
			g.wait(n, k)
			heap.Push(&g.later, g.key(n))
			for _, other := range g.keysOf(g.txnOf(n)) {
				if other != k {
					g.wake(other) // it was woken instead of others
				}
			}
			continue
		}
		g.state[n] = gone
		return n
	}
	for len(g.later) > 0 {
		n := heap.Pop(&g.later).(hinted).node
		if g.state[n] == waiting {
			g.state[n] = gone
			return n
		}
	}
	for {
		n := heap.Pop(&g.against).(hinted).node
		if g.state[n] == held {
			g.state[n] = gone
			return n
		}
	}
}

func (g *guessing) wait(n, k int32) {
	g.state[n] = waiting
	heap.Push(&g.waits[k], g.key(n))
}

// perform applies the reads and writes of a node, and wakes the nodes that waited for
// them.
func (g *guessing) perform(n int32) {
	i := g.txnOf(n)
	if i == none {
		return
	}
	if n == g.start(i) {
		for _, r := range g.readsOf(i) {
			if g.wrote[r.key] == r.writer {
				if g.pending[r.key]--; g.pending[r.key] <= 1 {
					g.wake(r.key)
				}
			}
		}
		if g.snapshots {
			for _, k := range g.keysOf(i) {
				g.under[k] = i
			}
		}
	}
	if n == g.commit(i) {
		for _, k := range g.keysOf(i) {
			g.wrote[k], g.pending[k] = i, 0
			g.readersOf(i, k, func(int32) { g.pending[k]++ })
			if g.under[k] == i {
				g.under[k] = none
			}
			g.wake(k)
		}
	}
}

// wake checks the nodes that wait for a key, until it finds one that need not wait any
// more.
func (g *guessing) wake(k int32) {
	for len(g.waits[k]) > 0 {
		n := heap.Pop(&g.waits[k]).(hinted).node
		if g.state[n] != waiting {
			continue
		}
		if other := g.blocked(n); other == k {
			heap.Push(&g.waits[k], g.key(n))
			return
		} else if other != none {
			heap.Push(&g.waits[other], g.key(n))
			continue
		}
		g.state[n] = running
		heap.Push(&g.now, g.key(n))
		return
	}
}

// replays says whether an order of starts and commits explains everything, by
// performing the transactions as they were recorded. It knows nothing of how the order
// was found: it is what a verdict of valid rests on.
func (p *polygraph) replays(line []int32) bool {
	type cell struct {
		last model.Maybe
		list []int64
	}
	state := map[string]cell{}
	under := map[string]int32{} // who began and will write to a key
	began, ended := make([]int, len(p.all)), make([]int, len(p.all))
	views := make(map[int32]map[string]cell)
	for at, n := range line {
		i := p.txnOf(n)
		if i == none {
			continue
		}
		op := p.ops[p.all[i]]
		steps, answered := op.Output.(model.Txn)
		if !answered {
			steps = op.Input.(model.Txn)
		}
		if n == p.start(i) {
			began[i] = at + 1
			view := map[string]cell{}
			for _, m := range steps {
				now, seen := view[m.Key]
				if !seen {
					now = state[m.Key]
				}
				switch {
				case m.F == "append":
					now.list = append(slices.Clip(now.list), m.Value)
				case m.F == "w":
					now.last = model.Just(m.Value)
				case !answered:
				case m.List != nil && !slices.Equal(m.List, now.list), m.List == nil && (m.Seen != now.last || len(now.list) > 0):
					return false
				}
				view[m.Key] = now
				if m.F != "r" && p.snapshots {
					if other, busy := under[m.Key]; busy && other != i {
						return false
					}
					under[m.Key] = i
				}
			}
			views[i] = view
		}
		if n == p.commit(i) {
			if began[i] == 0 {
				return false
			}
			ended[i] = at + 1
			for _, m := range steps {
				if m.F == "r" {
					continue
				}
				state[m.Key] = views[i][m.Key]
				if under[m.Key] == i {
					delete(under, m.Key)
				}
			}
			delete(views, i)
		}
	}
	for i := range p.all {
		if ended[i] == 0 {
			return false
		}
	}
	return p.keepsOrder(began, ended)
}

// keepsOrder says whether a line keeps the order of processes and that of time, as far
// as they count, given where each transaction begins and ends in it.
func (p *polygraph) keepsOrder(began, ended []int) bool {
	if p.order&graph.Process != 0 {
		last := map[int]int{}
		for at, i := range p.all {
			op := p.ops[i]
			if before, ok := last[op.Process]; ok && model.Returned(p.ops[p.all[before]]) < op.Call && ended[before] > began[at] {
				return false
			}
			last[op.Process] = at
		}
	}
	if p.order&graph.Realtime == 0 {
		return true
	}
	var byEnd []int
	for at, i := range p.all {
		if p.ops[i].Type == harness.OK {
			byEnd = append(byEnd, at)
		}
	}
	slices.SortFunc(byEnd, func(a, b int) int { return cmp.Compare(p.ops[p.all[a]].Return, p.ops[p.all[b]].Return) })
	latest, next := 0, 0 // where the last of those stands that had ended
	for at, i := range p.all {
		for ; next < len(byEnd) && p.ops[p.all[byEnd[next]]].Return < p.ops[i].Call; next++ {
			latest = max(latest, ended[byEnd[next]])
		}
		if latest > began[at] {
			return false
		}
	}
	return true
}
