package histories

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"coup/checker/model"
	"coup/harness"
)

// A meaning says which names the functions of a model have, and what their values mean.
type meaning struct {
	functions map[string]function // by the names that histories give them
	// scalar says that its values are never vectors, so that a pair of one that a
	// function takes is of a key and a value.
	scalar bool
	// names says that functions take nothing but the name of an object.
	names bool
	// txn says that every operation is a transaction, whatever it is called.
	txn bool

	input  func(c *conversion, op *harness.Operation, v any) (any, error)
	output func(c *conversion, op *harness.Operation, v any) (out any, drop bool, err error)
	// beginning are the operations that make an object what it was at the
	// beginning. nil: it cannot begin otherwise.
	beginning func(c *conversion, v any) ([]harness.Operation, error)
}

// function is one of a model.
type function struct {
	name  string // that the model knows it by
	takes bool   // a value, which its completion may repeat
}

var (
	reads = function{name: "read"}

	registers = meaning{
		functions: map[string]function{"read": reads, "write": {"write", true}, "cas": {"cas", true}},
		input:     registerInput, output: registerOutput, beginning: registerBeginning,
	}
	models = map[string]meaning{
		"register": registers, "cas-register": registers,
		"set": {
			functions: map[string]function{"read": reads, "add": {"add", true}},
			input:     putInput, output: setOutput, beginning: eachElement("add"),
		},
		"queue":          withDrains(elementModel("enqueue", "dequeue", false)),
		"stack":          elementModel("push", "pop", false),
		"priority-queue": elementModel("insert", "delete-min", true),
		"counter": {
			functions: map[string]function{"read": reads, "add": {"add", true}, "inc": {"add", true}, "increment": {"add", true}},
			scalar:    true, input: counterInput, output: counterOutput, beginning: counterBeginning,
		},
		"mutex": {
			functions: map[string]function{"acquire": {name: "acquire"}, "lock": {name: "acquire"}, "release": {name: "release"}, "unlock": {name: "release"}},
			names:     true, output: noOutput, beginning: mutexBeginning,
		},
		"lock": {
			functions: map[string]function{"acquire": {name: "acquire"}, "lock": {name: "acquire"}, "renew": {name: "renew"}, "release": {name: "release"}, "unlock": {name: "release"}},
			names:     true, output: lockOutput,
		},
		"kv": {
			functions: map[string]function{"get": {name: "get"}, "put": {"put", true}, "append": {"append", true}},
			scalar:    true, input: kvInput, output: kvOutput, beginning: kvBeginning,
		},
		"bank": banks, "unique-ids": sources, "semaphore": semaphores, "log": logs,
		"set-full":        {functions: map[string]function{"read": reads, "add": {"add", true}}, input: putInput, output: setOutput, beginning: eachElement("add")},
		"total-queue":     withDrains(elementModel("enqueue", "dequeue", false)),
		"unordered-queue": withDrains(elementModel("enqueue", "dequeue", false)),
		"jepsen-counter": {
			functions: map[string]function{"read": reads, "add": {"add", true}, "inc": {"add", true}, "increment": {"add", true}},
			scalar:    true, input: counterInput, output: counterOutput, beginning: counterBeginning,
		},
		"fenced-mutex": {
			functions: map[string]function{"acquire": {name: "acquire"}, "lock": {name: "acquire"}, "release": {name: "release"}, "unlock": {name: "release"}},
			names:     true, output: lockOutput,
		},
		"reentrant-mutex": {
			functions: map[string]function{"acquire": {name: "acquire"}, "lock": {name: "acquire"}, "release": {name: "release"}, "unlock": {name: "release"}},
			names:     true, output: lockOutput,
		},
		"multi-register": {txn: true, input: txnInput("w"), output: txnOutput("w")},
		"long-fork":      {txn: true, input: txnInput("w"), output: txnOutput("w")},
		"list-append":    {txn: true, input: txnInput("append"), output: txnOutput("append")},
		"rw-register":    {txn: true, input: txnInput("w"), output: txnOutput("w")},
	}
)

func elementModel(put, take string, scalar bool) meaning {
	return meaning{
		functions: map[string]function{put: {put, true}, take: {name: take}},
		scalar:    scalar, input: putInput, output: takeOutput, beginning: eachElement(put),
	}
}

// drain is Jepsen's function that dequeues until nothing is left, and returns all
// that it got.
const drain = "drain"

func withDrains(m meaning) meaning {
	m.functions[drain] = function{name: drain}
	return m
}

