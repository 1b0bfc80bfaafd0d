package linearizable

import (
	"fmt"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// verify replays an order of operations and says whether it explains the
// history: every completed operation is in it once, none is before one that had
// returned when it was called, and each answer is what the object answers. It
// takes linear time and knows nothing of how the order was found.
func verify(m model.Model, ops []*harness.Operation, order []int32) error {
	in := make([]bool, len(ops))
	o := newObject(m)
	latest := -1
	for _, i := range order {
		if i < 0 || int(i) >= len(ops) || in[i] {
			return fmt.Errorf("operation %d is not there, or twice", i)
		}
		in[i] = true
		op := ops[i]
		if model.Returned(op) < latest {
			return fmt.Errorf("operation %d had returned before one that is put before it was called", i)
		}
		latest = max(latest, op.Call)
		if !o.perform(op) {
			return fmt.Errorf("operation %d, %s, cannot answer so here", i, m.Describe(op))
		}
	}
	for i, op := range ops {
		if !in[i] && op.Type == harness.OK {
			return fmt.Errorf("operation %d, %s, is left out", i, m.Describe(op))
		}
	}
	return nil
}

// object is one object in one state. It performs operations and says whether
// each may answer what it did.
type object interface {
	perform(op *harness.Operation) bool
}

// newObject is the model's object in its first state.
func newObject(m model.Model) object {
	switch m.Kind {
	case model.SetKind:
		return &setObject{}
	case model.QueueKind:
		return &queueObject{}
	case model.StackKind:
		return &stackObject{}
	case model.PriorityKind:
		return &priorityObject{}
	case model.ListKind:
		return &listObject{}
	default: // the state is small
		return &modelObject{m, m.Init}
	}
}

type modelObject struct {
	m     model.Model
	state any
}

func (o *modelObject) perform(op *harness.Operation) (ok bool) {
	o.state, ok = o.m.Step(o.state, op)
	return ok
}

type setObject struct {
	elements map[int64]int // the number of the read that showed each last
	reads    int
}

func (o *setObject) perform(op *harness.Operation) bool {
	if o.elements == nil {
		o.elements = map[int64]int{}
	}
	if op.F == "add" {
		o.elements[op.Input.(int64)] = 0
		return true
	}
	if op.Type != harness.OK {
		return true
	}
	read := op.Output.([]int64)
	o.reads++
	for _, v := range read {
		if n, there := o.elements[v]; !there || n == o.reads {
			return false
		}
		o.elements[v] = o.reads
	}
	return len(read) == len(o.elements)
}

type queueObject struct {
	elements []int64
}

func (o *queueObject) perform(op *harness.Operation) bool {
	if op.F == "enqueue" {
		o.elements = append(o.elements, op.Input.(int64))
		return true
	}
	took := model.Maybe{}
	if len(o.elements) > 0 {
		took = model.Just(o.elements[0])
		o.elements = o.elements[1:]
	}
	return op.Type != harness.OK || op.Output.(model.Maybe) == took
}

type listObject struct {
	elements []int64
}

func (o *listObject) perform(op *harness.Operation) bool {
	if op.F == "append" {
		o.elements = append(o.elements, op.Input.(int64))
		return true
	}
	return op.Type != harness.OK || slices.Equal(op.Output.([]int64), o.elements)
}

type stackObject struct {
	elements []int64
}

func (o *stackObject) perform(op *harness.Operation) bool {
	if op.F == "push" {
		o.elements = append(o.elements, op.Input.(int64))
		return true
	}
	took := model.Maybe{}
	if n := len(o.elements); n > 0 {
		took = model.Just(o.elements[n-1])
		o.elements = o.elements[:n-1]
	}
	return op.Type != harness.OK || op.Output.(model.Maybe) == took
}

type priorityObject struct {
	elements smallest
}

func (o *priorityObject) perform(op *harness.Operation) bool {
	if op.F == "insert" {
		o.elements.add(op.Input.(int64))
		return true
	}
	took := model.Maybe{}
	if len(o.elements) > 0 {
		took = model.Just(o.elements.take())
	}
	return op.Type != harness.OK || op.Output.(model.Maybe) == took
}
