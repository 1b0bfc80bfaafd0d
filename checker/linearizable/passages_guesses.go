package linearizable

import (
	"cmp"
	"context"
	"slices"

	"coup/harness"
)

// decideByGuesses decides passages with a procedure that needs to know which operation
// took which element. Open operations may have taken any of the elements that are left
// over. If the procedure fails even when all of these leave as early as an open
// operation allows, the history is invalid. If it succeeds when the open operations
// take the elements that must leave first, the history is valid. Otherwise it is not
// decided.
func (p *passages) decideByGuesses(b context.Context, proof []int32, deadlines func(passages) []int, procedure func(passages) (order, proof []int32)) (decision, bool, error) {
	invalid := func(proof []int32) (decision, bool, error) {
		slices.Sort(proof)
		proof = slices.DeleteFunc(slices.Compact(proof), func(op int32) bool { return op == none })
		return decision{valid: harness.Invalid, proof: proof}, true, nil
	}
	if proof != nil {
		return invalid(proof)
	}
	p.number()
	guessed := slices.ContainsFunc(p.elements, func(e passage) bool { return e.guessed })
	if !guessed || len(p.pending) == 0 {
		order, proof := procedure(*p)
		if proof != nil {
			return invalid(proof)
		}
		return decision{valid: harness.Valid, order: order}, true, nil
	}
	early := p.clone()
	for i := range early.elements {
		if e := &early.elements[i]; e.guessed {
			e.dc = max(p.rankOf(p.ops[p.pending[0]].Call), e.ec)
		}
	}
	if _, proof := procedure(early); proof != nil {
		return invalid(proof)
	}
	if b.Err() != nil {
		return decision{}, false, nil
	}
	order, proof := procedure(p.guess(deadlines(*p)))
	if proof != nil {
		return decision{}, false, nil
	}
	return decision{valid: harness.Valid, order: order}, true, nil
}

func (p *passages) clone() passages {
	c := *p
	c.elements = slices.Clone(p.elements)
	return c
}

// guess assigns open operations, in the order of their calls, to the left-over elements
// that must leave first. deadlines are the ranks by which elements must have left.
func (p *passages) guess(deadlines []int) passages {
	c := p.clone()
	var left []int32
	for _, i := range c.byIn {
		if c.elements[i].guessed {
			left = append(left, i)
		}
	}
	slices.SortStableFunc(left, func(a, b int32) int { return cmp.Compare(deadlines[a], deadlines[b]) })
	for n, i := range left[:min(len(left), len(c.pending))] {
		e := &c.elements[i]
		e.deq, e.dc = c.pending[n], max(c.rankOf(c.ops[c.pending[n]].Call), e.ec)
	}
	return c
}

// earliest tells the least number noted for a rank or a later one.
type earliest []int

func (p *passages) newEarliest() earliest {
	e := make(earliest, len(p.positions)+2)
	for i := range e {
		e[i] = never
	}
	return e
}

func (e earliest) note(rank, number int) {
	for i := len(e) - 1 - rank; i < len(e); i += i & -i {
		e[i] = min(e[i], number)
	}
}

func (e earliest) since(rank int) int {
	least := never
	for i := len(e) - 1 - rank; i > 0; i -= i & -i {
		least = min(least, e[i])
	}
	return least
}
