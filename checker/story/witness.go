package story

import (
	"encoding/json"
	"fmt"

	"coup/checker/model"
	"coup/harness"
)

// Witnesses are the operations of a counterexample as the report shows them.
func Witnesses(m model.Model, ops []harness.Operation) []harness.Witness {
	ws := make([]harness.Witness, len(ops))
	for i := range ops {
		op := &ops[i]
		ws[i] = harness.Witness{
			Process: op.Process, F: op.F, Key: op.Key, Type: op.Type, Node: op.Node,
			Input: encoded(op.Input), Output: encoded(op.Output),
			Text: m.Describe(op), Start: int64(op.Start), End: int64(op.End), Line: op.Line,
		}
		if op.Line > 0 && op.Index >= 0 {
			index := op.Index
			ws[i].Index = &index
		}
		if op.Return == harness.Open {
			ws[i].End = -1
		}
	}
	return ws
}

func encoded(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(fmt.Sprint(v))
	}
	return b
}
