package histories

import (
	"fmt"

	"coup/checker/model"
	"coup/harness"
)

func listInput(op *harness.Operation, v any) (any, error) { return txnInput(op, v, "append") }
func rwInput(op *harness.Operation, v any) (any, error)   { return txnInput(op, v, "w") }

func txnInput(op *harness.Operation, v any, write string) (any, error) {
	in, err := txn(op, v, write, false)
	if err != nil {
		return nil, err
	}
	return in, nil
}

func listOutput(op *harness.Operation, v any, _ Options) (bool, error) {
	return false, txnOutput(op, v, "append")
}

func rwOutput(op *harness.Operation, v any, _ Options) (bool, error) {
	return false, txnOutput(op, v, "w")
}

func txnOutput(op *harness.Operation, v any, write string) error {
	if op.Type != harness.OK {
		return nil
	}
	out, err := txn(op, v, write, true)
	if err != nil {
		return err
	}
	if !out.Answers(op.Input.(model.Txn)) {
		return fmt.Errorf("expected the steps of the invocation, %s, not %s", op.Input.(model.Txn).Asked(), out.Asked())
	}
	op.Output = out
	return nil
}

// txn reads the steps of a transaction.
func txn(op *harness.Operation, v any, write string, output bool) (model.Txn, error) {
	op.F = "txn"
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("expected a transaction [[function key value] ...], not %v", v)
	}
	steps := make(model.Txn, len(list))
	for i, s := range list {
		triple, ok := s.([]any)
		if !ok || len(triple) != 3 {
			return nil, fmt.Errorf("expected a step [function key value], not %v", s)
		}
		f, _ := triple[0].(keyword)
		m := model.Micro{F: string(f), Key: fmt.Sprint(triple[1])}
		var err error
		switch {
		case m.F == write:
			m.Value, err = anInt(triple[2])
		case m.F != "r":
			return nil, fmt.Errorf("expected :%s or :r, not %v", write, triple[0])
		case !output:
		case write == "w":
			m.Seen, err = aMaybe(triple[2])
		default:
			m.List, err = intList(triple[2])
		}
		if err != nil {
			return nil, err
		}
		steps[i] = m
	}
	return steps, nil
}

// intList is a list of integers; nil is the empty one.
func intList(v any) ([]int64, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, fmt.Errorf("expected a list of integers, not %v", v)
	}
	ints := make([]int64, len(list))
	for i, e := range list {
		var err error
		if ints[i], err = anInt(e); err != nil {
			return nil, err
		}
	}
	return ints, nil
}
