package model

import (
	"fmt"

	"coup/harness"
)

// KV is a string that can be read (get), set (put) and appended to; it is
// empty at first.
func KV() Model {
	return Model{
		Name:   "kv",
		Decode: DecodeKV,
		Init:   "",
		Step: func(state any, op *harness.Operation) (any, bool) {
			now := state.(string)
			switch op.F {
			case "get":
				return state, op.Type != harness.OK || op.Output.(string) == now
			case "put":
				return op.Input.(string), true
			case "append":
				return now + op.Input.(string), true
			}
			panic(unknownFunction(op.F, "a string", "get, put, append"))
		},
		ReadOnly: func(op *harness.Operation) bool { return op.F == "get" },
		Blind:    func(op *harness.Operation) bool { return op.F == "put" },
		Text: func(op *harness.Operation) string {
			if op.F == "get" {
				if op.Type != harness.OK {
					return "get"
				}
				return fmt.Sprintf("get -> %q", op.Output)
			}
			return fmt.Sprintf("%s %q", op.F, op.Input)
		},
		Kind: KVKind,
	}
}
