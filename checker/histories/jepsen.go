package histories

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"coup/checker/model"
	"coup/harness"
)

// Values of the operations that only Jepsen's own tests have.

var (
	banks = meaning{
		functions: map[string]function{"read": reads, "transfer": {"transfer", true}},
		scalar:    true, input: bankInput, output: bankOutput,
	}
	sources = meaning{
		functions: map[string]function{"generate": {name: "generate"}},
		input:     func(*conversion, *harness.Operation, any) (any, error) { return nil, nil },
		output: func(c *conversion, op *harness.Operation, v any) (any, bool, error) {
			if op.Type != harness.OK {
				return nil, false, nil
			}
			if v == nil {
				return nil, false, errors.New("expected an id, not nil")
			}
			id, err := c.id(v)
			return id, false, err
		},
	}
	semaphores = meaning{
		functions: map[string]function{"acquire": {"acquire", true}, "release": {"release", true}},
		scalar:    true, output: noOutput,
		input: func(_ *conversion, _ *harness.Operation, v any) (any, error) {
			if v == nil {
				return int64(1), nil
			}
			n, err := integer(v)
			if err == nil && n < 0 {
				err = fmt.Errorf("expected how many permits, not %d", n)
			}
			return n, err
		},
	}
	logs = meaning{
		functions: map[string]function{
			"send": {"send", true}, "poll": {"poll", true}, "txn": {"txn", true}, "assign": {"assign", true},
			"subscribe": {"subscribe", true}, "crash": {name: "crash"}, "debug-topic-partitions": {name: "crash"},
		},
		input: logInput, output: logOutput,
	}
)

func bankInput(c *conversion, op *harness.Operation, v any) (any, error) {
	if op.F == "read" {
		return nil, nil
	}
	in, ok := v.(ednMap)
	if !ok {
		return nil, fmt.Errorf("expected {:from account, :to account, :amount number}, not %s", textOf(v))
	}
	amount, err := integer(in.get("amount"))
	if err != nil {
		return nil, fmt.Errorf("amount: %w", err)
	}
	return model.Transfer{From: c.key(in.get("from")), To: c.key(in.get("to")), Amount: amount}, nil
}

func bankOutput(c *conversion, op *harness.Operation, v any) (any, bool, error) {
	if op.F != "read" || op.Type != harness.OK {
		return nil, false, nil
	}
	in, ok := v.(ednMap)
	if !ok {
		return nil, false, fmt.Errorf("expected a map of balances by account, not %s", textOf(v))
	}
	b := make(model.Balances, 0, len(in)/2)
	for i := 0; i+1 < len(in); i += 2 {
		a := model.Balance{Account: c.key(in[i])}
		if in[i+1] != nil {
			n, err := integer(in[i+1])
			if err != nil {
				return nil, false, fmt.Errorf("account %s: %w", a.Account, err)
			}
			a.Amount = model.Just(n)
		}
		b = append(b, a)
	}
	b.Sort()
	return b, false, nil
}

func logInput(c *conversion, op *harness.Operation, v any) (any, error) {
	switch op.F {
	case "crash":
		return nil, nil
	case "assign", "subscribe":
		list, ok := elements(v)
		if !ok {
			return nil, fmt.Errorf("expected a list of keys, not %s", textOf(v))
		}
		a := model.Assigned{Keys: []string{}}
		for _, k := range list {
			a.Keys = append(a.Keys, c.key(k))
		}
		return a, nil
	}
	return c.logSteps(v)
}

func logOutput(c *conversion, op *harness.Operation, v any) (any, bool, error) {
	if op.Type != harness.OK || op.F != "send" && op.F != "poll" && op.F != "txn" {
		return nil, false, nil
	}
	steps, err := c.logSteps(v)
	return steps, false, err
}

func (c *conversion) logSteps(v any) (s model.LogSteps, err error) {
	list, ok := elements(v)
	if !ok {
		return s, fmt.Errorf("expected a list of [:send key value] and [:poll], not %s", textOf(v))
	}
	for _, step := range list {
		words, _ := elements(step)
		f := ""
		if len(words) > 0 {
			switch name := words[0].(type) {
			case keyword:
				f = string(name)
			case string:
				f = name
			}
		}
		st := model.LogStep{F: f}
		switch {
		case f == "send" && len(words) == 3:
			st.Key = c.key(words[1])
			st.Message, err = c.message(words[2])
		case f == "poll" && (len(words) == 1 || len(words) == 2 && words[1] == nil):
		case f == "poll" && len(words) == 2:
			st.Polled, err = c.polled(words[1])
		default:
			err = fmt.Errorf("expected [:send key value] or [:poll], not %s", textOf(step))
		}
		if err != nil {
			return s, err
		}
		s.Steps = append(s.Steps, st)
	}
	return s, nil
}

// message is a value, or a pair of an offset, which may be nil, and a value.
func (c *conversion) message(v any) (m model.Message, err error) {
	if offset, value, ok := pair(v); ok {
		if offset != nil {
			n, err := integer(offset)
			if err != nil {
				return m, fmt.Errorf("offset: %w", err)
			}
			m.Offset = model.Just(n)
		}
		v = value
	}
	m.Value, err = c.id(v)
	return m, err
}

func (c *conversion) polled(v any) ([]model.Polled, error) {
	in, ok := v.(ednMap)
	if !ok {
		return nil, fmt.Errorf("expected a map of messages by key, not %s", textOf(v))
	}
	got := []model.Polled{}
	for i := 0; i+1 < len(in); i += 2 {
		key := in[i]
		if name, ok := key.(string); ok && c.json { // JSON has no other keys
			if n, err := strconv.ParseInt(name, 10, 64); err == nil {
				key = n
			}
		}
		p := model.Polled{Key: c.key(key)}
		list, ok := elements(in[i+1])
		if !ok {
			return nil, fmt.Errorf("key %s: expected a list of messages, not %s", p.Key, textOf(in[i+1]))
		}
		for _, e := range list {
			m, err := c.message(e)
			if err != nil {
				return nil, fmt.Errorf("key %s: %w", p.Key, err)
			}
			p.Messages = append(p.Messages, m)
		}
		got = append(got, p)
	}
	slices.SortFunc(got, func(a, b model.Polled) int { return strings.Compare(a.Key, b.Key) })
	return got, nil
}
