package model

import (
	"fmt"

	"coup/harness"
)

// Counter is a number, 0 at first, with add and read.
func Counter() Model {
	return Model{
		Name:   "counter",
		Decode: DecodeCounter,
		Init:   int64(0),
		Step: func(state any, op *harness.Operation) (any, bool) {
			now := state.(int64)
			switch op.F {
			case "add":
				return now + op.Input.(int64), true
			case "read":
				return now, op.Type != harness.OK || op.Output.(int64) == now
			}
			panic(unknownFunction(op.F, "a counter", "add, read"))
		},
		ReadOnly: func(op *harness.Operation) bool { return op.F == "read" },
		Text: func(op *harness.Operation) string {
			if op.F == "add" {
				return fmt.Sprintf("add %d", op.Input)
			}
			if got, ok := op.Output.(int64); ok {
				return fmt.Sprintf("read -> %d", got)
			}
			return "read"
		},
		Kind: CounterKind,
	}
}
