package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"coup/harness"
)

// Message is a value at an offset of a log.
type Message struct {
	Offset Maybe // nothing: it was not told
	Value  int64
}

// Polled is what a poll got of one log, in its order.
type Polled struct {
	Key      string
	Messages []Message
}

// LogStep is one step of an operation on logs: a send of one message, or a poll.
type LogStep struct {
	F       string  // send, poll
	Key     string  // send: the log
	Message Message // send: in an output with its offset
	Polled  []Polled
}

// LogSteps are the input and the output of the functions send, poll and txn on logs,
// as in Jepsen's test of Kafka: ["send", key, value] and ["poll"] in an input,
// ["send", key, [offset, value]] and ["poll", {key: [[offset, value], ...]}] in an output.
type LogSteps struct {
	Steps []LogStep
	// Rebalanced are the logs whose assignment changed meanwhile, of which a poll may
	// begin anywhere.
	Rebalanced []string
}

// Assigned is the input of assign and subscribe: the logs that are polled from then on.
type Assigned struct {
	Keys []string
	// FromBeginning says that polls begin anew.
	FromBeginning bool
}

// String writes the steps for people.
func (s LogSteps) String() string {
	var words []string
	for _, st := range s.Steps {
		if st.F == "send" {
			at := ""
			if st.Message.Offset.Set {
				at = " at " + st.Message.Offset.String()
			}
			words = append(words, fmt.Sprintf("send %d to %s%s", st.Message.Value, st.Key, at))
			continue
		}
		w := "poll"
		for _, p := range st.Polled {
			var values []int64
			for _, m := range p.Messages {
				values = append(values, m.Value)
			}
			w += " " + p.Key + " " + ListText(values)
		}
		words = append(words, w)
	}
	return strings.Join(words, ", ")
}

// MarshalJSON writes the list of steps; with rebalanced logs, {"steps": [...],
// "rebalanced": [key, ...]}.
func (s LogSteps) MarshalJSON() ([]byte, error) {
	message := func(m Message) []any { return []any{m.Offset, m.Value} }
	steps := []any{}
	for _, st := range s.Steps {
		switch {
		case st.F == "send" && st.Message.Offset.Set:
			steps = append(steps, []any{"send", st.Key, message(st.Message)})
		case st.F == "send":
			steps = append(steps, []any{"send", st.Key, st.Message.Value})
		case st.Polled == nil:
			steps = append(steps, []any{"poll"})
		default:
			got := map[string][][]any{}
			for _, p := range st.Polled {
				got[p.Key] = [][]any{}
				for _, m := range p.Messages {
					got[p.Key] = append(got[p.Key], message(m))
				}
			}
			steps = append(steps, []any{"poll", got})
		}
	}
	if len(s.Rebalanced) == 0 {
		return json.Marshal(steps)
	}
	return json.Marshal(map[string]any{"steps": steps, "rebalanced": s.Rebalanced})
}

// MarshalJSON writes the list of keys; with FromBeginning, {"keys": [...],
// "from_beginning": true}.
func (a Assigned) MarshalJSON() ([]byte, error) {
	keys := append([]string{}, a.Keys...)
	if !a.FromBeginning {
		return json.Marshal(keys)
	}
	return json.Marshal(map[string]any{"keys": keys, "from_beginning": true})
}

// DecodeLog is the [harness.Decoder] of logs: send, poll and txn take and return
// [LogSteps]; assign and subscribe take a list of keys, an [Assigned]; crash takes nothing.
func DecodeLog(t harness.Type, f string, raw json.RawMessage) (any, error) {
	steps := func(raw json.RawMessage) (any, error) { return logSteps(raw) }
	keys := func(raw json.RawMessage) (any, error) {
		var in []json.RawMessage
		a := Assigned{Keys: []string{}}
		var whole struct {
			Keys          []json.RawMessage
			FromBeginning bool `json:"from_beginning"`
		}
		switch {
		case json.Unmarshal(raw, &in) == nil:
		case json.Unmarshal(raw, &whole) == nil:
			in, a.FromBeginning = whole.Keys, whole.FromBeginning
		default:
			return nil, fmt.Errorf("expected a list of keys, not %s", short(raw))
		}
		for _, k := range in {
			key, err := name(k)
			if err != nil {
				return nil, err
			}
			a.Keys = append(a.Keys, key)
		}
		return a, nil
	}
	return decode(t, f, raw, "a log", function{"send", steps, steps}, function{"poll", steps, steps}, function{"txn", steps, steps},
		function{"assign", keys, anything}, function{"subscribe", keys, anything}, function{"crash", anything, anything})
}

