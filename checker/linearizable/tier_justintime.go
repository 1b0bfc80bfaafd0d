package linearizable

import (
	"cmp"
	"context"
	"errors"
	"math/bits"
	"reflect"
	"slices"
	"time"

	"coup/checker/model"
	"coup/harness"
)

// justInTimeTier decides any model by just-in-time linearization (Lowe, "Testing
// for linearizability", CCPE 2017). It is exact. Its time is linear in the length
// of the history, and exponential in the number of operations that are under way
// at once, where their answers leave a choice.
//
// It walks through the returns of completed operations in the order of time. When
// an operation returns, it must have taken effect, and no other needs to. So the
// search tries, depth first, sequences of operations under way that end with the
// one that returns. It remembers what led to no explanation: the return, the
// state, and which of the operations under way had taken effect.
//
// Several rules keep the number of choices small. None of them loses an
// explanation:
//   - An operation that never changes any state takes effect as soon as the state
//     allows its answer: where it can be explained later, it can be explained now.
//     That does not hold for an operation that merely changes nothing in the
//     present state, like the write of a value that is already there.
//   - Of equal operations under way, the one that returns first takes effect first.
//     Those that put in what nobody got are equal (see nameless).
//   - Open operations are counted by class of equal ones. Those called first are
//     used first, and only where they change the state.
//   - A moment that failed with some open operations still unused fails with fewer
//     of them unused. One that failed with a read done fails with that read still
//     to be done.
//   - Once a blind write has taken effect, no other blind write under way has to be
//     tried after it: each may have taken effect right before it, where it is
//     overwritten at once, along with the reads under way that saw its value. Such
//     writes and reads are called free. Where they took effect is settled only when
//     one of them returns: a free read then takes a free write of its value, if
//     there is one; a free write is put right before the last blind write, together
//     with the reads that saw it. That changes nothing else, because the last write
//     overwrites it. So between two returns no blind write needs to follow another
//     with only reads between them: the first would be free.
//   - A moment that failed with a free write fails where that write is used up or
//     still to be done. One that failed with a read done or free fails with that
//     read still to be done.
//   - Candidates are tried in the order of their returns, so that those which can
//     take effect later are kept for later.
func justInTimeTier(b context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	// A quarter of the time is left to the tier after this one.
	if end, ok := b.Deadline(); ok {
		var cancel context.CancelFunc
		b, cancel = context.WithDeadline(b, time.Now().Add(time.Until(end)*3/4))
		defer cancel()
	}
	// And of the work.
	if a := allowanceOf(b); a != nil {
		left := a.left.Load()
		b, a = allow(b, left-left/4)
		defer a.end()
	}
	j, err := newJustInTime(m, ops)
	if err != nil {
		return decision{}, false, nil //nolint:nilerr // too many operations at once: another tier may do
	}
	switch j.search(b, m.Init) {
	case harness.Valid:
		return decision{valid: harness.Valid, order: j.placed()}, true, nil
	case harness.Invalid:
		proof, until := j.window()
		return decision{valid: harness.Invalid, proof: proof, until: until}, true, nil
	default:
		return decision{explained: int(j.farthest)}, false, nil
	}
}

var errTooMany = errors.New("too many operations are under way at once")

type justInTime struct {
	m        model.Model
	ops      []*harness.Operation
	class    []int32 // of each operation: equal operations have equal classes
	readOnly []bool  // of each class
	blind    []bool  // of each class
	sample   []int32 // of each class, one of its operations
	slot     []int32 // of each completed operation
	returns  []int32 // completed operations in the order of their returns
	calls    []int32 // completed operations in the order of their calls
	upTo     []int32 // for each return, how many of calls came before it

	openClasses []int32   // classes of open operations that may change something
	open        [][]int32 // for each of them its operations in the order of their calls
	openWrites  []int32   // the blind writes among them in the order of their calls

	states     []any
	stateIndex map[any]int32
	steps      []stepTaken // those taken last, by a hash of state and class

	usages     []string // for each of openClasses how many were used
	usageIndex map[string]int32
	counted    int32    // the usage that was asked for last
	counts     []uint32 // and for each of openClasses how many it used

	current []int32 // for each slot the operation in it, or none
	soonest []int32 // the operations in the slots, in the order of their returns
	writes  mask    // the slots in which are blind writes
	reads   mask    // and those in which are read-only operations
	at      int32   // the return for which current holds

	dead     map[place][]moment // with which a place was left in vain
	order    []int32            // ^op says that op comes right before the last blind write
	took     []int32            // what the last candidate adds to the order
	farthest int32
}

