package histories

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"coup/checker/model"
	"coup/harness"
)

// A converter makes the values that a model understands of EDN values. It may
// give operations the names that the model knows.
type converter struct {
	names  map[string]string // of functions, where they differ
	input  func(op *harness.Operation, v any) (any, error)
	output func(op *harness.Operation, v any, o Options) (drop bool, err error)
}

func (c converter) name(f string) string {
	if n, ok := c.names[f]; ok {
		return n
	}
	return f
}

var converters = map[string]converter{
	"register":       {input: registerInput, output: registerOutput},
	"cas-register":   {input: registerInput, output: registerOutput},
	"set":            {input: setInput, output: setOutput},
	"queue":          {input: elementInput("enqueue", "dequeue"), output: elementOutput},
	"stack":          {input: elementInput("push", "pop"), output: elementOutput},
	"priority-queue": {input: elementInput("insert", "delete-min"), output: elementOutput},
	"counter":        {names: map[string]string{"inc": "add", "increment": "add"}, input: counterInput, output: counterOutput},
	"mutex":          {names: lockNames, input: lockInput("acquire", "release"), output: noOutput},
	"lock":           {names: lockNames, input: lockInput("acquire", "renew", "release"), output: lockOutput},
	"kv":             {input: kvInput, output: kvOutput},
	"list-append":    {input: listInput, output: listOutput},
	"rw-register":    {input: rwInput, output: rwOutput},
}

func anInt(v any) (int64, error) {
	i, ok := v.(int64)
	if !ok {
		return 0, fmt.Errorf("expected an integer, not %v", v)
	}
	return i, nil
}

func aMaybe(v any) (model.Maybe, error) {
	if v == nil {
		return model.Maybe{}, nil
	}
	i, err := anInt(v)
	if err != nil {
		return model.Maybe{}, fmt.Errorf("expected an integer or nil, not %v", v)
	}
	return model.Just(i), nil
}

func unknown(op *harness.Operation, known string) error {
	return fmt.Errorf("this model has no function %q, only %s", op.F, known)
}

func registerInput(op *harness.Operation, v any) (any, error) {
	switch op.F {
	case "read":
		return nil, nil
	case "write":
		i, err := anInt(v)
		return i, err
	case "cas":
		pair, ok := v.([]any)
		if !ok || len(pair) != 2 {
			return nil, fmt.Errorf("expected a pair [from to], not %v", v)
		}
		from, err := aMaybe(pair[0])
		if err != nil {
			return nil, err
		}
		to, err := anInt(pair[1])
		if err != nil {
			return nil, err
		}
		return model.CAS{From: from, To: to}, nil
	}
	return nil, unknown(op, "read, write, cas")
}

func registerOutput(op *harness.Operation, v any, o Options) (bool, error) {
	switch op.F {
	case "cas":
		in := op.Input.(model.CAS)
		if op.Type == harness.OK {
			op.Output = in.From
		} else if o.FailedCASDiffers {
			op.Type, op.Output = harness.OK, model.Other{Than: in.From}
		}
	case "read":
		if op.Type != harness.OK {
			return false, nil
		}
		m, err := aMaybe(v)
		if err != nil {
			return false, err
		}
		op.Output = m
		return !m.Set && o.NilReadsSayNothing, nil
	}
	return false, nil
}

func setInput(op *harness.Operation, v any) (any, error) {
	switch op.F {
	case "read":
		return nil, nil
	case "add":
		i, err := anInt(v)
		return i, err
	}
	return nil, unknown(op, "add, read")
}

func setOutput(op *harness.Operation, v any, o Options) (bool, error) {
	if op.F != "read" || op.Type != harness.OK {
		return false, nil
	}
	if v == nil && o.NilReadsSayNothing {
		return true, nil
	}
	elements, err := intList(v)
	op.Output = elements
	return false, err
}

// elementInput is the input of objects that elements are put into and taken
// out of.
func elementInput(put, take string) func(op *harness.Operation, v any) (any, error) {
	return func(op *harness.Operation, v any) (any, error) {
		switch op.F {
		case take:
			return nil, nil
		case put:
			i, err := anInt(v)
			return i, err
		}
		return nil, unknown(op, put+", "+take)
	}
}

// elementOutput: an operation that failed to take something found nothing or
// did not happen; nobody can tell which, so it is left out.
func elementOutput(op *harness.Operation, v any, o Options) (bool, error) {
	if op.Input != nil || op.Type != harness.OK {
		return false, nil
	}
	m, err := aMaybe(v)
	if err != nil {
		return false, err
	}
	op.Output = m
	return !m.Set && o.NilReadsSayNothing, nil
}

func counterInput(op *harness.Operation, v any) (any, error) {
	switch op.F {
	case "read":
		return nil, nil
	case "add", "inc", "increment":
		op.F = "add"
		if v == nil {
			return int64(1), nil
		}
		i, err := anInt(v)
		return i, err
	}
	return nil, unknown(op, "add, read")
}

func counterOutput(op *harness.Operation, v any, o Options) (bool, error) {
	if op.F != "read" || op.Type != harness.OK {
		return false, nil
	}
	if v == nil && o.NilReadsSayNothing {
		return true, nil
	}
	i, err := anInt(v)
	op.Output = i
	return false, err
}

var lockNames = map[string]string{"lock": "acquire", "unlock": "release"}

func lockInput(functions ...string) func(*harness.Operation, any) (any, error) {
	return func(op *harness.Operation, _ any) (any, error) {
		if f, other := lockNames[op.F]; other {
			op.F = f
		}
		if !slices.Contains(functions, op.F) {
			return nil, unknown(op, strings.Join(functions, ", "))
		}
		return nil, nil
	}
}

// lockOutput: an acquire or a renewal may tell its fencing token, alone or in a
// map as :token or :fence, and in the map how many milliseconds the lease is, as
// :lease-ms. Other keys say nothing.
func lockOutput(op *harness.Operation, v any, _ Options) (bool, error) {
	if op.F == "release" || op.Type != harness.OK {
		return false, nil
	}
	var g model.Grant
	token, lease := v, any(nil)
	if m, ok := v.(ednMap); ok {
		token, lease = m.get("token"), m.get("lease-ms")
		if token == nil {
			token = m.get("fence")
		}
	}
	var err error
	if g.Token, err = aMaybe(token); err != nil {
		return false, fmt.Errorf("a fencing token: %w", err)
	}
	if lease != nil {
		ms, err := anInt(lease)
		if err != nil || ms < 0 || ms > math.MaxInt64/int64(time.Millisecond) {
			return false, fmt.Errorf("expected a number of milliseconds as :lease-ms, not %v", lease)
		}
		g.Lease = time.Duration(ms) * time.Millisecond
	}
	op.Output = g
	return false, nil
}

func noOutput(*harness.Operation, any, Options) (bool, error) { return false, nil }

func kvInput(op *harness.Operation, v any) (any, error) {
	switch op.F {
	case "get":
		return nil, nil
	case "put", "append":
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("expected a string, not %v", v)
		}
		return s, nil
	}
	return nil, unknown(op, "get, put, append")
}

func kvOutput(op *harness.Operation, v any, _ Options) (bool, error) {
	if op.F != "get" || op.Type != harness.OK {
		return false, nil
	}
	s, ok := v.(string)
	if !ok && v != nil {
		return false, fmt.Errorf("expected a string, not %v", v)
	}
	op.Output = s
	return false, nil
}
