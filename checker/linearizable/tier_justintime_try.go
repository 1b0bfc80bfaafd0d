package linearizable

import (
	"cmp"
	"slices"

	"coup/harness"
)

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

// turn says which candidate is tried at which try: the one at a place, whether it
// has to be a blind write, and whether it has to help the operation that must
// return. It only matters for speed: blind writes come last, because they would do
// as well later; open operations come after completed ones, because they need not
// take effect at all; among each kind those come first that let the operation take
// effect that must return.
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

// take is the moment after an operation took effect; false if it cannot now, or if
// there is no reason to try it. The caller counts open operations as used.
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

// isMet says whether a blind write that leads to the state is of any use: whether
// the operation that must return, or one that changes the state first, can take
// effect in it.
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
