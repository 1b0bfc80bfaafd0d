package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"coup/harness"
)

// Transactions checks how well transactions were isolated, from what their
// reads showed: it infers which transactions must come before which, and finds
// cycles and other anomalies (Adya, "Weak consistency", 1999; Kingsbury and
// Alvaro, "Elle", 2020). It takes time linear in the length of the history,
// and finds only what follows from the answers: every anomaly is real, but not
// every one is found. Its Details are [TransactionDetails].
type Transactions struct {
	// Registers says that the transactions work on registers (w and r);
	// otherwise on lists (append and r), which tell much more.
	Registers bool
	// Level is the promise to judge by; "": strict-serializable.
	Level Isolation
}

// Isolation is a promise about transactions.
type Isolation string

// The promises, from the weakest to the strongest.
const (
	ReadUncommitted    Isolation = "read-uncommitted"
	ReadCommitted      Isolation = "read-committed"
	SnapshotIsolation  Isolation = "snapshot-isolation"
	Serializable       Isolation = "serializable"
	StrictSerializable Isolation = "strict-serializable"
)

// The kinds of anomalies, the gravest first. Those of cycles also come with
// "-process" and "-realtime", where the order of one process or of time is a
// part of the cycle.
const (
	Garbage           = "garbage"            // a value was read that nobody wrote
	DuplicateElements = "duplicate-elements" // an element stands twice in a list
	IncompatibleOrder = "incompatible-order" // two reads show the elements of a list in different orders
	CyclicVersions    = "cyclic-versions"    // the versions of a register follow each other in a circle
	Internal          = "internal"           // a transaction does not see what it did or saw itself
	G0                = "G0"                 // a cycle of writes
	G1a               = "G1a"                // a value was read whose transaction failed
	G1b               = "G1b"                // a value was read that its transaction replaced
	G1c               = "G1c"                // a cycle of writes and reads
	LostUpdate        = "lost-update"        // two transactions read one version, and both replaced it
	GSingle           = "G-single"           // a cycle with one read of what was then replaced
	G2Item            = "G2-item"            // a cycle with several of these
)

// allowed are the anomalies that each promise does not exclude.
var allowed = map[Isolation][]string{
	ReadUncommitted:   {G1a, G1b, G1c, Internal, LostUpdate, GSingle, G2Item},
	ReadCommitted:     {Internal, LostUpdate, GSingle, G2Item},
	SnapshotIsolation: {G2Item},
	Serializable:      {},
}

// excludes says whether the promise rules the anomaly out.
func (i Isolation) excludes(kind string) bool {
	if i == StrictSerializable || i == "" {
		return true
	}
	base := strings.TrimSuffix(strings.TrimSuffix(kind, "-realtime"), "-process")
	return base == kind && !slices.Contains(allowed[i], kind)
}

// TransactionDetails are the Details of [Transactions].
type TransactionDetails struct {
	Level        Isolation    `json:"level"`
	Transactions int          `json:"transactions"` // that took effect
	Anomalies    []TxnAnomaly `json:"anomalies"`    // one of each kind, the gravest first
}

// TxnAnomaly is the first anomaly of a kind.
type TxnAnomaly struct {
	Kind     string   `json:"kind"`
	Excluded bool     `json:"excluded"` // by the level
	Count    int      `json:"count"`    // how many were seen; cycles are not counted one by one
	Story    []string `json:"story"`
	txns     []int32
}

// Name implements [harness.Checker].
func (Transactions) Name() string { return "transactions" }

// Check implements [harness.Checker].
func (c Transactions) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: c.Name()}
	level := c.Level
	if level == "" {
		level = StrictSerializable
	}
	if _, known := allowed[level]; !known && level != StrictSerializable {
		return r, fmt.Errorf("no level of isolation %q", level)
	}
	t := newTxns(h.Operations)
	for i := range t.ops {
		_, in := t.ops[i].Input.(Txn)
		_, out := t.ops[i].Output.(Txn)
		if !in || !out && t.ops[i].Type == harness.OK {
			return r, fmt.Errorf("expected transactions: %s of process %d at %s has the input %v and the output %v",
				t.ops[i].F, t.ops[i].Process, seconds(t.ops[i].Start), t.ops[i].Input, t.ops[i].Output)
		}
	}
	var infer func() error
	if c.Registers {
		infer = (&registerTxns{txns: t}).infer
	} else {
		infer = (&listTxns{txns: t}).infer
	}
	if err := infer(); err != nil {
		return r, err
	}
	if ctx.Err() == nil {
		t.order()
		t.cycles(ctx)
	}

	d := TransactionDetails{Level: level, Transactions: t.committed(), Anomalies: []TxnAnomaly{}}
	worst := -1
	for i := range t.anomalies {
		a := t.anomalies[i]
		a.Excluded = level.excludes(a.Kind)
		d.Anomalies = append(d.Anomalies, a)
	}
	slices.SortStableFunc(d.Anomalies, func(a, b TxnAnomaly) int { return cmp.Compare(gravity(a.Kind), gravity(b.Kind)) })
	var kinds []string
	for i, a := range d.Anomalies {
		if a.Excluded {
			kinds = append(kinds, a.Kind)
			if worst < 0 {
				worst = i
			}
		}
	}
	r.Details = d
	switch {
	case worst >= 0:
		r.Valid = harness.Invalid
		r.Summary = fmt.Sprintf("Not %s: %s.", level, strings.Join(kinds, ", "))
		r.Counterexample = t.counterexample(d.Anomalies[worst])
	case ctx.Err() != nil:
		r.Valid, r.Summary = harness.Unknown, "There was no time to look for cycles."
	default:
		r.Summary = fmt.Sprintf("Nothing in %s speaks against %s.", plural(d.Transactions, "transaction"), level)
	}
	return r, nil
}

