package histories

import (
	"fmt"
	"slices"
	"time"

	"coup/harness"
)

// place is where something stands in a file.
type place struct {
	line  int32
	entry int32 // of a vector or an array, from 1; 0: each stands on lines of its own
	index int32 // its :index; noIndex if it has none
}

const noIndex = -1

func (p place) String() string {
	s := fmt.Sprintf("line %d", p.line)
	switch {
	case p.index != noIndex:
		s += fmt.Sprintf(" (:index %d)", p.index)
	case p.entry > 1:
		s += fmt.Sprintf(", entry %d", p.entry)
	}
	return s
}

func (p place) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", p, fmt.Errorf(format, args...))
}

// event is one entry of a history: an operation began, or it ended.
type event struct {
	place
	process any // int64, a name, or nil if the entry does not say
	typ     harness.Type
	f       string // "" if the entry does not say
	key     any    // of its own, beside the value
	value   any
	time    time.Duration // 0 if the entry does not say
	err     string
	node    string
}

// pairing makes operations of events: it joins each completion with its invocation. Values
// stay as they are until the whole file was read, because their meaning depends on all of
// them.
type pairing struct {
	ops          []harness.Operation
	keys         []any          // by operation, if any event had a key of its own
	begins, ends []place        // by operation: where it began and ended
	open         map[int]int    // by process: the operation under way
	names        map[string]int // of processes that have names
	// performs says whether an event is of an operation of the model.
	performs func(*event) bool
	// txn: completions hold everything that their invocations do.
	txn bool
	// numbers says that there are processes that have numbers.
	numbers bool
	// nameless says that operations do not tell their process.
	nameless bool
	pos      int
	began    bool  // an operation was invoked
	alone    error // of the first operation that ended and had not begun
	fresh    int   // processes given to operations that do not tell theirs
	last     place // with the highest :index so far
	wrong    error // of the first :index that contradicts the order
}

func newPairing(m meaning) *pairing {
	performs := func(e *event) bool {
		_, known := m.functions[e.f]
		if m.txn {
			_, known = elements(e.value)
		}
		return known
	}
	return &pairing{performs: performs, txn: m.txn, open: map[int]int{}, names: map[string]int{}, last: place{index: noIndex}}
}

// freshProcesses begins the numbers of processes that are not told.
const freshProcesses = 1 << 32

func (p *pairing) process(e *event) (int, error) {
	switch v := e.process.(type) {
	case nil:
		if p.numbers || len(p.names) > 0 {
			return 0, e.errorf("%s has no :process, and others of this history have one", named(e.f))
		}
		p.nameless = true
		return 0, nil
	case int64:
		p.numbers = true
		if len(p.names) > 0 || p.nameless {
			break
		}
		if v < 0 || v >= freshProcesses {
			return 0, e.errorf("expected a number from 0 on as :process, not %d", v)
		}
		return int(v), nil
	default:
		if p.numbers || p.nameless {
			break
		}
		text := textOf(v)
		n, known := p.names[text]
		if !known {
			n = len(p.names)
			p.names[text] = n
		}
		return n, nil
	}
	return 0, e.errorf("process %s: some processes of this history are numbers and others are names or not told", textOf(e.process))
}

func (p *pairing) add(e *event) error {
	if e.typ == harness.Info && e.process == nil && !p.performs(e) {
		return nil // a remark
	}
	process, err := p.process(e)
	if err != nil {
		return err
	}
	at, under := p.open[process]
	if e.typ == harness.Info && !under && (p.began || !p.performs(e)) {
		return nil // a remark
	}
	pos := p.pos
	p.pos++
	if e.time == 0 {
		e.time = time.Duration(pos)
	}
	p.follow(e)
	if e.typ == harness.Invoke {
		if p.alone != nil {
			return p.alone
		}
		p.began = true
		if under {
			before := &p.ops[at]
			if e.process == nil {
				return e.errorf("%s begins and the %s of line %d has not ended: without :process nobody can tell which of them ends when", named(e.f), named(before.F), before.Line)
			}
			return e.errorf("process %d begins %s, and its %s of line %d has not ended", process, named(e.f), named(before.F), before.Line)
		}
		p.open[process] = len(p.ops)
		p.begin(e, process, pos)
		return nil
	}
	if !under {
		if p.alone == nil {
			p.alone = e.errorf("process %d ends %s, and had not begun it", process, named(e.f))
		}
		if p.began {
			return p.alone
		}
		if e.process == nil {
			process = freshProcesses + p.fresh
			p.fresh++
		}
		at = len(p.ops)
		p.begin(e, process, pos)
	} else if delete(p.open, process); e.f != p.ops[at].F && e.f != "" && p.ops[at].F != "" {
		return e.errorf("process %d ends %s, and had begun %s in line %d", process, e.f, p.ops[at].F, p.ops[at].Line)
	}
	op := &p.ops[at]
	p.ends[at] = e.place
	op.End, op.Error, op.Type = e.time, e.err, e.typ
	if op.F == "" {
		op.F = e.f
	}
	if op.Node == "" {
		op.Node = e.node
	}
	if e.typ != harness.Info {
		op.Return = pos
	}
	if e.typ == harness.OK {
		op.Output = e.value
		if p.txn {
			op.Input = e.value
		}
	}
	return nil
}

