package online

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/checker/transactions"
	"coup/harness"
)

// watchTxns lets a monitor take the lines of a history, a millisecond apart.
// What it finds must be so by the line where it says it.
func watchTxns(t *testing.T, w *TransactionMonitor, ops []harness.Operation) (found *Finding, line int) {
	t.Helper()
	lines, at := linesOf(ops)
	for i, l := range lines {
		l.Time = time.Duration(i) * time.Millisecond
		f, err := w.Observe(l)
		if err != nil {
			t.Fatal(err)
		}
		if clients := 10; len(w.txns) > 2*w.kept+clients {
			t.Fatalf("%d transactions are kept, with %d to be kept", len(w.txns), w.kept)
		}
		if f == nil {
			continue
		}
		if r := testhistory.Check(t, transactions.Checker{}, &harness.History{Operations: prefixOfTxns(ops, at[i])}); r.Valid != harness.Invalid {
			t.Fatalf("%s at line %d, of which nothing is wrong in\n%s", f.Text, i, testhistory.TxnsText(ops))
		}
		return f, i
	}
	return nil, len(lines)
}

// prefixOfTxns is prefix, in which what failed by then failed.
func prefixOfTxns(ops []harness.Operation, at int) []harness.Operation {
	p := model.Prefix(ops, at)
	for i := range p {
		if p[i].Type == harness.Fail && p[i].Return == harness.Open {
			p[i].Type = harness.Info
		}
	}
	return p
}

// The monitor finds every anomaly of which TestTransactions has a history, and
// none in the neighbours. What a shorter time shows is judged when it is over.
func TestTransactionMonitorFindsEveryAnomaly(t *testing.T) {
	for _, c := range testhistory.TxnCases {
		if c.Registers {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			w := NewTransactionMonitor()
			w.between = 1
			ops := testhistory.ParseTxns(t, c.Text, false).Operations
			for i := range ops {
				if ops[i].Type == harness.Info {
					ops[i].Process += 100 // it begins nothing any more
				}
			}
			if f, _ := watchTxns(t, w, ops); (f != nil) != (c.Anomalies != "") || f != nil && (f.Key == "" || f.Text == "") {
				t.Errorf("found %+v, expected %q", f, c.Anomalies)
			}
		})
	}
}

// Few transactions of all kinds, and every one that is called is let go soon.
func TestTransactionMonitorIsTrue(t *testing.T) {
	bad, found := 0, 0
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 7))
		ops := testhistory.FewTxns(rng, false, seed%2 == 0)
		w := NewTransactionMonitor()
		w.between, w.kept = 1, 1+rng.IntN(3)
		f, _ := watchTxns(t, w, ops)
		if f != nil {
			found++
		}
		if testhistory.Check(t, transactions.Checker{}, &harness.History{Operations: ops}).Valid == harness.Invalid {
			bad++
		}
	}
	t.Logf("%d of %d violations were seen while only one to three transactions were kept", found, bad)
	if found < bad*2/3 {
		t.Errorf("%d of %d violations were seen", found, bad)
	}
}

