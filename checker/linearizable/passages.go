package linearizable

import (
	"cmp"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

const (
	never   = harness.Open     // no operation takes the element
	anytime = harness.Open - 1 // an open one takes it, as late as need be
)

// passage is the life of an element in a queue, a stack or a priority queue. It is put
// in at some moment between ec and er, and taken out between dc and dr. Since it is put
// in before it is taken out, er can be lowered to dr, and dc raised to ec.
type passage struct {
	enq, deq       int32
	ec, er, dc, dr int
	guessed        bool // deq is an open operation, or there is none: nobody got the element
}

// vacancy is an operation that found nothing, and the moment right after the
// position z at which there can have been nothing.
type vacancy struct {
	op int32
	z  int
}

// passages are what happened to the elements of one object.
type passages struct {
	ops       []*harness.Operation
	elements  []passage
	pending   []int32 // open operations that may have taken an element
	vacancies []vacancy
	byIn      []int32 // the elements in order of er
	positions []int   // of all operations, in order, once they are numbered
}

// gather finds the elements; puts is the function that puts one in. It returns
// false if one is put in twice, and a proof if one is taken out twice or before
// it was put in.
func gather(ops []*harness.Operation, puts string) (p passages, ok bool, proof []int32) {
	p.ops = ops
	index := make(map[int64]int32, len(ops)/2)
	for i, op := range ops {
		if op.F != puts {
			continue
		}
		v := op.Input.(int64)
		if _, twice := index[v]; twice {
			return p, false, nil
		}
		index[v] = int32(len(p.elements))
		p.elements = append(p.elements, passage{enq: int32(i), deq: none, ec: op.Call, er: model.Returned(op), dc: never, dr: never, guessed: true})
	}
	for i, op := range ops {
		if op.F == puts {
			continue
		}
		got, done := op.Output.(model.Maybe)
		switch {
		case op.Type != harness.OK || !done:
			p.pending = append(p.pending, int32(i))
		case !got.Set:
			p.vacancies = append(p.vacancies, vacancy{op: int32(i)})
		default:
			at, known := index[got.Int]
			if !known {
				return p, true, []int32{int32(i)}
			}
			e := &p.elements[at]
			if e.deq != none {
				return p, true, []int32{e.enq, e.deq, int32(i)}
			}
			e.deq, e.dc, e.dr, e.guessed = int32(i), max(op.Call, e.ec), op.Return, false
			e.er = min(e.er, e.dr)
			if e.ec > e.dr {
				return p, true, []int32{e.enq, e.deq}
			}
		}
	}
	// Nobody took it out and its insertion is open: it counts as never put in.
	p.elements = slices.DeleteFunc(p.elements, func(e passage) bool { return e.guessed && e.er == harness.Open })
	p.byIn = make([]int32, len(p.elements))
	for i := range p.byIn {
		p.byIn[i] = int32(i)
	}
	slices.SortFunc(p.byIn, func(a, b int32) int { return cmp.Compare(p.elements[a].er, p.elements[b].er) })
	return p, true, nil
}

// cover returns a smallest set of elements such that at every moment between from
// and to at least one of them is certainly there. It chooses among those given,
// which are in order of er.
func (p *passages) cover(among []int32, from, to int) (chain []int32) {
	next := 0
	for at := from; at < to; {
		best := none
		for ; next < len(among) && p.elements[among[next]].er < at; next++ {
			if i := among[next]; best == none || p.elements[i].dc > p.elements[best].dc {
				best = i
			}
		}
		if best == none { // the stretch would have ended here
			break
		}
		chain = append(chain, best)
		at = p.elements[best].dc
	}
	return chain
}

// prove returns the operations on the elements. Where nobody is known to have got
// one of them, it adds the open operations that may have taken it, and the other
// elements that these may have taken instead.
func (p *passages) prove(elements ...int32) (proof []int32) {
	guessed := false
	for _, i := range elements {
		e := &p.elements[i]
		proof = append(proof, e.enq)
		if e.guessed {
			guessed = true
		} else {
			proof = append(proof, e.deq)
		}
	}
	if guessed && len(p.pending) > 0 {
		proof = append(proof, p.pending...)
		for i := range p.elements {
			if p.elements[i].guessed {
				proof = append(proof, p.elements[i].enq)
			}
		}
	}
	return proof
}

// number replaces positions by their ranks among these operations. Gap g is the time
// right after rank g. An element that nobody took stays until the gap after the last
// one.
func (p *passages) number() {
	for _, op := range p.ops {
		p.positions = append(p.positions, op.Call)
		if r := model.Returned(op); r != harness.Open {
			p.positions = append(p.positions, r)
		}
	}
	slices.Sort(p.positions)
	for i := range p.elements {
		e := &p.elements[i]
		for _, position := range []*int{&e.ec, &e.er, &e.dc, &e.dr} {
			*position = p.rankOf(*position)
		}
		if e.guessed {
			e.dr = len(p.positions) + 1
		}
	}
}

func (p *passages) rankOf(position int) int {
	if position >= anytime {
		return len(p.positions)
	}
	rank, _ := slices.BinarySearch(p.positions, position)
	return rank
}