func (p *pairing) begin(e *event, process, pos int) {
	if e.key != nil || p.keys != nil {
		for len(p.keys) < len(p.ops) {
			p.keys = append(p.keys, nil)
		}
		p.keys = append(p.keys, e.key)
	}
	p.begins, p.ends = append(p.begins, e.place), append(p.ends, e.place)
	p.ops = append(p.ops, harness.Operation{
		Process: process, F: e.f, Input: e.value, Type: harness.Info, Call: pos, Return: harness.Open,
		Start: e.time, End: e.time, Node: e.node, Line: int(e.line), Index: int(e.index),
	})
}

// named is how an error calls a function.
func named(f string) string {
	if f == "" {
		return "an operation"
	}
	return f
}

// follow checks that :index agrees with the order of the file.
func (p *pairing) follow(e *event) {
	switch {
	case e.index == noIndex:
	case e.index > p.last.index:
		p.last = e.place
	case p.wrong != nil:
	case e.index == p.last.index:
		p.wrong = fmt.Errorf("line %d: :index %d stands in line %d as well: number each entry once, or leave :index out", e.line, e.index, p.last.line)
	default:
		p.wrong = fmt.Errorf("line %d: :index %d comes after the %d of line %d: sort the history by :index, or leave it out", e.line, e.index, p.last.index, p.last.line)
	}
}

// numbersOperations says whether every completion has the :index of its
// invocation: then it numbers operations, and says nothing of their order.
func (p *pairing) numbersOperations() bool {
	ended := 0
	for i := range p.ops {
		if op := &p.ops[i]; op.Return != harness.Open {
			if p.begins[i].index == noIndex || p.ends[i].index != p.begins[i].index {
				return false
			}
			ended++
		}
	}
	return ended > 0 && p.alone == nil
}

// finish is called when all has been read. An :index that contradicts the order
// of the file is an error. Sorting by it would be a guess: which of the two orders is
// that of time, nobody knows. Jepsen's library does not sort either (jepsen.history:
// it refuses such a history if its indices have to be dense, and else pairs
// operations in the order of the file).
func (p *pairing) finish() error {
	if p.wrong != nil && !p.numbersOperations() {
		return p.wrong
	}
	if p.keys != nil {
		p.keys = append(p.keys, make([]any, len(p.ops)-len(p.keys))...)
	}
	if p.alone != nil {
		p.unfold()
	}
	return nil
}

// unfold gives operations without an invocation their beginning: right after the end of
// the operation before of the same process, or at the beginning of the history. Any later
// moment would invent an order of time.
func (p *pairing) unfold() {
	highest := -1 // number of a process that the history tells
	for i := range p.ops {
		if n := p.ops[i].Process; n < freshProcesses {
			highest = max(highest, n)
		}
	}
	for i := range p.ops {
		if n := &p.ops[i].Process; *n >= freshProcesses {
			*n += highest + 1 - freshProcesses
		}
	}
	next := make([]int, len(p.ops)) // of the same process; 0: none
	last := map[int]int{}
	pos := 0
	for i := range p.ops {
		op := &p.ops[i]
		before, ok := last[op.Process]
		if ok {
			next[before] = i
			op.Start = p.ops[before].End
		} else {
			op.Call, op.Start = pos, 0
			pos++
		}
		last[op.Process] = i
	}
	order := make([]int, len(p.ops))
	for i := range p.ops {
		order[i] = i
		if p.ops[i].Return != harness.Open {
			p.ops[i].Return = pos
			pos++
		}
		if n := next[i]; n > 0 {
			p.ops[n].Call = pos
			pos++
		}
	}
	slices.SortFunc(order, func(a, b int) int { return p.ops[a].Call - p.ops[b].Call })
	p.ops, p.begins, p.ends = permuted(p.ops, order), permuted(p.begins, order), permuted(p.ends, order)
	if p.keys != nil {
		p.keys = permuted(p.keys, order)
	}
	p.pos = pos
}

func permuted[T any](list []T, order []int) []T {
	to := make([]T, len(list))
	for n, i := range order {
		to[n] = list[i]
	}
	return to
}
