package harness

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Type says what a line of a history records: that an operation began, or how it ended.
type Type uint8

const (
	// Invoke records that a process began an operation.
	Invoke Type = iota
	// OK: the operation took effect, and Value is what the system answered.
	OK
	// Fail: the operation certainly did not take effect, and never will.
	Fail
	// Info: nobody knows whether the operation took effect or still will. It
	// stays open to the end of the history, and its process never speaks again.
	Info
)

var typeNames = [...]string{"invoke", "ok", "fail", "info"}

func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// MarshalText writes the name of t, as it stands in a history.
func (t Type) MarshalText() ([]byte, error) {
	if int(t) >= len(typeNames) {
		return nil, fmt.Errorf("unknown type of operation %d", uint8(t))
	}
	return []byte(typeNames[t]), nil
}

// UnmarshalText is the inverse of MarshalText.
func (t *Type) UnmarshalText(b []byte) error {
	for i, name := range typeNames {
		if string(b) == name {
			*t = Type(i)
			return nil
		}
	}
	return fmt.Errorf("type %q is none of invoke, ok, fail, info", b)
}

// Op is one line of a history: a process began an operation, or it ended.
//
// The type of Value is up to the workload. In an invocation it is the argument, in a
// completion the answer. In an op read from disk it is a json.RawMessage until the
// workload's decoder has decoded it (see [Decoder]).
type Op struct {
	Time    time.Duration // since the start of the run
	Process int           // the single thread of control that asked
	Type    Type
	F       string // the function: read, write, cas, add, enqueue, ...
	Key     string // the object it works on; objects are independent of each other
	Value   any
	Node    string // the node that was asked (completions: that answered last)
	Error   string // for fail and info: what went wrong
	// Due is when an operation of an open-loop load should have begun; 0: its load is
	// none, and it began when a process was free for it. Only invocations have it.
	Due time.Duration
}

// Function splits the name of a function in a load of several workloads, such as
// "set.add"; the workload is "" in a load of one.
func Function(f string) (workload, function string) {
	if w, f, ok := strings.Cut(f, "."); ok {
		return w, f
	}
	return "", f
}

// Decoder gives the value of a stored line its Go type back. Each workload has one.
// Checkers only see decoded values, so that a history means the same when it is recorded
// and when it is judged again later.
type Decoder func(t Type, f string, raw json.RawMessage) (any, error)

// Operation is an invocation together with its completion.
//
// Call and Return are positions in the recorded order of the whole history,
// each used once: they order operations exactly, where clock readings could be
// equal. Return is [Open] for an operation that ended info or never ended.
type Operation struct {
	Process int
	F       string
	Key     string
	Input   any // the invocation's value
	Output  any // the completion's value; nil unless Type is OK
	Type    Type
	Call    int
	Return  int
	Start   time.Duration // when it was invoked
	End     time.Duration // when it completed (for Info: when the process gave up)
	Due     time.Duration // when it should have begun, in an open-loop load; else 0
	Node    string
	Error   string
	// Line is where the invocation stands in the file that the history was read
	// from, counted from 1; 0 if it was not read from one. Index is the number
	// that a history of another tool gives it (:index); -1 if it gives none.
	Line, Index int
}

// Latency is how long whoever asked had to wait: in an open-loop load from the moment at
// which the operation should have begun. Otherwise a system that stands still would delay
// few operations, and the many that could not begin meanwhile would not count (what Gil
// Tene calls coordinated omission).
func (o *Operation) Latency() time.Duration {
	if o.Due > 0 {
		return o.End - o.Due
	}
	return o.End - o.Start
}

// Beginning is the Process of operations that nobody performed: they stand for
// what an object held when the history began.
const Beginning = -1

// Open is the Return of an operation that has no known end.
const Open = int(^uint(0) >> 1)
