package model

import (
	"fmt"

	"coup/harness"
)

// Stack is a stack with push and pop; a pop of an empty stack returns
// nothing.
func Stack() Model {
	return Model{
		Name:   "stack",
		Decode: DecodeStack,
		Init:   "",
		Step: func(state any, op *harness.Operation) (any, bool) {
			now := state.(string)
			switch op.F {
			case "push":
				return appendElement(now, op.Input.(int64)), true
			case "pop":
				return takeLast(now, op)
			}
			panic(unknownFunction(op.F, "a stack", "push, pop"))
		},
		ReadOnly: tookNothing,
		look:     looksAtElement("a stack", "push", "pop"),
		Text: func(op *harness.Operation) string {
			if op.F == "push" {
				return fmt.Sprintf("push %d", op.Input)
			}
			if got, ok := op.Output.(Maybe); ok {
				return "pop -> " + got.String()
			}
			return "pop"
		},
		Parts: elementParts,
		Kind:  StackKind,
	}
}
