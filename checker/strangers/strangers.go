// Package strangers judges whether a system has let anybody in who must not be let in.
// Start with [Checker].
package strangers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Look is the function by which a client who may ask looks at what strangers try to change.
const Look = "read"

// Refused is how the error of an attempt begins that was refused, and what follows says how.
// Other failed attempts reached nobody.
const Refused = "operation did not happen: refused: "

// Checker judges a history of attempts. Each function but [Look] is a way in which strangers
// try to read an object, or to write a value to it, that nobody else writes to. An attempt that succeeds was let
// in, and its value is what was answered. Looks must find nothing. The kinds of findings are
//
//   - let-in: somebody was answered who must not be;
//   - changed: what a stranger wanted to write was there.
//
// If a way in Ways was never refused, the system was not tested, and the result is unknown.
type Checker struct {
	Ways []string // that must have been tried; others may have been
	// Rotated are ways that must have been tried as well, if keys were rotated in the run.
	Rotated []string
}

// Details are the Details of [Checker].
type Details struct {
	Ways []Way `json:"ways"` // in the order of the checker's, others behind them
	// Looks is how often a client found that nothing was changed.
	Looks int `json:"looks"`
}

// Way is what became of the attempts of one kind.
type Way struct {
	Way     string         `json:"way"`
	Refused int            `json:"refused"`
	LetIn   int            `json:"let_in"`
	Nobody  int            `json:"nobody"`  // attempts that no node answered
	Answers map[string]int `json:"answers"` // what refusals said, and how often
}

// Name implements [harness.Checker].
func (Checker) Name() string { return "strangers" }

// Decode is the decoder of such histories: the value of a way is what a stranger wants to
// write, and in the end what it was answered; that of a look is what was there.
func Decode(t harness.Type, f string, raw json.RawMessage) (any, error) {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil, nil
	}
	if f != Look && t == harness.OK {
		var answer string
		err := json.Unmarshal(raw, &answer)
		return answer, err
	}
	var v int64
	err := json.Unmarshal(raw, &v)
	return v, err
}

// Check implements [harness.Checker].
func (c Checker) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	d := Details{Ways: []Way{}}
	at := map[string]int{}
	way := func(name string) *Way {
		i, ok := at[name]
		if !ok {
			i = len(d.Ways)
			at[name] = i
			d.Ways = append(d.Ways, Way{Way: name, Answers: map[string]int{}})
		}
		return &d.Ways[i]
	}
	if rotated(h) {
		c.Ways = append(slices.Clip(c.Ways), c.Rotated...)
	}
	for _, name := range c.Ways {
		way(name)
	}
	var letIn, changed []*harness.Operation
	wrote := map[string]map[int64]*harness.Operation{} // the attempts to write, by key and value
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.F == Look {
			if op.Type != harness.OK {
				continue
			}
			if op.Output == nil {
				d.Looks++
				continue
			}
			if _, ok := op.Output.(int64); !ok {
				return harness.Result{Checker: c.Name()}, fmt.Errorf("operation %d: %v is no value", i, op.Output)
			}
			changed = append(changed, op)
			continue
		}
		w := way(op.F)
		if v, ok := op.Input.(int64); ok {
			if wrote[op.Key] == nil {
				wrote[op.Key] = map[int64]*harness.Operation{}
			}
			wrote[op.Key][v] = op
		}
		said, refused := strings.CutPrefix(op.Error, Refused)
		switch {
		case op.Type == harness.OK:
			w.LetIn++
			letIn = append(letIn, op)
		case op.Type == harness.Fail && refused:
			w.Refused++
			w.Answers[said]++
		default:
			w.Nobody++
		}
	}
	r := harness.Result{Checker: c.Name(), Valid: harness.Valid, Details: d}
	switch {
	case len(letIn) > 0:
		first := letIn[0]
		r.Valid = harness.Invalid
		r.Summary = fmt.Sprintf("Strangers were let in: %s, first by %s at %s, which came with %s.",
			story.Times(len(letIn)), orSomeNode(first.Node), story.Seconds(first.Start), Words(first.F))
		r.Counterexample = &harness.Counterexample{Key: first.Key, Story: []string{letInSentence(first)}, Witness: witnesses(first)}
	case len(changed) > 0:
		first := changed[0]
		by := wrote[first.Key][first.Output.(int64)]
		r.Valid = harness.Invalid
		r.Summary = fmt.Sprintf("A stranger has changed what the system holds: %s is %d.", first.Key, first.Output)
		r.Counterexample = &harness.Counterexample{Key: first.Key, Witness: witnesses(by, first)}
		if by != nil {
			r.Counterexample.Story = append(r.Counterexample.Story, fmt.Sprintf("At %s a stranger who came with %s asked %s to write %d to %s.",
				story.Seconds(by.Start), Words(by.F), orSomeNode(by.Node), first.Output, first.Key))
		}
		r.Counterexample.Story = append(r.Counterexample.Story, fmt.Sprintf("At %s a client read %d from %s. No client writes to it.",
			story.Seconds(first.Start), first.Output, first.Key))
	default:
		r.Valid, r.Summary = c.kept(d)
	}
	return r, nil
}

