package checker

import (
	"fmt"
	"strings"

	"coup/harness"
)

// why says in one sentence what is wrong with a small history that the model
// does not explain, if it is one of the plain cases; "" if it is not.
func why(m Model, ops []harness.Operation) string {
	switch m.kind {
	case registerKind:
		return whyRegister(m, ops)
	case setKind, queueKind, counterKind:
		return untilThen.Replace(whyElement(m.kind, pointers(ops)))
	case lockKind:
		return whyLock(ops)
	default:
		return ""
	}
}

// untilThen takes back what a part of a history cannot tell: what came later.
var untilThen = strings.NewReplacer(
	" and is missing in its answer and ever after", " and is missing in its answer",
	" and never came out", " and had not come out by then",
	" was never seen again", " had not come out by then",
)

func whyRegister(m Model, ops []harness.Operation) string {
	type fact struct {
		op *harness.Operation
		r  registerEffect
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
		f := fact{&ops[i], registerOp(&ops[i])}
		facts = append(facts, f)
		if f.r.writes {
			if writers[f.r.to] != nil {
				return "" // the same value written twice: nothing simple can be said
			}
			writers[f.r.to] = f.op
			know(f.r.to, f.op.Return)
		}
		if f.r.observes && f.r.saw.Set {
			know(f.r.saw.Int, f.op.Return)
		}
	}
	for _, f := range facts {
		if !f.r.observes || !f.r.saw.Set {
			continue
		}
		if w := writers[f.r.saw.Int]; w == nil || w.Call > f.op.Return {
			return fmt.Sprintf("Nobody had begun to write %d to %s by then.", f.r.saw.Int, nameOf(m, f.op.Key))
		}
	}
	// A value was seen by an operation that began after the value had been replaced.
	for _, f := range facts {
		if !f.r.observes {
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
			case g.r.writes:
				v, began = g.r.to, g.op.Call
			case g.r.observes && g.r.saw.Set && writers[g.r.saw.Int] != nil:
				v, began = g.r.saw.Int, writers[g.r.saw.Int].Call
			default:
				continue
			}
			if f.r.saw == Just(v) || f.r.saw.Set && there[f.r.saw.Int] > began {
				continue
			}
			gone := f.r.saw.String() + " was gone"
			if !f.r.saw.Set {
				gone = nameOf(m, f.op.Key) + " was no longer empty"
			}
			return fmt.Sprintf("When process %d began at %s, %s: %d was there by %s.",
				f.op.Process, seconds(f.op.Start), gone, v, seconds(g.op.End))
		}
	}
	taken := map[Maybe]*harness.Operation{}
	for _, f := range facts {
		if f.r.observes && f.r.writes {
			if other := taken[f.r.saw]; other != nil {
				return fmt.Sprintf("Processes %d and %d both replaced %s, which was there only once.",
					other.Process, f.op.Process, f.r.saw)
			}
			taken[f.r.saw] = f.op
		}
	}
	return ""
}