func logMessage(raw json.RawMessage) (m Message, err error) {
	var pair []json.RawMessage
	if json.Unmarshal(raw, &pair) != nil || pair == nil { // a value without an offset
		m.Value, err = parseInt(raw)
		return m, err
	}
	if len(pair) != 2 {
		return m, fmt.Errorf("expected a pair of an offset and a value, not %s", short(raw))
	}
	if m.Offset, err = parseMaybe(pair[0]); err != nil {
		return m, fmt.Errorf("offset: %w", err)
	}
	m.Value, err = parseInt(pair[1])
	return m, err
}

func logSteps(raw json.RawMessage) (s LogSteps, err error) {
	var in [][]json.RawMessage
	var whole struct {
		Steps      [][]json.RawMessage
		Rebalanced []string
	}
	switch {
	case json.Unmarshal(raw, &in) == nil:
	case json.Unmarshal(raw, &whole) == nil:
		in = whole.Steps
		if len(whole.Rebalanced) > 0 {
			s.Rebalanced = whole.Rebalanced
		}
	default:
		return s, fmt.Errorf("expected a list of steps, not %s", short(raw))
	}
	for i, words := range in {
		step, err := logStep(words)
		if err != nil {
			return s, fmt.Errorf("step %d: %w", i, err)
		}
		s.Steps = append(s.Steps, step)
	}
	return s, nil
}

func logStep(words []json.RawMessage) (st LogStep, err error) {
	if len(words) == 0 || json.Unmarshal(words[0], &st.F) != nil {
		return st, fmt.Errorf("expected send or poll")
	}
	switch {
	case st.F == "send" && len(words) == 3:
		if st.Key, err = name(words[1]); err != nil {
			return st, err
		}
		st.Message, err = logMessage(words[2])
		return st, err
	case st.F == "poll" && (len(words) == 1 || len(words) == 2 && absent(words[1])):
		return st, nil
	case st.F == "poll" && len(words) == 2:
		var in map[string][]json.RawMessage
		if err := json.Unmarshal(words[1], &in); err != nil {
			return st, fmt.Errorf("expected an object of messages by key, not %s", short(words[1]))
		}
		st.Polled = []Polled{}
		for key, messages := range in {
			p := Polled{Key: key}
			for _, raw := range messages {
				m, err := logMessage(raw)
				if err != nil {
					return st, fmt.Errorf("key %s: %w", strconv.Quote(key), err)
				}
				p.Messages = append(p.Messages, m)
			}
			st.Polled = append(st.Polled, p)
		}
		slices.SortFunc(st.Polled, func(a, b Polled) int { return strings.Compare(a.Key, b.Key) })
		return st, nil
	}
	return st, fmt.Errorf(`expected ["send", key, value] or ["poll"], not %s of %d words`, strconv.Quote(st.F), len(words))
}

// Logs is how operations on logs are told; it has no Step.
func Logs() Model {
	return Model{Name: "log", Decode: DecodeLog, Text: func(op *harness.Operation) string {
		switch v := op.Output.(type) {
		case LogSteps:
			return v.String()
		}
		switch v := op.Input.(type) {
		case LogSteps:
			return v.String()
		case Assigned:
			return op.F + " " + strings.Join(v.Keys, " ")
		}
		return op.F
	}}
}

// DecodeIDs is the [harness.Decoder] of a source of ids: generate returns an integer.
func DecodeIDs(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a source of ids", function{"generate", anything, anInt})
}

// IDs is how the operations of a source of ids are told; it has no Step.
func IDs() Model {
	return Model{Name: "unique-ids", Decode: DecodeIDs, Text: func(op *harness.Operation) string {
		if id, ok := op.Output.(int64); ok {
			return fmt.Sprintf("generate -> %d", id)
		}
		return "generate"
	}}
}
