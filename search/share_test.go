package search

import (
	"math"
	"testing"

	"coup/harness"
)

func TestShare(t *testing.T) {
	var s Share
	for _, v := range []harness.Validity{harness.Invalid, harness.Valid, harness.Unknown, harness.Invalid, harness.Valid, harness.Valid} {
		s.Add(v)
	}
	if s != (Share{2, 5}) {
		t.Errorf("%+v", s)
	}
	for _, c := range []struct {
		s      Share
		lo, hi float64
	}{ // from Wilson's formula, by hand
		{Share{0, 0}, 0, 1}, {Share{0, 10}, 0, 0.2775}, {Share{10, 10}, 0.7225, 1}, {Share{2, 5}, 0.1176, 0.7693}, {Share{50, 100}, 0.4038, 0.5962},
	} {
		if lo, hi := c.s.Interval(); math.Abs(lo-c.lo) > 1e-4 || math.Abs(hi-c.hi) > 1e-4 {
			t.Errorf("%+v: %.4f to %.4f, want %.4f to %.4f", c.s, lo, hi, c.lo, c.hi)
		}
	}
}
