package story

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"coup/checker/model"
	"coup/harness"
)

// Teller knows what all sentences of a story need to know of its history.
type Teller struct {
	Model model.Model
	// Timed says that the history tells when its operations were performed.
	Timed bool
}

// TellerOf is the teller of a story about these operations.
func TellerOf(m model.Model, ops []harness.Operation) Teller {
	return Teller{Model: m, Timed: timed(ops)}
}

// timed says whether the times of operations tell anything: not if all are zero when
// they are written down, nor if they only count positions, as those of a history do
// that was read from a file without times.
func timed(ops []harness.Operation) bool {
	const least = time.Millisecond / 2
	long, counted := false, true
	offset, known := int64(0), false
	look := func(at time.Duration, position int) {
		long = long || at >= least
		if !known {
			offset, known = int64(at)-int64(position), true
		}
		counted = counted && int64(at)-int64(position) == offset
	}
	for i := range ops {
		if op := &ops[i]; op.Process != harness.Beginning {
			look(op.Start, op.Call)
			if op.Type == harness.OK {
				look(op.End, op.Return)
			}
		}
	}
	return long && !counted
}

// Sentence tells what ops[i] did, in the past tense, for a reader who knows
// nothing of histories.
func Sentence(m model.Model, ops []harness.Operation, i int) string {
	return TellerOf(m, ops).Sentence(ops, i)
}

// Sentence tells what ops[i] did, which comes right after the one before it in the story.
func (t Teller) Sentence(ops []harness.Operation, i int) string {
	d := Did{Op: &ops[i]}
	if i > 0 {
		d.Before = &ops[i-1]
	}
	return d.Text(t)
}

// name is what the object of an operation is called.
func (t Teller) name(op *harness.Operation) string { return NameOf(t.Model, op.Key) }

// NameOf names an object: its key, or "the register" where there is only one. A key that is
// a number would be taken for a value: its object is "register 3".
func NameOf(m model.Model, key string) string {
	if key == "" {
		return "the " + Noun(m)
	}
	if _, err := strconv.Atoi(key); err != nil {
		return key
	}
	if m.Kind == model.KVKind {
		return "key " + key
	}
	return Noun(m) + " " + key
}

// Noun is what an object of the model is called, in the words of a sentence.
func Noun(m model.Model) string {
	if m.Kind == model.KVKind {
		return "key-value store"
	}
	return strings.ReplaceAll(m.Name, "-", " ")
}

// start is the moment at which op began: a time, where there is one.
func (t Teller) start(op *harness.Operation) string {
	switch {
	case op.Process == harness.Beginning:
		return "the beginning"
	case t.Timed:
		return Seconds(op.Start)
	default:
		return "the start of " + t.reference(op)
	}
}

// end is the moment at which op ended.
func (t Teller) end(op *harness.Operation) string {
	switch {
	case op.Process == harness.Beginning:
		return "the beginning"
	case t.Timed:
		return Seconds(op.End)
	default:
		return "the end of " + t.reference(op)
	}
}

// by says that something was so when op ended.
func (t Teller) by(op *harness.Operation) string {
	if op.Process == harness.Beginning {
		return "at the beginning"
	}
	return "by " + t.end(op)
}

// reference names an operation of which no time is known.
func (t Teller) reference(op *harness.Operation) string {
	if p := place(op); p != "" {
		return "the operation of " + p
	}
	return fmt.Sprintf("process %d's %s", op.Process, t.Model.Describe(op))
}

// place is where an operation stands in the file of its history, "" if it was not read from one.
func place(op *harness.Operation) string {
	switch {
	case op.Line == 0:
		return ""
	case op.Index < 0:
		return fmt.Sprintf("line %d", op.Line)
	default:
		return fmt.Sprintf("line %d, :index %d", op.Line, op.Index)
	}
}

// Did is the claim that an operation was performed and ended as it says.
type Did struct {
	Op     *harness.Operation
	Before *harness.Operation // the operation that the story tells of before; nil if there is none
	// Shown are those elements that it read which matter; nil: all matter.
	Shown []int64
	// Late says that what it answered is not told, only when: that was after all
	// that matters here.
	Late bool
}

