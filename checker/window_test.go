package checker

import (
	"context"
	"math/rand/v2"
	"testing"

	"coup/harness"
)

// A window is said to fail from any first state only if a search of its own
// explains it from none: what is kept from one search to the next does no harm.
func TestWindowsFromEveryFirstState(t *testing.T) {
	m := RegisterModel()
	failed := 0
	for n := range uint64(*histories) {
		rng := rand.New(rand.NewPCG(*seed+n, 17))
		ops := generate(rng, m, shape{ops: 30 + rng.IntN(40), processes: 3 + rng.IntN(12), values: 5, faulty: 0.2, open: 0.05 * float64(rng.IntN(2))})
		w := since(m, ops, ops[rng.IntN(len(ops)/2)].Call)
		alone := true
		for _, s := range firstStates(m, w) {
			j, err := newJustInTime(m, pointers(w))
			if err != nil {
				t.Fatal(err)
			}
			alone = alone && j.search(context.Background(), s) == harness.Invalid
		}
		together := failsFromAny(context.Background(), m, w)
		if together != alone {
			t.Fatalf("seed %d: it fails from any first state: %v, and if each is tried by itself: %v", *seed+n, together, alone)
		}
		if together {
			failed++
		}
	}
	if failed < *histories/10 {
		t.Errorf("only %d of %d windows fail", failed, *histories)
	}
}
