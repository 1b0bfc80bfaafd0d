package harness

import (
	"context"
	"encoding/json"
	"fmt"
)

// Validity is a verdict. Of several, the worst wins: see [Worst].
type Validity uint8

const (
	Valid     Validity = iota // the promise was kept
	Unknown                   // it could not be decided; never to be taken for valid
	Invalid                   // the promise was broken, and there is proof
	NotJudged                 // the system tells nothing of what would have to be known
)

func (v Validity) String() string {
	switch v {
	case Valid:
		return "valid"
	case Invalid:
		return "invalid"
	case NotJudged:
		return "not judged"
	default:
		return "unknown"
	}
}

// MarshalJSON writes true, false or "unknown", as Jepsen does, or "not judged".
func (v Validity) MarshalJSON() ([]byte, error) {
	switch v {
	case Valid:
		return []byte("true"), nil
	case Invalid:
		return []byte("false"), nil
	case NotJudged:
		return []byte(`"not judged"`), nil
	default:
		return []byte(`"unknown"`), nil
	}
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (v *Validity) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "true":
		*v = Valid
	case "false":
		*v = Invalid
	case `"unknown"`:
		*v = Unknown
	case `"not judged"`:
		*v = NotJudged
	default:
		return fmt.Errorf(`a verdict is true, false, "unknown" or "not judged", not %s`, b)
	}
	return nil
}

// Worst is the worst of the verdicts: invalid before unknown before valid. What was not
// judged worsens nothing.
func Worst(vs ...Validity) Validity {
	worst := Valid
	for _, v := range vs {
		if v != NotJudged {
			worst = max(worst, v)
		}
	}
	return worst
}

// History is what a checker judges: every operation of a run, in the order of
// their invocations, and every event in the order of time. Checkers read it and
// never change it.
type History struct {
	Operations []Operation
	Events     []Event
	Nodes      []string // the names of all nodes, sorted
	Tells      Facts    // what the nodes tell about themselves
	// ShardOf is the log that holds an object, from 1 on, where nodes hold several logs; nil
	// if they hold one.
	ShardOf func(key string) int
}

// Checker judges a history. It does no I/O and reads no clock except to keep
// within ctx; when ctx ends it returns Unknown with what it knows so far. An
// error means that the history makes no sense or that the checker itself is
// broken, and becomes Unknown. Check may be called concurrently.
type Checker interface {
	Name() string
	Check(ctx context.Context, h *History) (Result, error)
}

// Subject is what a checker judges.
type Subject string

// The subjects, in the order in which results are told.
const (
	Answers Subject = "answers" // what clients were answered
	Service Subject = "service" // whether clients were served
	Conduct Subject = "conduct" // what the nodes did, and said of themselves
	TheTest Subject = "test"    // whether the test tested what it was meant to
)

// Judging is a Checker that says what it judges, if that is not [Answers].
type Judging interface {
	Judges() Subject
}

// SubjectOf is what a checker judges.
func SubjectOf(c Checker) Subject {
	if j, ok := c.(Judging); ok {
		return j.Judges()
	}
	return Answers
}

// Needing is a Checker that needs the nodes to tell something about themselves. Where
// they don't, it is not asked, and its result is [NotJudged].
type Needing interface {
	Needs() Facts
}

// NeedsOf is what a checker needs the nodes to tell.
func NeedsOf(c Checker) Facts {
	if n, ok := c.(Needing); ok {
		return n.Needs()
	}
	return nil
}

// Result is what one checker found.
type Result struct {
	Checker        string          `json:"checker"`
	Judges         Subject         `json:"judges,omitempty"` // filled in for it
	Valid          Validity        `json:"valid"`
	Summary        string          `json:"summary"` // one sentence for people
	Counterexample *Counterexample `json:"counterexample,omitempty"`
	Details        any             `json:"details,omitempty"` // figures; what they are is the checker's matter
}

// Unproved makes the result unknown: what its summary tells proves nothing, for the reason
// why, which is half a sentence.
func (r *Result) Unproved(why string) {
	r.Valid = Unknown
	r.Summary += " That is no proof: " + why + "."
}

// Counterexample is the proof of a violation, cut down as far as it goes: no
// operation can be taken away without the rest becoming explicable.
type Counterexample struct {
	Key     string    `json:"key,omitempty"`
	Story   []string  `json:"story"`   // plain sentences, in order, for a reader who saw nothing else
	Witness []Witness `json:"witness"` // the operations it rests on, in order of invocation
	Edges   []Edge    `json:"edges,omitempty"`
}

// Edge says that one operation of a counterexample must come before another.
type Edge struct {
	From int    `json:"from"` // places in Witness
	To   int    `json:"to"`
	Kind string `json:"kind"` // ww, wr, rw (Adya), process, realtime
	Key  string `json:"key,omitempty"`
	Text string `json:"text"` // why, in a sentence
}

// Witness is an operation of a counterexample, its values as JSON.
type Witness struct {
	Name    string          `json:"name,omitempty"` // what the story calls it
	Process int             `json:"process"`
	F       string          `json:"f"`
	Key     string          `json:"key,omitempty"`
	Input   json.RawMessage `json:"input,omitempty"`
	Output  json.RawMessage `json:"output,omitempty"`
	Type    Type            `json:"type"`
	Text    string          `json:"text"`  // e.g. "write 5", "read -> 3", "cas 3 to 5 -> saw 4"
	Start   int64           `json:"start"` // nanoseconds since the start of the run
	End     int64           `json:"end"`   // likewise; -1 if it never ended
	Node    string          `json:"node,omitempty"`
	Line    int             `json:"line"`            // of the invocation in the history's file, from 1
	Index   *int            `json:"index,omitempty"` // its :index there, if it has one
}
