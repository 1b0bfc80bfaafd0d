package model

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Maybe is an integer or nothing: the value of a register that may never have
// been written, of a dequeue that may have found the queue empty. As JSON it is
// a number or null.
type Maybe struct {
	Int int64
	Set bool
}

// Just is the Maybe that holds v.
func Just(v int64) Maybe { return Maybe{Int: v, Set: true} }

// String is the integer, or "nothing".
func (m Maybe) String() string {
	if !m.Set {
		return "nothing"
	}
	return strconv.FormatInt(m.Int, 10)
}

// AppendJSON appends m as JSON to b.
func (m Maybe) AppendJSON(b []byte) []byte {
	if !m.Set {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, m.Int, 10)
}

// MarshalJSON writes a number or null.
func (m Maybe) MarshalJSON() ([]byte, error) { return m.AppendJSON(nil), nil }

// UnmarshalJSON is the inverse of MarshalJSON.
func (m *Maybe) UnmarshalJSON(b []byte) (err error) {
	*m, err = parseMaybe(b)
	return err
}

// CAS is the input of a compare-and-set: set the register to To if it is From.
// Its output is the value it saw, a [Maybe]; it succeeded if that is From.
// As JSON it is the pair [from, to].
type CAS struct {
	From Maybe
	To   int64
}

// Other is the output of a compare-and-set that failed and did not tell what
// it saw, only that it was something other than what it compared with. No
// decoder makes it: it is for histories of tools that know no more.
type Other struct{ Than Maybe }

// String is "something other than" what it was compared with.
func (o Other) String() string { return "something other than " + o.Than.String() }

// AppendJSON appends c as JSON to b.
func (c CAS) AppendJSON(b []byte) []byte {
	b = c.From.AppendJSON(append(b, '['))
	b = strconv.AppendInt(append(b, ','), c.To, 10)
	return append(b, ']')
}

// MarshalJSON writes the pair [from, to].
func (c CAS) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil), nil }

// UnmarshalJSON is the inverse of MarshalJSON.
func (c *CAS) UnmarshalJSON(b []byte) error {
	var pair []json.RawMessage
	err := json.Unmarshal(b, &pair)
	if err != nil || len(pair) != 2 {
		return fmt.Errorf("expected a pair [from, to], not %s", short(b))
	}
	from, err := parseMaybe(pair[0])
	if err != nil {
		return fmt.Errorf("from: %w", err)
	}
	to, err := parseInt(pair[1])
	if err != nil {
		return fmt.Errorf("to: %w", err)
	}
	*c = CAS{From: from, To: to}
	return nil
}

func parseMaybe(b []byte) (Maybe, error) {
	if isNull(b) {
		return Maybe{}, nil
	}
	v, err := parseInt(b)
	if err != nil {
		return Maybe{}, fmt.Errorf("expected an integer or null, not %s", short(b))
	}
	return Just(v), nil
}

// parseInt reads a JSON number that is an integer of 64 bits.
func parseInt(b []byte) (int64, error) {
	s := string(trim(b))
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || strconv.FormatInt(v, 10) != s && s != "-0" {
		return 0, fmt.Errorf("expected an integer of 64 bits, not %s", short(b))
	}
	return v, nil
}

func isNull(b []byte) bool { return string(trim(b)) == "null" }

// absent says that no value was recorded.
func absent(b []byte) bool { return len(trim(b)) == 0 || isNull(b) }

func trim(b []byte) []byte {
	isSpace := func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// short quotes what was found instead of what was expected.
func short(b []byte) string {
	b = trim(b)
	if len(b) == 0 {
		return "nothing"
	}
	if len(b) > 60 {
		return strconv.QuoteToASCII(string(b[:60])) + "..."
	}
	return strconv.QuoteToASCII(string(b))
}
