package linearizable

import (
	"context"
	"math/rand/v2"
	"testing"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

// A window is said to fail from any first state only if a search of its own
// explains it from none: what is kept from one search to the next does no harm.
func TestWindowsFromEveryFirstState(t *testing.T) {
	m := model.Register()
	failed := 0
	for n := range uint64(*testhistory.Histories) {
		rng := rand.New(rand.NewPCG(*testhistory.Seed+n, 17))
		ops := testhistory.Generate(rng, m, testhistory.Shape{Ops: 30 + rng.IntN(40), Processes: 3 + rng.IntN(12), Values: 5, Faulty: 0.2, Open: 0.05 * float64(rng.IntN(2))})
		w := since(m, ops, ops[rng.IntN(len(ops)/2)].Call)
		alone := true
		for _, s := range firstStates(m, w) {
			j, err := newJustInTime(m, model.Pointers(w))
			if err != nil {
				t.Fatal(err)
			}
			alone = alone && j.search(context.Background(), s) == harness.Invalid
		}
		together := failsFromAny(context.Background(), m, w)
		if together != alone {
			t.Fatalf("seed %d: it fails from any first state: %v, and if each is tried by itself: %v", *testhistory.Seed+n, together, alone)
		}
		if together {
			failed++
		}
	}
	if failed < *testhistory.Histories/10 {
		t.Errorf("only %d of %d windows fail", failed, *testhistory.Histories)
	}
}
