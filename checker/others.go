package checker

import (
	"fmt"

	"coup/harness"
)

// MutexModel is a lock that one can hold at a time, with acquire and release.
// It does not know who holds it: releasing what nobody holds is impossible,
// whoever does it.
func MutexModel() Model {
	return Model{
		Name: "mutex",
		Init: false,
		Step: func(state any, op *harness.Operation) (any, bool) {
			held := state.(bool)
			switch op.F {
			case "acquire":
				return true, !held || op.Type != harness.OK
			case "release":
				return false, held || op.Type != harness.OK
			}
			panic(unknownFunction(op.F, "a mutex", "acquire, release"))
		},
		Text: func(op *harness.Operation) string { return op.F },
	}
}

// KVModel is a string that can be read (get), set (put) and appended to; it is
// empty at first.
func KVModel() Model {
	return Model{
		Name: "kv",
		Init: "",
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
	}
}
