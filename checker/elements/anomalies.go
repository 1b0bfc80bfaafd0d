package elements

import (
	"fmt"
	"slices"
	"strings"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// mostListed bounds how many anomalies of a kind are listed one by one.
const mostListed = 100

// Anomaly is one thing that a system got wrong with one element.
type Anomaly struct {
	Key     string `json:"key,omitempty"`
	Element int64  `json:"element"`
	Text    string `json:"text"` // what happened, in a sentence
}

// anomalies gathers what was found, by kind.
type anomalies struct {
	history *harness.History
	teller  story.Teller
	kinds   []string // in order of gravity
	found   map[string][]Anomaly
	count   map[string]int
	first   map[string][]harness.Operation // the operations that prove the first of a kind
	key     map[string]string

	claims []claimed            // those that were told
	object string               // the object that whole is of
	whole  []*harness.Operation // nil: it was not needed yet
}

func newAnomalies(h *harness.History, m model.Model, kinds ...string) *anomalies {
	return &anomalies{
		history: h, teller: story.TellerOf(m, h.Operations), kinds: kinds, found: map[string][]Anomaly{}, count: map[string]int{},
		first: map[string][]harness.Operation{}, key: map[string]string{},
	}
}

// add notes an anomaly, with what is claimed of it and the operations that prove it.
func (a *anomalies) add(kind, key string, element int64, claim func(whole []*harness.Operation) story.Claim, proof ...*harness.Operation) {
	if a.count[kind]++; a.count[kind] == 1 {
		for _, op := range proof {
			a.first[kind] = append(a.first[kind], *op)
		}
		a.key[kind] = key
	}
	if len(a.found[kind]) == mostListed {
		return
	}
	if a.whole == nil || a.object != key {
		a.object, a.whole = key, a.teller.Model.Whole(a.history.Operations, key)
	}
	c := claim(a.whole)
	a.claims = append(a.claims, claimed{c, a.whole})
	a.found[kind] = append(a.found[kind], Anomaly{Key: key, Element: element, Text: c.Text(a.teller)})
}

// claimed is a claim and the history that it is about.
type claimed struct {
	story.Claim
	whole []*harness.Operation
}

// is wraps a claim that needs no look at the whole history.
func is(c story.Claim) func([]*harness.Operation) story.Claim {
	return func([]*harness.Operation) story.Claim { return c }
}

// list is the anomalies of a kind, never nil.
func (a *anomalies) list(kind string) []Anomaly { return append([]Anomaly{}, a.found[kind]...) }

// judge makes the verdict: invalid if anything was found.
func (a *anomalies) judge(r *harness.Result, m model.Model, fine string) {
	var said []string
	for _, kind := range a.kinds {
		if n := a.count[kind]; n > 0 {
			said = append(said, fmt.Sprintf("%d %s", n, kind))
		}
	}
	if len(said) == 0 {
		r.Valid, r.Summary = harness.Valid, fine
		return
	}
	r.Valid = harness.Invalid
	r.Summary = "Elements went wrong: " + strings.Join(said, ", ") + "."
	for _, kind := range a.kinds {
		if a.count[kind] > 0 {
			ops := a.first[kind]
			slices.SortFunc(ops, func(x, y harness.Operation) int { return x.Call - y.Call })
			c := &harness.Counterexample{Key: a.key[kind], Witness: story.Witnesses(m, ops)}
			for i := range ops {
				c.Story = append(c.Story, story.Sentence(m, ops, i))
			}
			c.Story = append(c.Story, a.found[kind][0].Text)
			r.Counterexample = c
			return
		}
	}
}
