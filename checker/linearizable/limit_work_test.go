package linearizable

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

// How a violation is explained does not depend on how fast the machine is.
func TestSlowMachinesExplainAlike(t *testing.T) {
	fast := model.Register()
	slow := model.Register()
	slow.Step = func(state any, op *harness.Operation) (any, bool) {
		for end := time.Now().Add(2 * time.Microsecond); time.Now().Before(end); { // sleeping takes longer
		}
		return fast.Step(state, op)
	}
	decided := func(c harness.Checker, h *harness.History) harness.Result { // whatever time it takes
		r, err := c.Check(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, n := range []uint64{1} { // of this one time made something else
		ops := testhistory.Generate(rand.New(rand.NewPCG(n, 1)), fast, testhistory.Shape{Ops: 1000, Processes: 8 + int(n)/4, Values: 5, Faulty: 0.01})
		h := &harness.History{Operations: ops}
		a := decided(Checker{Model: fast, Timeout: time.Hour}, h)
		if a.Valid != harness.Invalid {
			t.Fatalf("seed %d: %v", n, a.Valid)
		}
		b := decided(Checker{Model: slow, Timeout: time.Hour}, h)
		if b.Valid != harness.Invalid {
			t.Fatalf("seed %d: on a slow machine it is %v", n, b.Valid)
		}
		if !reflect.DeepEqual(a.Counterexample, b.Counterexample) {
			t.Errorf("seed %d: a slow machine shows\n%v\nand not\n%v", n, b.Counterexample.Story, a.Counterexample.Story)
		}
	}
}

// What was allowed is used up at the same step every time, and as a part of what
// was allowed above.
func TestWorkIsCounted(t *testing.T) {
	whole, above := allow(t.Context(), 10)
	defer above.end()
	part, a := allow(whole, 7)
	defer a.end()
	if a.spend(7); part.Err() != nil || a.overdrawn() {
		t.Error("7 of 7 are too much")
	}
	if a.spend(1); part.Err() == nil || whole.Err() != nil || !a.overdrawn() {
		t.Error("8 of 7 are not too much")
	}
	other, b := allow(whole, 7)
	defer b.end()
	if b.spend(3); other.Err() == nil || whole.Err() == nil {
		t.Error("11 of 10 are not too much")
	}
	m := model.Register()
	h := testhistory.Parse(t, m, `[write 1] [write 2] [read -> 1]`)
	few, c := allow(t.Context(), 1)
	defer c.end()
	if v, err := porcupineSearch(few, m, model.Pointers(h.Operations)); v != harness.Unknown || err != nil {
		t.Error(v, err)
	}
}

// Elements of a stack or a queue that nobody got are alike: in which order they were put in
// is nothing to be tried.
func TestElementsThatNobodyGotAreAlike(t *testing.T) {
	for _, m := range []model.Model{model.Stack(), model.Queue()} {
		takes := map[model.Kind]string{model.StackKind: "pop", model.QueueKind: "dequeue"}[m.Kind]
		var ops []harness.Operation
		const many = 12
		for i := range many { // all at once
			ops = append(ops, harness.Operation{Process: i, F: m.Kind.Puts(), Input: int64(i), Type: harness.OK, Call: i, Return: many + i})
		}
		at := 2 * many
		then := func(f string, in, out any, how harness.Type) {
			ops = append(ops, harness.Operation{Process: at, F: f, Input: in, Output: out, Type: how, Call: at, Return: at + 1})
			at += 2
		}
		then(takes, nil, nil, harness.Info)
		ops[many].Return = harness.Open
		then(m.Kind.Puts(), int64(50), nil, harness.OK)
		then(m.Kind.Puts(), int64(51), nil, harness.OK)
		then(takes, nil, model.Just(50), harness.OK)
		then(takes, nil, model.Just(51), harness.OK)
		few, work := allow(t.Context(), 50_000)
		d, ok, err := justInTimeTier(few, m, model.Pointers(ops))
		work.end()
		if d.valid != harness.Invalid || !ok || err != nil {
			t.Errorf("%s: %v, decided: %v, %v", m.Name, d.valid, ok, err)
		}
	}
}
