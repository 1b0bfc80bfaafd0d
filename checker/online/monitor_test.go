package online

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"coup/checker/internal/testhistory"
	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/harness"
)

// lines are the operations as the lines of a history, with the position of each.
func linesOf(ops []harness.Operation) (lines []harness.Op, at []int) {
	type mark struct {
		pos int
		op  harness.Op
	}
	var marks []mark
	for i := range ops {
		op := &ops[i]
		marks = append(marks, mark{op.Call, harness.Op{Process: op.Process, Type: harness.Invoke, F: op.F, Key: op.Key, Value: op.Input}})
		if op.Return == harness.Open { // its process gives up some time later
			marks = append(marks, mark{op.Call + 40, harness.Op{Process: op.Process, Type: harness.Info, F: op.F, Key: op.Key}})
		} else {
			marks = append(marks, mark{op.Return, harness.Op{Process: op.Process, Type: op.Type, F: op.F, Key: op.Key, Value: op.Output}})
		}
	}
	slices.SortStableFunc(marks, func(a, b mark) int { return cmp.Compare(a.pos, b.pos) })
	for _, m := range marks {
		lines, at = append(lines, m.op), append(at, m.pos)
	}
	return lines, at
}

func newMonitor(t testing.TB, m model.Model) *Monitor {
	t.Helper()
	mon, err := NewMonitor(m)
	if err != nil {
		t.Fatal(err)
	}
	return mon
}

// Of the other objects the monitor does not see everything, but what it says
// is true at the line where it says it.
func TestMonitorIsTrue(t *testing.T) {
	for _, m := range []model.Model{model.Set(), model.Queue(), model.Counter()} {
		for _, s := range []testhistory.Shape{
			{Ops: 12, Processes: 3, Open: 0.1, Fail: 0.1, Faulty: 0.3},
			{Ops: 24, Processes: 4, Open: 0.05, Fail: 0.05, Faulty: 0.1},
		} {
			found, violate := 0, 0
			for n := range *testhistory.Histories {
				rng := rand.New(rand.NewPCG(*testhistory.Seed, uint64(n)))
				ops := testhistory.Generate(rng, m, s)
				if n%2 == 0 {
					testhistory.SwapAnswers(rng, ops)
				}
				view := func(ops []harness.Operation) []*harness.Operation {
					return model.Pointers(slices.DeleteFunc(slices.Clone(ops), func(op harness.Operation) bool { return op.Type == harness.Fail }))
				}
				v, err := linearizable.Decide(context.Background(), m, view(ops))
				if err != nil {
					t.Fatal(err)
				}
				if v == harness.Invalid {
					violate++
				}
				mon := newMonitor(t, m)
				lines, at := linesOf(ops)
				for i, l := range lines {
					f, err := mon.Observe(l)
					if err != nil {
						t.Fatal(err)
					}
					if f == nil {
						continue
					}
					found++
					if v, err := linearizable.Decide(context.Background(), m, view(model.Prefix(ops, at[i]))); err != nil || v != harness.Invalid {
						t.Fatalf("%s at line %d of\n%s", f.Text, i, testhistory.Describe(m, model.Pointers(ops)))
					}
					break
				}
			}
			t.Logf("%s: %d of %d violations were seen", m.Name, found, violate)
			if found*2 < violate {
				t.Errorf("%s: only %d of %d violations were seen", m.Name, found, violate)
			}
		}
	}
	if _, err := NewMonitor(model.KV()); err == nil {
		t.Error("there is a monitor for any model")
	}
}