// A long run: nothing is found in that of an honest store; a mistake is found
// soon after it was made, whether it is about what was just written or about a
// list at which nobody looked for long.
func TestTransactionMonitorOfAStore(t *testing.T) {
	store := func() []harness.Operation {
		return testhistory.MakeTxns(rand.New(rand.NewPCG(1, 1)), 3000, 6, 4, false, 0)
	}
	newMonitor := func() *TransactionMonitor {
		w := NewTransactionMonitor()
		w.kept, w.between = 200, 50
		return w
	}
	if f, line := watchTxns(t, newMonitor(), store()); f != nil {
		t.Fatalf("line %d: %s", line, f.Text)
	}
	for _, mistake := range []func(ops []harness.Operation, i int) bool{
		func(ops []harness.Operation, i int) bool { // the end of a list is lost
			for j := range ops[i].Output.(model.Txn) {
				if m := &ops[i].Output.(model.Txn)[j]; m.F == "r" && len(m.List) > 3 && ops[i].Input.(model.Txn)[0].Key == m.Key {
					m.List = m.List[:len(m.List)-3]
					return true
				}
			}
			return false
		},
		func(ops []harness.Operation, i int) bool { // somebody saw it, and it failed
			for _, m := range ops[i].Input.(model.Txn) {
				if m.F != "r" {
					for j := i + 1; j < min(len(ops), i+20); j++ {
						out, _ := ops[j].Output.(model.Txn)
						if slices.ContainsFunc(out, func(o model.Micro) bool { return o.F == "r" && o.Key == m.Key && slices.Contains(o.List, m.Value) }) {
							ops[i].Type, ops[i].Output = harness.Fail, nil
							return true
						}
					}
				}
			}
			return false
		},
	} {
		ops := store()
		wrong := 2500
		for ops[wrong].Type != harness.OK || !mistake(ops, wrong) {
			wrong++
		}
		f, line := watchTxns(t, newMonitor(), ops)
		lines, _ := linesOf(ops[:wrong])
		if f == nil || line < len(lines)-20 || line > len(lines)+400 {
			t.Errorf("found %+v at line %d, expected soon after line %d", f, line, len(lines))
		}
	}
	// A list that all who appended to it were forgotten of.
	ops := store()
	add := func(m model.Micro) {
		n := ops[len(ops)-1].Call + 100
		in := m
		in.List = nil
		ops = append(ops, harness.Operation{Process: 1000, F: "txn", Input: model.Txn{in}, Output: model.Txn{m}, Type: harness.OK, Call: n, Return: n + 1})
	}
	var list []int64
	key := ""
	for _, op := range ops[:500] {
		for _, m := range op.Input.(model.Txn) {
			if out, ok := op.Output.(model.Txn); ok && m.F == "r" {
				for _, o := range out {
					if o.F == "r" && o.Key == m.Key && (key == "" || key == o.Key) && len(o.List) > len(list) {
						key, list = o.Key, o.List
					}
				}
			}
		}
	}
	add(model.Micro{F: "r", Key: key, List: list[:len(list)-1]})
	if f, line := watchTxns(t, newMonitor(), ops); f == nil || f.Key != key {
		t.Errorf("found %+v at line %d, expected that list %s has shrunk", f, line, key)
	}
}

func TestTransactionMonitorRefusesNonsense(t *testing.T) {
	w := NewTransactionMonitor()
	txn := model.Txn{{F: "append", Key: "x", Value: 1}}
	for _, c := range []struct {
		op   harness.Op
		fine bool
	}{
		{harness.Op{Process: 1, Type: harness.OK, F: "txn", Value: txn}, false},
		{harness.Op{Process: 1, Type: harness.Invoke, F: "txn", Value: 7}, false},
		{harness.Op{Process: 1, Type: harness.Invoke, F: "txn", Value: txn}, true},
		{harness.Op{Process: 1, Type: harness.Invoke, F: "txn", Value: txn}, false},
		{harness.Op{Process: 1, Type: harness.OK, F: "txn", Value: model.Txn{}}, false},
		{harness.Op{Process: 2, Type: harness.Invoke, F: "txn", Value: txn}, true},
		{harness.Op{Process: 2, Type: harness.Info, F: "txn", Time: time.Minute}, false}, // the same element twice
	} {
		if f, err := w.Observe(c.op); f != nil || (err == nil) != c.fine {
			t.Errorf("%+v: %v, %v", c.op, f, err)
		}
	}
}

func BenchmarkTransactionMonitor(b *testing.B) {
	lines, _ := linesOf(testhistory.MakeTxns(rand.New(rand.NewPCG(1, 1)), 100_000, 20, 10, false, 0))
	b.ResetTimer()
	for range b.N {
		w := NewTransactionMonitor()
		for i, l := range lines {
			l.Time = time.Duration(i) * time.Millisecond
			if f, err := w.Observe(l); f != nil || err != nil {
				b.Fatal(f, err)
			}
		}
	}
	b.ReportMetric(float64(b.N*len(lines)/2)/b.Elapsed().Seconds(), "transactions/s")
}
