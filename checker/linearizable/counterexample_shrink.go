package linearizable

import (
	"context"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// How much work may be spent on making a counterexample smaller, in all and in one
// attempt, in steps (see [allowance]). What is not small by then is shown as it is.
// Work is counted instead of time, so that the same history gives the same
// counterexample however fast the machine is, unless the caller's time is over.
const (
	shrinkWork  = 2_000_000
	attemptWork = 400_000
)

// readable is how many operations may be left for it to be worth while to look
// for the last few that could go.
const readable = 300

// piece is something that a failing history can be cut down by.
type piece struct {
	ops []int // operations that go

	// An element of sets that goes: reads no longer show it.
	element   int64
	isElement bool
}

// shrink cuts operations that the model does not explain down to few that it does
// not explain either: first to the shortest prefix, then by ddmin, until without
// any further piece the rest could be explained. What is left proves the violation
// by itself, because of how pieces are chosen: if a whole history can be
// explained, it can be explained without any of its pieces.
//
// If the proof that a tier offered fails by itself, that is where shrinking
// begins. The models returned all fail to explain what is left; they differ in the
// state in which the object begins.
func (l Checker) shrink(ctx context.Context, g *guard, k *keyed) ([]harness.Operation, []model.Model) {
	bound := g.start(ctx, unhurried)
	defer bound.end()
	whole, work := allow(bound, shrinkWork)
	defer work.end()
	// An attempt that takes much longer than the whole history took is given up. Attempts
	// that would cut much off get more.
	patience := min(attemptWork, 8_000+4*k.work)
	more := min(attemptWork, 80_000+4*k.work)
	// What a procedure does to each operation costs less than a step of a search.
	cost := func(ops []harness.Operation) int64 { return int64(len(ops)) / 4 }
	fails := func(ops []harness.Operation) bool {
		work.spend(cost(ops))
		b, a := allow(whole, more)
		defer a.end()
		d, err := decide(b, l.Model, model.Pointers(ops))
		return err == nil && d.valid == harness.Invalid
	}
	everFails := func(ops []harness.Operation) bool {
		work.spend(cost(ops))
		b, a := allow(whole, patience)
		defer a.end()
		return failsFromAny(b, l.Model, ops)
	}

	if l.Model.Kind == model.MutexKind {
		if c, ok := crowding(k.Ops, k.until); ok {
			small := crowd(k.Ops, c)
			if c.From == nil {
				return small, []model.Model{l.Model}
			}
			return small, []model.Model{startingIn(l.Model, false), startingIn(l.Model, true)}
		}
	}
	ops := make([]harness.Operation, 0, len(k.proof))
	for _, i := range k.withLapses() {
		ops = append(ops, model.Settled(k.Ops[i]))
	}
	windowed := windowed(l.Model) && k.tier != "zones"
	if windowed && k.until > 0 {
		if small, models := l.shrinkWindow(whole, model.Prefix(ops, k.until), everFails); small != nil {
			return small, models
		}
	}
	if len(ops) == 0 || !fails(ops) && whole.Err() == nil {
		ops = ops[:0]
		for _, op := range k.Ops {
			ops = append(ops, model.Settled(op))
		}
	}
	if p := model.Prefix(ops, k.until); k.until > 0 && fails(p) {
		ops = p
	} else {
		ops = shortestPrefix(ops, fails)
	}
	if windowed {
		if small, models := l.shrinkWindow(whole, ops, everFails); small != nil {
			return small, models
		}
	}
	if l.Model.Kind == model.RegisterKind {
		ops = loosened(ops, fails)
	}
	ops = ddmin(whole, ops, pieces(l.Model, ops), fails)
	switch l.Model.Kind {
	case model.QueueKind, model.StackKind, model.PriorityKind:
		ops = withoutIdleDequeues(l.Model.Kind.Puts(), ops, fails)
	case model.RegisterKind:
		ops = withoutOrigins(whole, l.Model, ops, fails)
	}
	return ops, []model.Model{l.Model}
}

// withLapses is the proof with the ends of all leases that it tells of. Without
// those that were renewed in time it fails as a whole, but what comes before a renewal
// would fail as well.
func (k *keyed) withLapses() []int32 {
	if len(k.proof) == 0 {
		return nil
	}
	proof := slices.Clone(k.proof)
	leases := map[int64]bool{}
	for _, i := range proof {
		leases[int64(k.Ops[i].Call)] = true
	}
	for i, op := range k.Ops {
		if op.F == model.Lapse && leases[op.Input.(int64)] {
			proof = append(proof, int32(i))
		}
	}
	slices.Sort(proof)
	return slices.Compact(proof)
}

// shrinkWindow cuts ops down to a window that fails whatever state the object
// was in before, and that further. It returns nil if there is none.
func (l Checker) shrinkWindow(b context.Context, ops []harness.Operation, everFails func([]harness.Operation) bool) (small []harness.Operation, models []model.Model) {
	if small = shortestWindow(l.Model, ops, everFails); small == nil {
		return nil, nil
	}
	small = ddmin(b, small, pieces(l.Model, small), everFails)
	if l.Model.Kind == model.RegisterKind {
		small = withoutOrigins(b, l.Model, small, everFails)
	}
	for _, s := range firstStates(l.Model, small) {
		models = append(models, startingIn(l.Model, s))
	}
	return small, models
}

// withoutOrigins tries to leave out what compare-and-sets saw: if the rest still
// fails with a compare-and-set taken for a plain write, nothing has to be told of
// the value that it replaced. In what it returns, such operations are writes.
func withoutOrigins(b context.Context, m model.Model, ops []harness.Operation, fails func([]harness.Operation) bool) []harness.Operation {
	if len(ops) > readable {
		return ops
	}
	for i := len(ops) - 1; i >= 0; i-- {
		if b.Err() != nil {
			break
		}
		if i >= len(ops) || !succeeded(&ops[i]) {
			continue
		}
		looser := slices.Clone(ops)
		loosen(&looser[i])
		if !fails(looser) {
			continue
		}
		if smaller := ddmin(b, looser, pieces(m, looser), fails); len(smaller) < len(ops) {
			ops = smaller
		}
	}
	return ops
}

// succeeded says whether op is a compare-and-set that did what it was to do.
func succeeded(op *harness.Operation) bool {
	c, isCAS := op.Input.(model.CAS)
	saw, ok := op.Output.(model.Maybe)
	return isCAS && ok && saw == c.From
}

// loosen turns a compare-and-set that succeeded into a plain write.
func loosen(op *harness.Operation) {
	op.F, op.Input, op.Output = "write", op.Input.(model.CAS).To, nil
}

// loosened takes as many of the oldest compare-and-sets as it can for plain
// writes, so that the rest still fails. That breaks long chains of them.
func loosened(ops []harness.Operation, fails func([]harness.Operation) bool) []harness.Operation {
	var sets []int
	for i := range ops {
		if succeeded(&ops[i]) {
			sets = append(sets, i)
		}
	}
	loosest := ops
	for lo, hi := 0, len(sets); lo < hi; { // with the first lo of them loosened it fails
		mid := (lo + hi + 1) / 2
		looser := slices.Clone(ops)
		for _, i := range sets[:mid] {
			loosen(&looser[i])
		}
		if fails(looser) {
			loosest, lo = looser, mid
		} else {
			hi = mid - 1
		}
	}
	return loosest
}

// shortestPrefix finds how much of the history must be seen for it to fail.
// Every prefix of a history that can be explained can be explained.
func shortestPrefix(ops []harness.Operation, fails func([]harness.Operation) bool) []harness.Operation {
	var returns []int
	for i := range ops {
		if ops[i].Return != harness.Open {
			returns = append(returns, ops[i].Return)
		}
	}
	slices.Sort(returns)
	smallest := ops
	lo, hi := 0, len(returns)-1 // the prefix up to returns[hi] fails, or is all there is
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if p := model.Prefix(ops, returns[mid]); fails(p) {
			smallest, hi = p, mid
		} else {
			lo = mid + 1
		}
	}
	return smallest
}

