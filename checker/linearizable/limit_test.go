package linearizable

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

// explosive is a history that nothing decides in any time: n open additions of
// different even amounts, of which any may have happened, and a read of an odd
// number.
func explosive(n int) (model.Model, []harness.Operation) {
	m := model.Counter()
	var ops []harness.Operation
	for i := range n {
		ops = append(ops, harness.Operation{Process: i, F: "add", Key: "hard", Input: int64(2) << i, Type: harness.Info, Call: i, Return: harness.Open})
	}
	ops = append(ops, harness.Operation{Process: n, F: "read", Key: "hard", Output: int64(1)<<n + 1, Type: harness.OK, Call: n, Return: n + 1, End: time.Second})
	return m, ops
}

func TestTimeBoundHolds(t *testing.T) {
	m, ops := explosive(40)
	for name, c := range map[string]struct {
		timeout, ctx time.Duration
	}{
		"timeout": {200 * time.Millisecond, time.Hour},
		"context": {time.Hour, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			ctx, cancel := context.WithTimeout(context.Background(), c.ctx)
			defer cancel()
			start := time.Now()
			r, err := Checker{Model: m, Timeout: c.timeout}.Check(ctx, &harness.History{Operations: ops})
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)
			if r.Valid != harness.Unknown || !strings.Contains(r.Summary, `"hard"`) {
				t.Errorf("%v: %s", r.Valid, r.Summary)
			}
			if took > time.Minute { // much, for a machine that is busy; little beside an hour
				t.Errorf("it took %v", took)
			}
			// Nothing goes on searching afterwards.
			for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				}
			}
		})
	}
}

func TestMemoryBoundHolds(t *testing.T) {
	m, ops := explosive(40)
	const limit = 16 << 20 // with the race detector and others at work, more would take longer than the test may
	// The guard looks every 10 ms. On a busy machine it is late, and the search goes on
	// meanwhile; without it, nothing ends the search before this.
	const tooMuch = 20 * limit
	runtime.GC()
	base, peak := heap(), uint64(0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for ctx.Err() == nil {
			if peak = max(peak, heap()); peak > base+tooMuch {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	start := time.Now()
	r, err := Checker{Model: m, Timeout: time.Hour, MemoryBytes: limit}.Check(ctx, &harness.History{Operations: ops})
	cancel()
	<-watched
	if err != nil || r.Valid != harness.Unknown || !strings.Contains(r.Summary, "more memory than allowed") {
		t.Errorf("%v: %s (%v)", r.Valid, r.Summary, err)
	}
	t.Logf("stopped after %v; the heap grew by %d MiB at most", time.Since(start), (peak-base)>>20)
	if peak > base+tooMuch {
		t.Errorf("the heap grew by %d MiB with a limit of %d", (peak-base)>>20, limit>>20)
	}
}

// What was proved before the search was given up is told. It is given up for its
// memory: a bound on time could be over before anything is proved.
func TestUndecidedKeyTellsHowFarItGot(t *testing.T) {
	m, ops := explosive(40)
	easy := []harness.Operation{
		{F: "add", Key: "hard", Input: int64(2), Type: harness.OK, Call: -4, Return: -3},
		{F: "read", Key: "hard", Output: int64(2), Type: harness.OK, Call: -2, Return: -1},
	}
	r, err := Checker{Model: m, Timeout: time.Hour, MemoryBytes: 4 << 20}.Check(t.Context(), &harness.History{Operations: append(easy, ops...)})
	if err != nil {
		t.Fatal(err)
	}
	if d := r.Details.(Details); len(d.Unknown) != 1 || d.Unknown[0].Explained != 2 || d.Unknown[0].Operations != 43 {
		t.Errorf("%+v", d)
	}
}

// A key that cannot be decided hides no violation of another.
func TestViolationBesideUndecidedKey(t *testing.T) {
	m, ops := explosive(40)
	n := len(ops) + 10
	ops = append(ops,
		harness.Operation{F: "add", Key: "easy", Input: int64(1), Type: harness.OK, Call: n, Return: n + 1},
		harness.Operation{F: "read", Key: "easy", Output: int64(2), Type: harness.OK, Call: n + 2, Return: n + 3})
	r, err := Checker{Model: m, Timeout: time.Hour, MemoryBytes: 4 << 20}.Check(t.Context(), &harness.History{Operations: ops})
	if err != nil {
		t.Fatal(err)
	}
	d := r.Details.(Details)
	if r.Valid != harness.Invalid || len(d.Invalid) != 1 || len(d.Unknown) != 1 || r.Counterexample.Key != "easy" {
		t.Errorf("%v: %s %+v", r.Valid, r.Summary, d)
	}
}

func TestModelThatPanicsIsAnError(t *testing.T) {
	m := model.Model{Name: "bad", Init: 0, Step: func(state any, op *harness.Operation) (any, bool) {
		if state.(int) == 1 {
			panic("out of states")
		}
		return state.(int) + 1, true
	}}
	h := testhistory.Parse(t, model.Register(), `[write 1] [write 2]`)
	if _, err := (Checker{Model: m}).Check(context.Background(), h); err == nil || !strings.Contains(err.Error(), "out of states") {
		t.Errorf("error %v", err)
	}
	h = testhistory.Parse(t, model.Register(), `[write 1] [cas 1 2 -> 1]`)
	if _, err := (Checker{Model: model.Set()}).Check(context.Background(), h); err == nil {
		t.Error("the history of a register was judged as that of a set")
	}
}