// The monitor speaks up at the very line at which the history so far cannot be
// explained any more.
func TestMonitorAgrees(t *testing.T) {
	m := model.Register()
	for _, s := range []testhistory.Shape{
		{Ops: 12, Processes: 3, Open: 0.1, Faulty: 0.3},
		{Ops: 30, Processes: 5, Open: 0.2, Fail: 0.1, Faulty: 0.1},
		{Ops: 300, Processes: 6, Open: 0.05, Fail: 0.02, Faulty: 0.005},
	} {
		found := 0
		runs := *testhistory.Histories * 20 / s.Ops
		for n := range runs {
			rng := rand.New(rand.NewPCG(*testhistory.Seed, uint64(n)))
			ops := testhistory.Generate(rng, m, s)
			if n%2 == 0 {
				testhistory.SwapAnswers(rng, ops)
			}
			mon := newMonitor(t, model.Register())
			lines, at := linesOf(ops)
			said := -1
			for i, l := range lines {
				f, err := mon.Observe(l)
				if err != nil {
					t.Fatalf("line %d: %v\n%s", i, err, testhistory.Describe(m, model.Pointers(ops)))
				}
				if f != nil {
					said = at[i]
					found++
					break
				}
			}
			// What is known before the line, and with it. Failures are known only
			// once they are told.
			known := func(until int) harness.Validity {
				var p []harness.Operation
				for _, op := range model.Prefix(ops, until) {
					if op.Type != harness.Fail {
						p = append(p, op)
					}
				}
				v, err := linearizable.Decide(context.Background(), m, model.Pointers(p))
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			last := at[len(at)-1]
			if said < 0 && known(last) == harness.Invalid || said >= 0 && (known(said) != harness.Invalid || known(said-1) == harness.Invalid) {
				t.Fatalf("the monitor spoke at %d, the history was %v before, %v at that line, and is %v in the end:\n%s",
					said, known(said-1), known(said), known(last), testhistory.Describe(m, model.Pointers(ops)))
			}
		}
		t.Logf("%d of %d violate", found, runs)
		if found*3 < runs {
			t.Errorf("only %d of %d violate", found, runs)
		}
	}
}

// What the monitor keeps does not grow with the history.
func TestMonitorForgets(t *testing.T) {
	m := model.Register()
	ops := testhistory.Generate(rand.New(rand.NewPCG(1, 1)), m, testhistory.Shape{Ops: 50_000, Processes: 8})
	mon := newMonitor(t, model.Register())
	lines, _ := linesOf(ops)
	most := 0
	for _, l := range lines {
		if f, err := mon.Observe(l); f != nil || err != nil {
			t.Fatal(f, err)
		}
		for _, k := range mon.keys {
			r := k.watcher.(*registerWatcher)
			most = max(most, len(r.values)+len(r.zones)+len(k.open))
		}
	}
	if most > 500 {
		t.Errorf("it kept %d things", most)
	}
	t.Logf("it kept %d things at most", most)
}

// A run that ends at a finding is recorded with its words: it can be repeated to
// the byte only if they are always the same.
func TestMonitorSaysTheSame(t *testing.T) {
	for _, m := range []model.Model{model.Register(), model.Set(), model.Queue(), model.Counter()} {
		findings := 0
		for n := range 50 {
			rng := rand.New(rand.NewPCG(*testhistory.Seed, uint64(n)))
			ops := testhistory.Generate(rng, m, testhistory.Shape{Ops: 60, Processes: 4, Open: 0.05, Fail: 0.05, Faulty: 0.5})
			testhistory.SwapAnswers(rng, ops)
			lines, _ := linesOf(ops)
			say := func() (all []Finding) {
				mon := newMonitor(t, m)
				for _, l := range lines {
					if f, err := mon.Observe(l); err == nil && f != nil {
						all = append(all, *f)
					}
				}
				return all
			}
			first := say()
			findings += len(first)
			for range 10 {
				if again := say(); !slices.Equal(again, first) {
					t.Fatalf("%s: the same lines gave %v and %v", m.Name, first, again)
				}
			}
		}
		if findings == 0 {
			t.Errorf("%s: there was nothing to say", m.Name)
		}
	}
}

func TestMonitorErrors(t *testing.T) {
	mon := newMonitor(t, model.Register())
	for i, c := range []struct {
		op  harness.Op
		err bool
	}{
		{harness.Op{Process: 1, Type: harness.OK, F: "read", Value: model.Maybe{}}, true}, // never begun
		{harness.Op{Process: 1, Type: harness.Invoke, F: "write", Value: int64(1)}, false},
		{harness.Op{Process: 1, Type: harness.Invoke, F: "read"}, true}, // not ended
		{harness.Op{Process: 1, Type: harness.OK, F: "write"}, false},
		{harness.Op{Process: 1, Type: harness.Invoke, F: "write", Value: "1"}, true}, // no integer
		{harness.Op{Process: 2, Type: harness.Invoke, Key: "x", F: "write", Value: int64(1)}, false},
		{harness.Op{Process: 3, Type: harness.Invoke, Key: "x", F: "write", Value: int64(1)}, true}, // twice
		{harness.Op{Process: 2, Type: harness.OK, Key: "x", F: "write"}, false},
	} {
		if f, err := mon.Observe(c.op); (err != nil) != c.err || f != nil {
			t.Errorf("line %d: %v, %v", i, f, err)
		}
	}
}

func BenchmarkMonitor(b *testing.B) {
	lines, _ := linesOf(testhistory.Generate(rand.New(rand.NewPCG(1, 1)), model.Register(), testhistory.Shape{Ops: 100_000, Processes: 20, Open: 0.01}))
	b.ResetTimer()
	for range b.N {
		mon := newMonitor(b, model.Register())
		for _, l := range lines {
			if f, err := mon.Observe(l); f != nil || err != nil {
				b.Fatal(f, err)
			}
		}
	}
	b.ReportMetric(float64(b.N*len(lines)/2)/b.Elapsed().Seconds(), "operations/s")
}
