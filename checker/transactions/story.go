package transactions

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"coup/checker/graph"
	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// tell makes a counterexample of an anomaly: what the transactions did, where it
// matters, then why one came before another, and what is wrong with that.
func (t *txns) tell(a Anomaly) *harness.Counterexample {
	involved := slices.Clone(a.txns)
	slices.Sort(involved)
	involved = slices.Compact(involved)
	place := func(i int32) int { return slices.Index(involved, i) }
	name := func(i int32) string { return "T" + strconv.Itoa(place(i)+1) }

	keys := slices.Clone(a.keys)
	edges := slices.Clone(a.edges)
	if a.cycle { // begins with the first
		at := slices.IndexFunc(edges, func(s graph.Step) bool { return place(s.From) == 0 })
		edges = append(edges[at:], edges[:at]...)
	}
	c := &harness.Counterexample{Witness: []harness.Witness{}}
	for _, s := range edges {
		key, why := t.reason(s, name(s.From), name(s.To))
		if key != "" {
			keys = append(keys, key)
		}
		c.Edges = append(c.Edges, harness.Edge{From: place(s.From), To: place(s.To), Kind: s.Kind.String(), Key: key,
			Text: fmt.Sprintf("%s: so %s came before %s (%s).", why, name(s.From), name(s.To), s.Kind)})
	}
	var ops []harness.Operation
	for _, i := range involved {
		ops = append(ops, *t.ops[i])
		c.Story = append(c.Story, name(i)+": "+t.told(t.ops[i], keys))
	}
	if a.lines != nil {
		c.Story = append(c.Story, a.lines(name)...)
	} else {
		for _, e := range c.Edges {
			c.Story = append(c.Story, e.Text)
		}
	}
	if a.cycle {
		var chain []string
		for _, s := range edges {
			chain = append(chain, fmt.Sprintf("%s came before %s", name(s.From), name(s.To)))
		}
		c.Story = append(c.Story, "But then "+strings.Join(chain, ", and ")+": no order of these transactions explains what was read.")
	}
	c.Story = append(c.Story, a.tail...)
	base, order := kindOf(a.Kind)
	c.Story = append(c.Story, fmt.Sprintf("This is called %s: %s%s.", a.Kind, anomalyDocs[base], order))
	c.Witness = story.Witnesses(model.Model{Name: "transaction", Text: func(op *harness.Operation) string { return stepsText(op, keys) }}, ops)
	for i := range c.Witness {
		c.Witness[i].Name = name(involved[i])
	}
	return c
}

// anomalyDocs say what the kinds of anomalies are.
var anomalyDocs = map[string]string{
	Garbage:           "a value was read that nobody wrote",
	DuplicateElements: "an element stands twice in a list",
	IncompatibleOrder: "two reads show the elements of a list in orders that do not go together",
	CyclicVersions:    "the versions of a register follow each other in a circle",
	Internal:          "a transaction does not see what it did or saw itself",
	DirtyUpdate:       "a transaction replaced what one wrote that failed",
	G0:                "a cycle of writes",
	G1a:               "a value was read whose transaction failed",
	G1b:               "a value was read that its transaction replaced",
	G1c:               "a cycle of writes and reads",
	LostUpdate:        "two transactions read one version, and both replaced it",
	GSingle:           "a cycle with one read of what another transaction then replaced",
	GNonadjacent:      "a cycle with several reads of what other transactions then replaced, no two of them next to each other, which snapshot isolation excludes",
	G2Item:            "a cycle with several reads of what other transactions then replaced",
	Unserializable:    "no order of the transactions explains what was read, as follows from several reads together",
	NoSnapshots:       "no choice of when the transactions started and committed explains what was read under snapshot isolation",
}

// What is said of the order that is a part of an anomaly.
const (
	orderOfTime    = ", which the order of time closes"
	orderOfProcess = ", which the order of one process closes"
)

// kindOf takes a kind apart: the anomaly, and what order is a part of it.
func kindOf(kind string) (base, order string) {
	if base, ok := strings.CutSuffix(kind, "-realtime"); ok {
		return base, orderOfTime
	}
	if base, ok := strings.CutSuffix(kind, "-process"); ok {
		return base, orderOfProcess
	}
	return kind, ""
}

// reason tells why a transaction came before another; key is the object on which
// that shows, if it does.
func (t *txns) reason(s graph.Step, from, to string) (key, text string) {
	if c, known := t.concluded[s]; known {
		return c.key, fmt.Sprintf(c.text, from, to)
	}
	return t.known(s, from, to)
}