// gravity orders anomalies, the gravest first.
func gravity(kind string) int {
	order := []string{Garbage, DuplicateElements, IncompatibleOrder, CyclicVersions, Internal, G0, G1a, G1b, G1c, LostUpdate, GSingle, G2Item}
	base := strings.TrimSuffix(strings.TrimSuffix(kind, "-realtime"), "-process")
	g := 4 * slices.Index(order, base)
	if strings.HasSuffix(kind, "-process") {
		return g + 1
	}
	if strings.HasSuffix(kind, "-realtime") {
		return g + 2
	}
	return g
}

// txns are the transactions of a history and what is known of them.
type txns struct {
	ops       []*harness.Operation
	did       []bool // took effect: it was acknowledged, or somebody saw what it wrote
	graph     depGraph
	keys      map[string]int32
	names     []string
	anomalies []TxnAnomaly
	why       func(s step) string // tells an edge of the kinds ww, wr, rw
}

func newTxns(ops []harness.Operation) *txns {
	t := &txns{keys: map[string]int32{}, ops: pointers(ops), did: make([]bool, len(ops))}
	for i := range ops {
		t.did[i] = ops[i].Type == harness.OK
	}
	t.graph.txns, t.graph.nodes = len(ops), len(ops)
	return t
}

func (t *txns) committed() (n int) {
	for _, did := range t.did {
		if did {
			n++
		}
	}
	return n
}

func (t *txns) key(name string) int32 {
	k, known := t.keys[name]
	if !known {
		k = int32(len(t.names))
		t.keys[name] = k
		t.names = append(t.names, name)
	}
	return k
}

// found records an anomaly; only the first of a kind is told.
func (t *txns) found(kind string, txns []int32, format string, args ...any) {
	for i := range t.anomalies {
		if t.anomalies[i].Kind == kind {
			t.anomalies[i].Count++
			return
		}
	}
	t.anomalies = append(t.anomalies, TxnAnomaly{Kind: kind, Count: 1, txns: txns, Story: []string{fmt.Sprintf(format, args...)}})
}

// txn names a transaction in a story.
func (t *txns) txn(i int32) string {
	return fmt.Sprintf("process %d's transaction of %s", t.ops[i].Process, seconds(t.ops[i].Start))
}

// order adds the order of each process and that of time. The latter is a chain
// of moments, one after each end of a transaction: the transaction leads to
// its moment, and each moment leads to what begins after it.
func (t *txns) order() {
	last := map[int]int32{}
	byEnd := make([]int32, 0, len(t.ops))
	for i, op := range t.ops {
		if !t.did[i] {
			continue
		}
		if before, ok := last[op.Process]; ok && ret(t.ops[before]) < op.Call {
			t.graph.edge(before, int32(i), process)
		}
		last[op.Process] = int32(i)
		if op.Type == harness.OK {
			byEnd = append(byEnd, int32(i))
		}
	}
	slices.SortFunc(byEnd, func(a, b int32) int { return cmp.Compare(t.ops[a].Return, t.ops[b].Return) })
	moment, next := none, 0
	for i, op := range t.ops { // in the order of their beginning
		if !t.did[i] {
			continue
		}
		if next < len(byEnd) && t.ops[byEnd[next]].Return < op.Call {
			m := t.graph.node()
			if moment != none {
				t.graph.edge(moment, m, link)
			}
			moment = m
			for ; next < len(byEnd) && t.ops[byEnd[next]].Return < op.Call; next++ {
				t.graph.edge(byEnd[next], moment, realtime)
			}
		}
		if moment != none {
			t.graph.edge(moment, int32(i), link)
		}
	}
}

// How many edges are tried as the beginning of a cycle of a kind, and how many
// transactions are looked at for each kind. There may be thousands of cycles,
// and one is enough.
const (
	mostTries  = 2000
	mostVisits = 3_000_000
)

