package linearizable

import (
	"context"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// Where values repeat, little can be taken out of a history by value. But it
// can be cut at its front: a window of it fails by itself if no state that the
// object may have had at its beginning explains it. What was called before the
// window and had not returned may still take effect in it, or have done so
// before: it is open. If the whole can be explained, then so can every window.

// windowed says whether histories of the model are cut so.
func windowed(m model.Model) bool { return m.Kind == model.RegisterKind || m.Kind == model.MutexKind }

// firstStates are states that stand for all those in which the object can have
// been when the operations began: of a register each value that they mention,
// nothing, and a value that they do not mention.
func firstStates(m model.Model, ops []harness.Operation) []any {
	if m.Kind == model.MutexKind {
		return []any{false, true}
	}
	states := []any{model.Maybe{}}
	other := int64(0)
	know := func(m model.Maybe) {
		if m.Set && !slices.Contains(states, any(m)) {
			states = append(states, m)
			other = max(other, m.Int)
		}
	}
	for i := range ops {
		r := model.RegisterEffectOf(&ops[i])
		if r.Observes {
			know(r.Saw)
		}
		if r.Writes {
			know(model.Just(r.To))
		}
		if r.Compares || r.Avoids {
			know(r.From)
		}
	}
	return append(states, model.Just(other+1)) // values that overflow are no harm: it is one state more
}

// startingIn is the model with another first state. It has no kind, because the
// special tiers do not know of other first states.
func startingIn(m model.Model, state any) model.Model {
	m.Init, m.Kind = state, model.AnyKind
	return m
}

// failsFromAny says whether no first state explains ops.
func failsFromAny(b context.Context, m model.Model, ops []harness.Operation) bool {
	j, err := newJustInTime(m, model.Pointers(ops))
	if err != nil {
		return false
	}
	for _, s := range firstStates(m, ops) {
		if j.search(b, s) != harness.Invalid {
			return false
		}
	}
	return true
}

// since is the window of ops that begins at a position.
func since(m model.Model, ops []harness.Operation, at int) []harness.Operation {
	var w []harness.Operation
	for _, op := range ops {
		before := op.Call < at
		if before && model.Returned(&op) < at || m.OnlyReads(&op) && (before || model.Returned(&op) == harness.Open) {
			continue
		}
		if before {
			op = model.Settled(&harness.Operation{
				Process: op.Process, F: op.F, Key: op.Key, Input: op.Input, Type: harness.Info,
				Call: op.Call, Start: op.Start, End: op.End, Node: op.Node, Line: op.Line, Index: op.Index,
			})
		}
		w = append(w, op)
	}
	return w
}

// shortestWindow is the shortest window at the end of ops that fails; nil if only
// the whole does. A violation mostly shows near the end, and long windows can take
// long, so short windows are tried first.
func shortestWindow(m model.Model, ops []harness.Operation, fails func([]harness.Operation) bool) (smallest []harness.Operation) {
	for long, short := 4, 0; short < len(ops)-1 && smallest == nil; long *= 2 {
		long = min(long, len(ops)-1)
		w := since(m, ops, ops[len(ops)-long].Call)
		if !fails(w) {
			short = long
			continue
		}
		smallest = w
		for short+1 < long { // so many operations from the end on do not fail, so many do
			mid := (short + long) / 2
			if w := since(m, ops, ops[len(ops)-mid].Call); fails(w) {
				smallest, long = w, mid
			} else {
				short = mid
			}
		}
	}
	return smallest
}