// known tells why a transaction came before another where that was not concluded.
func (t *txns) known(s graph.Step, from, to string) (key, text string) {
	a, b := t.ops[s.From], t.ops[s.To]
	switch s.Kind {
	case graph.Process:
		return "", fmt.Sprintf("Process %d performed %s and then %s", a.Process, from, to)
	case graph.Realtime:
		if t.timeless {
			return "", fmt.Sprintf("%s had ended when %s began", from, to)
		}
		return "", fmt.Sprintf("%s had been acknowledged at %s, and %s began at %s", from, story.Seconds(a.End), to, story.Seconds(b.Start))
	default:
		key, text = t.why(s, from, to)
		if key == "" && a.Process == harness.Beginning {
			text = fmt.Sprintf("What %s had done was there at the beginning", from)
		}
		return key, text
	}
}

// told tells what a transaction did to some objects, and where in the file it stands.
func (t *txns) told(op *harness.Operation, keys []string) string {
	through := ""
	if op.Node != "" {
		through = " through " + op.Node
	}
	head := fmt.Sprintf("process %d", op.Process)
	switch {
	case op.Line > 0 && op.Index >= 0:
		head += fmt.Sprintf(" (line %d, :index %d)", op.Line, op.Index)
	case op.Line > 0:
		head += fmt.Sprintf(" (line %d)", op.Line)
	}
	acknowledged := ", acknowledged"
	if t.timeless {
		head = strings.ToUpper(head[:1]) + head[1:]
	} else {
		head = fmt.Sprintf("At %s %s", story.Seconds(op.Start), head)
		acknowledged += " at " + story.Seconds(op.End)
	}
	steps, left := deeds(op, keys)
	if op.Process == harness.Beginning {
		return fmt.Sprintf("Before all others, somebody had %s.", strings.Join(steps, " and "))
	}
	with := ""
	if left > 0 {
		with = " with " + story.Plural(left, "step") + " on other keys"
	}
	what := story.And(steps)
	switch {
	case op.Type == harness.Fail:
		return fmt.Sprintf("%s tried to %s%s%s, which failed: nothing of it may ever show.", head, what, with, through)
	case op.Type != harness.OK:
		return fmt.Sprintf("%s tried to %s%s%s; whether that happened, it was never told.", head, what, with, through)
	case len(op.Output.(model.Txn)) > 1:
		with = ", all as one" + with
	}
	return fmt.Sprintf("%s %s%s%s%s.", head, what, through, with, acknowledged)
}

// deeds tells the steps of a transaction on some objects, as done or to be done,
// and how many others there are.
func deeds(op *harness.Operation, keys []string) (told []string, left int) {
	t, done := op.Output.(model.Txn)
	if !done {
		t = op.Input.(model.Txn)
	}
	for _, m := range t {
		if slices.Contains(keys, m.Key) {
			told = append(told, story.Step(m, done))
		} else {
			left++
		}
	}
	return told, left
}

// txn names a transaction where it has no number.
func (t *txns) txn(i int32) string {
	if op := t.ops[i]; op.Line > 0 {
		return fmt.Sprintf("process %d's transaction of line %d", op.Process, op.Line)
	}
	return fmt.Sprintf("process %d's transaction of %s", t.ops[i].Process, story.Seconds(t.ops[i].Start))
}

// effects are the steps of a transaction with what is known of its reads.
func (t *txns) effects(i int32) model.Txn {
	if out, ok := t.ops[i].Output.(model.Txn); ok {
		return out
	}
	return slices.DeleteFunc(slices.Clone(t.input(i)), func(m model.Micro) bool { return m.F == "r" })
}

// stepsText writes the steps of a transaction on some objects.
func stepsText(op *harness.Operation, keys []string) string {
	steps, answered := op.Output.(model.Txn)
	if !answered {
		steps, _ = op.Input.(model.Txn)
	}
	var told []string
	for _, m := range steps {
		switch {
		case !slices.Contains(keys, m.Key):
		case !answered && m.F == "r":
			told = append(told, "r "+m.Key)
		default:
			told = append(told, m.String())
		}
	}
	text := strings.Join(told, ", ")
	if left := len(steps) - len(told); left > 0 {
		text += fmt.Sprintf(" (+%s)", story.Plural(left, "step"))
	}
	return text
}