// ddmin takes out as many pieces as it can so that the rest still fails, many at a
// time and in the end one by one (delta debugging: Zeller and Hildebrandt,
// "Simplifying and isolating failure-inducing input", TSE 2002).
func ddmin(b context.Context, ops []harness.Operation, pieces []piece, fails func([]harness.Operation) bool) []harness.Operation {
	gone := make([]bool, len(pieces))
	left := make([]int, len(pieces))
	for i := range left {
		left[i] = i
	}
	smallest := ops
	for size := max(1, len(left)/2); len(left) > 0; {
		changed := false
		for at := 0; at < len(left); {
			chunk := left[at:min(at+size, len(left))]
			if b.Err() != nil {
				return smallest // the time is over
			}
			for _, p := range chunk {
				gone[p] = true
			}
			if rest := without(ops, pieces, gone); fails(rest) {
				smallest, changed = rest, true
				left = slices.Delete(left, at, at+len(chunk))
				continue
			}
			for _, p := range chunk {
				gone[p] = false
			}
			at += len(chunk)
		}
		if size == 1 && !changed {
			break
		}
		size = max(1, size/2)
	}
	return smallest
}

// without is ops without the pieces that are gone.
func without(ops []harness.Operation, pieces []piece, gone []bool) []harness.Operation {
	drop := make([]bool, len(ops))
	elements := map[int64]bool{}
	for i, p := range pieces {
		if !gone[i] {
			continue
		}
		if p.isElement {
			elements[p.element] = true
		}
		for _, o := range p.ops {
			drop[o] = true
		}
	}
	rest := make([]harness.Operation, 0, len(ops))
	for i, op := range ops {
		if drop[i] {
			continue
		}
		if read, ok := op.Output.([]int64); ok && len(elements) > 0 {
			op.Output = slices.DeleteFunc(slices.Clone(read), func(v int64) bool { return elements[v] })
		}
		rest = append(rest, op)
	}
	return rest
}

