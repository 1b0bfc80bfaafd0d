package checker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"coup/harness"
)

// serial says whether some order of the transactions explains what they read,
// by trying all: with every one that was acknowledged, any of those of unknown
// outcome and none that failed; strict: an order that keeps that of time.
func serial(ops []harness.Operation, registers, strict bool) bool {
	lists, last := map[string][]int64{}, map[string]Maybe{}
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
			oldLists, oldLast := map[string][]int64{}, map[string]Maybe{}
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
func apply(op *harness.Operation, lists map[string][]int64, last map[string]Maybe, registers bool) bool {
	steps, answered := op.Output.(Txn)
	if !answered {
		steps = op.Input.(Txn)
	}
	for _, m := range steps {
		switch {
		case m.F == "append":
			lists[m.Key] = append(slices.Clip(lists[m.Key]), m.Value)
		case m.F == "w":
			last[m.Key] = Just(m.Value)
		case answered && registers && m.Seen != last[m.Key], answered && !registers && !slices.Equal(m.List, lists[m.Key]):
			return false
		}
	}
	return true
}

// fewTxns makes up a history of a few transactions: what an honest store would
// answer, and perhaps a few changes to that. read: all lists are read in the end.
func fewTxns(rng *rand.Rand, registers, read bool) []harness.Operation {
	keys := []string{"x", "y"}[:1+rng.IntN(2)]
	lists, last := map[string][]int64{}, map[string]Maybe{}
	next := map[string]int64{}
	var ops []harness.Operation
	type open struct{ op, step int } // transactions under way, which may be torn
	var under []open
	torn := rng.IntN(2) == 0
	n := 2 + rng.IntN(4)
	if read {
		n--
	}
	pos := 0
	begin := func(in Txn, process int) {
		ops = append(ops, harness.Operation{Process: process, F: "txn", Input: in, Output: slices.Clone(in), Type: harness.OK, Call: pos})
		pos++
	}
	perform := func(m *Micro) {
		switch m.F {
		case "append":
			lists[m.Key] = append(slices.Clip(lists[m.Key]), m.Value)
		case "w":
			last[m.Key] = Just(m.Value)
		default:
			m.List, m.Seen = nil, last[m.Key]
			if !registers {
				m.List = append([]int64{}, lists[m.Key]...)
			}
		}
	}
	for len(ops) < n || len(under) > 0 {
		if len(ops) < n && (len(under) == 0 || rng.IntN(2) == 0) {
			var in Txn
			for range 1 + rng.IntN(3) {
				m := Micro{F: "r", Key: keys[rng.IntN(len(keys))]}
				if rng.IntN(2) == 0 {
					next[m.Key]++
					m.F, m.Value = "append", next[m.Key]
					if registers {
						m.F = "w"
					}
				}
				in = append(in, m)
			}
			begin(in, len(ops))
			under = append(under, open{len(ops) - 1, 0})
			continue
		}
		at := rng.IntN(len(under))
		u := &under[at]
		op := &ops[u.op]
		out := op.Output.(Txn)
		for u.step < len(out) {
			perform(&out[u.step])
			u.step++
			if torn && rng.IntN(3) > 0 {
				break
			}
		}
		if u.step < len(out) || rng.IntN(3) == 0 {
			continue
		}
		op.Return = pos
		pos++
		under = slices.Delete(under, at, at+1)
	}
	if read {
		var in Txn
		for _, k := range keys {
			in = append(in, Micro{F: "r", Key: k})
		}
		begin(in, len(ops))
		op := &ops[len(ops)-1]
		for i := range op.Output.(Txn) {
			perform(&op.Output.(Txn)[i])
		}
		op.Return = pos
	}
	for i := range ops {
		op := &ops[i]
		for j := range op.Output.(Txn) {
			m := &op.Output.(Txn)[j]
			if m.F != "r" || rng.IntN(7) > 0 {
				continue
			}
			switch l := len(m.List); {
			case registers:
				if m.Seen = (Maybe{}); rng.IntN(4) > 0 {
					m.Seen = Just(rng.Int64N(5))
				}
			case l > 1 && rng.IntN(2) == 0:
				a, b := rng.IntN(l), rng.IntN(l)
				m.List[a], m.List[b] = m.List[b], m.List[a]
			case l > 0:
				m.List = m.List[:rng.IntN(l)]
			default:
				m.List = append(m.List, 1+rng.Int64N(4))
			}
		}
		if i < n {
			switch rng.IntN(8) {
			case 0:
				op.Type, op.Output, op.Return = harness.Info, nil, harness.Open
			case 1:
				if rng.IntN(3) == 0 {
					op.Type, op.Output = harness.Fail, nil
				}
			}
		}
	}
	return ops
}

// What is said is exactly what trying every order says. Of registers that is so
// for few transactions only: of many, not everything follows from single reads.
func TestTransactionsAgainstEveryOrder(t *testing.T) {
	runs := 8 * *histories
	for _, registers := range []bool{false, true} {
		bad, found := 0, 0
		for n := range uint64(runs) {
			seed := *seed + n
			rng := rand.New(rand.NewPCG(seed, 7))
			ops := fewTxns(rng, registers, seed%2 == 0)
			h := &harness.History{Operations: ops}
			for _, level := range []Isolation{StrictSerializable, Serializable} {
				r := check(t, Transactions{Registers: registers, Level: level}, h)
				right := serial(ops, registers, level == StrictSerializable)
				if level == StrictSerializable && !right {
					bad++
					if r.Valid == harness.Invalid {
						found++
					}
				}
				if right != (r.Valid == harness.Valid) || right == (r.Valid == harness.Invalid) {
					t.Fatalf("seed %d, registers %v, %s: %v, but an order explains it: %v\n%s\n%s", seed, registers, level, r.Valid, right, r.Summary, txnsText(ops))
				}
				kinds := map[string]bool{}
				for _, a := range r.Details.(TransactionDetails).Anomalies {
					base, _ := kindOf(a.Kind)
					kinds[base] = true
				}
				if registers && kinds[G0] && !kinds[G1c] {
					t.Fatalf("seed %d: G0 without G1c: %s\n%s", seed, r.Summary, txnsText(ops))
				}
				if r.Valid == harness.Invalid && strings.Contains(strings.Join(r.Counterexample.Story, " "), "what was read says so") {
					t.Fatalf("seed %d, registers %v: no reason is given\n%s\n%s", seed, registers, strings.Join(r.Counterexample.Story, "\n"), txnsText(ops))
				}
			}
		}
		if bad < runs/4 || bad > 3*runs/4 {
			t.Errorf("registers %v: %d of %d histories had no order, %d of these were found", registers, bad, runs, found)
		}
		t.Logf("registers %v: %d of %d histories had no order, %d of these were found", registers, bad, runs, found)
	}
}

func txnsText(ops []harness.Operation) string {
	var b strings.Builder
	for _, op := range ops {
		fmt.Fprintf(&b, "%d to %d, %s: %v -> %v\n", op.Call, op.Return, op.Type, op.Input, op.Output)
	}
	return b.String()
}
