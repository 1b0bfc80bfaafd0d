package model

import (
	"fmt"
	"slices"
	"sort"

	"coup/harness"
)

// Set is a set that only grows, with add and read.
func Set() Model {
	return Model{
		Name:   "set",
		Decode: DecodeSet,
		Init:   "",
		Step: func(state any, op *harness.Operation) (any, bool) {
			now := state.(string)
			n := len(now) / 8
			switch op.F {
			case "add":
				v := op.Input.(int64)
				i := sort.Search(n, func(i int) bool { return elementAt(now, i) >= v })
				if i < n && elementAt(now, i) == v {
					return state, true
				}
				return appendElement(now[:8*i], v) + now[8*i:], true
			case "read":
				if op.Type != harness.OK {
					return state, true
				}
				read := slices.Clone(op.Output.([]int64))
				slices.Sort(read)
				if len(slices.Compact(slices.Clone(read))) != len(read) || len(read) != n {
					return state, false
				}
				for i, v := range read {
					if elementAt(now, i) != v {
						return state, false
					}
				}
				return state, true
			}
			panic(unknownFunction(op.F, "a set", "add, read"))
		},
		ReadOnly: func(op *harness.Operation) bool { return op.F == "read" },
		Text: func(op *harness.Operation) string {
			if op.F == "add" {
				return fmt.Sprintf("add %d", op.Input)
			}
			if elements, ok := op.Output.([]int64); ok {
				return "read -> " + ListText(elements)
			}
			return "read"
		},
		Kind: SetKind,
	}
}
