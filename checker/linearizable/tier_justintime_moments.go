package linearizable

// slotLimit is how many completed operations may be under way at once.
const slotLimit = 128

// mask says which of the operations under way took effect, by slot.
type mask [slotLimit / 64]uint64

func (m mask) has(slot int32) bool { return m[slot/64]>>(slot%64)&1 != 0 }

func (m mask) with(slot int32) mask { m[slot/64] |= 1 << (slot % 64); return m }

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

// moment is a state of the search. What can follow equal moments is the same.
type moment struct {
	next  int32 // the return that comes next, as an index into returns
	state int32
	used  int32 // open operations that took effect, as an index into usages
	did   mask  // of the operations under way
	free  mask  // blind writes and reads under way that did not: they may have right before the last blind write
	since int32 // so many open blind writes may have, too: those called first
	fresh bool  // a blind write took effect since the last return, and only reads have met its value yet
}

// place is what two moments must have in common for one to be able to fail because
// the other did (see covers).
type place struct {
	next, state int32
	did         mask // of the operations that are neither blind writes nor read-only
}

// choice is a moment at which the search has to choose what takes effect next.
type choice struct {
	moment
	try   int // the next candidate
	order int // the length of the order before it was reached
}

// settle applies everything that follows a moment without a choice: reads whose
// answers fit, and returns of what has taken effect.
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

// covers says whether m leads to no explanation if a, in the same place, leads to
// none: whatever m may still use, a may use, and whatever a still has to do, m has
// to do.
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

// inVain says whether the moment is known to lead to no explanation.
func (j *justInTime) inVain(m moment) bool {
	known := j.dead[j.placeOf(m)]
	for i := range known {
		if j.covers(&known[i], &m) {
			return true
		}
	}
	return false
}