// Text implements [Claim].
func (d Did) Text(t Teller) string {
	op, object := d.Op, t.name(d.Op)
	if op.Process == harness.Beginning {
		return atBeginning(op, object)
	}
	var b strings.Builder
	after := d.Before != nil && d.Before.Process != harness.Beginning && d.Before.Return < op.Call
	if op.F == model.Lapse {
		fmt.Fprintf(&b, "At %s the lease of process %d was over; from then on %s may have passed to others.", Seconds(op.Start), op.Process, object)
		return b.String()
	}
	switch {
	case t.Timed && after:
		fmt.Fprintf(&b, "At %s, after that, process %d ", Seconds(op.Start), op.Process)
	case t.Timed:
		fmt.Fprintf(&b, "At %s process %d ", Seconds(op.Start), op.Process)
	case after:
		fmt.Fprintf(&b, "After that, process %d ", op.Process)
	default:
		fmt.Fprintf(&b, "Process %d ", op.Process)
	}
	at := ""
	if t.Timed {
		at = " at " + Seconds(op.End)
	}
	wished, did, got := t.words(op, object, d.Shown)
	switch {
	case d.Late:
		b.WriteString("began to " + wished)
		if op.Node != "" {
			b.WriteString(" through " + op.Node)
		}
		b.WriteString(", which was answered" + at)
	case op.Type == harness.OK:
		b.WriteString(did)
		switch {
		case op.Node != "" && got != "":
			b.WriteString(" from " + op.Node)
		case op.Node != "":
			b.WriteString(" through " + op.Node)
		}
		if got != "" {
			b.WriteString(" and " + got + at)
		} else {
			b.WriteString(", acknowledged" + at)
		}
	default:
		b.WriteString("began to " + wished)
		if op.Node != "" {
			b.WriteString(" through " + op.Node)
		}
		if op.Type == harness.Fail {
			b.WriteString(", which failed" + at + because(op.Error))
		} else {
			b.WriteString(", and never learned what became of it")
		}
	}
	if p := place(op); p != "" {
		b.WriteString(" (" + p + ")")
	}
	b.WriteByte('.')
	return b.String()
}

// because is an error in a sentence: quoted, since nobody knows what it holds, and not too
// long.
func because(text string) string {
	const most = 120
	if text == "" {
		return ""
	}
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "..."
	}
	return fmt.Sprintf(" with %q", text)
}

// words tell what an operation was to do, what it did if it completed, and what it got.
func (t Teller) words(op *harness.Operation, object string, shown []int64) (wished, did, got string) {
	if t.Model.Words != nil {
		did, wished, got = t.Model.Words(op, object)
		return wished, did, got
	}
	did, got = deed(op, object, shown)
	return wish(op, object), did, got
}

// atBeginning tells what an object held before anybody did anything.
func atBeginning(op *harness.Operation, object string) string {
	switch in := op.Input.(type) {
	case nil: // a mutex
		return fmt.Sprintf("At the beginning %s was held.", object)
	case string:
		return fmt.Sprintf("At the beginning %s was %q.", object, in)
	default:
		return fmt.Sprintf("At the beginning %s held %v.", object, in)
	}
}

// put are the words for functions that take an element: what was done, and what
// was to be done.
func put(f string) (past, wish, preposition string) {
	switch f {
	case "write":
		return "wrote", "write", "to"
	case "put":
		return "put", "put", "into"
	case "add":
		return "added", "add", "to"
	case "append":
		return "appended", "append", "to"
	case "enqueue":
		return "enqueued", "enqueue", "in"
	case "push":
		return "pushed", "push", "on"
	case "insert":
		return "inserted", "insert", "into"
	}
	return "", "", ""
}

