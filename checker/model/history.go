package model

import (
	"fmt"

	"coup/harness"
)

// Object is one object of a history, and what may have happened to it.
type Object struct {
	Key string
	Ops []*harness.Operation // in the order of their calls
}

// Partition groups what may have happened by key, in order of the first
// operation on each. Left out is what constrains nothing: operations that
// failed, and those that only read and never returned.
func (m Model) Partition(ops []harness.Operation) []Object {
	if m.prepare != nil {
		ops = m.prepare(ops)
	}
	byKey := map[string]int{}
	var objects []Object
	var sizes []int
	of := make([]int32, len(ops)) // of each operation its object, -1 if it constrains nothing
	last := -1                    // mostly the next operation is on the same object
	for i := range ops {
		op := &ops[i]
		if last < 0 || objects[last].Key != op.Key {
			k, known := byKey[op.Key]
			if !known {
				k = len(objects)
				byKey[op.Key] = k
				objects, sizes = append(objects, Object{Key: op.Key}), append(sizes, 0)
			}
			last = k
		}
		of[i] = -1
		if op.Type == harness.OK || op.Type != harness.Fail && !m.OnlyReads(op) {
			of[i] = int32(last)
			sizes[last]++
		}
	}
	for k := range objects {
		if sizes[k] > 0 {
			objects[k].Ops = make([]*harness.Operation, 0, sizes[k])
		}
	}
	for i, k := range of {
		if k >= 0 {
			objects[k].Ops = append(objects[k].Ops, &ops[i])
		}
	}
	return objects
}

// Whole is all that was done to one object, also what failed, in the order of the calls.
func (m Model) Whole(ops []harness.Operation, key string) []*harness.Operation {
	if m.prepare != nil {
		ops = m.prepare(ops)
	}
	whole := make([]*harness.Operation, 0, len(ops)) // most long histories are of one object; to count first takes longer
	for i := range ops {
		if ops[i].Key == key {
			whole = append(whole, &ops[i])
		}
	}
	return whole
}

// CheckTypes makes sure that the values are what the model understands, so that
// a history that was decoded for another model is an error and not a panic.
func (m Model) CheckTypes(ops []harness.Operation) (err error) {
	n, look := 0, m.looks()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s of process %d at %.3f s: %w", ops[n].F, ops[n].Process, ops[n].Start.Seconds(), m.misunderstood(&ops[n], p))
		}
	}()
	for ; n < len(ops); n++ {
		look(&ops[n])
	}
	return nil
}

// CheckType does the same for one operation.
func (m Model) CheckType(op *harness.Operation) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = m.misunderstood(op, p)
		}
	}()
	m.looks()(op)
	return nil
}

// looks is what panics if the model does not understand the values of an operation.
func (m Model) looks() func(op *harness.Operation) {
	if m.look != nil {
		return m.look
	}
	return func(op *harness.Operation) {
		m.Step(m.Init, op)
		m.OnlyReads(op)
	}
}

func (m Model) misunderstood(op *harness.Operation, panicked any) error {
	return fmt.Errorf("the model %s does not understand input %v, output %v: %v", m.Name, op.Input, op.Output, panicked)
}

// Settled is a copy of op that says of an open operation no more than that it is open.
func Settled(op *harness.Operation) harness.Operation {
	c := *op
	if c.Type != harness.OK {
		c.Type, c.Return, c.Output = harness.Info, harness.Open, nil
	}
	return c
}

// Pointers returns a pointer to each of ops.
func Pointers(ops []harness.Operation) []*harness.Operation {
	ps := make([]*harness.Operation, len(ops))
	for i := range ops {
		ps[i] = &ops[i]
	}
	return ps
}

// Returned is the position at which op returned, [harness.Open] if it never did.
func Returned(op *harness.Operation) int {
	if op.Type != harness.OK {
		return harness.Open
	}
	return op.Return
}

// ByKey groups operations by key, in order of the first operation on each;
// within a key they keep their order. Operations that failed are left out.
func ByKey(ops []harness.Operation) (keys []string, groups map[string][]*harness.Operation) {
	groups = map[string][]*harness.Operation{}
	for i := range ops {
		op := &ops[i]
		if _, seen := groups[op.Key]; !seen {
			keys = append(keys, op.Key)
			groups[op.Key] = nil
		}
		if op.Type != harness.Fail {
			groups[op.Key] = append(groups[op.Key], op)
		}
	}
	return keys, groups
}

// Prefix is what was known of ops right after position at.
func Prefix(ops []harness.Operation, at int) []harness.Operation {
	var p []harness.Operation
	for _, op := range ops {
		if op.Call > at {
			continue
		}
		if op.Return > at {
			op.Type, op.Output, op.Return = harness.Info, nil, harness.Open
		}
		p = append(p, op)
	}
	return p
}
