package search

import "slices"

// ddmin leaves as few of n things as it can: it returns the numbers, in order,
// of those that are left. fails says of some of them whether what is to be found
// is still there when only those are left; of all it is taken to be. At the end no
// single one can be left out, unless over has said that it is enough.
//
// It is delta debugging (Zeller and Hildebrandt, Simplifying and isolating
// failure-inducing input, 2002) that leaves parts out, half of all at first, and
// goes on behind the part that it left out.
func ddmin(n int, fails func(keep []int) bool, over func() bool) []int {
	left := make([]int, n)
	for i := range left {
		left[i] = i
	}
	for size := (n + 1) / 2; size >= 1; {
		before := len(left)
		for at := 0; at < len(left); {
			if over() {
				return left
			}
			rest := slices.Delete(slices.Clone(left), at, min(at+size, len(left)))
			if fails(rest) {
				left = rest
			} else {
				at += size
			}
		}
		if size > 1 {
			size = min(size/2, max(1, len(left)/2))
		} else if len(left) == before {
			break // nothing that was kept before can be left out now
		}
	}
	return left
}
