package search

import "slices"

// ddmin finds a small subset of n things that still fails. It returns the indexes of
// the things that are left, in order. fails(keep) says whether a test with only the
// things of keep still fails; a test with all of them is assumed to fail. In the
// result no single thing can be left out, unless over ended the search early.
//
// This is ddmin (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing
// input", 2002), which only tries complements: it leaves out parts, half of all things
// at first, then smaller ones, and continues behind a part that it left out.
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
