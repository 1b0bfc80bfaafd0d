package model

import (
	"fmt"
	"testing"

	"coup/harness"
)

// Models that look at values without performing operations refuse what they cannot
// perform, and nothing else.
func TestLookRefusesWhatStepDoes(t *testing.T) {
	panics := func(f func()) (said any) {
		defer func() { said = recover() }()
		f()
		return nil
	}
	values := []any{nil, int64(3), 3, "x", Maybe{}, Just(4), CAS{To: 1}, Other{}, []int64{1}, Grant{}}
	for _, m := range []Model{Register(), Queue(), Stack(), PriorityQueue(), Bag()} {
		if m.look == nil {
			t.Errorf("%s does not look", m.Name)
			continue
		}
		for _, f := range []string{"read", "write", "cas", "enqueue", "dequeue", "push", "pop", "insert", "delete-min", ""} {
			for _, in := range values {
				for _, out := range values {
					for _, kind := range []harness.Type{harness.OK, harness.Fail, harness.Info} {
						op := &harness.Operation{F: f, Input: in, Output: out, Type: kind}
						step := panics(func() { m.Step(m.Init, op); m.OnlyReads(op) })
						look := panics(func() { m.look(op) })
						if fmt.Sprint(step) != fmt.Sprint(look) {
							t.Errorf("%s: %+v: step says %v, a look %v", m.Name, *op, step, look)
						}
					}
				}
			}
		}
	}
}
