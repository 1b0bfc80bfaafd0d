package linearizable

import (
	"cmp"
	"context"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// priorityTier decides priority queues in O(n log n) if every element is
// inserted by at most one operation, and either no delete-min is open or
// nothing is left over that an open one may have taken. Else it decides what
// bounds and a guess decide, and leaves the rest to others.
//
// An element is certainly there between er and dc (see [passage]), if er < dc.
// There is an order if and only if for each element that was taken out there is
// a moment between dc and dr at which no smaller one is certainly there, and
// for each delete-min that found nothing one at which none is. That it is
// necessary is plain. It is enough: add the elements one by one, the largest
// last, which disturbs none of the others. At the moment that it needs, let
// each smaller one that is there but not certainly there be inserted right
// after, if its er is later, or else be taken right before, the smallest first.
// That only shortens their stay, so every other answer stays right. If each
// element takes the first such moment, no other has to be moved.
//
// It is the decrease and conquer of Lee and Mathur ("Efficient
// decrease-and-conquer linearizability monitoring", OOPSLA 2025).
//
// An open delete-min makes it possible that something left over goes early. No
// order of the left over is the right one to be served: a smaller element is
// in the way of more, an older one for longer. If not even all of them going
// as early as the first open one allows explains the rest, nothing does. If it
// explains it that they go in the order in which they must be gone, the history
// is valid.
func priorityTier(b context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	if m.Kind != model.PriorityKind {
		return decision{}, false, nil
	}
	p, ok, proof := gather(ops, m.Kind.Puts())
	if !ok {
		return decision{}, false, nil
	}
	return p.decideByGuesses(b, proof,
		func(p passages) []int { return priority{p}.deadlines() },
		func(p passages) ([]int32, []int32) { return priority{p}.decide() })
}

type priority struct {
	passages
}

func (q priority) value(element int32) int64 { return q.ops[q.elements[element].enq].Input.(int64) }

// deadlines are the ranks by which elements that nobody is known to have
// got must be gone: before a larger one goes that began to go after they were there.
func (q priority) deadlines() []int {
	gone := q.newEarliest()
	for _, v := range q.vacancies {
		gone.note(q.rankOf(q.ops[v.op].Call), q.rankOf(q.ops[v.op].Return))
	}
	byValue := slices.Clone(q.byIn)
	slices.SortFunc(byValue, func(a, b int32) int { return cmp.Compare(q.value(b), q.value(a)) })
	deadlines := make([]int, len(q.elements))
	for _, i := range byValue {
		if e := &q.elements[i]; e.guessed {
			deadlines[i] = gone.since(e.er)
		} else {
			gone.note(e.dc, e.dr)
		}
	}
	return deadlines
}

// decide returns an order or a proof.
func (q priority) decide() (order, proof []int32) {
	last := len(q.positions)
	byValue := slices.Clone(q.byIn)
	slices.SortFunc(byValue, func(a, b int32) int { return cmp.Compare(q.value(a), q.value(b)) })
	// Of each gap that is certainly not empty the next that may be free.
	next := make([]int32, last+2)
	for i := range next {
		next[i] = int32(i)
	}
	free := func(gap int) int {
		for int(next[gap]) != gap {
			next[gap] = next[next[gap]]
			gap = int(next[gap])
		}
		return gap
	}
	type point struct {
		gap, phase int
		rank       int // by value
		op         int32
	}
	var points []point
	for rank, i := range byValue {
		e := &q.elements[i]
		z := free(e.dc)
		if z >= e.dr {
			smaller := slices.DeleteFunc(slices.Clone(q.byIn), func(other int32) bool { return q.value(other) >= q.value(i) })
			return nil, append(q.prove(q.cover(smaller, e.dc, e.dr)...), e.enq, e.deq)
		}
		for gap := free(min(e.er, e.dc)); e.er <= gap && gap < e.dc; gap = free(gap) {
			next[gap] = int32(gap + 1)
		}
		if z < e.er {
			points = append(points, point{z, 0, 2 * rank, e.enq})
		} else {
			points = append(points, point{e.er - 1, 2, 2 * rank, e.enq})
		}
		if e.deq != none {
			points = append(points, point{z, 0, 2*rank + 1, e.deq})
		}
	}
	for _, v := range q.vacancies {
		from, to := q.rankOf(q.ops[v.op].Call), q.rankOf(q.ops[v.op].Return)
		z := free(from)
		if z >= to {
			return nil, append(q.prove(q.cover(q.byIn, from, to)...), v.op)
		}
		points = append(points, point{z, 1, 0, v.op})
	}
	slices.SortFunc(points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.gap, b.gap), cmp.Compare(a.phase, b.phase), cmp.Compare(a.rank, b.rank))
	})
	for _, point := range points {
		order = append(order, point.op)
	}
	return order, nil
}
