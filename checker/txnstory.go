package checker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"coup/harness"
)

// tell makes a counterexample of an anomaly: what the transactions did, where it
// matters, then why one came before another, and what is wrong with that.
func (t *txns) tell(a TxnAnomaly) *harness.Counterexample {
	involved := slices.Clone(a.txns)
	slices.Sort(involved)
	involved = slices.Compact(involved)
	place := func(i int32) int { return slices.Index(involved, i) }
	name := func(i int32) string { return "T" + strconv.Itoa(place(i)+1) }

	keys := slices.Clone(a.keys)
	edges := slices.Clone(a.edges)
	if a.cycle { // begins with the first
		at := slices.IndexFunc(edges, func(s step) bool { return place(s.from) == 0 })
		edges = append(edges[at:], edges[:at]...)
	}
	c := &harness.Counterexample{Witness: []harness.Witness{}}
	for _, s := range edges {
		key, why := t.reason(s, name(s.from), name(s.to))
		if key != "" {
			keys = append(keys, key)
		}
		c.Edges = append(c.Edges, harness.Edge{From: place(s.from), To: place(s.to), Kind: s.kind.String(), Key: key,
			Text: fmt.Sprintf("%s: so %s came before %s (%s).", why, name(s.from), name(s.to), s.kind)})
	}
	var ops []harness.Operation
	for _, i := range involved {
		ops = append(ops, *t.ops[i])
		c.Story = append(c.Story, name(i)+": "+did(t.ops[i], keys))
	}
	for _, e := range c.Edges {
		c.Story = append(c.Story, e.Text)
	}
	if a.cycle {
		var chain []string
		for _, s := range edges {
			chain = append(chain, fmt.Sprintf("%s came before %s", name(s.from), name(s.to)))
		}
		c.Story = append(c.Story, "But then "+strings.Join(chain, ", and ")+": no order of these transactions explains what was read.")
	}
	c.Story = append(c.Story, a.tail...)
	c.Witness = witnesses(Model{Name: "transaction", Text: func(op *harness.Operation) string { return stepsText(op, keys) }}, ops)
	for i := range c.Witness {
		c.Witness[i].Name = name(involved[i])
	}
	return c
}

// reason tells why a transaction came before another; key is the object on which
// that shows, if it does.
func (t *txns) reason(s step, from, to string) (key, text string) {
	a, b := t.ops[s.from], t.ops[s.to]
	switch s.kind {
	case process:
		return "", fmt.Sprintf("Process %d performed %s and then %s", a.Process, from, to)
	case realtime:
		return "", fmt.Sprintf("%s had been acknowledged at %s, and %s began at %s", from, seconds(a.End), to, seconds(b.Start))
	default:
		return t.why(s, from, to)
	}
}

func (d dependency) String() string {
	switch d {
	case ww:
		return "ww"
	case wr:
		return "wr"
	case rw:
		return "rw"
	case process:
		return "process"
	case realtime:
		return "realtime"
	default:
		return "link"
	}
}

// did tells what a transaction did to some objects.
func did(op *harness.Operation, keys []string) string {
	through := ""
	if op.Node != "" {
		through = " through " + op.Node
	}
	head := fmt.Sprintf("At %s process %d", seconds(op.Start), op.Process)
	switch op.Type {
	case harness.OK:
		return fmt.Sprintf("%s performed %s%s, acknowledged at %s.", head, stepsText(op, keys), through, seconds(op.End))
	case harness.Fail:
		return fmt.Sprintf("%s tried %s%s, which failed: nothing of it may ever show.", head, stepsText(op, keys), through)
	default:
		return fmt.Sprintf("%s tried %s%s; whether that happened, it was never told.", head, stepsText(op, keys), through)
	}
}

// txn names a transaction where it has no number.
func (t *txns) txn(i int32) string {
	return fmt.Sprintf("process %d's transaction of %s", t.ops[i].Process, seconds(t.ops[i].Start))
}

// effects are the steps of a transaction with what is known of its reads.
func (t *txns) effects(i int32) Txn {
	if out, ok := t.ops[i].Output.(Txn); ok {
		return out
	}
	return slices.DeleteFunc(slices.Clone(t.input(i)), func(m Micro) bool { return m.F == "r" })
}

// stepsText writes the steps of a transaction on some objects.
func stepsText(op *harness.Operation, keys []string) string {
	steps, answered := op.Output.(Txn)
	if !answered {
		steps, _ = op.Input.(Txn)
	}
	var told []string
	for _, m := range steps {
		switch {
		case !slices.Contains(keys, m.Key):
		case m.F != "r":
			told = append(told, m.String())
		case !answered:
			told = append(told, "r "+m.Key)
		case m.List != nil:
			told = append(told, "r "+m.Key+" "+endText(m.List))
		default:
			told = append(told, m.String())
		}
	}
	text := strings.Join(told, ", ")
	if left := len(steps) - len(told); left > 0 {
		text += fmt.Sprintf(" (and %s elsewhere)", plural(left, "step"))
	}
	return text
}

// Long lists are told by a few elements where it matters.
const (
	wholeList = 10 // elements that are told in full
	listPart  = 4
)

// partText writes the elements of a list from one place to another, and the first.
func partText(list []int64, from, to int) string {
	if len(list) <= wholeList {
		from, to = 0, len(list)
	}
	from, to = max(from, 0), min(to, len(list))
	var words []string
	if from > 0 {
		words = append(words, "…")
	}
	for _, v := range list[from:to] {
		words = append(words, strconv.FormatInt(v, 10))
	}
	if to < len(list) {
		words = append(words, "…")
	}
	return "[" + strings.Join(words, " ") + "]"
}

// endText writes the end of a list.
func endText(list []int64) string { return partText(list, len(list)-listPart, len(list)) }

// aroundText writes a list around an element.
func aroundText(list []int64, v int64) string {
	at := slices.Index(list, v)
	return partText(list, at-listPart/2, at+listPart/2+1)
}

// apartText writes a list around the first place where it differs from another.
func apartText(list, other []int64) string {
	at := 0
	for at < len(list) && at < len(other) && list[at] == other[at] {
		at++
	}
	return partText(list, at-listPart/2, at+listPart/2)
}
