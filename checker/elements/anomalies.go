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
	kinds []string // in order of gravity
	found map[string][]Anomaly
	count map[string]int
	first map[string][]harness.Operation // the operations that prove the first of a kind
	key   map[string]string
}

func newAnomalies(kinds ...string) *anomalies {
	return &anomalies{
		kinds: kinds, found: map[string][]Anomaly{}, count: map[string]int{},
		first: map[string][]harness.Operation{}, key: map[string]string{},
	}
}

func (a *anomalies) add(kind, key string, element int64, text string, proof ...*harness.Operation) {
	if a.count[kind]++; a.count[kind] == 1 {
		for _, op := range proof {
			a.first[kind] = append(a.first[kind], *op)
		}
		a.key[kind] = key
	}
	if len(a.found[kind]) < mostListed {
		a.found[kind] = append(a.found[kind], Anomaly{Key: key, Element: element, Text: text})
	}
}

// list is the anomalies of a kind, never nil.
func (a *anomalies) list(kind string) []Anomaly { return append([]Anomaly{}, a.found[kind]...) }

// gravest is the text of the first anomaly of the gravest kind, "" if there is none.
func (a *anomalies) gravest() string {
	for _, kind := range a.kinds {
		if a.count[kind] > 0 {
			return a.found[kind][0].Text
		}
	}
	return ""
}

// Why says in one sentence what is gravest of what went wrong with the
// elements of one object; "" if nothing did, or if objects of its kind are not
// judged by their elements.
func Why(of model.Kind, ops []*harness.Operation) string {
	var found *anomalies
	switch of {
	case model.SetKind:
		found = newAnomalies("unexpected", "duplicated", "stale", "lost")
		Set{}.judge("", ops, &SetDetails{}, found)
	case model.QueueKind:
		found = newAnomalies("unexpected", "duplicated", "disordered", "hidden", "lost")
		judgeQueue("", ops, &QueueDetails{}, found)
	case model.CounterKind:
		found = newAnomalies("high", "low", "backward")
		judgeCounter("", ops, &CounterDetails{}, found)
	default:
		return ""
	}
	return found.gravest()
}

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
