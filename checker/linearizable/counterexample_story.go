package linearizable

import (
	"cmp"
	"fmt"
	"slices"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// mostSentences bounds a story; what is longer is told by its end.
const mostSentences = 40

// excerpt is what is left of the history of an object that the model does not
// explain, and what is known of it beside.
type excerpt struct {
	ops   []harness.Operation
	whole []*harness.Operation // all that was done to the object
	// anyState says that the operations cannot be explained whatever the object was before.
	anyState bool
	// first is the operation whose answer is the first that nothing explains; nil: nobody looked.
	first *harness.Operation
}

// tell makes a counterexample of the operations that prove a violation of one
// object's model. What it says is true of the whole history, not only of the part
// that it shows.
func tell(m model.Model, key string, e excerpt) *harness.Counterexample {
	cut := slices.Clone(e.ops)
	slices.SortFunc(cut, func(a, b harness.Operation) int { return cmp.Compare(a.Call, b.Call) })
	t := story.TellerOf(m, cut)

	// Each operation is told as it was in the whole history.
	told := make([]story.Did, len(cut))
	shown := make([]harness.Operation, len(cut))
	for i := range cut {
		op := &cut[i]
		if at, found := slices.BinarySearchFunc(e.whole, op.Call, func(w *harness.Operation, call int) int { return cmp.Compare(w.Call, call) }); found {
			op = e.whole[at]
		}
		told[i] = story.Did{Op: op, Late: op.Type == harness.OK && cut[i].Type != harness.OK}
		if i > 0 {
			told[i].Before = told[i-1].Op
		}
		shown[i] = *op
		if some, ok := cut[i].Output.([]int64); ok {
			told[i].Shown, shown[i].Output = some, some
		}
	}
	var reason story.Claim
	if m.Kind == model.MutexKind {
		if crowded, ok := crowding(e.whole, lastReturn(cut)); ok {
			reason = crowded
		}
	} else {
		reason = why(m, cut, e.whole)
	}
	failed := 0
	if reason != nil {
		told, shown, failed = withAttempts(told, shown, story.Attempts(reason, e.whole))
	}

	c := &harness.Counterexample{Key: key, Witness: story.Witnesses(m, shown)}
	for i := range told {
		all, _ := told[i].Op.Output.([]int64)
		if some, ok := shown[i].Output.([]int64); ok && len(some) < len(all) {
			c.Witness[i].Text += fmt.Sprintf(" and %d more", len(all)-len(some))
		}
	}

	const enough = 8 // where one line says it, so many operations are told of
	if _, one := reason.(story.Crowded); !one || len(told) <= enough {
		if e.anyState {
			c.Story = append(c.Story, fmt.Sprintf("Whatever %s held before that:", story.NameOf(m, key)))
			if m.Kind == model.MutexKind {
				c.Story[0] = fmt.Sprintf("Whether %s was held before that or not:", story.NameOf(m, key))
			}
		}
		if n := len(told) - mostSentences; n > 0 {
			c.Story = append(c.Story, fmt.Sprintf("The first %s are left out here.", story.Plural(n, "operation")))
			told = told[n:]
		}
		for _, did := range told {
			c.Story = append(c.Story, did.Text(t))
		}
	}
	if reason != nil {
		c.Story = append(c.Story, reason.Text(t))
	}
	if failed > 0 {
		c.Story = append(c.Story, story.FalseFail{Attempts: failed}.Text(t))
	}
	if e.first != nil && len(cut) > 1 {
		c.Story = append(c.Story, story.FirstUnexplained{Op: e.first}.Text(t))
	}
	happened := slices.DeleteFunc(shown, func(op harness.Operation) bool { return op.Type == harness.Fail })
	for i := range happened {
		if at := slices.IndexFunc(cut, func(op harness.Operation) bool { return op.Call == happened[i].Call }); at >= 0 {
			happened[i].Type = cut[at].Type
		}
	}
	c.Story = append(c.Story, conclusion(m, happened, failed > 0))
	return c
}

// mostAttempts is how many attempts that failed are told of; if there are more, none is.
const mostAttempts = 5

// withAttempts adds to what is told the attempts that failed which the reason rests on.
// failed is how many of them were answered with fail.
func withAttempts(told []story.Did, shown []harness.Operation, attempts []*harness.Operation) (_ []story.Did, _ []harness.Operation, failed int) {
	if len(attempts) > mostAttempts {
		return told, shown, 0
	}
	for _, op := range attempts {
		at, there := slices.BinarySearchFunc(told, op.Call, func(d story.Did, call int) int { return cmp.Compare(d.Op.Call, call) })
		if there {
			continue
		}
		if op.Type == harness.Fail {
			failed++
		}
		told, shown = slices.Insert(told, at, story.Did{Op: op}), slices.Insert(shown, at, *op)
	}
	for i := 1; i < len(told); i++ {
		told[i].Before = told[i-1].Op
	}
	return told, shown, failed
}

func lastReturn(ops []harness.Operation) (last int) {
	for i := range ops {
		if ops[i].Type == harness.OK {
			last = max(last, ops[i].Return)
		}
	}
	return last
}

// conclusion is about the operations that are told of but for those that failed. others
// says that there are some of these.
func conclusion(m model.Model, ops []harness.Operation, others bool) string {
	ops = slices.DeleteFunc(slices.Clone(ops), func(op harness.Operation) bool { return op.F == model.Lapse })
	n := performed(ops)
	switch {
	case len(ops) == 1:
		return fmt.Sprintf("No correct %s can give this answer.", story.Noun(m))
	case n == 1:
		return fmt.Sprintf("No correct %s that begins like this can give this answer.", story.Noun(m))
	}
	which := "these"
	if others {
		which = "the other"
	}
	s := fmt.Sprintf("No order of %s %d operations explains all the answers, where each takes effect at one moment between its start and its end", which, n)
	for i := range ops {
		if ops[i].Type != harness.OK {
			return s + ", or, if that was not told, at any moment after its start or never."
		}
	}
	return s + "."
}
