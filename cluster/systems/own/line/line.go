// Package line is the protocol between coup and a client program in any language: one JSON
// object a line, requests on the program's standard input, answers on its standard output.
// docs/10-your-own.md is its description for who writes a client.
//
// [Request] and [ParseAnswer] are the lines. A [Program] is a client that runs; start with
// [Start] and [Program.Ask]. What breaks the protocol is a [Mistake], in one line.
package line

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"coup/harness"
)

// Request is a line to the program.
type Request struct {
	ID       int64  `json:"id"` // grows; no two requests to a program have the same
	Workload string `json:"workload"`
	F        string `json:"f"` // a function of the workload, or Open
	Key      string `json:"key,omitempty"`
	Value    any    `json:"value"` // null if the function takes none
	Node     string `json:"node"`
	// Address is where the program reaches Node, at the first of its ports for clients.
	Address string `json:"address"`
	// Nodes are the addresses of all nodes, by their names and the numbers of their
	// ports as the nodes themselves know them.
	Nodes     map[string]map[string]string `json:"nodes"`
	TimeoutMS int64                        `json:"timeout_ms"` // for the answer
}

// Open is the function of the first request to a program: it may connect now. Any answer
// will do, and says that the program is ready.
const Open = "open"

// Answer is a line of the program.
type Answer struct {
	ID    int64
	Type  harness.Type    // OK, Fail or Info
	Value json.RawMessage // nil if the line has none
	Error string
	Node  string // which answered, if it is another one than was asked; or ""
}

// Longest is the length of a line at which reading it ends.
const Longest = 4 << 20

// Mistake is what a program does wrong, in one line.
type Mistake struct{ Says string }

func (m *Mistake) Error() string { return m.Says }

func mistake(format string, args ...any) error { return &Mistake{fmt.Sprintf(format, args...)} }

// ParseAnswer reads a line of the program. Its error is a [Mistake].
func ParseAnswer(text []byte) (Answer, error) {
	var raw struct {
		ID    *json.RawMessage `json:"id"`
		Type  *string          `json:"type"`
		Value json.RawMessage  `json:"value"`
		Error *string          `json:"error"`
		Node  *string          `json:"node"`
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 || text[0] != '{' || !json.Valid(text) {
		return Answer{}, mistake("standard output carries a line that is no JSON object: %s", quote(text))
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		return Answer{}, mistake("an answer is not as the protocol wants it (%s): %s", because(err), quote(text))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Answer{}, mistake("a line holds more than one JSON object: %s", quote(text))
	}
	if raw.ID == nil {
		return Answer{}, mistake("an answer has no id: %s", quote(text))
	}
	id, err := strconv.ParseInt(string(*raw.ID), 10, 64)
	if err != nil {
		return Answer{}, mistake("the id of an answer is no whole number: %s", quote(text))
	}
	if raw.Type == nil {
		return Answer{}, mistake("an answer has no type (ok, fail or info): %s", quote(text))
	}
	a := Answer{ID: id, Value: raw.Value}
	if err := a.Type.UnmarshalText([]byte(*raw.Type)); err != nil || a.Type == harness.Invoke {
		return Answer{}, mistake("the type of an answer is ok, fail or info, not %s: %s", quote([]byte(*raw.Type)), quote(text))
	}
	if raw.Error != nil {
		a.Error = *raw.Error
	}
	if raw.Node != nil {
		a.Node = *raw.Node
	}
	return a, nil
}

// because is the error of a decoder without the names of Go.
func because(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Sprintf("%s is a %s", kind.Field, kind.Value)
	}
	return string(bytes.TrimPrefix([]byte(err.Error()), []byte("json: ")))
}

// quote shows a line, or its begin if it is long.
func quote(text []byte) string {
	const most = 120
	if len(text) > most {
		return strconv.Quote(string(text[:most])) + "..."
	}
	return strconv.Quote(string(text))
}
