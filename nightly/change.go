package nightly

import (
	"math"
)

// Change is a moment from which on the values of a series are others.
type Change struct {
	At     int     // the first value that is another
	Before float64 // the mean before, back to the change before that, or to the beginning
	After  float64 // the mean after
}

// shortestPart is how many values there must be on both sides of a change.
const shortestPart = 4

// changes finds the moments in which the mean of a series changes. A series of pure chance
// shows one with a probability of at most alpha, as far as its values are distributed normally.
//
// This is E-divisive means (Matteson and James, "A nonparametric approach for multiple
// change point analysis of multivariate data", 2014), which was used for the performance
// tests of MongoDB (Daly et al., "The use of change point detection to identify software
// performance regressions in a continuous integration system", 2020): the series is cut where the
// energy distance of both parts is the greatest, and the parts likewise. Whether a cut counts is
// decided by Student's t-test in place of permutations, as in Hunter (Fleming et al.,
// "Hunter: using change point detection to hunt for performance regressions", 2023). It
// is exact for very small alphas, and the same series always gives the same changes. Bonferroni's
// correction is for the number of places at which a series could be cut.
func changes(xs []float64, alpha float64) []Change {
	var cuts []int
	cut(xs, 0, alpha/float64(max(1, len(xs))), &cuts)
	var all []Change
	for i, at := range cuts {
		from, to := 0, len(xs)
		if i > 0 {
			from = cuts[i-1]
		}
		if i+1 < len(cuts) {
			to = cuts[i+1]
		}
		before, _ := meanOf(xs[from:at])
		after, _ := meanOf(xs[at:to])
		all = append(all, Change{at, before, after})
	}
	return all
}

// cut adds the places in which a part of a series is cut, in order. offset is where it begins.
func cut(xs []float64, offset int, alpha float64, cuts *[]int) {
	at := farthest(xs)
	if at == 0 || differ(xs[:at], xs[at:]) >= alpha {
		return
	}
	cut(xs[:at], offset, alpha, cuts)
	*cuts = append(*cuts, offset+at)
	cut(xs[at:], offset+at, alpha, cuts)
}

// farthest is where the energy distance of the parts on both sides, weighted by their sizes,
// is the greatest; 0 if the series is too short.
func farthest(xs []float64) (best int) {
	n := len(xs)
	if n < 2*shortestPart {
		return 0
	}
	// Sums of the distances of all pairs: within the left part, across, within the right one.
	var left, across, right float64
	for i := range xs {
		for j := range i {
			right += math.Abs(xs[i] - xs[j])
		}
	}
	most := math.Inf(-1)
	for at := 1; at < n; at++ { // xs[at-1] passes from right to left
		var toLeft, toRight float64
		for i, x := range xs {
			if d := math.Abs(x - xs[at-1]); i < at-1 {
				toLeft += d
			} else {
				toRight += d
			}
		}
		left, across, right = left+toLeft, across-toLeft+toRight, right-toRight
		if at < shortestPart || n-at < shortestPart {
			continue
		}
		l, r := float64(at), float64(n-at)
		distance := 2*across/(l*r) - left/(l*(l-1)/2) - right/(r*(r-1)/2)
		if q := l * r / (l + r) * distance; q > most {
			most, best = q, at
		}
	}
	return best
}

// differ is the p-value of Student's t-test: how likely the means of two samples of one
// distribution are as far apart as these.
func differ(a, b []float64) float64 {
	meanA, squaresA := meanOf(a)
	meanB, squaresB := meanOf(b)
	na, nb := float64(len(a)), float64(len(b))
	free := na + nb - 2
	if free <= 0 {
		return 1
	}
	wide := math.Sqrt((squaresA + squaresB) / free * (1/na + 1/nb))
	apart := math.Abs(meanA - meanB)
	switch {
	case apart == 0:
		return 1
	case wide == 0:
		return 0
	}
	t := apart / wide
	return incompleteBeta(free/2, 0.5, free/(free+t*t))
}

// meanOf also gives the sum of the squares of the distances to the mean.
func meanOf(xs []float64) (mean, squares float64) {
	for _, x := range xs {
		mean += x / float64(len(xs))
	}
	for _, x := range xs {
		squares += (x - mean) * (x - mean)
	}
	return mean, squares
}

// incompleteBeta is the regularised incomplete beta function, by its continued fraction
// (Abramowitz and Stegun, 26.5.8), evaluated by the method of Lentz.
func incompleteBeta(a, b, x float64) float64 {
	if x <= 0 || x >= 1 {
		return math.Max(0, math.Min(1, x))
	}
	if x > (a+1)/(a+b+2) { // the fraction converges faster on the other side
		return 1 - incompleteBeta(b, a, 1-x)
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab-la-lb+a*math.Log(x)+b*math.Log1p(-x)) / a
	const tiny = 1e-300
	f, c, d := 1.0, 1.0, 0.0
	for i := range 300 {
		m := float64(i / 2)
		term := 1.0 // of the numerator
		switch {
		case i == 0:
		case i%2 == 0:
			term = m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		default:
			term = -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		}
		d = 1 / nonZero(1+term*d, tiny)
		c = nonZero(1+term/c, tiny)
		f *= c * d
		if math.Abs(1-c*d) < 1e-13 {
			return front * (f - 1)
		}
	}
	return front * (f - 1)
}

func nonZero(x, tiny float64) float64 {
	if math.Abs(x) < tiny {
		return tiny
	}
	return x
}
