package model

import (
	"fmt"

	"coup/harness"
)

// List is a list that is appended to and read as a whole: append takes an
// int64, read returns the elements in their order as []int64.
func List() Model {
	return Model{
		Name:   "list",
		Decode: DecodeList,
		Init:   "",
		Step: func(state any, op *harness.Operation) (any, bool) {
			now := state.(string)
			switch op.F {
			case "append":
				return appendElement(now, op.Input.(int64)), true
			case "read":
				if op.Type != harness.OK {
					return state, true
				}
				read := op.Output.([]int64)
				if len(read) != len(now)/8 {
					return state, false
				}
				for i, v := range read {
					if elementAt(now, i) != v {
						return state, false
					}
				}
				return state, true
			}
			panic(unknownFunction(op.F, "a list", "append, read"))
		},
		ReadOnly: func(op *harness.Operation) bool { return op.F == "read" },
		Text: func(op *harness.Operation) string {
			if op.F == "append" {
				return fmt.Sprintf("append %d", op.Input)
			}
			if elements, ok := op.Output.([]int64); ok {
				return "read -> " + ListText(elements)
			}
			return "read"
		},
		Kind: ListKind,
	}
}