// deed is what a completed operation did and, if it answered with a value,
// what it got.
func deed(op *harness.Operation, object string, shown []int64) (did, got string) {
	past, _, preposition := put(op.F)
	switch in := op.Input.(type) {
	case int64:
		switch {
		case past != "":
			return fmt.Sprintf("%s %d %s %s", past, in, preposition, object), ""
		case op.F == "acquire" || op.F == "release":
			return fmt.Sprintf("%sd %s of %s", op.F, Plural(int(in), "permit"), object), ""
		}
	case model.Txn:
		if out, ok := op.Output.(model.Txn); ok {
			return steps(out, true), ""
		}
	case string:
		if past != "" {
			return fmt.Sprintf("%s %q %s %s", past, in, preposition, object), ""
		}
	case model.CAS:
		tried := fmt.Sprintf("tried to change %s from %s to %d by compare-and-set", object, in.From, in.To)
		if other, ok := op.Output.(model.Other); ok {
			return tried, "was told that it held " + other.String()
		}
		if saw, ok := op.Output.(model.Maybe); ok {
			if saw == in.From {
				return fmt.Sprintf("changed %s from %s to %d by compare-and-set", object, in.From, in.To), ""
			}
			return tried, fmt.Sprintf("was told that it held %s", saw)
		}
	}
	switch out := op.Output.(type) {
	case model.Grant:
		if op.F == "renew" {
			return "asked to keep " + object, "was given it on (" + out.String() + ")"
		}
		return "asked for " + object, "was given it (" + out.String() + ")"
	case model.Maybe:
		did := "read "
		switch op.F {
		case "dequeue":
			did = "dequeued from "
		case "pop":
			did = "popped from "
		case "delete-min":
			did = "took the smallest out of "
		}
		if did != "read " && !out.Set {
			return did + object, "was told that it was empty"
		}
		return did + object, "got " + out.String()
	case []int64:
		if shown != nil && len(shown) < len(out) {
			return "read " + object, fmt.Sprintf("got %s and %d more that do not matter here", model.ListText(shown), len(out)-len(shown))
		}
		return "read " + object, "got " + model.ListText(out)
	case int64:
		if op.F == "generate" {
			return "asked for an id", fmt.Sprintf("got %d", out)
		}
		return "read " + object, fmt.Sprintf("got %d", out)
	case string:
		return "read " + object, fmt.Sprintf("got %q", out)
	}
	switch op.F {
	case "acquire":
		return "acquired " + object, ""
	case "release":
		return "released " + object, ""
	case "renew":
		return "renewed its lease of " + object, ""
	}
	did = op.F
	if op.Input != nil {
		did += fmt.Sprintf(" %v", op.Input)
	}
	did = fmt.Sprintf("performed %q on %s", did, object)
	if op.Output != nil {
		got = fmt.Sprintf("got %v", op.Output)
	}
	return did, got
}

// wish is what an operation of unknown outcome was to do.
func wish(op *harness.Operation, object string) string {
	_, wish, preposition := put(op.F)
	switch in := op.Input.(type) {
	case int64:
		switch {
		case wish != "":
			return fmt.Sprintf("%s %d %s %s", wish, in, preposition, object)
		case op.F == "acquire" || op.F == "release":
			return fmt.Sprintf("%s %s of %s", op.F, Plural(int(in), "permit"), object)
		}
	case model.Txn:
		return steps(in, false)
	case string:
		if wish != "" {
			return fmt.Sprintf("%s %q %s %s", wish, in, preposition, object)
		}
	case model.CAS:
		return fmt.Sprintf("change %s from %s to %d by compare-and-set", object, in.From, in.To)
	case nil:
		switch op.F {
		case "dequeue", "pop":
			return op.F + " from " + object
		case "delete-min":
			return "take the smallest out of " + object
		case "get":
			return "read " + object
		case "generate":
			return "ask for an id"
		case "renew":
			return "renew its lease of " + object
		}
		return op.F + " " + object
	}
	return fmt.Sprintf("perform \"%s %v\" on %s", op.F, op.Input, object)
}

// Step tells what one step of a transaction did or was to do.
func Step(m model.Micro, done bool) string {
	switch {
	case m.F == "append" && done:
		return fmt.Sprintf("appended %d to %s", m.Value, m.Key)
	case m.F == "append":
		return fmt.Sprintf("append %d to %s", m.Value, m.Key)
	case m.F == "w" && done:
		return fmt.Sprintf("wrote %d to %s", m.Value, m.Key)
	case m.F == "w":
		return fmt.Sprintf("write %d to %s", m.Value, m.Key)
	case done:
		return fmt.Sprintf("read %s as %s", m.Key, m.Saw())
	default:
		return "read " + m.Key
	}
}

// steps tells all steps of a transaction.
func steps(t model.Txn, done bool) string {
	var told []string
	for _, m := range t {
		told = append(told, Step(m, done))
	}
	return And(told)
}
