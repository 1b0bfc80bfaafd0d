package model

import (
	"fmt"

	"coup/harness"
)

// Queue is a first-in first-out queue with enqueue and dequeue; a dequeue
// of an empty queue returns nothing.
func Queue() Model {
	return Model{
		Name:   "queue",
		Decode: DecodeQueue,
		Init:   "",
		Step: func(state any, op *harness.Operation) (any, bool) {
			now := state.(string)
			switch op.F {
			case "enqueue":
				return appendElement(now, op.Input.(int64)), true
			case "dequeue":
				if op.Type != harness.OK {
					if now == "" {
						return state, true
					}
					return now[8:], true
				}
				got := op.Output.(Maybe)
				if now == "" || !got.Set {
					return state, now == "" && !got.Set
				}
				return now[8:], elementAt(now, 0) == got.Int
			}
			panic(unknownFunction(op.F, "a queue", "enqueue, dequeue"))
		},
		ReadOnly: tookNothing,
		look:     looksAtElement("a queue", "enqueue", "dequeue"),
		Text: func(op *harness.Operation) string {
			if op.F == "enqueue" {
				return fmt.Sprintf("enqueue %d", op.Input)
			}
			if got, ok := op.Output.(Maybe); ok {
				return "dequeue -> " + got.String()
			}
			return "dequeue"
		},
		Parts: elementParts,
		Kind:  QueueKind,
	}
}

// elementParts: an operation that found nothing can go alone; an element can go
// with everything that put it in or took it out. An open operation that may
// have taken something stays: it may have taken any of the others.
func elementParts(ops []harness.Operation) [][]int {
	var parts [][]int
	byElement := map[int64]int{}
	for i := range ops {
		var v int64
		if tookNothing(&ops[i]) {
			parts = append(parts, []int{i})
			continue
		} else if got, ok := ops[i].Output.(Maybe); ok {
			v = got.Int
		} else if in, ok := ops[i].Input.(int64); ok {
			v = in
		} else {
			continue
		}
		p, seen := byElement[v]
		if !seen {
			p = len(parts)
			byElement[v] = p
			parts = append(parts, nil)
		}
		parts[p] = append(parts[p], i)
	}
	return parts
}

// looksAtElement looks at operations that put elements into an object and take them out.
func looksAtElement(object, puts, takes string) func(op *harness.Operation) {
	return func(op *harness.Operation) {
		switch {
		case op.F == puts:
			_ = op.Input.(int64)
		case op.F != takes:
			panic(unknownFunction(op.F, object, puts+", "+takes))
		case op.Type == harness.OK:
			_ = op.Output.(Maybe)
		}
	}
}

// tookNothing says that op found a queue, a stack or a priority queue empty.
func tookNothing(op *harness.Operation) bool {
	got, ok := op.Output.(Maybe)
	return ok && !got.Set
}
