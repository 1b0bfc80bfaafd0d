package model

import (
	"fmt"

	"coup/harness"
)

// PriorityQueue is a priority queue with insert and delete-min, which
// takes out the smallest element; of an empty queue it returns nothing.
func PriorityQueue() Model {
	return Model{
		Name:   "priority-queue",
		Decode: DecodePriorityQueue,
		Init:   "",
		Step: func(state any, op *harness.Operation) (any, bool) {
			now := state.(string) // the elements in descending order
			n := len(now) / 8
			switch op.F {
			case "insert":
				v, i := op.Input.(int64), n
				for i > 0 && elementAt(now, i-1) < v {
					i--
				}
				return appendElement(now[:8*i], v) + now[8*i:], true
			case "delete-min":
				return takeLast(now, op)
			}
			panic(unknownFunction(op.F, "a priority queue", "insert, delete-min"))
		},
		ReadOnly: tookNothing,
		look:     looksAtElement("a priority queue", "insert", "delete-min"),
		Text: func(op *harness.Operation) string {
			if op.F == "insert" {
				return fmt.Sprintf("insert %d", op.Input)
			}
			if got, ok := op.Output.(Maybe); ok {
				return "delete-min -> " + got.String()
			}
			return "delete-min"
		},
		Parts: elementParts,
		Kind:  PriorityKind,
	}
}

// takeLast lets op take the last element of a state.
func takeLast(now string, op *harness.Operation) (any, bool) {
	n := len(now) / 8
	if op.Type != harness.OK {
		return now[:max(0, 8*(n-1))], true
	}
	got := op.Output.(Maybe)
	if n == 0 || !got.Set {
		return now, n == 0 && !got.Set
	}
	return now[:8*(n-1)], elementAt(now, n-1) == got.Int
}
