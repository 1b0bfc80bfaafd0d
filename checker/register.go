package checker

import (
	"fmt"
	"slices"

	"coup/harness"
)

// RegisterModel is a register with read, write and cas; it holds nothing
// before the first write. A compare-and-set always answers with the value it
// saw: if that is not what it compared with, it is a read.
func RegisterModel() Model {
	return Model{
		Name:   "register",
		Decode: DecodeRegister,
		Init:   Maybe{},
		Step: func(state any, op *harness.Operation) (any, bool) {
			now := state.(Maybe)
			r := registerOp(op)
			if r.observes && now != r.saw || r.avoids && now == r.from {
				return state, false
			}
			if r.writes && (!r.compares || now == r.from) {
				return Just(r.to), true
			}
			return state, true
		},
		ReadOnly: func(op *harness.Operation) bool { return !registerOp(op).writes },
		Blind:    func(op *harness.Operation) bool { return op.F == "write" },
		Text:     registerText,
		Parts:    registerParts,
		kind:     registerKind,
	}
}

// registerEffect is what an operation on a register amounts to.
type registerEffect struct {
	observes bool  // it returned what the register held before it
	saw      Maybe // namely this
	writes   bool  // it sets the register
	to       int64 // to this
	compares bool  // but only if it holds from; of completed operations only those that did not observe
	avoids   bool  // it found that the register did not hold from
	from     Maybe
}

func registerOp(op *harness.Operation) (r registerEffect) {
	ok := op.Type == harness.OK
	switch op.F {
	case "read":
		if ok {
			r.observes, r.saw = true, op.Output.(Maybe)
		}
	case "write":
		r.writes, r.to = true, op.Input.(int64)
	case "cas":
		c := op.Input.(CAS)
		r.writes, r.to, r.compares, r.from = true, c.To, true, c.From
		if _, other := op.Output.(Other); ok && other {
			r.compares, r.writes, r.avoids = false, false, true
		} else if ok {
			r.observes, r.saw = true, op.Output.(Maybe)
			r.compares, r.writes = false, r.saw == c.From
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

// registerParts: an operation that only reads can go alone. A value can go
// with everything that wrote or saw it: take the stretches in which the
// register held it out of any explanation, and what is left is explained. What
// a compare-and-set wrote after seeing the value goes with it, since nobody
// would write it then. So does everything that found only that the register
// held something else: it may have been this.
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
		r := registerOp(&ops[i])
		if r.avoids {
			avoiding = append(avoiding, i)
		}
		if !r.writes {
			parts = append(parts, []int{i})
		}
		if r.observes && r.saw.Set {
			touch(r.saw.Int, i)
		}
		if r.compares && r.from.Set {
			touch(r.from.Int, i)
		}
		if r.writes {
			touch(r.to, i)
			if r.observes && r.saw.Set {
				follows[r.saw.Int] = append(follows[r.saw.Int], r.to)
			} else if r.compares && r.from.Set {
				follows[r.from.Int] = append(follows[r.from.Int], r.to)
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
