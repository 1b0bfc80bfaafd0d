package checker

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"coup/harness"
)

// The states below are strings of 8 bytes per element, so that they can be
// compared with == and never change.

func appendElement(s string, v int64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(v))
	return s + string(b[:])
}

func elementAt(s string, i int) int64 {
	return int64(binary.BigEndian.Uint64([]byte(s[8*i : 8*i+8])))
}

// SetModel is a set that only grows, with add and read.
func SetModel() Model {
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
				return "read -> " + listText(elements)
			}
			return "read"
		},
		kind: setKind,
	}
}

// QueueModel is a first-in first-out queue with enqueue and dequeue; a dequeue
// of an empty queue returns nothing.
func QueueModel() Model {
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
		kind:  queueKind,
	}
}

// CounterModel is a number, 0 at first, with add and read.
func CounterModel() Model {
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
		kind: counterKind,
	}
}

// listText writes a list of elements, the long ones shortened.
func listText(vs []int64) string {
	const most = 12
	var b strings.Builder
	b.WriteByte('[')
	for i, v := range vs {
		if i == most {
			fmt.Fprintf(&b, " ... (%d elements)", len(vs))
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.FormatInt(v, 10))
	}
	b.WriteByte(']')
	return b.String()
}
