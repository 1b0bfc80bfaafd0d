package transactions

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"coup/checker/graph"
	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// none stands for no transaction, no version and the like.
const none = int32(-1)

// Checker judges how well transactions were isolated. From what their reads showed
// it infers which transactions must come before which, and looks for cycles and
// other anomalies (Adya, "Weak consistency", 1999; Kingsbury and Alvaro, "Elle",
// VLDB 2020). Every anomaly that it reports is real. Its Details are [Details].
//
// Over lists, the verdict is exact. The levels up to repeatable-read are defined by the
// anomalies themselves; of the others, where it finds nothing, some order of the
// transactions explains everything that was read. Over registers, a read does not
// tell what was there before, and to decide the levels from repeatable-read on is
// NP-complete. The verdict is exact all the same: valid rests on an order that was
// replayed, invalid on a cycle or on a proof of few transactions, and where neither is
// found in time it is unknown. There are two exceptions. Of more than 4,000 transactions
// over registers, without a level asked for, valid says that nothing follows from single
// reads, one after the other, with the order of time. And of read-uncommitted and
// read-committed over registers it says that no version was read that must not be, in
// whatever order versions came.
//
// It takes time linear in the length of the history, but for sorting; where an order of
// registers has to be found, so many times as there are processes, and more where much
// is open. 100,000 transactions of 20 processes take some 20 s and 700 MB.
//
// Transactions name the objects that they read. There are no predicates, such as
// "all rows with x > 3", so Adya's G2, a cycle over what a predicate did not see,
// is always G2-item here.
type Checker struct {
	// Registers says that the transactions work on registers (w and r);
	// otherwise on lists (append and r), which tell much more.
	Registers bool
	// Level is the promise to judge by; "": strict-serializable, or nothing but
	// Anomalies if there are any.
	Level Isolation
	// Anomalies must not be there either, whatever the level says of them: names of
	// kinds, with what Elle counts as special forms of them.
	Anomalies []string
	// Timeout bounds the search for an order that explains what was read from
	// registers; 0: nothing does. All else takes linear time.
	Timeout time.Duration
}

// The kinds of anomalies, the gravest first. Those of cycles also come with
// "-process" and "-realtime", where the order of one process or of time is a
// part of the cycle.
const (
	Garbage           = "garbage"            // a value was read that nobody wrote
	DuplicateElements = "duplicate-elements" // an element stands twice in a list
	IncompatibleOrder = "incompatible-order" // two reads show the elements of a list in orders that do not go together
	CyclicVersions    = "cyclic-versions"    // the versions of a register follow each other in a circle
	Internal          = "internal"           // a transaction does not see what it did or saw itself
	DirtyUpdate       = "dirty-update"       // a transaction replaced what one wrote that failed
	G0                = "G0"                 // a cycle of writes
	G1a               = "G1a"                // a value was read whose transaction failed
	G1b               = "G1b"                // a value was read that its transaction replaced
	G1c               = "G1c"                // a cycle of writes and reads
	LostUpdate        = "lost-update"        // two transactions read one version, and both replaced it
	GSingle           = "G-single"           // a cycle with one read of what another transaction then replaced
	GNonadjacent      = "G-nonadjacent"      // a cycle with several such reads, no two of them next to each other; told apart from G2-item only where a level or anomalies are asked for
	G2Item            = "G2-item"            // a cycle with several reads of what other transactions then replaced
	Unserializable    = "unserializable"     // no order of the transactions explains what was read, as follows from several reads
	NoSnapshots       = "no-snapshots"       // no choice of when transactions started and committed explains what was read under snapshot isolation
)

// gravities are the kinds of anomalies, the gravest first.
var gravities = []string{
	Garbage, DuplicateElements, IncompatibleOrder, CyclicVersions, Internal,
	G0, G1a, DirtyUpdate, G1b, G1c, LostUpdate, GSingle, GNonadjacent, G2Item, Unserializable, NoSnapshots,
}

// Details are the Details of [Checker].
type Details struct {
	Level        Isolation `json:"level"`
	Transactions int       `json:"transactions"` // that took effect
	// Components are the groups of transactions of which each must come before
	// all others and before itself: the strongly connected components of the
	// graph of what must come before what, time and processes included.
	Components int       `json:"components"`
	Anomalies  []Anomaly `json:"anomalies"` // one of each kind, the gravest first
	// MayBe are the strongest levels that nothing that was found speaks against, if it
	// is invalid. They are told only where a level or anomalies were asked for.
	MayBe []Isolation `json:"may_be,omitempty"`
}

// Anomaly is an anomaly of a kind: the first one, or the shortest cycle that
// was found.
type Anomaly struct {
	Kind     string   `json:"kind"`
	Excluded bool     `json:"excluded"` // by the level
	Count    int      `json:"count"`    // how many were seen; of cycles, in how many components
	Story    []string `json:"story"`

	txns  []int32      // those that it consists of
	edges []graph.Step // what must come before what, if that is a part of it
	keys  []string     // the objects that it is about
	tail  []string     // what is wrong, in sentences
	cycle bool
	lines func(name func(i int32) string) []string // tells it instead of the edges
}