// known names the functions of a model.
func (m meaning) known() string {
	var names []string
	for _, f := range m.functions {
		if !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// function is what a history calls f.
func (m meaning) function(f string) (function, error) {
	if m.txn {
		return function{name: "txn", takes: true}, nil
	}
	if f == "" {
		return function{}, fmt.Errorf("an operation needs an :f, the name of its function (of this model %s)", m.known())
	}
	known, ok := m.functions[f]
	if !ok {
		return known, fmt.Errorf("this model has no function %q, only %s", f, m.known())
	}
	return known, nil
}

// conversion makes the values that checkers understand of those of a file.
type conversion struct {
	*values
	model   meaning
	options Options
	keyed   bool // values are pairs of a key and a value, as in Jepsen's independent tests
	// nilIsValue says that somebody writes nil, so that it is a value like others
	// and the one that every register holds at the beginning.
	nilIsValue bool
	json       bool
}

// integer is for what is added up or compared by size.
func integer(v any) (int64, error) {
	i, ok := v.(int64)
	if !ok {
		return 0, fmt.Errorf("expected an integer, not %s", textOf(v))
	}
	return i, nil
}

// maybe is the integer that stands for a value, or for nothing if it is nil.
func (c *conversion) maybe(v any) (model.Maybe, error) {
	if v == nil && !c.nilIsValue {
		return model.Maybe{}, nil
	}
	i, err := c.id(v)
	return model.Just(i), err
}

func registerInput(c *conversion, op *harness.Operation, v any) (any, error) {
	switch op.F {
	case "write":
		return c.id(v)
	case "cas":
		from, to, ok := pair(v)
		if !ok {
			return nil, fmt.Errorf("expected a pair [from to], not %s", textOf(v))
		}
		saw, err := c.maybe(from)
		if err != nil {
			return nil, err
		}
		id, err := c.id(to)
		return model.CAS{From: saw, To: id}, err
	}
	return nil, nil
}

func registerOutput(c *conversion, op *harness.Operation, v any) (any, bool, error) {
	switch {
	case op.F == "cas" && op.Type == harness.OK:
		from := op.Input.(model.CAS).From
		if _, _, again := pair(v); again || v == nil || v == true {
			return from, false, nil
		}
		if _, isInt := v.(int64); !isInt || !c.json { // what coup itself records: the value that it saw
			return nil, false, fmt.Errorf("expected [from to] again or nothing, not %s: a compare-and-set that did not happen ends with fail", textOf(v))
		}
		saw, err := c.maybe(v)
		return saw, false, err
	case op.F == "cas" && c.options.FailedCASDiffers:
		op.Type = harness.OK
		return model.Other{Than: op.Input.(model.CAS).From}, false, nil
	case op.F == "read" && op.Type == harness.OK:
		m, err := c.maybe(v)
		return m, v == nil && c.options.NilReadsSayNothing, err
	}
	return nil, false, nil
}

func registerBeginning(c *conversion, v any) ([]harness.Operation, error) {
	if v == nil && !c.nilIsValue {
		return nil, nil
	}
	id, err := c.id(v)
	return []harness.Operation{{F: "write", Input: id}}, err
}

// putInput is for functions that take an element, or nothing.
func putInput(c *conversion, op *harness.Operation, v any) (any, error) {
	if !c.model.functions[op.F].takes {
		return nil, nil
	}
	if c.model.scalar {
		return integer(v)
	}
	if v == nil {
		return nil, errors.New("expected an element, not nil")
	}
	return c.id(v)
}

func setOutput(c *conversion, op *harness.Operation, v any) (any, bool, error) {
	if op.F != "read" || op.Type != harness.OK {
		return nil, false, nil
	}
	if v == nil && c.options.NilReadsSayNothing {
		return nil, true, nil
	}
	list, err := c.list(v)
	return list, false, err
}

// list are the integers that stand for the elements of a list; nil is the empty one.
func (c *conversion) list(v any) ([]int64, error) {
	if s, ok := v.(set); ok {
		v = s.of
	}
	if numbers, ok := v.(ints); ok && !slices.ContainsFunc(numbers, func(n int64) bool { return n >= firstID && n <= lastID }) {
		return numbers, nil
	}
	list, ok := elements(v)
	if !ok && v != nil {
		return nil, fmt.Errorf("expected a list of elements, not %s", textOf(v))
	}
	ids := make([]int64, len(list))
	for i, e := range list {
		var err error
		if ids[i], err = c.id(e); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// eachElement is the beginning of what holds elements: each of a list is put in.
func eachElement(put string) func(*conversion, any) ([]harness.Operation, error) {
	return func(c *conversion, v any) (ops []harness.Operation, err error) {
		list, ok := elements(v)
		if !ok && v != nil {
			return nil, fmt.Errorf("expected a list of what it held, such as [1 2], not %s", textOf(v))
		}
		for _, e := range list {
			op := harness.Operation{F: put}
			if op.Input, err = putInput(c, &op, e); err != nil {
				return nil, err
			}
			ops = append(ops, op)
		}
		return ops, nil
	}
}

// takeOutput is for operations that take an element. One that failed either found nothing
// or did not happen. Nobody can tell which, so it is left out.
func takeOutput(c *conversion, op *harness.Operation, v any) (any, bool, error) {
	switch {
	case op.F == drain && op.Type == harness.OK:
		list, err := c.list(v)
		return list, false, err
	case c.model.functions[op.F].takes || op.Type != harness.OK:
		return nil, false, nil
	}
	if c.model.scalar && v != nil {
		if _, err := integer(v); err != nil {
			return nil, false, err
		}
	}
	m, err := c.maybe(v)
	return m, v == nil && c.options.NilReadsSayNothing, err
}

func counterInput(_ *conversion, op *harness.Operation, v any) (any, error) {
	switch {
	case op.F == "read":
		return nil, nil
	case v == nil:
		return int64(1), nil
	}
	return integer(v)
}

func counterOutput(c *conversion, op *harness.Operation, v any) (any, bool, error) {
	if op.F != "read" || op.Type != harness.OK {
		return nil, false, nil
	}
	if v == nil && c.options.NilReadsSayNothing {
		return nil, true, nil
	}
	i, err := integer(v)
	return i, false, err
}

func counterBeginning(_ *conversion, v any) ([]harness.Operation, error) {
	i, err := integer(v)
	return []harness.Operation{{F: "add", Input: i}}, err
}

func noOutput(*conversion, *harness.Operation, any) (any, bool, error) { return nil, false, nil }

func mutexBeginning(_ *conversion, v any) ([]harness.Operation, error) {
	switch v {
	case symbol("held"), keyword("held"), "held", true:
		return []harness.Operation{{F: "acquire"}}, nil
	case symbol("free"), keyword("free"), "free", false, nil:
		return nil, nil
	}
	return nil, fmt.Errorf("expected held or free, not %s", textOf(v))
}

// lockOutput: an acquire or a renewal may tell its fencing token, alone or in a
// map as :token or :fence, and in the map how long the lease is, in milliseconds
// as :lease-ms or in nanoseconds as lease (as coup itself records it). Other keys
// say nothing.
func lockOutput(c *conversion, op *harness.Operation, v any) (any, bool, error) {
	if op.F == "release" || op.Type != harness.OK {
		return nil, false, nil
	}
	var g model.Grant
	token, lease, unit := v, any(nil), int64(time.Millisecond)
	if m, ok := v.(ednMap); ok {
		token, lease = m.get("token"), m.get("lease-ms")
		if token == nil {
			token = m.get("fence")
		}
		if lease == nil && c.json {
			lease, unit = m.get("lease"), 1
		}
	}
	if token != nil {
		i, err := integer(token)
		if err != nil {
			return nil, false, fmt.Errorf("a fencing token: %w", err)
		}
		g.Token = model.Just(i)
	}
	if lease != nil {
		n, err := integer(lease)
		if err != nil || n < 0 || n > math.MaxInt64/unit {
			return nil, false, fmt.Errorf("expected how long the lease is, not %s", textOf(lease))
		}
		g.Lease = time.Duration(n * unit)
	}
	return g, false, nil
}

// textual is a string, or what another value is as text: keys and values of such
// stores are bytes.
func textual(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return textOf(v)
}

func kvInput(_ *conversion, op *harness.Operation, v any) (any, error) {
	switch {
	case op.F == "get":
		return nil, nil
	case v == nil:
		return nil, errors.New("expected a string, not nil")
	}
	return textual(v), nil
}

func kvOutput(c *conversion, op *harness.Operation, v any) (any, bool, error) {
	switch {
	case op.F != "get" || op.Type != harness.OK:
		return nil, false, nil
	case v == nil:
		return "", c.options.NilReadsSayNothing, nil
	}
	return textual(v), false, nil
}

func kvBeginning(_ *conversion, v any) ([]harness.Operation, error) {
	return []harness.Operation{{F: "put", Input: textual(v)}}, nil
}