// pieces are what ops can be cut down by.
func pieces(m model.Model, ops []harness.Operation) []piece {
	var ps []piece
	if m.Kind == model.SetKind || m.Kind == model.ListKind {
		return setPieces(ops)
	}
	for _, part := range parts(m, ops) {
		ps = append(ps, piece{ops: part})
	}
	return ps
}

// setPieces, for sets and lists: each read can go, and each element with
// everything that added it and out of everything that read it: the rest is the
// history of a smaller set or list.
func setPieces(ops []harness.Operation) []piece {
	adds := map[int64][]int{}
	var elements []int64
	know := func(v int64) {
		if _, known := adds[v]; !known {
			adds[v] = nil
			elements = append(elements, v)
		}
	}
	var ps []piece
	for i := range ops {
		if ops[i].F != "read" {
			v := ops[i].Input.(int64)
			know(v)
			adds[v] = append(adds[v], i)
			continue
		}
		ps = append(ps, piece{ops: []int{i}})
		if read, ok := ops[i].Output.([]int64); ok {
			for _, v := range read {
				know(v)
			}
		}
	}
	for _, v := range elements {
		ps = append(ps, piece{ops: adds[v], element: v, isElement: true})
	}
	return ps
}

// withoutIdleDequeues leaves out dequeues of unknown result once everything
// that is put in is known to have been taken out by somebody else: they can have
// found nothing.
func withoutIdleDequeues(puts string, ops []harness.Operation, fails func([]harness.Operation) bool) []harness.Operation {
	taken := map[int64]bool{}
	for i := range ops {
		if got, ok := ops[i].Output.(model.Maybe); ok && got.Set {
			taken[got.Int] = true
		}
	}
	var rest []harness.Operation
	for i := range ops {
		if ops[i].F == puts && !taken[ops[i].Input.(int64)] {
			return ops
		}
		if ops[i].F == puts || ops[i].Type == harness.OK {
			rest = append(rest, ops[i])
		}
	}
	if fails(rest) {
		return rest
	}
	return ops
}

// parts are the sets of operations that the model can do without.
func parts(m model.Model, ops []harness.Operation) [][]int {
	if m.Parts != nil {
		return m.Parts(ops)
	}
	var ps [][]int
	for i := range ops {
		if m.OnlyReads(&ops[i]) {
			ps = append(ps, []int{i})
		}
	}
	return ps
}
