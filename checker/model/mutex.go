package model

import "coup/harness"

// Mutex is a lock that one can hold at a time, with acquire and release.
// It does not know who holds it: releasing what nobody holds is impossible,
// whoever does it. [Lock] knows.
func Mutex() Model {
	return Model{
		Name:   "mutex",
		Decode: DecodeMutex,
		Init:   false,
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
		Kind: MutexKind,
	}
}
