package invariants

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// mostListed bounds how many findings of a kind are listed one by one.
const mostListed = 100

// Details are the Details of the checkers of this package.
type Details struct {
	// Counts are the figures of the checker, e.g. how many reads there were.
	Counts map[string]int `json:"counts"`
	// Found are the findings of each kind, in the order in which they were made, at
	// most 100 of a kind; Numbers says how many there are of each.
	Found   map[string][]Finding `json:"found"`
	Numbers map[string]int       `json:"numbers"`
	// Allowed are the kinds that do not make a history invalid.
	Allowed []string `json:"allowed,omitempty"`
}

// Finding is one thing that is not as it should be.
type Finding struct {
	Key  string `json:"key,omitempty"`
	Text string `json:"text"`
}

// findings gathers what a checker finds.
type findings struct {
	Details
	model  model.Model
	teller story.Teller
	kinds  []string // those that are invalid, in the order of their gravity
	proofs map[string][]harness.Operation
}

func find(m model.Model, h *harness.History, kinds ...string) *findings {
	return &findings{
		model: m, teller: story.TellerOf(m, h.Operations), kinds: slices.Clone(kinds), proofs: map[string][]harness.Operation{},
		Details: Details{Counts: map[string]int{}, Found: map[string][]Finding{}, Numbers: map[string]int{}},
	}
}

// add notes a finding and the operations that prove it.
func (f *findings) add(kind, key, text string, proof ...*harness.Operation) {
	if f.Numbers[kind]++; f.Numbers[kind] == 1 {
		for _, op := range proof {
			if op != nil {
				f.proofs[kind] = append(f.proofs[kind], *op)
			}
		}
	}
	if len(f.Found[kind]) < mostListed {
		f.Found[kind] = append(f.Found[kind], Finding{key, text})
	}
}

// allow says that a kind does not make the history invalid.
func (f *findings) allow(kinds ...string) {
	f.Allowed = append(f.Allowed, kinds...)
	f.kinds = slices.DeleteFunc(f.kinds, func(k string) bool { return slices.Contains(kinds, k) })
}

// result makes the verdict. what is what went wrong, if something did.
func (f *findings) result(name, what, fine string) harness.Result {
	r := harness.Result{Checker: name, Valid: harness.Valid, Summary: fine, Details: f.Details}
	var said []string
	for _, kind := range f.kinds {
		if n := f.Numbers[kind]; n > 0 {
			said = append(said, fmt.Sprintf("%d %s", n, kind))
		}
	}
	for _, kind := range f.Allowed {
		if n := f.Numbers[kind]; n > 0 && len(said) == 0 {
			r.Summary += fmt.Sprintf(" Allowed: %d %s.", n, kind)
		}
	}
	if len(said) == 0 {
		return r
	}
	r.Valid, r.Summary = harness.Invalid, what+": "+strings.Join(said, ", ")+"."
	for _, kind := range f.kinds {
		if f.Numbers[kind] == 0 {
			continue
		}
		ops := f.proofs[kind]
		slices.SortFunc(ops, func(a, b harness.Operation) int { return cmp.Compare(a.Call, b.Call) })
		ops = slices.CompactFunc(ops, func(a, b harness.Operation) bool { return a.Call == b.Call })
		c := &harness.Counterexample{Key: f.Found[kind][0].Key, Witness: story.Witnesses(f.model, ops)}
		for i := range ops {
			c.Story = append(c.Story, f.teller.Sentence(ops, i))
		}
		c.Story = append(c.Story, f.Found[kind][0].Text)
		r.Counterexample = c
		break
	}
	return r
}

// check makes sure that the values of operations are of the types that a checker knows.
func check(h *harness.History, what string, fits func(op *harness.Operation) bool) error {
	for i := range h.Operations {
		if op := &h.Operations[i]; !fits(op) {
			return fmt.Errorf("%s of process %d is no operation on %s: input %v, output %v", op.F, op.Process, what, op.Input, op.Output)
		}
	}
	return nil
}
