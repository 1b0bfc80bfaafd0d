package report

import (
	"math"
	"slices"
	"time"

	"coup/harness"
)

// Curves gather operations one by one: how many ended per second and how long they took.
// Their memory is bounded, whatever the number of operations: where a bin of 10 ms is too
// narrow for all of the run, bins become twice as wide; latencies are exact to 1.1%, and the
// greatest one is exact. The zero value holds none.
type Curves struct {
	width time.Duration
	bins  []curveBin
	all   spread
	ended [4]int // by type
}

type curveBin struct {
	ended [4]uint32 // by type, by when they ended
	took  spread    // of those that ended ok, by when they were invoked
}

const (
	narrowest = 10 * time.Millisecond
	// mostBins are kept: finer than they are shown, for they become wider in steps of two.
	mostBins = 4 * maxBins
)

// Add adds an operation that has ended, with moments that count from 0; earlier ones are left out.
func (c *Curves) Add(start, end time.Duration, how harness.Type) {
	if end < 0 || how == harness.Invoke || int(how) >= len(c.ended) {
		return
	}
	c.bin(max(start, end)).ended[how]++
	c.ended[how]++
	if how == harness.OK && start >= 0 {
		c.bin(start).took.add(end - start)
		c.all.add(end - start)
	}
}

// bin is the one of a moment.
func (c *Curves) bin(t time.Duration) *curveBin {
	c.width = max(c.width, narrowest)
	for t/c.width >= mostBins {
		c.widen()
	}
	at := int(t / c.width)
	for len(c.bins) <= at {
		c.bins = append(c.bins, curveBin{})
	}
	return &c.bins[at]
}

// widen makes one bin of each two.
func (c *Curves) widen() {
	c.bins, c.width = grouped(c.bins, 2), 2*c.width
}

// grouped puts each n bins together.
func grouped(bins []curveBin, n int) []curveBin {
	var wide []curveBin
	for part := range slices.Chunk(bins, n) {
		sum := curveBin{part[0].ended, part[0].took.clone()}
		for _, b := range part[1:] {
			for i, k := range b.ended {
				sum.ended[i] += k
			}
			sum.took.merge(b.took)
		}
		wide = append(wide, sum)
	}
	return wide
}

// widths are how wide bins of rates and of latencies have to be, if the curves are to
// reach until end: see makeBins.
func (c *Curves) widths(end time.Duration) (forRates, forLatencies time.Duration) {
	operations := c.ended[harness.OK] + c.ended[harness.Fail] + c.ended[harness.Info]
	wide := func(perBin int) time.Duration {
		width := max(c.width, narrowest)
		for n := float64(end) / float64(width); n > maxBins || width < time.Second && float64(operations) < float64(perBin)*n; n = float64(end) / float64(width) {
			width *= 2
		}
		return width
	}
	return wide(perRate), wide(perLatencies)
}

// draw are the curves in bins of such widths, until end.
func (c *Curves) draw(forRates, forLatencies, end time.Duration) (rates, latencies) {
	width := max(c.width, narrowest)
	b := bins{forRates, int((max(end, 1)-1)/forRates) + 1}
	r := rates{b.middles(), make([]seconds, b.n), make([]seconds, b.n), make([]seconds, b.n)}
	for i, bin := range grouped(c.bins, int(forRates/width)) {
		if i < b.n {
			each := func(t harness.Type) seconds { return seconds(float64(bin.ended[t]) / forRates.Seconds()) }
			r.OK[i], r.Fail[i], r.Info[i] = each(harness.OK), each(harness.Fail), each(harness.Info)
		}
	}
	b = bins{forLatencies, int((max(end, 1)-1)/forLatencies) + 1}
	l := latencies{b.middles(), nothings(b.n), nothings(b.n), nothings(b.n)}
	for i, bin := range grouped(c.bins, int(forLatencies/width)) {
		if i < b.n && bin.took.n > 0 {
			l.P50[i], l.P99[i], l.Max[i] = inSeconds(bin.took.percentile(0.50)), inSeconds(bin.took.percentile(0.99)), inSeconds(bin.took.most)
		}
	}
	return r, l
}

func nothings(n int) []seconds { return slices.Repeat([]seconds{seconds(math.NaN())}, n) }

// Latency is the smallest latency that at least the share p of all operations that ended ok
// does not exceed; -1 if there is none.
func (c *Curves) Latency(p float64) time.Duration {
	if c.all.n == 0 {
		return -1
	}
	return c.all.percentile(p)
}

// Ended is how many operations ended in such a way.
func (c *Curves) Ended(how harness.Type) int { return c.ended[how] }

// spread is how often lengths of time occurred, in steps of 2.2%.
type spread struct {
	steps []step // sorted
	n     uint64
	most  time.Duration
}

type step struct {
	at uint16
	n  uint32
}

const perDoubling = 32

// stepOf is 0 for up to one nanosecond.
func stepOf(d time.Duration) uint16 { return uint16(math.Log2(float64(max(d, 1))) * perDoubling) }

// middle is what a step stands for.
func (s step) middle() time.Duration {
	return time.Duration(math.Exp2((float64(s.at) + 0.5) / perDoubling))
}

func (s *spread) add(d time.Duration) {
	s.merge(spread{[]step{{stepOf(d), 1}}, 1, d})
}

func (s *spread) merge(other spread) {
	for _, o := range other.steps {
		i, found := slices.BinarySearchFunc(s.steps, o.at, func(e step, at uint16) int { return int(e.at) - int(at) })
		if found {
			s.steps[i].n += o.n
		} else {
			s.steps = slices.Insert(s.steps, i, o)
		}
	}
	s.n, s.most = s.n+other.n, max(s.most, other.most)
}

func (s spread) clone() spread { return spread{slices.Clone(s.steps), s.n, s.most} }

// percentile is as that of a sorted list; s is not empty.
func (s spread) percentile(p float64) time.Duration {
	rank := max(uint64(math.Ceil(p*float64(s.n))), 1)
	if rank >= s.n {
		return s.most
	}
	for _, e := range s.steps {
		if uint64(e.n) >= rank {
			return min(e.middle(), s.most)
		}
		rank -= uint64(e.n)
	}
	return s.most
}
