package linearizable

import (
	"cmp"
	"context"
	"math"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// lifoTier decides stacks in O(n c log n) if every element is pushed by at most
// one operation, and either no pop is open or nothing is left over that an open
// one may have taken. Else it decides what bounds and a guess decide, and
// leaves the rest to others. c is the number of operations under way at once.
//
// An element is certainly there between er and dc (see [passage]), if er < dc;
// if not, its push and its pop can be one right after the other, which nobody
// notices. At a moment at which none is certainly there, the stack can be
// empty: those that are there all the same can be pushed right after or popped
// right before it, in the order in which they lie. So the time falls into
// stretches, each covered by what is certainly there, with an empty stack
// between them. During a stretch the stack is never empty, so what lies at its
// bottom was pushed before the stretch and is popped after it. Any element that
// can be, with ec before and dr after it, may lie there: put at the bottom, it
// is in nobody's way. Without it the stretch falls into smaller ones, and so
// on. A stretch without such an element has no order.
//
// A pop can have found nothing if a moment during it is in no stretch.
//
// It is the decrease and conquer of Lee and Mathur ("Efficient
// decrease-and-conquer linearizability monitoring", OOPSLA 2025), with two
// trees for the two questions.
//
// An open pop makes it possible that something left over goes early. Which one
// cannot be said by looking at two of them, as with queues, for it must lie on
// top. If not even all of them going as early as the first open pop allows explains
// the rest, nothing does. If it explains it that they go in the order in which
// they must be gone, the history is valid.
func lifoTier(b context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	if m.Kind != model.StackKind {
		return decision{}, false, nil
	}
	p, ok, proof := gather(ops, m.Kind.Puts())
	if !ok {
		return decision{}, false, nil
	}
	return p.decideByGuesses(b, proof,
		func(p passages) []int { return lifo{p}.deadlines() },
		func(p passages) ([]int32, []int32) { return lifo{p}.decide() })
}

type lifo struct {
	passages
}

// deadlines are the ranks by which elements that nobody is known to have
// got must be gone: before one goes that was there before them and began to go
// after they were there.
func (s lifo) deadlines() []int {
	gone := s.newEarliest()
	for _, v := range s.vacancies {
		gone.note(s.rankOf(s.ops[v.op].Call), s.rankOf(s.ops[v.op].Return))
	}
	byCall := slices.Clone(s.byIn)
	slices.SortFunc(byCall, func(a, b int32) int { return cmp.Compare(s.elements[a].ec, s.elements[b].ec) })
	deadlines := make([]int, len(s.elements))
	next := 0
	for _, i := range byCall {
		e := &s.elements[i]
		for ; s.elements[s.byIn[next]].er < e.ec; next++ {
			if below := &s.elements[s.byIn[next]]; !below.guessed {
				gone.note(below.dc, below.dr)
			}
		}
		if e.guessed {
			deadlines[i] = gone.since(e.er)
		}
	}
	return deadlines
}

// decide returns an order or a proof.
func (s lifo) decide() (order, proof []int32) {
	last := len(s.positions)
	type point struct {
		gap, phase int
		rank       int
		op         int32
	}
	const popped, passing, pushed = 0, 1, 2
	var points []point
	covered := newLowTree(last + 1) // of each gap how many are certainly there
	var stay []int32                // those that are, at some moment, in order of er
	for _, i := range s.byIn {
		e := &s.elements[i]
		if e.er < e.dc {
			covered.raise(e.er, e.dc, 1)
			stay = append(stay, i)
			continue
		}
		points = append(points, point{e.er - 1, passing, int(e.enq), e.enq})
		if e.deq != none {
			points = append(points, point{e.er - 1, passing, int(e.enq), e.deq})
		}
	}
	for _, v := range s.vacancies {
		from, to := s.rankOf(s.ops[v.op].Call), s.rankOf(s.ops[v.op].Return)
		z := covered.next(from, to, 0)
		if z == to {
			return nil, append(s.prove(s.cover(s.byIn, from, to)...), v.op)
		}
		points = append(points, point{z, passing, int(v.op), v.op})
	}

	calls := newLowTree(len(stay)) // of each element in stay its ec, until it has its place
	for n, i := range stay {
		calls.raise(n, n+1, int32(s.elements[i].ec))
	}
	calls.raise(len(stay), calls.size, math.MaxInt32/2)
	from := func(gap int) int {
		n, _ := slices.BinarySearchFunc(stay, gap, func(i int32, gap int) int { return cmp.Compare(s.elements[i].er, gap) })
		return n
	}
	type stretch struct{ from, to int }
	var todo []stretch
	split := func(at, end int) {
		for at < end {
			free := covered.next(at, end, 0)
			if at < free {
				todo = append(todo, stretch{at, free})
			}
			at = free + 1
		}
	}
	split(0, last)
	for placed := 0; len(todo) > 0; {
		t := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		first, end := from(t.from), from(t.to)
		found := false
		for n := first; ; n++ {
			if n = calls.next(n, end, int32(t.from-1)); n == end {
				break
			}
			e := &s.elements[stay[n]]
			if e.dr <= t.to {
				continue
			}
			found = true
			points = append(points, point{t.from - 1, pushed, placed, e.enq})
			if e.deq != none {
				points = append(points, point{t.to, popped, -placed, e.deq})
			}
			placed++
			covered.raise(e.er, e.dc, -1)
			calls.raise(n, n+1, math.MaxInt32/2)
		}
		if !found {
			var clash []int32
			for n := first; n < end; n++ {
				if calls.next(n, n+1, math.MaxInt32/4) == n {
					clash = append(clash, stay[n])
				}
			}
			return nil, s.prove(clash...)
		}
		split(t.from, t.to)
	}
	slices.SortStableFunc(points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.gap, b.gap), cmp.Compare(a.phase, b.phase), cmp.Compare(a.rank, b.rank))
	})
	for _, point := range points {
		order = append(order, point.op)
	}
	return order, nil
}
