package transactions

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

// manyTxns makes up the history of an honest store with registers, of n
// transactions of 20 clients, of which one in a hundred is never answered; its
// process is then another one.
func manyTxns(seed uint64, n, keys int) []harness.Operation {
	rng := rand.New(rand.NewPCG(seed, 3))
	ops := testhistory.MakeTxns(rng, n, 20, keys, true, 0)
	became := map[int]int{}
	for i := range ops {
		op := &ops[i]
		if now, other := became[op.Process]; other {
			op.Process = now
		}
		if rng.IntN(100) == 0 {
			op.Type, op.Output, op.Return = harness.Info, nil, harness.Open
			became[op.Process%20] = op.Process + 20
		}
	}
	return ops
}

// plantOld makes the last read of a register that can show the version before,
// after whoever replaced that had ended, show it: no single read tells.
func plantOld(ops []harness.Operation) bool {
	type wrote struct {
		value int64
		txn   int
	}
	last := map[string][]wrote{}
	for i, op := range ops[:len(ops)*9/10] {
		for _, m := range op.Input.(model.Txn) {
			if m.F == "w" {
				last[m.Key] = append(last[m.Key], wrote{m.Value, i})
			}
		}
	}
	for i := len(ops)*9/10 - 1; i > 0; i-- {
		op := &ops[i]
		if op.Type != harness.OK {
			continue
		}
		out := slices.Clone(op.Output.(model.Txn))
		for at := range out {
			m := &out[at]
			if m.F != "r" || slices.ContainsFunc(out, func(o model.Micro) bool { return o.F == "w" && o.Key == m.Key }) {
				continue
			}
			w := last[m.Key]
			n := slices.IndexFunc(w, func(o wrote) bool { return model.Just(o.value) == m.Seen })
			for b := n - 1; n > 0 && b >= 0; b-- {
				if old := &ops[w[b].txn]; old.Type == harness.OK && old.Return < ops[w[n].txn].Call && ops[w[n].txn].Return < op.Call {
					m.Seen = model.Just(w[b].value)
					op.Output = out
					return true
				}
			}
		}
	}
	return false
}

// What is planted among many transactions is found, be it far behind.
func TestPlantedAmongManyTransactions(t *testing.T) {
	for seed := range uint64(3) {
		ops := manyTxns(seed, 20_000, 5)
		if r := testhistory.Check(t, Checker{Registers: true}, &harness.History{Operations: ops}); r.Valid != harness.Valid {
			t.Fatalf("seed %d: %s\n%s", seed, r.Summary, strings.Join(r.Counterexample.Story, "\n"))
		}
		if !plantOld(ops) {
			t.Fatalf("seed %d: there is nothing to plant", seed)
		}
		if r := testhistory.Check(t, Checker{Registers: true}, &harness.History{Operations: ops}); r.Valid != harness.Invalid {
			t.Errorf("seed %d: %s", seed, r.Summary)
		}
	}
}

// Where every write overlaps with every other there is too much to be concluded one by
// one: then an order is looked for. If there is no time for that, nothing is said.
func TestTooMuchToConclude(t *testing.T) {
	var ops []harness.Operation
	const n = 8000
	for i := range n {
		w := model.Txn{{F: "w", Key: "x", Value: int64(i)}}
		ops = append(ops, harness.Operation{Process: 2 * i, F: "txn", Input: w, Output: w, Type: harness.OK, Call: i, Return: 3*n + i})
	}
	for i := range n {
		in, out := model.Txn{{F: "r", Key: "x"}}, model.Txn{{F: "r", Key: "x", Seen: model.Just(int64(i))}}
		ops = append(ops, harness.Operation{Process: 2*i + 1, F: "txn", Input: in, Output: out, Type: harness.OK, Call: n + i, Return: 4*n + i})
	}
	r := testhistory.Check(t, Checker{Registers: true}, &harness.History{Operations: ops})
	if r.Valid != harness.Valid {
		t.Errorf("%v: %s", r.Valid, r.Summary)
	}
	x, err := newTxns(ops)
	if err != nil {
		t.Fatal(err)
	}
	registers := &registerTxns{txns: x}
	if err := registers.infer(); err != nil {
		t.Fatal(err)
	}
	registers.saturate(t.Context(), true)
	if !registers.undrawn {
		t.Error("all was concluded one by one")
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := (Checker{Registers: true}).Check(over, &harness.History{Operations: ops}); err != nil || r.Valid != harness.Unknown {
		t.Errorf("%v: %s, %v", r.Valid, r.Summary, err)
	}
}

func BenchmarkRegisters(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		for _, planted := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/planted=%v", n, planted), func(b *testing.B) {
				ops := manyTxns(1, n, 5)
				if planted && !plantOld(ops) {
					b.Fatal("there is nothing to plant")
				}
				h := &harness.History{Operations: ops}
				b.ResetTimer()
				for range b.N {
					r, err := Checker{Registers: true}.Check(context.Background(), h)
					if err != nil || (r.Valid == harness.Valid) == planted || r.Valid == harness.Unknown {
						b.Fatal(r.Summary, err)
					}
				}
			})
		}
	}
}
