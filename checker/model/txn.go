package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"coup/harness"
)

// Micro is one step of a transaction: an append to a list, a write to a
// register, or a read of either. A transaction's input is a [Txn] without
// what the reads showed, its output the same with it.
//
// As JSON it is a triple, as in Elle: ["append", key, value], ["w", key,
// value], ["r", key, null] in an input, and in an output ["r", key, [1, 2]] for
// a list (null: it was empty) or ["r", key, 3] for a register (null: it was
// never written).
type Micro struct {
	F     string // append, w, r
	Key   string
	Value int64   // append, w: what is written
	List  []int64 // r of a list in an output: what it showed
	Seen  Maybe   // r of a register in an output: what it showed
}

func (m Micro) appendJSON(b []byte) []byte {
	b = append(b, '[')
	b = strconv.AppendQuote(b, m.F)
	b = append(b, ',')
	key, _ := json.Marshal(m.Key)
	b = append(append(b, key...), ',')
	switch {
	case m.F != "r":
		b = strconv.AppendInt(b, m.Value, 10)
	case m.List != nil:
		b = append(b, '[')
		for i, v := range m.List {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, v, 10)
		}
		b = append(b, ']')
	default:
		b = m.Seen.AppendJSON(b)
	}
	return append(b, ']')
}

// Txn is a transaction: its steps, in their order. As JSON it is a list of triples.
type Txn []Micro

// AppendJSON appends t as JSON to b.
func (t Txn) AppendJSON(b []byte) []byte {
	b = append(b, '[')
	for i, m := range t {
		if i > 0 {
			b = append(b, ',')
		}
		b = m.appendJSON(b)
	}
	return append(b, ']')
}

// Asked is a transaction before it was performed, for people.
func (t Txn) Asked() string {
	var steps []string
	for _, m := range t {
		if m.F == "r" {
			steps = append(steps, "r "+m.Key)
		} else {
			steps = append(steps, m.String())
		}
	}
	return strings.Join(steps, ", ")
}

// Answered is what the reads of a transaction saw, for people.
func (t Txn) Answered() string {
	var reads []string
	for _, m := range t {
		if m.F == "r" {
			reads = append(reads, m.Key+" "+m.Saw())
		}
	}
	return strings.Join(reads, ", ")
}

// Saw is what a read showed.
func (m Micro) Saw() string {
	if m.List != nil {
		return EndText(m.List)
	}
	return m.Seen.String()
}

// Answers says whether t has the steps of in, whatever its reads saw.
func (t Txn) Answers(in Txn) bool {
	return slices.EqualFunc(in, t, func(a, b Micro) bool {
		return a.F == b.F && a.Key == b.Key && (a.F == "r" || a.Value == b.Value)
	})
}

// MarshalJSON writes the list of triples.
func (t Txn) MarshalJSON() ([]byte, error) { return t.AppendJSON(nil), nil }

// MarshalJSON writes the triple.
func (m Micro) MarshalJSON() ([]byte, error) { return m.appendJSON(nil), nil }

// String writes the step as in "append x 3" or "r x [1 3]".
func (m Micro) String() string {
	if m.F != "r" {
		return fmt.Sprintf("%s %s %d", m.F, m.Key, m.Value)
	}
	return "r " + m.Key + " " + m.Saw()
}

// DecodeListTxn is the [harness.Decoder] of transactions over lists: the
// function txn takes and returns a list of steps, append and r.
func DecodeListTxn(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decodeTxn(t, f, raw, true)
}

// DecodeRegisterTxn is the [harness.Decoder] of transactions over registers:
// the function txn takes and returns a list of steps, w and r.
func DecodeRegisterTxn(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decodeTxn(t, f, raw, false)
}

func decodeTxn(t harness.Type, f string, raw json.RawMessage, list bool) (any, error) {
	steps := func(raw json.RawMessage) (any, error) {
		var triples [][]json.RawMessage
		if err := json.Unmarshal(raw, &triples); err != nil {
			return nil, fmt.Errorf("expected a list of steps [function, key, value], not %s", short(raw))
		}
		ms := make(Txn, len(triples))
		for i, triple := range triples {
			m, err := decodeMicro(triple, list, t == harness.OK)
			if err != nil {
				return nil, fmt.Errorf("step %d: %w", i, err)
			}
			ms[i] = m
		}
		return ms, nil
	}
	return decode(t, f, raw, "a store with transactions", function{"txn", steps, steps})
}

func decodeMicro(triple []json.RawMessage, list, output bool) (m Micro, err error) {
	if len(triple) != 3 {
		return m, fmt.Errorf("expected [function, key, value], not %d values", len(triple))
	}
	if err := json.Unmarshal(triple[0], &m.F); err != nil {
		return m, fmt.Errorf("expected the name of a function, not %s", short(triple[0]))
	}
	// A key may be a number, too.
	if err := json.Unmarshal(triple[1], &m.Key); err != nil {
		n, err := parseInt(triple[1])
		if err != nil {
			return m, fmt.Errorf("expected a key, not %s", short(triple[1]))
		}
		m.Key = strconv.FormatInt(n, 10)
	}
	switch {
	case m.F == "append" && list, m.F == "w" && !list:
		m.Value, err = parseInt(triple[2])
	case m.F != "r":
		known := "w and r"
		if list {
			known = "append and r"
		}
		return m, fmt.Errorf("expected %s, not %q", known, m.F)
	case !output:
	case list:
		var v any
		v, err = ints(triple[2])
		m.List, _ = v.([]int64)
	default:
		m.Seen, err = parseMaybe(triple[2])
	}
	return m, err
}
