package search

import (
	"fmt"
	"math"

	"coup/harness"
)

// Share counts runs, and how many of them failed.
type Share struct{ Failed, Runs int }

// Add counts a verdict. Runs that prove nothing are not counted.
func (s *Share) Add(v harness.Validity) {
	if v != harness.Unknown {
		s.Runs++
	}
	if v == harness.Invalid {
		s.Failed++
	}
}

// Interval is Wilson's 95% confidence interval of the probability that a run fails
// (E. B. Wilson, Probable inference, the law of succession, and statistical
// inference, 1927).
func (s Share) Interval() (lo, hi float64) {
	if s.Runs == 0 {
		return 0, 1
	}
	const z = 1.959963984540054
	n, p := float64(s.Runs), float64(s.Failed)/float64(s.Runs)
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, middle-half), min(1, middle+half)
}

func (s Share) String() string {
	if s.Runs == 0 {
		return "no run proved anything"
	}
	lo, hi := s.Interval()
	return fmt.Sprintf("%d of %d runs failed: %.0f%% (95%% interval %.0f%% to %.0f%%)",
		s.Failed, s.Runs, 100*float64(s.Failed)/float64(s.Runs), 100*lo, 100*hi)
}
