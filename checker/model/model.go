package model

import (
	"fmt"

	"coup/harness"
)

// Model says what one object does when its operations happen one at a time.
// Those of this package come from functions, e.g. [Register]; a workload
// may bring its own.
type Model struct {
	Name   string
	Decode harness.Decoder // of the values it understands

	// Init is the state of an object that nobody has touched. States must be
	// comparable with ==, and equal states must compare equal.
	Init any
	// Step performs op in state. It returns the state after, and whether op may
	// return in that state what it returned. An operation whose Type is not OK
	// may return anything: its step never fails. Step is a pure function of the
	// state and of the function, the input, the output and the type of op.
	Step func(state any, op *harness.Operation) (any, bool)
	// ReadOnly says that op changes no state whatever it meets. Optional.
	ReadOnly func(op *harness.Operation) bool
	// Blind says that op is a blind write: it may happen whatever it meets, its
	// answer tells nothing, and the state after it is the same whatever it met.
	// Optional: it makes checking faster.
	Blind func(op *harness.Operation) bool
	// Text writes op for people. Optional.
	Text func(op *harness.Operation) string
	// Words tells op in a sentence about the object: what a completed one did, what one of
	// unknown outcome was to do, and what it got, "" if nothing. Optional.
	Words func(op *harness.Operation, object string) (did, wish, got string)
	// Parts are the pieces that a failing history can be cut down by: sets of
	// operations, each of which can be taken out of any history that the model
	// explains so that the rest is still explained. An operation in no part
	// stays. Optional: without it only read-only operations are taken out.
	Parts func(ops []harness.Operation) [][]int

	// Personal says that Step also looks at which process performs op, and when.
	Personal bool
	// look panics where Step would because of the values of op, but performs nothing.
	// Optional: it makes checking faster.
	look func(op *harness.Operation)
	// prepare adds to a history what only its times tell. Optional.
	prepare func([]harness.Operation) []harness.Operation

	// Kind says which model of this package it is, so that a checker can use a
	// procedure for objects of that kind alone. A model from elsewhere leaves it out.
	Kind Kind
}

// Kind names the models for which checkers have procedures of their own.
type Kind uint8

// The kinds. A model of another kind is searched by its Step alone.
const (
	AnyKind Kind = iota
	RegisterKind
	SetKind
	QueueKind
	CounterKind
	ListKind
	StackKind
	PriorityKind
	MutexKind
	LockKind
	KVKind
	BagKind
)

// Puts is the name of the function that puts an element into a queue, a stack or
// a priority queue.
func (k Kind) Puts() string {
	switch k {
	case StackKind:
		return "push"
	case PriorityKind:
		return "insert"
	default:
		return "enqueue"
	}
}

// Describe writes op in a few words, e.g. "read -> 5".
func (m Model) Describe(op *harness.Operation) string {
	if m.Text != nil {
		return m.Text(op)
	}
	s := op.F
	if op.Input != nil {
		s += fmt.Sprintf(" %v", op.Input)
	}
	if op.Output != nil {
		s += fmt.Sprintf(" -> %v", op.Output)
	}
	return s
}

// OnlyReads says whether op is known to change no state.
func (m Model) OnlyReads(op *harness.Operation) bool {
	return m.ReadOnly != nil && m.ReadOnly(op)
}
