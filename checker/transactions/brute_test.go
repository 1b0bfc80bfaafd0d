package transactions

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

// serial says whether some order of the transactions explains what they read,
// by trying all: with every one that was acknowledged, any of those of unknown
// outcome and none that failed; strict: an order that keeps that of time.
func serial(ops []harness.Operation, registers, strict bool) bool {
	lists, last := map[string][]int64{}, map[string]model.Maybe{}
	used := make([]bool, len(ops))
	var try func() bool
	try = func() bool {
		finished := true
		for i, op := range ops {
			if used[i] || op.Type == harness.Fail {
				continue
			}
			finished = finished && op.Type != harness.OK
			if strict && slices.ContainsFunc(ops, func(o harness.Operation) bool {
				at := slices.IndexFunc(ops, func(x harness.Operation) bool { return x.Call == o.Call })
				return !used[at] && o.Type == harness.OK && o.Return < op.Call
			}) {
				continue // one that had ended before is still to come
			}
			oldLists, oldLast := map[string][]int64{}, map[string]model.Maybe{}
			for k, v := range lists {
				oldLists[k] = v
			}
			for k, v := range last {
				oldLast[k] = v
			}
			if apply(&op, lists, last, registers) {
				used[i] = true
				if try() {
					return true
				}
				used[i] = false
			}
			lists, last = oldLists, oldLast
		}
		return finished
	}
	return try()
}

// apply performs a transaction and says whether its reads are explained.
func apply(op *harness.Operation, lists map[string][]int64, last map[string]model.Maybe, registers bool) bool {
	steps, answered := op.Output.(model.Txn)
	if !answered {
		steps = op.Input.(model.Txn)
	}
	for _, m := range steps {
		switch {
		case m.F == "append":
			lists[m.Key] = append(slices.Clip(lists[m.Key]), m.Value)
		case m.F == "w":
			last[m.Key] = model.Just(m.Value)
		case answered && registers && m.Seen != last[m.Key], answered && !registers && !slices.Equal(m.List, lists[m.Key]):
			return false
		}
	}
	return true
}

// What is said is exactly what trying every order says. Of registers that is so
// for few transactions only: of many, not everything follows from single reads.
func TestTransactionsAgainstEveryOrder(t *testing.T) {
	runs := 8 * *testhistory.Histories
	for _, registers := range []bool{false, true} {
		bad, found := 0, 0
		for n := range uint64(runs) {
			seed := *testhistory.Seed + n
			rng := rand.New(rand.NewPCG(seed, 7))
			ops := testhistory.FewTxns(rng, registers, seed%2 == 0)
			h := &harness.History{Operations: ops}
			for _, level := range []Isolation{StrictSerializable, Serializable} {
				r := testhistory.Check(t, Checker{Registers: registers, Level: level}, h)
				right := serial(ops, registers, level == StrictSerializable)
				if level == StrictSerializable && !right {
					bad++
					if r.Valid == harness.Invalid {
						found++
					}
				}
				if tested := r.Details.(Details).Transactions > 0; !tested && right && r.Valid == harness.Unknown {
					continue
				} else if right != (r.Valid == harness.Valid) || right == (r.Valid == harness.Invalid) {
					t.Fatalf("seed %d, registers %v, %s: %v, but an order explains it: %v\n%s\n%s", seed, registers, level, r.Valid, right, r.Summary, testhistory.TxnsText(ops))
				}
				kinds := map[string]bool{}
				for _, a := range r.Details.(Details).Anomalies {
					base, _ := kindOf(a.Kind)
					kinds[base] = true
				}
				if registers && kinds[G0] && !kinds[G1c] {
					t.Fatalf("seed %d: G0 without G1c: %s\n%s", seed, r.Summary, testhistory.TxnsText(ops))
				}
				if r.Valid == harness.Invalid && strings.Contains(strings.Join(r.Counterexample.Story, " "), "what was read says so") {
					t.Fatalf("seed %d, registers %v: no reason is given\n%s\n%s", seed, registers, strings.Join(r.Counterexample.Story, "\n"), testhistory.TxnsText(ops))
				}
			}
		}
		if bad < runs/4 || bad > 3*runs/4 {
			t.Errorf("registers %v: %d of %d histories had no order, %d of these were found", registers, bad, runs, found)
		}
		t.Logf("registers %v: %d of %d histories had no order, %d of these were found", registers, bad, runs, found)
	}
}