// Name implements [harness.Checker].
func (Checker) Name() string { return "transactions" }

// Check implements [harness.Checker].
func (c Checker) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: c.Name()}
	level := StrictSerializable
	if c.Level != "" {
		var err error
		if level, err = ParseIsolation(string(c.Level)); err != nil {
			return r, err
		}
	}
	if _, err := ParseAnomalies(strings.Join(c.Anomalies, ",")); err != nil {
		return r, err
	}
	j := judged{c, level}
	t, err := newTxns(h.Operations)
	if err != nil {
		return r, err
	}
	t.timeout = c.Timeout
	registers, lists := &registerTxns{txns: t}, &listTxns{txns: t}
	if c.Registers {
		err = registers.infer()
	} else {
		err = lists.infer()
	}
	if err != nil {
		return r, err
	}
	if ctx.Err() == nil {
		t.order()
		t.cycles(ctx)
		if !j.plainly() {
			t.snapshotCycles(ctx)
		}
	}
	hurried := ctx.Err() != nil
	excluded := slices.ContainsFunc(t.anomalies, func(a Anomaly) bool { return j.excludes(a.Kind) })
	switch {
	case excluded:
	case c.Registers:
		registers.decide(ctx, j)
	case j.excludes(NoSnapshots) && !j.excludes(G2Item) && lists.rivals():
		_, order := level.parts()
		t.decide(ctx, lists.known(), true, order)
	}

	d := Details{Level: level, Transactions: t.committed(), Components: t.components, Anomalies: []Anomaly{}}
	worst := -1
	for i := range t.anomalies {
		a := t.anomalies[i]
		a.Excluded = j.excludes(a.Kind)
		a.Story = t.tell(a).Story
		d.Anomalies = append(d.Anomalies, a)
	}
	slices.SortStableFunc(d.Anomalies, func(a, b Anomaly) int { return cmp.Compare(gravity(a.Kind), gravity(b.Kind)) })
	var kinds []string
	for i, a := range d.Anomalies {
		if a.Excluded {
			kinds = append(kinds, a.Kind)
			if worst < 0 {
				worst = i
			}
		}
	}
	if worst >= 0 && !j.plainly() {
		d.MayBe = j.mayBe(d.Anomalies)
	}
	r.Details = d
	switch {
	case worst >= 0:
		r.Valid = harness.Invalid
		r.Summary = fmt.Sprintf("Not %s: %s.", j.named(), strings.Join(kinds, ", "))
		if !j.plainly() {
			r.Summary += " " + stillAllowed(d.MayBe)
		}
		r.Counterexample = t.tell(d.Anomalies[worst])
	case d.Transactions == 0:
		r.Valid, r.Summary = harness.Unknown, "No transaction is known to have taken effect: nothing was tested."
	case hurried:
		r.Valid, r.Summary = harness.Unknown, "There was no time to look for cycles."
	case ctx.Err() != nil:
		r.Valid, r.Summary = harness.Unknown, "There was no time to draw all conclusions from what was read."
	case t.undrawn:
		r.Valid, r.Summary = harness.Unknown, fmt.Sprintf("Nothing that single reads of %s tell speaks against %s, and what follows from several together is too much to be concluded.", story.Plural(d.Transactions, "transaction"), j.named())
	case j.plainly() || c.Level != "" && len(c.Anomalies) == 0:
		r.Summary = fmt.Sprintf("Nothing in %s speaks against %s.", story.Plural(d.Transactions, "transaction"), level)
	default:
		r.Summary = fmt.Sprintf("Nothing in %s shows that it is not %s.", story.Plural(d.Transactions, "transaction"), j.named())
	}
	return r, nil
}

// stillAllowed words what may still be promised.
func stillAllowed(levels []Isolation) string {
	var names []string
	for _, i := range levels {
		names = append(names, string(i))
	}
	if len(names) == 0 {
		return "It is none of the weaker levels either."
	}
	return "It may still be " + strings.Join(names, " or ") + "."
}

// gravity orders anomalies, the gravest first.
func gravity(kind string) int {
	base, _ := kindOf(kind)
	g := 4 * slices.Index(gravities, base)
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
	ops        []*harness.Operation
	did        []bool // took effect: it was acknowledged, or somebody saw what it wrote
	graph      *graph.Graph
	names      []string // of the keys, which are numbered
	first      []int32  // by transaction: where its steps begin in stepKeys
	stepKeys   []int32  // the key of every step of every transaction
	anomalies  []Anomaly
	components int
	timeout    time.Duration
	timeless   bool // nobody looked at a clock
	undrawn    bool // not all that several reads say together was concluded: it would have been too much
	// why tells an edge of the kinds ww, wr and rw, and on which key it is.
	why       func(s graph.Step, from, to string) (key, text string)
	concluded map[graph.Step]deduction // what several reads say together
}

