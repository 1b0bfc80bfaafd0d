package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"coup/harness"
)

// The decoders below give the values of a stored history their Go types back.
// They are strict: what a function does not take or return is an error that
// says what was expected. Completions that are fail or info carry no value;
// whatever is recorded with them is left out.

// DecodeRegister is the [harness.Decoder] of registers: read returns a
// [Maybe]; write takes an int64; cas takes a [CAS] and returns the [Maybe] it saw.
func DecodeRegister(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a register", function{"read", nothing, aMaybe}, function{"write", anInt, nothing}, function{"cas", aCAS, aMaybe})
}

// DecodeSet is the [harness.Decoder] of sets: add takes an int64, read returns
// the elements as []int64.
func DecodeSet(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a set", function{"add", anInt, nothing}, function{"read", nothing, ints})
}

// DecodeList is the [harness.Decoder] of lists: append takes an int64, read
// returns the elements as []int64.
func DecodeList(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a list", function{"append", anInt, nothing}, function{"read", nothing, ints})
}

// DecodeQueue is the [harness.Decoder] of queues: enqueue takes an int64,
// dequeue returns a [Maybe], null if the queue was empty.
func DecodeQueue(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a queue", function{"enqueue", anInt, nothing}, function{"dequeue", nothing, aMaybe})
}

// DecodeCounter is the [harness.Decoder] of counters: add takes an int64,
// which may be negative, and read returns one.
func DecodeCounter(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a counter", function{"add", anInt, nothing}, function{"read", nothing, anInt})
}

// DecodeStack is the [harness.Decoder] of stacks: push takes an int64, pop
// returns a [Maybe], null if the stack was empty.
func DecodeStack(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a stack", function{"push", anInt, nothing}, function{"pop", nothing, aMaybe})
}

// DecodePriorityQueue is the [harness.Decoder] of priority queues: insert takes
// an int64, delete-min returns a [Maybe], null if the queue was empty.
func DecodePriorityQueue(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a priority queue", function{"insert", anInt, nothing}, function{"delete-min", nothing, aMaybe})
}

// DecodeMutex is the [harness.Decoder] of mutexes: acquire and release take and
// return nothing.
func DecodeMutex(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a mutex", function{"acquire", nothing, nothing}, function{"release", nothing, nothing})
}

// DecodeLock is the [harness.Decoder] of locks: acquire and renew return a
// [Grant], release nothing.
func DecodeLock(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a lock", function{"acquire", nothing, aGrant}, function{"renew", nothing, aGrant}, function{"release", nothing, nothing})
}

// DecodeKV is the [harness.Decoder] of strings: put and append take a string, get
// returns one.
func DecodeKV(t harness.Type, f string, raw json.RawMessage) (any, error) {
	return decode(t, f, raw, "a string", function{"get", nothing, aString}, function{"put", aString, nothing}, function{"append", aString, nothing})
}

func aString(raw json.RawMessage) (any, error) {
	var s string
	if absent(raw) || json.Unmarshal(raw, &s) != nil {
		return nil, fmt.Errorf("expected a string, not %s", short(raw))
	}
	return s, nil
}

func aGrant(raw json.RawMessage) (any, error) {
	var g Grant
	if absent(raw) {
		return g, nil
	}
	if err := g.UnmarshalJSON(raw); err != nil {
		return nil, err
	}
	return g, nil
}

func unknownFunction(f, of, known string) error {
	return fmt.Errorf("%s has no function %q, only %s", of, f, known)
}

type parser func(json.RawMessage) (any, error)

// function is one of an object: what it takes, and what it returns.
type function struct {
	name          string
	input, output parser
}

// decode decodes a value of one of the functions of an object.
func decode(t harness.Type, f string, raw json.RawMessage, object string, known ...function) (v any, err error) {
	i := slices.IndexFunc(known, func(k function) bool { return k.name == f })
	if i < 0 {
		var names []string
		for _, k := range known {
			names = append(names, k.name)
		}
		return nil, unknownFunction(f, object, strings.Join(names, ", "))
	}
	switch t {
	case harness.Invoke:
		v, err = known[i].input(raw)
	case harness.OK:
		v, err = known[i].output(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", t, f, err)
	}
	return v, nil
}

func nothing(raw json.RawMessage) (any, error) {
	if !absent(raw) {
		return nil, fmt.Errorf("expected no value, not %s", short(raw))
	}
	return nil, nil
}

func anInt(raw json.RawMessage) (any, error) {
	v, err := parseInt(raw)
	if err != nil {
		return nil, err
	}
	return v, nil
}

func aMaybe(raw json.RawMessage) (any, error) {
	// An answer that was not recorded is not the answer null.
	if len(trim(raw)) == 0 {
		return nil, fmt.Errorf("expected an integer or null, not nothing")
	}
	m, err := parseMaybe(raw)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func aCAS(raw json.RawMessage) (any, error) {
	var c CAS
	if err := c.UnmarshalJSON(raw); err != nil {
		return nil, err
	}
	return c, nil
}

func ints(raw json.RawMessage) (any, error) {
	if isNull(raw) { // an empty Go slice
		return []int64{}, nil
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return nil, fmt.Errorf("expected a list of integers, not %s", short(raw))
	}
	vs := make([]int64, len(elements))
	for i, e := range elements {
		v, err := parseInt(e)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		vs[i] = v
	}
	return vs, nil
}