func newJustInTime(m model.Model, ops []*harness.Operation) (*justInTime, error) {
	ops = nameless(m, ops)
	j := &justInTime{
		m: m, ops: ops, class: make([]int32, len(ops)), slot: make([]int32, len(ops)),
		stateIndex: map[any]int32{},
		steps:      make([]stepTaken, 1<<bits.Len(uint(min(8*len(ops), 1<<16)))), usageIndex: map[string]int32{}, dead: map[place][]moment{},
	}
	type likeness struct {
		f       string
		in, out any
		open    bool
	}
	byLikeness := map[likeness]int32{}
	comparable := func(v any) bool { return v == nil || reflect.TypeOf(v).Comparable() }
	for i, op := range ops {
		l := likeness{op.F, op.Input, op.Output, op.Type != harness.OK}
		if l.open {
			l.out = nil
		}
		alike := comparable(l.in) && comparable(l.out) && !m.Personal
		c, known := int32(0), false
		if alike {
			c, known = byLikeness[l]
		}
		if !known {
			c = int32(len(j.sample))
			j.sample = append(j.sample, int32(i))
			j.readOnly = append(j.readOnly, m.OnlyReads(op))
			j.blind = append(j.blind, m.Blind != nil && m.Blind(op))
			if alike {
				byLikeness[l] = c
			}
		}
		j.class[i] = c
		if !l.open {
			j.returns = append(j.returns, int32(i))
			j.calls = append(j.calls, int32(i))
		}
	}
	slices.SortFunc(j.returns, func(a, b int32) int { return cmp.Compare(ops[a].Return, ops[b].Return) })
	j.upTo = make([]int32, len(j.returns))
	var free []int32
	slots, next := int32(0), int32(0)
	for n, r := range j.returns {
		for ; int(next) < len(j.calls) && ops[j.calls[next]].Call < ops[r].Return; next++ {
			if len(free) == 0 {
				free = append(free, slots)
				slots++
			}
			j.slot[j.calls[next]] = free[len(free)-1]
			free = free[:len(free)-1]
		}
		j.upTo[n] = next
		free = append(free, j.slot[r])
	}
	if slots > slotLimit {
		return nil, errTooMany
	}
	j.current, j.soonest = make([]int32, slots), make([]int32, 0, slots)
	for i := range j.current {
		j.current[i] = none
	}

	byClass := map[int32]int{}
	for i, op := range ops {
		if op.Type == harness.OK || j.readOnly[j.class[i]] {
			continue
		}
		c, known := byClass[j.class[i]]
		if !known {
			c = len(j.open)
			byClass[j.class[i]] = c
			j.openClasses = append(j.openClasses, j.class[i])
			j.open = append(j.open, nil)
		}
		j.open[c] = append(j.open[c], int32(i))
		if j.blind[j.class[i]] {
			j.openWrites = append(j.openWrites, int32(i))
		}
	}
	if len(j.returns) > 0 {
		for _, op := range j.calls[:j.upTo[0]] {
			j.begin(op)
		}
	}
	return j, nil
}

// moveTo makes current hold the operations under way at return n.
func (j *justInTime) moveTo(n int32) {
	for j.at < n {
		j.leave(j.returns[j.at])
		from := j.upTo[j.at]
		j.at++
		if int(j.at) < len(j.returns) {
			for _, op := range j.calls[from:j.upTo[j.at]] {
				j.begin(op)
			}
		}
	}
	for j.at > n {
		if int(j.at) < len(j.returns) {
			for _, op := range j.calls[j.upTo[j.at-1]:j.upTo[j.at]] {
				j.leave(op)
			}
		}
		j.at--
		j.begin(j.returns[j.at])
	}
}

func (j *justInTime) begin(op int32) {
	j.current[j.slot[op]] = op
	at, _ := j.soonestAt(op)
	j.soonest = slices.Insert(j.soonest, at, op)
	switch {
	case j.blind[j.class[op]]:
		j.writes = j.writes.with(j.slot[op])
	case j.readOnly[j.class[op]]:
		j.reads = j.reads.with(j.slot[op])
	}
}