// timeToTry is how long before the end of the load keys must have been rotated for
// strangers to have had the time to try the old ones at a node that was there.
const timeToTry = 10 * time.Second

// rotated reports whether a fault gave the nodes and clients other keys in time.
func rotated(h *harness.History) bool {
	_, over := timeline.Load(h)
	return slices.ContainsFunc(timeline.Faults(h, timeline.LastEvent(h)), func(f *timeline.Fault) bool {
		return f.Fault == "rotate" && f.Hold >= 0 && f.Hold+timeToTry <= over
	})
}

// kept is the result if nobody was let in.
func (c Checker) kept(d Details) (harness.Validity, string) {
	var never, counts, untested []string
	all := 0
	for i, w := range d.Ways {
		all += w.Refused
		if w.Refused > 0 {
			counts = append(counts, fmt.Sprintf("%s %d", w.Way, w.Refused))
		} else if i < len(c.Ways) {
			never = append(never, Words(w.Way))
		} else {
			untested = append(untested, Words(w.Way))
		}
	}
	if len(never) > 0 {
		return harness.Unknown, fmt.Sprintf("Whether strangers are let in was not tested: nobody was refused who came with %s.", strings.Join(never, ", or "))
	}
	if d.Looks == 0 {
		return harness.Unknown, "Nobody has looked whether strangers changed anything."
	}
	s := fmt.Sprintf("No stranger was let in: %s refused (%s).", story.Plural(all, "attempt"), strings.Join(counts, ", "))
	if len(untested) > 0 {
		s += fmt.Sprintf(" Not tested: %s.", strings.Join(untested, ", "))
	}
	return harness.Valid, s
}

// Words say what a stranger came with.
func Words(way string) string {
	if w, ok := map[string]string{
		"no-certificate":      "no certificate",
		"expired-certificate": "a certificate that had expired",
		"wrong-name":          "a certificate for another name",
		"foreign-authority":   "a certificate of another authority",
		"wrong-token":         "the token of somebody else",
		"old-token":           "a token that was withdrawn",
		"garbage":             "bytes that are no handshake",
		"slow-handshake":      "a handshake that did not go on",
		"flood":               "no certificate, while many others had begun a handshake",
	}[way]; ok {
		return w
	}
	return way
}

func letInSentence(op *harness.Operation) string {
	asked := "read " + op.Key
	if v, ok := op.Input.(int64); ok {
		asked = fmt.Sprintf("write %d to %s", v, op.Key)
	}
	return fmt.Sprintf("At %s a stranger who came with %s asked %s to %s, and was answered %q. It should have been refused.",
		story.Seconds(op.Start), Words(op.F), orSomeNode(op.Node), asked, op.Output)
}

func orSomeNode(node string) string {
	if node == "" {
		return "a node"
	}
	return node
}

func witnesses(ops ...*harness.Operation) (all []harness.Witness) {
	for _, op := range ops {
		if op == nil {
			continue
		}
		text := op.F
		if v, ok := op.Input.(int64); ok {
			text += fmt.Sprintf(": write %d", v)
		} else if op.F != Look {
			text += ": read"
		}
		if op.Type == harness.OK {
			text += fmt.Sprintf(" -> %v", op.Output)
		}
		w := harness.Witness{
			Process: op.Process, F: op.F, Key: op.Key, Type: op.Type, Text: text, Node: op.Node, Line: op.Line,
			Input: encoded(op.Input), Output: encoded(op.Output), Start: int64(op.Start), End: int64(op.End),
		}
		if op.Return == harness.Open {
			w.End = -1
		}
		if op.Index >= 0 {
			w.Index = &op.Index
		}
		all = append(all, w)
	}
	return all
}

func encoded(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}