// cycles looks for cycles: of each kind one, first without the order of
// processes and of time, then with it.
func (t *txns) cycles(ctx context.Context) {
	g := &t.graph
	g.seal()
	const whatever = ww | wr | rw | process | realtime
	all, total := g.components(whatever)
	if total == 0 {
		return
	}
	have := map[string]bool{}
	for _, order := range []struct {
		suffix string
		kinds  dependency
	}{{"", 0}, {"-process", process}, {"-realtime", realtime}} {
		for _, c := range []struct {
			name  string
			first dependency // the edge that the cycle begins with
			rest  dependency
			least int // edges of the kind first
			most  int
		}{
			{G0, ww, ww, 1, 0},
			{G1c, wr, ww | wr, 1, 0},
			{GSingle, rw, ww | wr, 1, 1},
			{G2Item, rw, ww | wr | rw, 2, 0},
		} {
			if have[c.name] || ctx.Err() != nil {
				continue
			}
			component, count := all, total
			if kinds := c.first | c.rest | order.kinds; kinds != whatever {
				component, count = g.components(kinds)
			}
			if count == 0 {
				continue
			}
			tries := 0
			g.visits = mostVisits
			for e := range g.from {
				from, to := g.from[e], g.to[e]
				if g.kind[e] != c.first || component[from] == none || component[from] != component[to] {
					continue
				}
				if tries++; tries > mostTries {
					break
				}
				way := g.path(to, from, c.rest|order.kinds, component)
				if way == nil {
					continue
				}
				cycle := g.steps(append([]int32{int32(e)}, way...))
				if n := countKind(cycle, c.first); n < c.least || c.most > 0 && n > c.most {
					continue
				}
				have[c.name] = true
				t.tellCycle(c.name+order.suffix, cycle)
				break
			}
		}
	}
	if len(have) > 0 {
		return
	}
	// There are cycles, but none of a plain kind was found: take any.
	for e := range g.from {
		from, to := g.from[e], g.to[e]
		if all[from] == none || all[from] != all[to] {
			continue
		}
		g.visits = len(g.from)
		cycle := g.steps(append([]int32{int32(e)}, g.path(to, from, whatever, all)...))
		t.tellCycle(nameOfCycle(cycle), cycle)
		return
	}
}

func nameOfCycle(cycle []step) string {
	name := G0
	switch n := countKind(cycle, rw); {
	case n > 1:
		name = G2Item
	case n == 1:
		name = GSingle
	case countKind(cycle, wr) > 0:
		name = G1c
	}
	switch {
	case countKind(cycle, realtime) > 0:
		return name + "-realtime"
	case countKind(cycle, process) > 0:
		return name + "-process"
	}
	return name
}

func countKind(cycle []step, kind dependency) (n int) {
	for _, s := range cycle {
		if s.kind == kind {
			n++
		}
	}
	return n
}

func (t *txns) tellCycle(name string, cycle []step) {
	a := TxnAnomaly{Kind: name, Count: 1}
	for _, s := range cycle {
		a.txns = append(a.txns, s.from)
		var why string
		switch s.kind {
		case process:
			why = fmt.Sprintf("process %d had performed it before", t.ops[s.from].Process)
		case realtime:
			why = fmt.Sprintf("it had ended at %s, when the other began at %s", seconds(t.ops[s.from].End), seconds(t.ops[s.to].Start))
		default:
			why = t.why(s)
		}
		a.Story = append(a.Story, fmt.Sprintf("%s%s must come before %s: %s.",
			strings.ToUpper(t.txn(s.from)[:1]), t.txn(s.from)[1:], t.txn(s.to), why))
	}
	a.Story = append(a.Story, "So each of them must come before itself.")
	t.anomalies = append(t.anomalies, a)
}

func (t *txns) counterexample(a TxnAnomaly) *harness.Counterexample {
	involved := slices.Clone(a.txns)
	slices.Sort(involved)
	involved = slices.Compact(involved)
	c := &harness.Counterexample{Witness: []harness.Witness{}}
	var ops []harness.Operation
	for _, i := range involved {
		op := t.ops[i]
		ops = append(ops, *op)
		verb := "performed"
		end := fmt.Sprintf(", acknowledged at %s", seconds(op.End))
		if op.Type != harness.OK {
			verb, end = "tried", "; whether it happened, its process never learned"
			if op.Type == harness.Fail {
				end = "; it failed"
			}
		}
		through := ""
		if op.Node != "" {
			through = " through " + op.Node
		}
		c.Story = append(c.Story, fmt.Sprintf("At %s process %d %s the transaction %s%s%s.",
			seconds(op.Start), op.Process, verb, txnText(op), through, end))
	}
	c.Story = append(c.Story, a.Story...)
	c.Witness = witnesses(Model{Name: "transaction", Text: txnText}, ops)
	return c
}