// newTxns numbers the keys. An error says which operation is no transaction.
func newTxns(ops []harness.Operation) (*txns, error) {
	t := &txns{ops: model.Pointers(ops), did: make([]bool, len(ops)), first: make([]int32, len(ops)+1)}
	steps := 0
	for i := range ops {
		in, ok := ops[i].Input.(model.Txn)
		out, answered := ops[i].Output.(model.Txn)
		if !ok || ops[i].Type == harness.OK && (!answered || !out.Answers(in)) {
			return nil, fmt.Errorf("expected transactions, with the same steps in the answer: %s of process %d at %s has the input %v and the output %v",
				ops[i].F, ops[i].Process, story.Seconds(ops[i].Start), ops[i].Input, ops[i].Output)
		}
		t.did[i] = ops[i].Type == harness.OK
		t.first[i] = int32(steps)
		steps += len(in)
	}
	if t.first[len(ops)] = int32(steps); steps > math.MaxInt32 {
		return nil, fmt.Errorf("%d steps of transactions are more than can be looked at", steps)
	}
	t.stepKeys = make([]int32, 0, steps)
	keys := map[string]int32{}
	for i := range ops {
		for _, m := range ops[i].Input.(model.Txn) {
			k, known := keys[m.Key]
			if !known {
				k = int32(len(t.names))
				keys[m.Key] = k
				t.names = append(t.names, m.Key)
			}
			t.stepKeys = append(t.stepKeys, k)
		}
	}
	t.graph = graph.New(len(ops))
	// Where another tool's file says no time, operations have their place for it.
	most := time.Duration(len(ops)) * time.Microsecond
	t.timeless = len(ops) > 0 && ops[len(ops)-1].Line > 0 && !slices.ContainsFunc(ops, func(op harness.Operation) bool { return max(op.Start, op.End) > most })
	return t, nil
}

// key is the number of the key of a step.
func (t *txns) key(txn int32, step int) int32 { return t.stepKeys[int(t.first[txn])+step] }

// input and output are the steps of a transaction.
func (t *txns) input(i int32) model.Txn  { return t.ops[i].Input.(model.Txn) }
func (t *txns) output(i int32) model.Txn { return t.ops[i].Output.(model.Txn) }

func (t *txns) committed() (n int) {
	for i, did := range t.did {
		if did && t.ops[i].Process != harness.Beginning {
			n++
		}
	}
	return n
}

// found records an anomaly on a key. Only the first of a kind is told.
func (t *txns) found(kind, key string, txns []int32, format string, args ...any) *Anomaly {
	for i := range t.anomalies {
		if t.anomalies[i].Kind == kind {
			t.anomalies[i].Count++
			return nil
		}
	}
	t.anomalies = append(t.anomalies, Anomaly{
		Kind: kind, Count: 1, txns: txns, keys: []string{key}, tail: []string{fmt.Sprintf(format, args...)},
	})
	return &t.anomalies[len(t.anomalies)-1]
}

// Keys are the objects that the anomaly is about.
func (a Anomaly) Keys() []string { return slices.Clone(a.keys) }

// with adds edges to an anomaly that is the first of its kind.
func (a *Anomaly) with(edges ...graph.Step) {
	if a != nil {
		a.edges = edges
	}
}

// beginning adds that what was there at the beginning came before all others of some
// transactions, whatever order counts.
func (t *txns) beginning(of []bool, node func() int32, edge func(from, to int32, kind graph.Dependency)) {
	hub := none
	for i, op := range t.ops {
		if of[i] && op.Process == harness.Beginning {
			if hub == none {
				hub = node()
			}
			edge(int32(i), hub, graph.WW)
		}
	}
	for i, op := range t.ops {
		if hub != none && of[i] && op.Process != harness.Beginning {
			edge(hub, int32(i), graph.Link)
		}
	}
}

// order adds the order of each process and that of time. The latter is a chain
// of moments, one after each end of a transaction: the transaction leads to
// its moment, and each moment leads to what begins after it.
func (t *txns) order() {
	t.beginning(t.did, t.graph.Node, t.graph.Edge)
	last := map[int]int32{}
	byEnd := make([]int32, 0, len(t.ops))
	for i, op := range t.ops {
		if !t.did[i] {
			continue
		}
		if before, ok := last[op.Process]; ok && model.Returned(t.ops[before]) < op.Call {
			t.graph.Edge(before, int32(i), graph.Process)
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
			m := t.graph.Node()
			if moment != none {
				t.graph.Edge(moment, m, graph.Link)
			}
			moment = m
			for ; next < len(byEnd) && t.ops[byEnd[next]].Return < op.Call; next++ {
				t.graph.Edge(byEnd[next], moment, graph.Realtime)
			}
		}
		if moment != none {
			t.graph.Edge(moment, int32(i), graph.Link)
		}
	}
}
