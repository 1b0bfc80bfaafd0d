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
