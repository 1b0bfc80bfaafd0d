package checker

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math/bits"
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
// Some things keep the choices few, all without loss:
//   - An operation that changes no state whatever it meets takes effect as soon
//     as the state allows its answer: whoever explains the history with it
//     later explains it with it now. This does not hold for one that merely
//     changes nothing in the present state, like the write of a value that is
//     there already.
//   - Of equal operations under way the one that returns first goes first.
//   - Open operations of unknown outcome are counted by class of equals, the
//     first called go first, and they are used only where they change the state.
//   - What failed in vain with some open operations still to be had fails with
//     fewer of them; what failed with a read done fails with it still to come.
//   - Once a blind write took effect, the others under way need not any more:
//     each may have done so right before it, and whichever reads under way
//     then saw its value may have done so there. They are free. That is left
//     to be said until one of them returns: a free read then takes a free write
//     of its value, if there is one, and a free write that returns goes there
//     with the reads that it serves. Nothing else changes by it, since the
//     later write hides it. So between two returns no blind write need follow
//     another with nothing but reads between them: the first would be free. And
//     what failed in vain with a free write fails where it is used up or has to
//     come yet; with a read done or free it fails with it still to come.
//   - What returns first goes first, so that what is still to be had later is kept.
func justInTimeTier(b context.Context, m Model, ops []*harness.Operation) (decision, bool, error) {
	// A quarter of the time is left to the last resort.
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

// slotLimit is how many completed operations may be under way at once.
const slotLimit = 128

var errTooMany = errors.New("too many operations are under way at once")

// mask says which of the operations under way took effect, by slot.
type mask [slotLimit / 64]uint64

func (m mask) has(slot int32) bool   { return m[slot/64]>>(slot%64)&1 != 0 }
func (m mask) with(slot int32) mask  { m[slot/64] |= 1 << (slot % 64); return m }
func (m mask) minus(slot int32) mask { m[slot/64] &^= 1 << (slot % 64); return m }

func (m mask) or(other mask) mask {
	for i := range m {
		m[i] |= other[i]
	}
	return m
}

func (m mask) without(other mask) mask {
	for i := range m {
		m[i] &^= other[i]
	}
	return m
}

// moment is a place in the search. Equal moments have equal futures.
type moment struct {
	next  int32 // the return that comes next, as an index into returns
	state int32
	used  int32 // open operations that took effect, as an index into usages
	did   mask  // of the operations under way
	free  mask  // blind writes and reads under way that did not: they may have right before the last blind write
	since int32 // so many open blind writes may have, too: those called first
	fresh bool  // a blind write took effect since the last return, and only reads have met its value yet
}

// place is a moment without what one moment can have more of than another.
type place struct {
	next, state int32
	did         mask // of the operations that are neither blind writes nor read-only
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

func newJustInTime(m Model, ops []*harness.Operation) (*justInTime, error) {
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
		alike := comparable(l.in) && comparable(l.out) && !m.personal
		c, known := int32(0), false
		if alike {
			c, known = byLikeness[l]
		}
		if !known {
			c = int32(len(j.sample))
			j.sample = append(j.sample, int32(i))
			j.readOnly = append(j.readOnly, m.readOnly(op))
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

func (j *justInTime) intern(state any) int32 {
	s, known := j.stateIndex[state]
	if !known {
		s = int32(len(j.states))
		j.states = append(j.states, state)
		j.stateIndex[state] = s
	}
	return s
}

// stepTaken is what an operation of a class does to a state.
type stepTaken struct {
	class, state int32 // each one more than it is: 0 is no step
	after        int32 // none if it cannot answer so
}

// step is the state after an operation of a class, none if it cannot answer so.
func (j *justInTime) step(class, state int32) int32 {
	s := &j.steps[int(uint32(class)*0x9e3779b1^uint32(state)*0x85ebca77)>>7&(len(j.steps)-1)]
	if s.class != class+1 || s.state != state+1 {
		after := none
		if next, ok := j.m.Step(j.states[state], j.ops[j.sample[class]]); ok {
			after = j.intern(next)
		}
		*s = stepTaken{class + 1, state + 1, after}
	}
	return s.after
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
	if len(j.counts) == 0 || j.counted != usage {
		j.counted, j.counts = usage, append(j.counts[:0], make([]uint32, len(j.open))...)
		u := j.usages[usage]
		for i := range len(u) / pairSize {
			class, count := pairAt(u, i)
			j.counts[class] = count
		}
	}
	return int(j.counts[c])
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

// settle moves on from a moment as far as there is no choice.
func (j *justInTime) settle(m moment) moment {
	for {
		j.moveTo(m.next)
		j.farthest = max(j.farthest, m.next)
		if int(m.next) == len(j.returns) {
			return m
		}
		for slot, op := range j.current {
			if op != none && !m.did.has(int32(slot)) && j.readOnly[j.class[op]] && j.step(j.class[op], m.state) == m.state {
				m.did, m.free = m.did.with(int32(slot)), m.free.minus(int32(slot))
				j.order = append(j.order, op)
			}
		}
		slot := j.slot[j.returns[m.next]]
		if !m.did.has(slot) {
			return m
		}
		m.did, m.fresh = m.did.minus(slot), false
		m.next++
	}
}

func (j *justInTime) placeOf(m moment) place {
	return place{m.next, m.state, m.did.without(j.writes).without(j.reads)}
}

// covers says whether m leads nowhere if a, in the same place, leads nowhere:
// whatever m may still use, a may, and whatever a must do yet, m must.
func (j *justInTime) covers(a, m *moment) bool {
	if a.fresh && !m.fresh || a.since < m.since {
		return false
	}
	for i, writes := range j.writes {
		bound := writes &^ a.free[i]
		if (m.did[i]^a.did[i])&bound != 0 || m.free[i]&bound != 0 ||
			(m.did[i]&^a.did[i]|m.free[i]&^a.free[i]&^a.did[i])&j.reads[i] != 0 {
			return false
		}
	}
	return j.within(a.used, m.used)
}

// inVain says whether the moment is known to lead nowhere.
func (j *justInTime) inVain(m moment) bool {
	known := j.dead[j.placeOf(m)]
	for i := range known {
		if j.covers(&known[i], &m) {
			return true
		}
	}
	return false
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

// candidate is the moment after the next operation that can take effect at a
// choice. What takes effect is left in j.took. Free operations come first, then
// the one that must return, then the others in turns.
func (j *justInTime) candidate(c *choice) (moment, bool) {
	must := j.returns[c.next]
	count := len(j.soonest) + len(j.open)
	for c.try <= 5*count {
		try := c.try
		c.try++
		if try < count {
			if !c.free.has(j.slot[must]) {
				c.try = count
			} else if m, ok := j.before(c, try); ok {
				return m, true
			}
			continue
		}
		if try == count {
			if m, ok := j.take(c, must); ok {
				j.took = append(j.took[:0], must)
				return m, true
			}
			continue
		}
		place, blind, helps := j.turn(try - 1 - count)
		op := j.candidateAt(c, place)
		if op == none || op == must || j.blind[j.class[op]] != blind {
			continue
		}
		after := j.step(j.class[op], c.state)
		if after == none || helps != (j.step(j.class[must], after) != none) {
			continue
		}
		m, ok := j.take(c, op)
		if !ok {
			continue
		}
		if place >= len(j.soonest) {
			m.used = j.useOne(c.used, place-len(j.soonest))
		}
		j.took = append(j.took[:0], op)
		return m, true
	}
	return moment{}, false
}

// turn says which candidate has its turn at a try: that at a place, if it is a
// blind write or not and helps the one that must return or not. Blind writes,
// which would do as well later, come last, and open operations, which need not
// at all, behind completed ones; of each kind those that let the one that must
// return take effect come first. It is only a matter of speed.
func (j *justInTime) turn(try int) (place int, blind, helps bool) {
	completed, open := len(j.soonest), len(j.open)
	if half := 2 * (completed + open); try >= half {
		try, blind = try-half, true
	}
	if try < 2*completed {
		return try % completed, blind, try < completed
	}
	try -= 2 * completed
	return completed + try%open, blind, try < open
}

// before lets a free blind write take effect right before the last one, with
// all free reads that it serves, if the one that must return is among them.
func (j *justInTime) before(c *choice, place int) (moment, bool) {
	m, must := c.moment, j.returns[c.next]
	op := j.candidateAt(c, place)
	if op == none || !j.blind[j.class[op]] || j.writes.has(j.slot[must]) && op != must {
		return m, false
	}
	value := j.step(j.class[op], c.state)
	if op != must && j.step(j.class[must], value) == none {
		return m, false
	}
	if place >= len(j.soonest) {
		if at, _ := slices.BinarySearch(j.openWrites, op); at >= int(c.since) {
			return m, false
		}
		m.used = j.useOne(c.used, place-len(j.soonest))
	} else if !c.free.has(j.slot[op]) {
		return m, false
	} else {
		m.did, m.free = m.did.with(j.slot[op]), m.free.minus(j.slot[op])
	}
	for _, other := range j.soonest[:min(place, len(j.soonest))] {
		if c.free.has(j.slot[other]) && j.blind[j.class[other]] && j.step(j.class[other], c.state) == value {
			return m, false // of equal ones the one that returns first goes first
		}
	}
	j.took = append(j.took[:0], ^op)
	for _, read := range j.soonest {
		if s := j.slot[read]; c.free.has(s) && j.reads.has(s) && j.step(j.class[read], value) != none {
			m.did, m.free = m.did.with(s), m.free.minus(s)
			j.took = append(j.took, ^read)
		}
	}
	return m, true
}

// candidateAt is the operation at a place in the list of candidates: the completed
// ones that are under way and did not take effect, then of each class of open
// ones the next; none if there is none. Those that only read are none.
func (j *justInTime) candidateAt(c *choice, place int) int32 {
	if place < len(j.soonest) {
		op := j.soonest[place]
		if s := j.slot[op]; c.did.has(s) || j.reads.has(s) {
			return none
		}
		return op
	}
	open := j.open[place-len(j.soonest)]
	if j.ops[open[0]].Call > j.ops[j.returns[c.next]].Return {
		return none
	}
	used := j.usedOf(c.used, place-len(j.soonest))
	if used >= len(open) || j.ops[open[used]].Call > j.ops[j.returns[c.next]].Return {
		return none
	}
	return open[used]
}

// take is the moment after an operation took effect, if it can now and if
// there is reason to try it. That an open one is used up is left to the caller.
func (j *justInTime) take(c *choice, op int32) (moment, bool) {
	m := c.moment
	open, blind := j.ops[op].Type != harness.OK, j.blind[j.class[op]]
	if !open && m.did.has(j.slot[op]) || blind && c.fresh {
		return m, false
	}
	m.state, m.fresh = j.step(j.class[op], c.state), blind
	if m.state == none || !open && j.equalFirst(c, op) {
		return m, false
	}
	needless := open && m.state == c.state
	if !open {
		m.did = m.did.with(j.slot[op])
	}
	if blind {
		m.free = j.writes.or(j.reads).without(m.did)
		m.since = j.openWritesUpTo(c.next)
		due := m.free.without(c.free)
		if !open {
			needless = c.free.has(j.slot[op]) && m.state == c.state
		}
		needless = needless && due == mask{} && m.since == c.since || op != j.returns[c.next] && !j.isMet(c, m.state)
	}
	return m, !needless
}

// openWritesUpTo is how many open blind writes were called before a return.
func (j *justInTime) openWritesUpTo(next int32) int32 {
	end := j.ops[j.returns[next]].Return
	at, _ := slices.BinarySearchFunc(j.openWrites, end, func(op int32, end int) int { return cmp.Compare(j.ops[op].Call, end) })
	return int32(at)
}

// isMet says whether a blind write that makes the state what it says is of use:
// the operation that must return meets it, or something that changes it.
func (j *justInTime) isMet(c *choice, state int32) bool {
	must := j.returns[c.next]
	if !j.writes.has(j.slot[must]) && j.step(j.class[must], state) != none {
		return true
	}
	for _, op := range j.soonest {
		if s := j.slot[op]; !j.writes.has(s) && !j.reads.has(s) && !c.did.has(s) && j.step(j.class[op], state) != none {
			return true
		}
	}
	for i, class := range j.openClasses {
		if !j.blind[class] && j.step(class, state) != state && j.candidateAt(c, len(j.soonest)+i) != none {
			return true
		}
	}
	return false
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