func (j *justInTime) leave(op int32) {
	j.current[j.slot[op]] = none
	if at, there := j.soonestAt(op); there {
		j.soonest = slices.Delete(j.soonest, at, at+1)
	}
	j.writes = j.writes.minus(j.slot[op])
	j.reads = j.reads.minus(j.slot[op])
}

func (j *justInTime) soonestAt(op int32) (at int, there bool) {
	return slices.BinarySearchFunc(j.soonest, op, func(a, b int32) int { return cmp.Compare(j.ops[a].Return, j.ops[b].Return) })
}

// search looks for an order of an object that is in this state at first. It is
// left in j.order. What a search learned serves those after it.
func (j *justInTime) search(b context.Context, first any) harness.Validity {
	start := moment{state: j.intern(first), used: j.internUsage("")}
	j.moveTo(0)
	var path []choice
	enter := func(m moment) (done bool) {
		length := len(j.order)
		m = j.settle(m)
		if int(m.next) == len(j.returns) {
			return true
		}
		if j.inVain(m) {
			j.order = j.order[:length]
			return false
		}
		// Whether it is in vain is seen when it is left; to come back to it in
		// the meantime is in vain in any case.
		p := j.placeOf(m)
		j.dead[p] = append(slices.DeleteFunc(j.dead[p], func(old moment) bool { return j.covers(&m, &old) }), m)
		path = append(path, choice{moment: m, order: length})
		return false
	}
	if enter(start) {
		return harness.Valid
	}
	const between = 1024
	steps := 0
	defer func() { allowanceOf(b).spend(int64(steps % between)) }()
	for ; len(path) > 0; steps++ {
		if steps%between == 0 {
			if steps > 0 {
				allowanceOf(b).spend(between)
			}
			if b.Err() != nil {
				return harness.Unknown
			}
		}
		top := &path[len(path)-1]
		j.moveTo(top.next)
		m, ok := j.candidate(top)
		if !ok {
			j.order = j.order[:top.order]
			path = path[:len(path)-1]
			continue
		}
		length := len(j.order)
		j.order = append(j.order, j.took...)
		depth := len(path)
		if enter(m) {
			return harness.Valid
		}
		if len(path) == depth {
			j.order = j.order[:length]
		} else {
			path[len(path)-1].order = length
		}
	}
	return harness.Invalid
}

// placed is the order that was found, with the blind writes that nobody saw
// in it.
func (j *justInTime) placed() []int32 {
	order := make([]int32, 0, len(j.order))
	var unseen []int32 // right before the next blind write of those behind it
	for _, op := range slices.Backward(j.order) {
		if op < 0 {
			unseen = append(unseen, ^op)
			continue
		}
		order = append(order, op)
		if j.blind[j.class[op]] {
			order = append(order, unseen...)
			unseen = unseen[:0]
		}
	}
	slices.Reverse(order)
	return order
}

// window is the operations that were called before the first return that
// nothing explains, and that return.
func (j *justInTime) window() (proof []int32, until int) {
	until = j.ops[j.returns[j.farthest]].Return
	for i, op := range j.ops {
		if op.Call < until {
			proof = append(proof, int32(i))
		}
	}
	return proof, until
}

// nameless gives all elements of a queue or a stack that nobody is known to have got the
// same value. No answer tells one of them from another, so the same orders explain the
// history, and far fewer of them differ. An element may be put in twice then.
func nameless(m model.Model, ops []*harness.Operation) []*harness.Operation {
	if m.Kind != model.QueueKind && m.Kind != model.StackKind {
		return ops
	}
	got := map[int64]bool{}
	for _, op := range ops {
		if v, ok := op.Output.(model.Maybe); ok && v.Set {
			got[v.Int] = true
		}
	}
	ops = slices.Clone(ops)
	name, named := int64(0), false
	for i, op := range ops {
		v, puts := op.Input.(int64)
		if !puts || got[v] {
			continue
		}
		if !named {
			name, named = v, true
		} else if v != name {
			alike := *op
			alike.Input = name
			ops[i] = &alike
		}
	}
	return ops
}
