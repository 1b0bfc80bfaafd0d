package linearizable

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// mostSentences bounds a story; what is longer is told by its end.
const mostSentences = 40

// tell makes a counterexample of the operations that prove a violation of one
// object's model, taken from the whole of its history.
func tell(m model.Model, key string, ops []harness.Operation, whole []*harness.Operation) *harness.Counterexample {
	ops = slices.Clone(ops)
	slices.SortFunc(ops, func(a, b harness.Operation) int { return cmp.Compare(a.Call, b.Call) })
	c := &harness.Counterexample{Key: key, Witness: story.Witnesses(m, ops)}
	told := ops
	if n := len(ops) - mostSentences; n > 0 {
		c.Story = append(c.Story, fmt.Sprintf("The first %s are left out here.", story.Plural(n, "operation")))
		told = ops[n:]
	}
	for i := range told {
		c.Story = append(c.Story, story.Sentence(m, told, i))
	}
	for i := range ops {
		left := leftOut(&ops[i], whole)
		if left == 0 {
			continue
		}
		shown := model.ListText(ops[i].Output.([]int64))
		c.Witness[i].Text += fmt.Sprintf(" and %d more", left)
		if at := i - (len(ops) - len(told)); at >= 0 {
			at += len(c.Story) - len(told)
			c.Story[at] = strings.Replace(c.Story[at], shown, fmt.Sprintf("%s and %d more that do not matter here", shown, left), 1)
		}
	}
	if reason := why(m, ops); reason != "" {
		c.Story = append(c.Story, reason)
	}
	c.Story = append(c.Story, conclusion(m, len(ops)))
	return c
}

// leftOut is how many elements a read showed beyond those that a cut-down
// history says it did.
func leftOut(op *harness.Operation, whole []*harness.Operation) int {
	shown, ok := op.Output.([]int64)
	at, found := slices.BinarySearchFunc(whole, op.Call, func(w *harness.Operation, call int) int { return cmp.Compare(w.Call, call) })
	if !ok || !found {
		return 0
	}
	all, _ := whole[at].Output.([]int64)
	return max(0, len(all)-len(shown))
}

func conclusion(m model.Model, n int) string {
	if n == 1 {
		return fmt.Sprintf("No %s can answer so.", m.Name)
	}
	return fmt.Sprintf("No order of these %d operations explains all the answers, where each takes effect at one moment between its start and its end.", n)
}
