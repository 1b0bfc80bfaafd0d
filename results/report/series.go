package report

import (
	"math"
	"slices"
	"time"

	"coup/harness"
)

// series are the plotted figures, one entry per bin. Throughput counts an
// operation when it completed; latency stands at the moment of the
// invocation, so that an operation that waited for a new leader shows where
// the waiting began.
type series struct {
	Width seconds   `json:"width"` // of a bin
	At    []seconds `json:"at"`    // the middle of each bin
	OK    []seconds `json:"ok"`    // per second
	Fail  []seconds `json:"fail"`
	Info  []seconds `json:"info"`
	P50   []seconds `json:"p50"` // of the operations that ended ok; null where there is none
	P99   []seconds `json:"p99"`
	Max   []seconds `json:"max"`
}

// The bins are as narrow as possible, but no more than maxBins of them, and
// from one second down none that would hold fewer than minPerBin operations
// on average: percentiles of less are noise.
const (
	maxBins   = 400
	minPerBin = 20
)

var binWidths = []time.Duration{
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

func binWidth(end time.Duration, operations int) time.Duration {
	for _, w := range binWidths {
		bins := float64(end) / float64(w)
		if bins <= maxBins && (w >= time.Second || float64(operations) >= minPerBin*bins) {
			return w
		}
	}
	return end/maxBins + 1
}

func gatherSeries(ops []harness.Operation, end time.Duration) series {
	width := binWidth(end, len(ops))
	n := int((end-1)/width) + 1
	if end <= 0 {
		n = 0
	}
	s := series{Width: inSeconds(width)}
	for _, column := range []*[]seconds{&s.At, &s.OK, &s.Fail, &s.Info, &s.P50, &s.P99, &s.Max} {
		*column = make([]seconds, n)
	}
	latencies := make([][]time.Duration, n)
	bin := func(t time.Duration) int { return min(max(int(t/width), 0), n-1) }
	each := seconds(1 / width.Seconds())
	for i := range ops {
		op := &ops[i]
		if n == 0 {
			break
		}
		at := bin(op.End)
		switch op.Type {
		case harness.OK:
			s.OK[at] += each
			began := bin(op.Start)
			latencies[began] = append(latencies[began], op.End-op.Start)
		case harness.Fail:
			s.Fail[at] += each
		default: // when the process gave up; one that never ended counts where it began
			s.Info[bin(max(op.Start, op.End))] += each
		}
	}
	for i, l := range latencies {
		slices.Sort(l)
		s.At[i] = inSeconds(time.Duration(i)*width + width/2)
		s.P50[i], s.P99[i], s.Max[i] = percentile(l, 0.50), percentile(l, 0.99), percentile(l, 1)
	}
	return s
}

// percentile is the smallest value that at least the share p of sorted does not exceed.
func percentile(sorted []time.Duration, p float64) seconds {
	if len(sorted) == 0 {
		return seconds(math.NaN())
	}
	return inSeconds(sorted[max(int(math.Ceil(p*float64(len(sorted))))-1, 0)])
}
