package linearizable

import (
	"cmp"
	"context"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// fifoTier decides first-in first-out queues in O(n log n) if every element is
// enqueued by at most one operation. It is exact, open operations and dequeues
// of an empty queue included.
//
// Each element has an interval [ec, er] for its enqueue and one [dc, dr] for
// its dequeue; since the one happens before the other, er can be taken for no
// later than dr, and dc for no earlier than ec. An element that is enqueued
// must come before another if er(a) < ec(b) or if dr(a) < dc(b). An order of
// the elements exists if and only if no two must come before each other: both
// relations are interval orders, which contain no two independent pairs, so
// that any longer cycle has a shorter one in it. These are the violations of
// Henzinger, Sezgin and Vafeiadis ("Aspect-oriented linearizability proofs",
// 2013).
//
// An element is certainly in the queue between er and dc, if er < dc. A dequeue
// can have found the queue empty if and only if there is a moment during it at
// which no element is certainly in the queue. It is enough to look at each such
// dequeue alone: choose any such moment for each; let every element pass
// through the queue between the two moments around its dc; then no new
// constraint arises.
//
// An open dequeue may have taken any element whose dequeue is not known, from
// its call on until ever after. Elements in the order of er get open dequeues
// in the order of their calls: exchanging the dequeues of two elements so that
// the earlier er gets the earlier call never covers more time and never breaks
// a constraint, and the same goes for which elements get one at all. An open
// enqueue whose element nobody got can be left out, with what took it.
func fifoTier(_ context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	if m.Kind != model.QueueKind {
		return decision{}, false, nil
	}
	p, ok, proof := gather(ops, m.Kind.Puts())
	if !ok {
		return decision{}, false, nil
	}
	q := fifo{p}
	if proof == nil {
		q.guess()
		proof = q.disorder()
	}
	if proof == nil {
		proof = q.place()
	}
	if proof != nil {
		slices.Sort(proof)
		return decision{valid: harness.Invalid, proof: slices.Compact(proof)}, true, nil
	}
	return decision{valid: harness.Valid, order: q.order()}, true, nil
}

type fifo struct {
	passages
}

// guess gives open dequeues to elements that nobody is known to have got.
func (q *fifo) guess() {
	next := 0
	for _, i := range q.byIn {
		e := &q.elements[i]
		if e.guessed && next < len(q.pending) {
			e.deq = q.pending[next]
			e.dc, e.dr = max(q.ops[e.deq].Call, e.ec), anytime
			next++
		}
	}
}

// disorder finds elements a and b with er(a) < ec(b) and dr(b) < dc(a).
func (q *fifo) disorder() []int32 {
	byBegin := slices.Clone(q.byIn)
	slices.SortFunc(byBegin, func(a, b int32) int { return cmp.Compare(q.elements[a].ec, q.elements[b].ec) })
	latest := none // of the elements that must come before b, the one with the latest dc
	next := 0
	for _, b := range byBegin {
		for ; next < len(q.byIn) && q.elements[q.byIn[next]].er < q.elements[b].ec; next++ {
			if a := q.byIn[next]; latest == none || q.elements[a].dc > q.elements[latest].dc {
				latest = a
			}
		}
		if latest != none && q.elements[b].dr < q.elements[latest].dc {
			return q.prove(latest, b)
		}
	}
	return nil
}

// place finds a moment for every dequeue that found nothing.
func (q *fifo) place() []int32 {
	// Stretches of time in which the queue is certainly not empty, each the
	// union of what its elements cover.
	type stretch struct{ from, to int }
	var full []stretch
	for _, i := range q.byIn {
		e := &q.elements[i]
		if e.er >= e.dc {
			continue
		}
		if n := len(full); n > 0 && e.er < full[n-1].to {
			full[n-1].to = max(full[n-1].to, e.dc)
		} else {
			full = append(full, stretch{e.er, e.dc})
		}
	}
	for i := range q.vacancies {
		v := &q.vacancies[i]
		op := q.ops[v.op]
		v.z = op.Call
		at, _ := slices.BinarySearchFunc(full, op.Call, func(s stretch, at int) int { return cmp.Compare(s.to, at) })
		if at < len(full) && full[at].from < op.Call { // and so op.Call < full[at].to
			if v.z = full[at].to; v.z > op.Return {
				return append(q.prove(q.cover(q.byIn, op.Call, op.Return)...), v.op)
			}
		}
	}
	slices.SortFunc(q.vacancies, func(a, b vacancy) int { return cmp.Or(cmp.Compare(a.z, b.z), cmp.Compare(a.op, b.op)) })
	return nil
}

// order makes an order of the operations that explains all answers. It exists.
func (q *fifo) order() []int32 {
	// Elements in the order in which they pass: between two moments of
	// emptiness those whose dc lies between them, one that no other must
	// precede at a time.
	n := len(q.elements)
	segments := make([]int32, n)
	for i := range q.elements {
		s, _ := slices.BinarySearchFunc(q.vacancies, q.elements[i].dc, func(v vacancy, dc int) int { return cmp.Compare(v.z, dc) })
		segments[i] = int32(s)
	}
	by := func(key func(*passage) int) []int32 {
		list := slices.Clone(q.byIn)
		slices.SortFunc(list, func(a, b int32) int {
			return cmp.Or(cmp.Compare(segments[a], segments[b]), cmp.Compare(key(&q.elements[a]), key(&q.elements[b])))
		})
		return list
	}
	ec := by(func(e *passage) int { return e.ec })
	er := by(func(e *passage) int { return e.er })
	dc := by(func(e *passage) int { return e.dc })
	dr := by(func(e *passage) int { return e.dr })

	order := make([]int32, 0, len(q.ops))
	ready := make([]uint8, n) // 2: neither the enqueues nor the dequeues that are left force another before it
	done := make([]bool, n)
	var free []int32
	var passed []int32
	type point struct {
		at   int
		deq  bool
		rank int32
		op   int32
	}
	var points []point
	iec, ier, idc, idr := 0, 0, 0, 0
	for s := int32(0); s <= int32(len(q.vacancies)); s++ {
		passed, points = passed[:0], points[:0]
		within := func(list []int32, i int) bool { return i < n && segments[list[i]] == s }
		for {
			for within(er, ier) && done[er[ier]] {
				ier++
			}
			for within(dr, idr) && done[dr[idr]] {
				idr++
			}
			if !within(er, ier) {
				break
			}
			for ; within(ec, iec) && q.elements[ec[iec]].ec <= q.elements[er[ier]].er; iec++ {
				if ready[ec[iec]]++; ready[ec[iec]] == 2 {
					free = append(free, ec[iec])
				}
			}
			for ; within(dc, idc) && q.elements[dc[idc]].dc <= q.elements[dr[idr]].dr; idc++ {
				if ready[dc[idc]]++; ready[dc[idc]] == 2 {
					free = append(free, dc[idc])
				}
			}
			if len(free) == 0 {
				return order // the verifier will say so
			}
			next := free[len(free)-1]
			free = free[:len(free)-1]
			done[next] = true
			passed = append(passed, next)
		}
		// Each enqueue and each dequeue as early as those before it allow.
		x, y := -1, -1
		for rank, i := range passed {
			e := &q.elements[i]
			x, y = max(x, e.ec), max(y, e.dc)
			points = append(points, point{x, false, int32(rank), e.enq})
			if e.dc != never {
				points = append(points, point{y, true, int32(rank), e.deq})
			}
		}
		slices.SortFunc(points, func(a, b point) int {
			if c := cmp.Compare(a.at, b.at); c != 0 {
				return c
			}
			if a.deq != b.deq {
				if b.deq {
					return -1
				}
				return 1
			}
			return cmp.Compare(a.rank, b.rank)
		})
		for _, p := range points {
			order = append(order, p.op)
		}
		if int(s) < len(q.vacancies) {
			order = append(order, q.vacancies[s].op)
		}
	}
	return order
}
