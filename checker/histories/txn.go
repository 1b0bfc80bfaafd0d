package histories

import (
	"fmt"
	"strings"

	"coup/checker/model"
	"coup/harness"
)

// txnInput reads what a transaction asked for. write is how its steps that write
// are called; the others read.
func txnInput(write string) func(*conversion, *harness.Operation, any) (any, error) {
	return func(c *conversion, op *harness.Operation, v any) (any, error) {
		steps, err := c.steps(op, v, write, false)
		if err != nil {
			return nil, err
		}
		return steps, nil
	}
}

// txnOutput reads the steps of a completed transaction. They also count as its input, as
// in Elle, because an invocation may say less.
func txnOutput(write string) func(*conversion, *harness.Operation, any) (any, bool, error) {
	return func(c *conversion, op *harness.Operation, v any) (any, bool, error) {
		if op.Type != harness.OK {
			return nil, false, nil
		}
		out, err := c.steps(op, v, write, true)
		if err != nil {
			return nil, false, err
		}
		asked := make(model.Txn, len(out))
		for i, m := range out {
			asked[i] = model.Micro{F: m.F, Key: m.Key, Value: m.Value}
		}
		op.Input, op.Output = asked, out
		return out, false, nil
	}
}

// steps reads the steps of a transaction. Those of an independent test name
// their objects by its key and their own.
func (c *conversion) steps(op *harness.Operation, v any, write string, output bool) (model.Txn, error) {
	members, ok := elements(v)
	if !ok {
		return nil, fmt.Errorf("expected a transaction [[function key value] ...], not %s", textOf(v))
	}
	steps := make(model.Txn, len(members))
	for i, s := range members {
		step, ok := s.([]any)
		if !ok || len(step) != 3 && len(step) != 2 {
			return nil, fmt.Errorf("expected a step [function key value], not %s", textOf(s))
		}
		value := any(nil)
		if len(step) == 3 {
			value = step[2]
		}
		f := word(step[0])
		if w, known := stepNames[f]; known {
			f = w
		}
		m := model.Micro{F: f, Key: c.key(step[1])}
		if op.Key != "" {
			m.Key = op.Key + "/" + m.Key
		}
		var err error
		switch {
		case m.F == write && value == nil:
			err = fmt.Errorf("expected a value to write, not nil")
		case m.F == write:
			m.Value, err = c.id(value)
		case m.F != "r":
			return nil, fmt.Errorf("expected :%s or :r, not %s", write, textOf(step[0]))
		case !output:
		case write == "w":
			m.Seen, err = c.maybe(value)
		default:
			m.List, err = c.list(value)
		}
		if err != nil {
			return nil, err
		}
		steps[i] = m
	}
	return steps, nil
}

// stepNames are other names of steps.
var stepNames = map[string]string{"read": "r", "write": "w"}

// word is a name, whether it stands there as a keyword, a string or a symbol; as
// JSON, some tools write keywords as ":read".
func word(v any) string {
	switch v := v.(type) {
	case keyword:
		return string(v)
	case string:
		return strings.TrimPrefix(v, ":")
	case symbol:
		return string(v)
	}
	return ""
}
