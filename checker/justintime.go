package checker

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"time"

	"coup/harness"
)

// justInTimeTier decides any model. It is exact, linear in the length of the
// history, and exponential in the number of operations that are under way at
// once, where the answers leave a choice.
//
// It walks through the returns of completed operations in the order of time.
// An operation needs to take effect only when one must that returns next: so
// only those under way at that return are tried, in sequences that end with
// the one that returns (just-in-time linearization: Lowe, "Testing for
// linearizability", 2017, who goes from there depth first as here). What was
// tried in vain is remembered: the return, the state, and which of the
// operations under way had taken effect.
//
// Four things keep the choices few, all without loss:
//   - An operation that changes no state whatever it meets takes effect as soon
//     as the state allows its answer: whoever explains the history with it
//     later explains it with it now. This does not hold for one that merely
//     changes nothing in the present state, like the write of a value that is
//     there already.
//   - Of equal operations under way the one that returns first goes first.
//   - Open operations of unknown outcome are counted by class of equals, the
//     first called go first, and they are used only where they change the state.
//   - What failed in vain with some open operations still to be had fails with
//     fewer of them.
func justInTimeTier(b context.Context, m Model, ops []*harness.Operation) (decision, bool, error) {
	// Half of the time is left to the last resort.
	if end, ok := b.Deadline(); ok {
		var cancel context.CancelFunc
		b, cancel = context.WithDeadline(b, time.Now().Add(time.Until(end)/2))
		defer cancel()
	}
	j, err := newJustInTime(m, ops)
	if err != nil {
		return decision{}, false, nil //nolint:nilerr // too many operations at once: another tier may do
	}
	switch j.search(b) {
	case harness.Valid:
		return decision{valid: harness.Valid, order: j.order}, true, nil
	case harness.Invalid:
		return decision{valid: harness.Invalid, proof: j.window()}, true, nil
	default:
		return decision{explained: int(j.farthest)}, false, nil
	}
}

// slotLimit is how many completed operations may be under way at once.
const slotLimit = 128

var errTooMany = errors.New("too many operations are under way at once")

// mask says which of the operations under way took effect, by slot.
type mask [slotLimit / 64]uint64

func (m mask) has(slot int32) bool   { return m[slot/64]>>(slot%64)&1 != 0 }
func (m mask) with(slot int32) mask  { m[slot/64] |= 1 << (slot % 64); return m }
func (m mask) minus(slot int32) mask { m[slot/64] &^= 1 << (slot % 64); return m }

// moment is a place in the search. Equal moments have equal futures.
type moment struct {
	next  int32 // the return that comes next, as an index into returns
	state int32
	used  int32 // open operations that took effect, as an index into usages
	did   mask  // of the operations under way
}

// place is a moment without the open operations that were used.
type place struct {
	next, state int32
	did         mask
}

type choice struct {
	moment
	try   int // the next candidate
	order int // the length of the order before it was reached
}

type justInTime struct {
	m        Model
	ops      []*harness.Operation
	class    []int32 // of each operation: equal operations have equal classes
	readOnly []bool  // of each class
	sample   []int32 // of each class, one of its operations
	slot     []int32 // of each completed operation
	returns  []int32 // completed operations in the order of their returns
	calls    []int32 // completed operations in the order of their calls
	upTo     []int32 // for each return, how many of calls came before it

	openClasses []int32   // classes of open operations that may change something
	open        [][]int32 // for each of them its operations in the order of their calls

	states     []any
	stateIndex map[any]int32
	steps      map[uint64]int32 // class and state -> state after, none if the answer is impossible

	usages     []string // for each of openClasses how many were used
	usageIndex map[string]int32

	current []int32 // for each slot the operation in it, or none
	at      int32   // the return for which current holds

	dead     map[place][]int32 // usages with which a place was left in vain
	order    []int32
	farthest int32
}

