package model

import (
	"encoding/json"
	"fmt"
	"time"

	"coup/harness"
)

// Submitted is the input of submit on a board of tasks.
type Submitted struct {
	Task  int64
	After Maybe // the task that must be finished before
}

type submittedJSON struct {
	Task  *int64 `json:"task"`
	After *int64 `json:"after,omitempty"`
}

// MarshalJSON writes {"task": 5, "after": 3}; without a task to wait for, {"task": 5}.
func (s Submitted) MarshalJSON() ([]byte, error) {
	j := submittedJSON{Task: &s.Task}
	if s.After.Set {
		j.After = &s.After.Int
	}
	return json.Marshal(j)
}

// String says what was submitted, e.g. "5 after 3".
func (s Submitted) String() string {
	if s.After.Set {
		return fmt.Sprintf("%d after %d", s.Task, s.After.Int)
	}
	return fmt.Sprint(s.Task)
}

// Assignment is a task in the hands of a worker: what take and beat return, nil if there
// was no task to take; and what beat and finish are given, without the lease.
type Assignment struct {
	Task, Token int64
	// Lease is after what time others may get the task, counted from the moment at which
	// the worker asked.
	Lease time.Duration
}

type assignmentJSON struct {
	Task  *int64 `json:"task"`
	Token *int64 `json:"token"`
	Lease int64  `json:"lease,omitempty"`
}

// MarshalJSON writes {"task": 5, "token": 7, "lease": 2000000000}, the lease in
// nanoseconds; without a lease it is left out.
func (a Assignment) MarshalJSON() ([]byte, error) {
	return json.Marshal(assignmentJSON{&a.Task, &a.Token, int64(a.Lease)})
}

// String says what is assigned, e.g. "5 by token 7".
func (a Assignment) String() string { return fmt.Sprintf("%d by token %d", a.Task, a.Token) }

// DecodeTasks is the [harness.Decoder] of boards of tasks: submit takes a [Submitted];
// take returns an [Assignment] or nil; beat takes an Assignment and returns it with its
// lease; finish takes an Assignment; read returns the unfinished tasks as []int64.
func DecodeTasks(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a board of tasks", function{"submit", aSubmitted, nothing}, function{"take", nothing, maybeAssigned},
		function{"beat", anAssignment, anAssignment}, function{"finish", anAssignment, nothing}, function{"read", nothing, ints})
}

func aSubmitted(raw json.RawMessage) (any, error) {
	var j submittedJSON
	if json.Unmarshal(raw, &j) != nil || j.Task == nil {
		return nil, fmt.Errorf(`expected {"task": number, "after": number}, not %s`, short(raw))
	}
	s := Submitted{Task: *j.Task}
	if j.After != nil {
		s.After = Just(*j.After)
	}
	return s, nil
}

func anAssignment(raw json.RawMessage) (any, error) {
	var j assignmentJSON
	if json.Unmarshal(raw, &j) != nil || j.Task == nil || j.Token == nil || j.Lease < 0 {
		return nil, fmt.Errorf(`expected {"task": number, "token": number, "lease": nanoseconds}, not %s`, short(raw))
	}
	return Assignment{*j.Task, *j.Token, time.Duration(j.Lease)}, nil
}

func maybeAssigned(raw json.RawMessage) (any, error) {
	if isNull(raw) {
		return nil, nil
	}
	return anAssignment(raw)
}

// Tasks is how operations on a board of tasks are told; it has no Step.
func Tasks() Model {
	return Model{Name: "tasks", Decode: DecodeTasks, Text: func(op *harness.Operation) string {
		text := op.F
		if op.Input != nil {
			text += fmt.Sprintf(" %v", op.Input)
		}
		switch got := op.Output.(type) {
		case Assignment:
			if op.F == "beat" {
				return fmt.Sprintf("%s -> for %v", text, got.Lease)
			}
			return fmt.Sprintf("%s -> %v for %v", text, got, got.Lease)
		case []int64:
			return text + " -> " + ListText(got)
		}
		if op.F == "take" && op.Type == harness.OK {
			return text + " -> nothing"
		}
		return text
	}}
}
