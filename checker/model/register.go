package model

import (
	"fmt"
	"slices"

	"coup/harness"
)

// Register is a register with read, write and cas; it holds nothing
// before the first write. A compare-and-set always answers with the value it
// saw: if that is not what it compared with, it is a read.
func Register() Model {
	return Model{
		Name:   "register",
		Decode: DecodeRegister,
		Init:   Maybe{},
		Step: func(state any, op *harness.Operation) (any, bool) {
			now := state.(Maybe)
			r := RegisterEffectOf(op)
			if r.Observes && now != r.Saw || r.Avoids && now == r.From {
				return state, false
			}
			if r.Writes && (!r.Compares || now == r.From) {
				return Just(r.To), true
			}
			return state, true
		},
		ReadOnly: func(op *harness.Operation) bool { return !RegisterEffectOf(op).Writes },
		Blind:    func(op *harness.Operation) bool { return op.F == "write" },
		Text:     registerText,
		Parts:    registerParts,
		Kind:     RegisterKind,
		look:     func(op *harness.Operation) { RegisterEffectOf(op) },
	}
}

// RegisterEffect is what an operation on a register amounts to.
type RegisterEffect struct {
	Observes bool  // it returned what the register held before it
	Saw      Maybe // namely this
	Writes   bool  // it sets the register
	To       int64 // to this
	Compares bool  // but only if it holds from; of completed operations only those that did not observe
	Avoids   bool  // it found that the register did not hold from
	From     Maybe
}

// RegisterEffectOf says what op, an operation on a register, amounts to. It panics
// if op is none.
func RegisterEffectOf(op *harness.Operation) (r RegisterEffect) {
	ok := op.Type == harness.OK
	switch op.F {
	case "read":
		if ok {
			r.Observes, r.Saw = true, op.Output.(Maybe)
		}
	case "write":
		r.Writes, r.To = true, op.Input.(int64)
	case "cas":
		c := op.Input.(CAS)
		r.Writes, r.To, r.Compares, r.From = true, c.To, true, c.From
		if _, other := op.Output.(Other); ok && other {
			r.Compares, r.Writes, r.Avoids = false, false, true
		} else if ok {
			r.Observes, r.Saw = true, op.Output.(Maybe)
			r.Compares, r.Writes = false, r.Saw == c.From
		}
	default:
		panic(unknownFunction(op.F, "a register", "read, write, cas"))
	}
	return r
}

func registerText(op *harness.Operation) string {
	s := op.F
	switch in := op.Input.(type) {
	case int64:
		s = fmt.Sprintf("write %d", in)
	case CAS:
		s = fmt.Sprintf("cas %s to %d", in.From, in.To)
	}
	if saw, ok := op.Output.(Other); ok {
		return s + " -> saw " + saw.String()
	}
	if saw, ok := op.Output.(Maybe); ok {
		if op.F == "cas" {
			return s + " -> saw " + saw.String()
		}
		s += " -> " + saw.String()
	}
	return s
}

// registerParts are the pieces that a history of a register can do without. A read is a
// piece by itself. So is a value with all operations that wrote or saw it: without the
// stretches in which the register held it, the rest of an explanation still holds. What
// a compare-and-set wrote after seeing the value goes with it, since nobody would write
// it then. So does every operation that saw only that the register held something else,
// since it may have seen this value.
func registerParts(ops []harness.Operation) [][]int {
	touching := map[int64][]int{} // by value: the operations that wrote or saw it
	follows := map[int64][]int64{}
	var avoiding []int
	var parts [][]int
	var values []int64
	touch := func(v int64, i int) {
		if _, seen := touching[v]; !seen {
			values = append(values, v)
		}
		touching[v] = append(touching[v], i)
	}
	for i := range ops {
		r := RegisterEffectOf(&ops[i])
		if r.Avoids {
			avoiding = append(avoiding, i)
		}
		if !r.Writes {
			parts = append(parts, []int{i})
		}
		if r.Observes && r.Saw.Set {
			touch(r.Saw.Int, i)
		}
		if r.Compares && r.From.Set {
			touch(r.From.Int, i)
		}
		if r.Writes {
			touch(r.To, i)
			if r.Observes && r.Saw.Set {
				follows[r.Saw.Int] = append(follows[r.Saw.Int], r.To)
			} else if r.Compares && r.From.Set {
				follows[r.From.Int] = append(follows[r.From.Int], r.To)
			}
		}
	}
	// In a chain of compare-and-sets each part contains the next, and all of them
	// together could be more than memory holds: the longest are left out.
	const most = 1 << 22
	total, single := 0, len(parts)
	for _, v := range slices.Backward(values) {
		var part []int
		gone := map[int64]bool{v: true}
		for todo := []int64{v}; len(todo) > 0; {
			next := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			part = append(part, touching[next]...)
			for _, w := range follows[next] {
				if !gone[w] {
					gone[w] = true
					todo = append(todo, w)
				}
			}
		}
		if total += len(part) + len(avoiding); total > most {
			break
		}
		parts = append(parts, append(part, avoiding...))
	}
	slices.Reverse(parts[single:])
	return parts
}
