package histories

import (
	"cmp"
	"fmt"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// Keys says whether the values of a history are pairs of a key and a value, as
// those of Jepsen's independent tests are.
type Keys uint8

const (
	FindKeys Keys = iota // they are if the whole history shows it
	WithKeys             // they are
	NoKeys               // they are not: a pair is a value
)

// hint is what a value tells of whether the history has keys.
type hint uint8

const (
	noHint hint = iota
	either      // a pair that may be a value
	withKey
	withoutKey
)

// hint looks at the value of an invocation.
func (m meaning) hint(f function, v any) hint {
	a, b, isPair := pair(v)
	switch {
	case m.txn:
		if _, asKey := elements(a); isPair && !asKey {
			return withKey // [key [[function key value] ...]]
		}
		return withoutKey
	case !isPair && v == nil, !isPair && f.takes:
		return withoutKey
	case !isPair:
		return noHint // the answer of a read, which some tools put into the invocation
	case !f.takes && b == nil:
		return withKey
	case !f.takes:
		return either
	case m.scalar:
		return withKey
	case f.name == "cas":
		_, _, two := pair(b)
		_, list := elements(a)
		switch {
		case !two:
			return withoutKey
		case list || a == nil:
			return either
		}
		return withKey
	}
	return either
}

// keys finds out whether the values are pairs of a key and a value.
func (c *conversion) keys(p *pairing) error {
	switch {
	case c.options.Keys == WithKeys:
		c.keyed = true
		return nil
	case c.options.Keys == NoKeys:
		return nil
	case c.model.names:
		return c.locks(p)
	}
	at := map[hint]int{} // the first operation that gives it
	looks := 0           // operations that tell what an object holds
	for i := range p.ops {
		op := &p.ops[i]
		if p.keys != nil && p.keys[i] != nil {
			continue
		}
		f, _ := c.model.function(op.F)
		h := c.model.hint(f, op.Input)
		if _, known := at[h]; !known {
			at[h] = i
		}
		if op.Type == harness.OK && (!f.takes || f.name == "cas") {
			looks++
		}
	}
	with, keyed := at[withKey]
	without, plain := at[withoutKey]
	pair, pairs := at[either]
	switch {
	case keyed && plain:
		return p.begins[without].errorf("%s names no key, and %s of line %d does: say --independent=false if [a b] is a value there",
			shown(&p.ops[without]), shown(&p.ops[with]), p.ops[with].Line)
	case pairs && !keyed && !plain && looks > 0:
		return p.begins[pair].errorf("%s may be of the key %s, or the value may be a pair: say --independent or --independent=false",
			shown(&p.ops[pair]), first(p.ops[pair].Input))
	}
	c.keyed = keyed
	return nil
}

// locks finds out whether several locks are told apart. If one operation names
// its lock then each must.
func (c *conversion) locks(p *pairing) error {
	named, nameless := -1, -1
	for i := range p.ops {
		if p.keys != nil && p.keys[i] != nil {
			continue
		}
		switch v := p.ops[i].Input.(type) {
		case nil:
			nameless = i
		case ednMap, set, bool:
			return p.begins[i].errorf("expected the name of a lock, or nothing, as the value of %s, not %s: say --independent=false if there is one lock", p.ops[i].F, textOf(v))
		default:
			named = i
		}
	}
	if named >= 0 && nameless >= 0 {
		return p.begins[nameless].errorf("%s names no lock, and %s of line %d does: say --independent=false if there is one lock",
			shown(&p.ops[nameless]), shown(&p.ops[named]), p.ops[named].Line)
	}
	c.keyed = named >= 0
	if c.keyed && !slices.ContainsFunc(p.ops, func(op harness.Operation) bool { return op.Input != int64(op.Process) }) {
		return p.begins[named].errorf("%s by process %d: the value is the process, and says nothing of the lock: say --independent=false if there is one lock", shown(&p.ops[named]), p.ops[named].Process)
	}
	return nil
}

func first(v any) string {
	a, _, _ := pair(v)
	return textOf(a)
}

func shown(op *harness.Operation) string {
	return op.F + " " + clipped(textOf(op.Input))
}

// clipped keeps an error on one line.
func clipped(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// unkey takes the key out of a value. name says that the value is the name
// itself, if it is not a pair.
func (c *conversion) unkey(v any) (key, value any, err error) {
	if !c.keyed {
		return nil, v, nil
	}
	if a, b, ok := pair(v); ok {
		return a, b, nil
	}
	if c.model.names {
		if v == nil {
			return nil, nil, fmt.Errorf("expected the name of a lock")
		}
		return v, nil, nil
	}
	return nil, nil, fmt.Errorf("expected a pair [key value], not %s", clipped(textOf(v)))
}

// unkeyAnswer does the same for what an operation answered. It may leave out the
// key, or be nothing.
func (c *conversion) unkeyAnswer(v, key any) any {
	if !c.keyed {
		return v
	}
	if a, b, ok := pair(v); ok && same(a, key) {
		return b
	}
	if c.model.names && same(v, key) {
		return nil
	}
	return v
}

// same says whether two values are equal.
func same(a, b any) bool {
	switch a := a.(type) {
	case nil, bool, int64, float64, string, keyword, symbol, other:
		return a == b
	}
	switch b.(type) {
	case nil, bool, int64, float64, string, keyword, symbol, other:
		return false
	}
	return textOf(a) == textOf(b)
}

// alike says whether two values are of one kind: both numbers, both vectors.
func alike(a, b any) bool { return kindOf(a) == kindOf(b) }

func kindOf(v any) string {
	switch v.(type) {
	case int64, float64, other:
		return "number"
	case []any, ints, set:
		return "collection"
	}
	return fmt.Sprintf("%T", v)
}

// settled is the value that counts for an operation: that of its completion, if it
// differs from that of the invocation (as in Knossos).
func settled(f function, in, out any) (any, error) {
	switch {
	case out == nil || same(in, out):
		return in, nil
	case in == nil || alike(in, out):
		return out, nil
	case f.name == "cas": // its answer need not be a pair
		return in, nil
	}
	return nil, fmt.Errorf("asked for %s and done with %s: expected the same value, or none", clipped(textOf(in)), clipped(textOf(out)))
}

// prepare finds out what only the whole history tells of its values.
func (c *conversion) prepare(p *pairing) error {
	for i := range p.ops {
		if _, err := c.model.function(p.ops[i].F); err != nil {
			return p.begins[i].errorf("%w", err)
		}
	}
	if err := c.keys(p); err != nil {
		return err
	}
	c.nilIsValue = c.writesNil(p)
	return nil
}

// convert makes operations for the checkers.
func (c *conversion) convert(p *pairing) ([]harness.Operation, error) {
	kept := p.ops[:0]
	for i := range p.ops {
		op := p.ops[i]
		called := op.F
		ownKey := any(nil)
		if p.keys != nil {
			ownKey = p.keys[i]
		}
		drop, atEnd, err := c.operation(&op, ownKey)
		if err != nil {
			at := p.begins[i]
			if atEnd {
				at = p.ends[i]
			}
			return nil, at.errorf("%s: %w", cmp.Or(called, op.F), err)
		}
		if op.F == drain && op.Type == harness.Info {
			return nil, p.begins[i].errorf("drain did not end, and so many dequeues as it may have made cannot be judged")
		}
		if !drop {
			kept = append(kept, op)
		}
	}
	return drained(kept), nil
}

// drained turns each drain into dequeues, one for each element. The dequeues are
// concurrent, though the drain made them one after the other; so the checker allows more
// orders, and never fewer.
func drained(ops []harness.Operation) []harness.Operation {
	most, drains := 0, false
	for i := range ops {
		if ops[i].F == drain {
			got, _ := ops[i].Output.([]int64)
			most, drains = max(most, len(got)), true
		}
	}
	if !drains {
		return ops
	}
	var all []harness.Operation
	for _, op := range ops {
		op.Call *= most + 1 // room for those that take its place
		if op.Return != harness.Open {
			op.Return *= most + 1
		}
		if op.F != drain {
			all = append(all, op)
			continue
		}
		got, _ := op.Output.([]int64)
		for n, v := range got {
			one := op
			one.F, one.Output, one.Call, one.Return = "dequeue", model.Just(v), op.Call+n, op.Return+n
			all = append(all, one)
		}
	}
	return all
}

// operation converts one. drop says that it constrains nothing, atEnd that an
// error is about how it ended.
func (c *conversion) operation(op *harness.Operation, ownKey any) (drop, atEnd bool, err error) {
	f, _ := c.model.function(op.F)
	key, in, err := c.unkey(op.Input)
	if err != nil {
		return false, false, err
	}
	out := c.unkeyAnswer(op.Output, key)
	if ownKey != nil {
		key = ownKey
	}
	if key != nil {
		op.Key = c.key(key)
	}
	op.F, op.Input, op.Output = f.name, nil, nil
	if op.Type == harness.OK && c.model.txn { // the completion holds all that the invocation does
		_, _, err = c.model.output(c, op, out)
		return false, true, err
	}
	if op.Type == harness.OK && f.takes && c.options.Model != "kv" {
		if in, err = settled(f, in, out); err != nil {
			return false, true, err
		}
	}
	if c.model.input != nil {
		if op.Input, err = c.model.input(c, op, in); err != nil {
			return false, false, err
		}
	}
	if op.Type != harness.Info {
		op.Output, drop, err = c.model.output(c, op, out)
	}
	return drop, true, err
}
