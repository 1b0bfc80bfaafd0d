package linearizable

import (
	"fmt"
	"strings"

	"coup/checker/elements"
	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// why says in one sentence what is wrong with a small history that the model
// does not explain, if it is one of the plain cases; "" if it is not.
func why(m model.Model, ops []harness.Operation) string {
	switch m.Kind {
	case model.RegisterKind:
		return whyRegister(m, ops)
	case model.SetKind, model.QueueKind, model.CounterKind:
		return untilThen.Replace(elements.Why(m.Kind, model.Pointers(ops)))
	case model.LockKind:
		return whyLock(ops)
	default:
		return ""
	}
}

// untilThen takes out of a sentence what a part of a history cannot tell: what
// happened later.
var untilThen = strings.NewReplacer(
	" and is missing in its answer and ever after", " and is missing in its answer",
	" and never came out", " and had not come out by then",
	" was never seen again", " had not come out by then",
)

func whyRegister(m model.Model, ops []harness.Operation) string {
	type fact struct {
		op *harness.Operation
		r  model.RegisterEffect
	}
	var facts []fact
	writers := map[int64]*harness.Operation{}
	there := map[int64]int{} // by when a value was certainly written
	know := func(v int64, at int) {
		if t, ok := there[v]; !ok || at < t {
			there[v] = at
		}
	}
	for i := range ops {
		f := fact{&ops[i], model.RegisterEffectOf(&ops[i])}
		facts = append(facts, f)
		if f.r.Writes {
			if writers[f.r.To] != nil {
				return "" // the same value written twice: nothing simple can be said
			}
			writers[f.r.To] = f.op
			know(f.r.To, f.op.Return)
		}
		if f.r.Observes && f.r.Saw.Set {
			know(f.r.Saw.Int, f.op.Return)
		}
	}
	for _, f := range facts {
		if !f.r.Observes || !f.r.Saw.Set {
			continue
		}
		if w := writers[f.r.Saw.Int]; w == nil || w.Call > f.op.Return {
			return fmt.Sprintf("Nobody had begun to write %d to %s by then.", f.r.Saw.Int, story.NameOf(m, f.op.Key))
		}
	}
	// A value was seen by an operation that began after the value had been replaced.
	for _, f := range facts {
		if !f.r.Observes {
			continue
		}
		// Another value that was known to be there after the one seen and before f began.
		for _, g := range facts {
			if g.op == f.op || g.op.Return > f.op.Call {
				continue
			}
			var v int64
			var began int // when g's value can first have come into the register
			switch {
			case g.r.Writes:
				v, began = g.r.To, g.op.Call
			case g.r.Observes && g.r.Saw.Set && writers[g.r.Saw.Int] != nil:
				v, began = g.r.Saw.Int, writers[g.r.Saw.Int].Call
			default:
				continue
			}
			if f.r.Saw == model.Just(v) || f.r.Saw.Set && there[f.r.Saw.Int] > began {
				continue
			}
			gone := f.r.Saw.String() + " was gone"
			if !f.r.Saw.Set {
				gone = story.NameOf(m, f.op.Key) + " was no longer empty"
			}
			return fmt.Sprintf("When process %d began at %s, %s: %d was there by %s.",
				f.op.Process, story.Seconds(f.op.Start), gone, v, story.Seconds(g.op.End))
		}
	}
	taken := map[model.Maybe]*harness.Operation{}
	for _, f := range facts {
		if f.r.Observes && f.r.Writes {
			if other := taken[f.r.Saw]; other != nil {
				return fmt.Sprintf("Processes %d and %d both replaced %s, which was there only once.",
					other.Process, f.op.Process, f.r.Saw)
			}
			taken[f.r.Saw] = f.op
		}
	}
	return ""
}