func newJustInTime(m Model, ops []*harness.Operation) (*justInTime, error) {
	j := &justInTime{
		m: m, ops: ops, class: make([]int32, len(ops)), slot: make([]int32, len(ops)),
		stateIndex: map[any]int32{}, steps: map[uint64]int32{},
		usageIndex: map[string]int32{}, dead: map[place][]int32{},
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
		alike := comparable(l.in) && comparable(l.out)
		c, known := int32(0), false
		if alike {
			c, known = byLikeness[l]
		}
		if !known {
			c = int32(len(j.sample))
			j.sample = append(j.sample, int32(i))
			j.readOnly = append(j.readOnly, m.readOnly(op))
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
	j.current = make([]int32, slots)
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
	}
	return j, nil
}

func (j *justInTime) intern(state any) int32 {
	s, known := j.stateIndex[state]
	if !known {
		s = int32(len(j.states))
		j.states = append(j.states, state)
		j.stateIndex[state] = s
	}
	return s
}

// step is the state after an operation of a class, none if it cannot answer so.
func (j *justInTime) step(class, state int32) int32 {
	key := uint64(class)<<32 | uint64(state)
	after, known := j.steps[key]
	if !known {
		after = none
		if next, ok := j.m.Step(j.states[state], j.ops[j.sample[class]]); ok {
			after = j.intern(next)
		}
		j.steps[key] = after
	}
	return after
}

// A usage is written as pairs of an open class and how many of it were used,
// in the order of the classes, those that were not used left out.
const pairSize = 8

func (j *justInTime) internUsage(u string) int32 {
	id, known := j.usageIndex[u]
	if !known {
		id = int32(len(j.usages))
		j.usages = append(j.usages, u)
		j.usageIndex[u] = id
	}
	return id
}

func pairAt(u string, i int) (class, count uint32) {
	b := []byte(u[i*pairSize : (i+1)*pairSize])
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
}

// usedOf is how many of the open class c were used.
func (j *justInTime) usedOf(usage int32, c int) int {
	u := j.usages[usage]
	for i := range len(u) / pairSize {
		if class, count := pairAt(u, i); class == uint32(c) {
			return int(count)
		}
	}
	return 0
}

// useOne is the usage with one more of the open class c.
func (j *justInTime) useOne(usage int32, c int) int32 {
	u := j.usages[usage]
	var b []byte
	put := func(class, count uint32) {
		b = binary.BigEndian.AppendUint32(b, class)
		b = binary.BigEndian.AppendUint32(b, count)
	}
	done := false
	for i := range len(u) / pairSize {
		class, count := pairAt(u, i)
		if class == uint32(c) {
			count, done = count+1, true
		} else if class > uint32(c) && !done {
			put(uint32(c), 1)
			done = true
		}
		put(class, count)
	}
	if !done {
		put(uint32(c), 1)
	}
	return j.internUsage(string(b))
}

// within says whether usage a used no more of anything than usage b.
func (j *justInTime) within(a, b int32) bool {
	if a == b {
		return true
	}
	x, y := j.usages[a], j.usages[b]
	if len(x) > len(y) {
		return false
	}
	at := 0
	for i := range len(x) / pairSize {
		class, count := pairAt(x, i)
		for ; ; at++ {
			if at*pairSize >= len(y) {
				return false
			}
			if c, n := pairAt(y, at); c == class {
				if n < count {
					return false
				}
				break
			} else if c > class {
				return false
			}
		}
	}
	return true
}

// moveTo makes current hold the operations under way at return n.
func (j *justInTime) moveTo(n int32) {
	for j.at < n {
		j.current[j.slot[j.returns[j.at]]] = none
		from := j.upTo[j.at]
		j.at++
		if int(j.at) < len(j.returns) {
			for _, op := range j.calls[from:j.upTo[j.at]] {
				j.current[j.slot[op]] = op
			}
		}
	}
	for j.at > n {
		if int(j.at) < len(j.returns) {
			for _, op := range j.calls[j.upTo[j.at-1]:j.upTo[j.at]] {
				j.current[j.slot[op]] = none
			}
		}
		j.at--
		op := j.returns[j.at]
		j.current[j.slot[op]] = op
	}
}

// settle moves on from a moment as far as there is no choice.
func (j *justInTime) settle(m moment) moment {
	for {
		j.moveTo(m.next)
		if int(m.next) == len(j.returns) {
			return m
		}
		for slot, op := range j.current {
			if op != none && !m.did.has(int32(slot)) && j.readOnly[j.class[op]] && j.step(j.class[op], m.state) == m.state {
				m.did = m.did.with(int32(slot))
				j.order = append(j.order, op)
			}
		}
		slot := j.slot[j.returns[m.next]]
		if !m.did.has(slot) {
			return m
		}
		m.did = m.did.minus(slot)
		m.next++
		j.farthest = max(j.farthest, m.next)
	}
}

// inVain says whether the moment is known to lead nowhere.
func (j *justInTime) inVain(m moment) bool {
	for _, used := range j.dead[place{m.next, m.state, m.did}] {
		if j.within(used, m.used) {
			return true
		}
	}
	return false
}

// search looks for an order. It is left in j.order.
func (j *justInTime) search(b context.Context) harness.Validity {
	start := moment{state: j.intern(j.m.Init), used: j.internUsage("")}
	if len(j.returns) > 0 {
		for _, op := range j.calls[:j.upTo[0]] {
			j.current[j.slot[op]] = op
		}
	}
	var path []choice
	enter := func(m moment) (done bool) {
		length := len(j.order)
		m = j.settle(m)
		if int(m.next) == len(j.returns) {
			return true
		}
		p := place{m.next, m.state, m.did}
		if j.inVain(m) {
			j.order = j.order[:length]
			return false
		}
		// Whether it is in vain is seen when it is left; to come back to it in
		// the meantime is in vain in any case.
		j.dead[p] = append(slices.DeleteFunc(j.dead[p], func(used int32) bool { return j.within(m.used, used) }), m.used)
		path = append(path, choice{moment: m, order: length})
		return false
	}
	if enter(start) {
		return harness.Valid
	}
	for steps := 0; len(path) > 0; steps++ {
		if steps%1024 == 0 && b.Err() != nil {
			return harness.Unknown
		}
		top := &path[len(path)-1]
		j.moveTo(top.next)
		m, op, ok := j.candidate(top)
		if !ok {
			j.order = j.order[:top.order]
			path = path[:len(path)-1]
			continue
		}
		length := len(j.order)
		j.order = append(j.order, op)
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

// candidate is the next operation that can take effect at a choice, and the
// moment after it. Those that let the one that must return take effect come
// first.
func (j *justInTime) candidate(c *choice) (moment, int32, bool) {
	must := j.returns[c.next]
	count := len(j.current) + len(j.open)
	for c.try <= 2*count {
		try := c.try - 1
		c.try++
		if try < 0 {
			if m, ok := j.take(c, must); ok {
				return m, must, true
			}
			continue
		}
		op := j.candidateAt(c, try%count)
		if op == none || op == must {
			continue
		}
		m, ok := j.take(c, op)
		if helps := ok && j.step(j.class[must], m.state) != none; !ok || helps != (try < count) {
			continue
		}
		if place := try % count; place >= len(j.current) {
			m.used = j.useOne(c.used, place-len(j.current))
		}
		return m, op, true
	}
	return moment{}, none, false
}

// candidateAt is the operation at a place in the list of candidates: the completed
// ones that are under way, then of each class of open ones the next; none if
// there is none.
func (j *justInTime) candidateAt(c *choice, place int) int32 {
	if place < len(j.current) {
		return j.current[place]
	}
	open := j.open[place-len(j.current)]
	used := j.usedOf(c.used, place-len(j.current))
	if used >= len(open) || j.ops[open[used]].Call > j.ops[j.returns[c.next]].Return {
		return none
	}
	return open[used]
}

// take is the moment after an operation took effect, if it can now and if
// there is reason to try it. That an open one is used up is left to the caller.
func (j *justInTime) take(c *choice, op int32) (moment, bool) {
	m := c.moment
	open := j.ops[op].Type != harness.OK
	if !open && m.did.has(j.slot[op]) {
		return m, false
	}
	m.state = j.step(j.class[op], c.state)
	switch {
	case m.state == none:
		return m, false
	case open:
		return m, m.state != c.state
	}
	m.did = m.did.with(j.slot[op])
	return m, !j.equalFirst(c, op)
}

// equalFirst says whether an operation that is equal to op returns before it
// and has not taken effect yet.
func (j *justInTime) equalFirst(c *choice, op int32) bool {
	for slot, other := range j.current {
		if other != none && other != op && j.class[other] == j.class[op] && !c.did.has(int32(slot)) &&
			j.ops[other].Return < j.ops[op].Return {
			return true
		}
	}
	return false
}

// window is the operations that were called before the first return that
// nothing explains.
func (j *justInTime) window() (proof []int32) {
	until := j.ops[j.returns[j.farthest]].Return
	for i, op := range j.ops {
		if op.Call < until {
			proof = append(proof, int32(i))
		}
	}
	return proof
}
