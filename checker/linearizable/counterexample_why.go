package linearizable

import (
	"slices"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// why finds a claim that says what is wrong with a small history that the model
// does not explain, if it is one of the plain cases; nil if it is not. ops were cut
// out of whole, which is all that was done to the object, and bears the claim out.
func why(m model.Model, ops []harness.Operation, whole []*harness.Operation) story.Claim {
	if len(ops) > readable {
		return nil // no few of them are the reason
	}
	var found story.Claim
	holds := func(c story.Claim) bool {
		if !c.Holds(whole) {
			return false
		}
		found = c
		return true
	}
	view := model.Pointers(ops)
	switch m.Kind {
	case model.RegisterKind:
		// Many claims are looked at, and all of them ask only who brings certain values.
		whole = story.Bringing(whole, valuesOf(view))
		whyRegister(view, whole, holds)
	case model.SetKind, model.ListKind:
		whySet(m, view, whole, holds)
	case model.QueueKind, model.StackKind, model.PriorityKind, model.BagKind:
		whyQueue(m, view, whole, holds)
	case model.CounterKind:
		whyCounter(view, whole, holds)
	case model.LockKind:
		whyLock(view, holds)
	case model.AnyKind, model.MutexKind, model.KVKind:
	}
	return found
}

// valuesOf are the values of a register that operations wrote, were to write or saw.
func valuesOf(ops []*harness.Operation) (values []int64) {
	for _, op := range ops {
		r := model.RegisterEffectOf(op)
		if r.Observes && r.Saw.Set {
			values = append(values, r.Saw.Int)
		}
		if r.Writes {
			values = append(values, r.To)
		}
	}
	return values
}

// whyRegister is for registers. bring are those operations of the whole history that
// bring a value of ops, or were to bring one.
func whyRegister(ops, bring []*harness.Operation, holds func(story.Claim) bool) {
	effects := make([]model.RegisterEffect, len(ops))
	for i, op := range ops {
		effects[i] = model.RegisterEffectOf(op)
	}
	for i, f := range effects {
		if f.Observes && f.Saw.Set && holds(story.NotBegunBy(bring, f.Saw.Int, ops[i])) {
			return
		}
	}
	for i, f := range effects {
		if !f.Observes {
			continue
		}
		for j, g := range effects {
			if i == j || ops[j].Return > ops[i].Call || !g.Writes && (!g.Observes || !g.Saw.Set) {
				continue
			}
			c := story.GoneBy(bring, ops[i], ops[j])
			if c.Saw == model.Just(c.Other) {
				continue
			}
			if holds(c) {
				return
			}
			for _, seen := range ops {
				if holds(story.Spent{Gone: c, Seen: seen}) {
					return
				}
			}
		}
	}
	taken := map[model.Maybe]*harness.Operation{}
	for i, f := range effects {
		if !f.Observes || !f.Writes || f.Saw == model.Just(f.To) {
			continue
		}
		if other := taken[f.Saw]; other != nil && holds(story.BothReplaced{Value: f.Saw, Ops: [2]*harness.Operation{other, ops[i]}}) {
			return
		}
		taken[f.Saw] = ops[i]
	}
}

// whySet is for sets and lists.
func whySet(m model.Model, ops, whole []*harness.Operation, holds func(story.Claim) bool) {
	for _, read := range ops {
		all, _ := read.Output.([]int64)
		seen := map[int64]bool{}
		for _, v := range all {
			if holds(story.NotBegunBy(whole, v, read)) || m.Kind == model.SetKind && seen[v] && holds(story.Twice{Value: v, Read: read}) {
				return
			}
			seen[v] = true
		}
	}
	for _, read := range ops {
		if read.F != "read" {
			continue
		}
		for _, by := range ops {
			if by.Type != harness.OK || by.Return > read.Call {
				continue
			}
			elements, _ := by.Output.([]int64)
			if v, ok := by.Input.(int64); ok {
				elements = []int64{v}
			}
			for _, v := range elements {
				c := story.Missing{Value: v, Read: read, By: by}
				for _, again := range whole {
					if all, _ := again.Output.([]int64); again.Call > read.Call && slices.Contains(all, v) {
						c.Again = again
						break
					}
				}
				if holds(c) {
					return
				}
			}
		}
	}
}

// whyQueue is for queues, stacks and priority queues.
func whyQueue(m model.Model, ops, whole []*harness.Operation, holds func(story.Claim) bool) {
	var took, empty []*harness.Operation
	for _, op := range ops {
		if got, ok := op.Output.(model.Maybe); ok && got.Set {
			took = append(took, op)
		} else if ok {
			empty = append(empty, op)
		}
	}
	value := func(op *harness.Operation) int64 { return op.Output.(model.Maybe).Int }
	for _, op := range took {
		if holds(story.NotBegunBy(whole, value(op), op)) || holds(story.TooOftenBy(whole, value(op), op)) {
			return
		}
	}
	for _, op := range empty {
		for _, out := range took {
			if holds(story.Hidden{Value: value(out), Found: op}) {
				return
			}
		}
		if holds(story.NotEmptyAt(whole, op)) {
			return
		}
	}
	if m.Kind != model.QueueKind {
		return
	}
	for _, in := range ops {
		v, ok := in.Input.(int64)
		if !ok || in.Type != harness.OK {
			continue
		}
		for _, other := range took {
			if value(other) != v && holds(story.OvertakenBy(whole, v, value(other), other)) {
				return
			}
		}
	}
}

func whyCounter(ops, whole []*harness.Operation, holds func(story.Claim) bool) {
	var reads []*harness.Operation
	for _, op := range ops {
		if _, ok := op.Output.(int64); ok {
			reads = append(reads, op)
		}
	}
	for _, read := range reads {
		if holds(story.BoundsOf(whole, read)) {
			return
		}
	}
	for _, then := range reads {
		for _, first := range reads {
			if holds(story.BackwardBy(whole, first, then)) {
				return
			}
		}
	}
}

// whyLock says what is wrong with a small history of a lock.
func whyLock(ops []*harness.Operation, holds func(story.Claim) bool) {
	parts, proof, ok := gatherHolds(ops)
	if proof != nil {
		holds(story.NotHeld{Op: ops[proof[0]]})
		return
	}
	a, b, _ := clash(parts)
	if !ok || a == nil {
		return
	}
	first, then := ops[a.ops[0]], ops[b.ops[0]]
	if a.token.Set && (holds(story.Tokens{First: first, Then: then}) || holds(story.Tokens{First: then, Then: first})) {
		return
	}
	if first.Return > then.Return {
		first, then = then, first
	}
	if holds(story.BothHeld{First: first, Then: then}) {
		return
	}
	for _, h := range []*hold{a, b} {
		other := ops[a.ops[0]]
		if h == a {
			other = ops[b.ops[0]]
		}
		for _, i := range h.ops[1:] {
			if holds(story.HeldOn{First: ops[h.ops[0]], Proof: ops[i], Then: other}) {
				return
			}
		}
	}
}
