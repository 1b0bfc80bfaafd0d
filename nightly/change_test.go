package nightly

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestIncompleteBeta(t *testing.T) {
	// I(1,b) and I(a,1) have closed forms; I(1/2,1/2) is an arcsine.
	for _, x := range []float64{0.001, 0.1, 0.3, 0.5, 0.9, 0.999} {
		for _, c := range []struct{ a, b, want float64 }{
			{1, 3, 1 - math.Pow(1-x, 3)}, {4, 1, math.Pow(x, 4)}, {0.5, 0.5, 2 / math.Pi * math.Asin(math.Sqrt(x))},
			{2, 2, 3*x*x - 2*x*x*x},
		} {
			if got := incompleteBeta(c.a, c.b, x); math.Abs(got-c.want) > 1e-10 {
				t.Errorf("I(%g, %g) at %g is %.12f, not %.12f", c.a, c.b, x, got, c.want)
			}
		}
	}
	// The two-sided 5% quantile of Student's t with 10 degrees of freedom is 2.228139.
	q := 2.2281388519649385
	if p := incompleteBeta(5, 0.5, 10/(10+q*q)); math.Abs(p-0.05) > 1e-9 {
		t.Errorf("%.12f", p)
	}
}

func TestChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := func(n int, mean float64) (xs []float64) {
		for range n {
			xs = append(xs, mean+0.1*r.NormFloat64())
		}
		return xs
	}
	two := append(append(noise(20, 1), noise(20, 2)...), noise(20, 1)...)
	got := changes(two, 0.05)
	if len(got) != 2 || got[0].At != 20 || got[1].At != 40 || math.Abs(got[0].After-2) > 0.1 || math.Abs(got[1].After-1) > 0.1 || math.Abs(got[0].Before-1) > 0.1 {
		t.Errorf("%+v", got)
	}
	for _, xs := range [][]float64{nil, {1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 2, 3}, noise(60, 1)} {
		if got := changes(xs, 0.001); len(got) > 0 {
			t.Errorf("%v: %+v", xs, got)
		}
	}
	if got := changes([]float64{1, 1, 1, 1, 2, 2, 2, 2}, 0.05); len(got) != 1 || got[0].At != 4 {
		t.Errorf("%+v", got)
	}
}

// The cut is where the definition of the statistic says.
func TestFarthest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	mean := func(a, b []float64, same bool) (sum float64) {
		n := 0
		for i, x := range a {
			for j, y := range b {
				if !same || j < i {
					sum += math.Abs(x - y)
					n++
				}
			}
		}
		return sum / float64(n)
	}
	for range 50 {
		xs := make([]float64, 8+r.IntN(20))
		for i := range xs {
			xs[i] = r.NormFloat64()
		}
		best, most := 0, math.Inf(-1)
		for at := shortestPart; at <= len(xs)-shortestPart; at++ {
			a, b := xs[:at], xs[at:]
			q := float64(len(a)*len(b)) / float64(len(xs)) * (2*mean(a, b, false) - mean(a, a, true) - mean(b, b, true))
			if q > most {
				best, most = at, q
			}
		}
		if got := farthest(xs); got != best {
			t.Errorf("%d, and the definition gives %d", got, best)
		}
	}
}
