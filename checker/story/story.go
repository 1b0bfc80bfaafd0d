package story

import (
	"encoding/json"
	"fmt"
	"strings"

	"coup/checker/model"
	"coup/harness"
)

// Witnesses are the operations of a counterexample as the report shows them.
func Witnesses(m model.Model, ops []harness.Operation) []harness.Witness {
	ws := make([]harness.Witness, len(ops))
	for i := range ops {
		op := &ops[i]
		ws[i] = harness.Witness{
			Process: op.Process, F: op.F, Key: op.Key, Type: op.Type, Node: op.Node,
			Input: encoded(op.Input), Output: encoded(op.Output),
			Text: m.Describe(op), Start: int64(op.Start), End: int64(op.End), Line: op.Line,
		}
		if op.Line > 0 && op.Index >= 0 {
			index := op.Index
			ws[i].Index = &index
		}
		if op.Return == harness.Open {
			ws[i].End = -1
		}
	}
	return ws
}

func encoded(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(fmt.Sprint(v))
	}
	return b
}

// Sentence tells what ops[i] did, in the past tense, for a reader who knows
// nothing of histories.
func Sentence(m model.Model, ops []harness.Operation, i int) string {
	op := &ops[i]
	if op.Process == harness.Beginning {
		return atBeginning(op, NameOf(m, op.Key))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "At %s", Seconds(op.Start))
	if i > 0 && ops[i-1].Return < op.Call {
		b.WriteString(", after that,")
	}
	fmt.Fprintf(&b, " process %d ", op.Process)
	object := NameOf(m, op.Key)
	if op.Type == harness.OK {
		did, got := deed(op, object)
		b.WriteString(did)
		if op.Node != "" {
			if got != "" {
				b.WriteString(" from " + op.Node)
			} else {
				b.WriteString(" through " + op.Node)
			}
		}
		if got != "" {
			fmt.Fprintf(&b, " and %s at %s.", got, Seconds(op.End))
		} else {
			fmt.Fprintf(&b, ", acknowledged at %s.", Seconds(op.End))
		}
		return b.String()
	}
	if op.F == model.Lapse {
		return fmt.Sprintf("At %s the lease of process %d was over; from then on %s may have passed to others.", Seconds(op.Start), op.Process, object)
	}
	fmt.Fprintf(&b, "began to %s", wish(op, object))
	if op.Node != "" {
		b.WriteString(" through " + op.Node)
	}
	b.WriteString("; whether and when that happened, nobody knows.")
	return b.String()
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

// NameOf names an object: its key, or "the register" where there is only one.
func NameOf(m model.Model, key string) string {
	if key == "" {
		return "the " + m.Name
	}
	return key
}

// deed is what a completed operation did and, if it answered with a value,
// what it got.
func deed(op *harness.Operation, object string) (did, got string) {
	switch in := op.Input.(type) {
	case int64:
		switch op.F {
		case "write":
			return fmt.Sprintf("wrote %d to %s", in, object), ""
		case "add":
			return fmt.Sprintf("added %d to %s", in, object), ""
		case "append":
			return fmt.Sprintf("appended %d to %s", in, object), ""
		case "enqueue":
			return fmt.Sprintf("enqueued %d in %s", in, object), ""
		case "push":
			return fmt.Sprintf("pushed %d on %s", in, object), ""
		case "insert":
			return fmt.Sprintf("inserted %d into %s", in, object), ""
		}
	case model.CAS:
		if other, ok := op.Output.(model.Other); ok {
			return fmt.Sprintf("tried to change %s from %s to %d by compare-and-set", object, in.From, in.To),
				"was told that it held " + other.String()
		}
		if saw, ok := op.Output.(model.Maybe); ok {
			if saw == in.From {
				return fmt.Sprintf("changed %s from %s to %d by compare-and-set", object, in.From, in.To), ""
			}
			return fmt.Sprintf("tried to change %s from %s to %d by compare-and-set", object, in.From, in.To),
				fmt.Sprintf("was told that it held %s", saw)
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
		return "read " + object, "got " + model.ListText(out)
	case int64:
		return "read " + object, fmt.Sprintf("got %d", out)
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
	switch in := op.Input.(type) {
	case int64:
		switch op.F {
		case "write":
			return fmt.Sprintf("write %d to %s", in, object)
		case "add":
			return fmt.Sprintf("add %d to %s", in, object)
		case "append":
			return fmt.Sprintf("append %d to %s", in, object)
		case "enqueue":
			return fmt.Sprintf("enqueue %d in %s", in, object)
		case "push":
			return fmt.Sprintf("push %d on %s", in, object)
		case "insert":
			return fmt.Sprintf("insert %d into %s", in, object)
		}
	case model.CAS:
		return fmt.Sprintf("change %s from %s to %d by compare-and-set", object, in.From, in.To)
	case nil:
		switch op.F {
		case "dequeue", "pop":
			return op.F + " from " + object
		case "delete-min":
			return "take the smallest out of " + object
		}
		return op.F + " " + object
	}
	return fmt.Sprintf("perform \"%s %v\" on %s", op.F, op.Input, object)
}
