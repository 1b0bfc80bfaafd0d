package search

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestDdminLeavesWhatIsNeeded(t *testing.T) {
	never := func() bool { return false }
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		n := r.IntN(60)
		needed := []int{}
		for i := range n {
			if r.IntN(8) == 0 {
				needed = append(needed, i)
			}
		}
		asked := 0
		left := ddmin(n, func(keep []int) bool {
			asked++
			for _, i := range needed {
				if !slices.Contains(keep, i) {
					return false
				}
			}
			return true
		}, never)
		if !slices.Equal(left, needed) {
			t.Fatalf("of %d are left %v, want %v", n, left, needed)
		}
		if asked > 4*n+1 {
			t.Errorf("%d questions for %d things, %d of them needed", asked, n, len(needed))
		}
	}
}

// What is needed may depend on what else is there: then no single one can be left
// out at least.
func TestDdminGoesOnUntilEveryOneIsNeeded(t *testing.T) {
	fails := func(keep []int) bool { // an odd number, and at least 5 of 20; or 2 and 3 alone
		return len(keep) >= 5 && len(keep)%2 == 1 || slices.Equal(keep, []int{2, 3})
	}
	left := ddmin(20, fails, func() bool { return false })
	for i := range left {
		if fails(slices.Delete(slices.Clone(left), i, i+1)) {
			t.Errorf("%v can do without %d", left, left[i])
		}
	}
}

func TestDdminStopsWithTheBestSoFar(t *testing.T) {
	asked := 0
	left := ddmin(64, func(keep []int) bool { asked++; return slices.Contains(keep, 5) }, func() bool { return asked == 3 })
	if asked != 3 || len(left) != 32 || !slices.Contains(left, 5) {
		t.Errorf("after %d questions %v", asked, left)
	}
}
