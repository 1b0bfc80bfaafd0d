package report

import (
	"math"
	"slices"
	"time"

	"coup/harness"
)

// rates are how many operations ended per second, one entry per bin. One that
// never ended counts where it began.
type rates struct {
	At   []seconds `json:"at"` // the middle of each bin
	OK   []seconds `json:"ok"`
	Fail []seconds `json:"fail"`
	Info []seconds `json:"info"`
}

// latencies are how long the operations took that ended ok, one entry per
// bin; null where there was none. They stand where the operation was invoked,
// so that one that waited for a new leader shows when the waiting began.
type latencies struct {
	At  []seconds `json:"at"`
	P50 []seconds `json:"p50"`
	P99 []seconds `json:"p99"`
	Max []seconds `json:"max"`
}

// Bins are as narrow as possible, but no more than maxBins of them, and from
// one second down none that would hold too few operations on average: there
// counts are noise, and percentiles say nothing.
const (
	maxBins      = 400
	perRate      = 20
	perLatencies = 100
)

var binWidths = []time.Duration{
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

// bins divides the time from 0 to end.
type bins struct {
	width time.Duration
	n     int
}

func makeBins(end time.Duration, operations, perBin int) bins {
	if end <= 0 {
		end = 1
	}
	width := end/maxBins + 1
	for _, w := range binWidths {
		n := float64(end) / float64(w)
		if n <= maxBins && (w >= time.Second || float64(operations) >= float64(perBin)*n) {
			width = w
			break
		}
	}
	return bins{width, int((end-1)/width) + 1}
}

func (b bins) of(t time.Duration) int { return min(max(int(t/b.width), 0), b.n-1) }

func (b bins) middles() []seconds {
	at := make([]seconds, b.n)
	for i := range at {
		at[i] = inSeconds(time.Duration(i)*b.width + b.width/2)
	}
	return at
}

func gatherRates(ops []harness.Operation, end time.Duration) rates {
	b := makeBins(end, len(ops), perRate)
	r := rates{b.middles(), make([]seconds, b.n), make([]seconds, b.n), make([]seconds, b.n)}
	each := seconds(1 / b.width.Seconds())
	for i := range ops {
		op := &ops[i]
		at := b.of(max(op.Start, op.End))
		switch op.Type {
		case harness.OK:
			r.OK[at] += each
		case harness.Fail:
			r.Fail[at] += each
		default:
			r.Info[at] += each
		}
	}
	return r
}

func gatherLatencies(ops []harness.Operation, end time.Duration) latencies {
	b := makeBins(end, len(ops), perLatencies)
	took := make([][]time.Duration, b.n)
	for i := range ops {
		if op := &ops[i]; op.Type == harness.OK {
			at := b.of(op.Start)
			took[at] = append(took[at], op.Latency())
		}
	}
	l := latencies{b.middles(), make([]seconds, b.n), make([]seconds, b.n), make([]seconds, b.n)}
	for i, all := range took {
		if len(all) == 0 {
			nothing := seconds(math.NaN())
			l.P50[i], l.P99[i], l.Max[i] = nothing, nothing, nothing
			continue
		}
		slices.Sort(all)
		l.P50[i], l.P99[i], l.Max[i] = inSeconds(percentile(all, 0.50)), inSeconds(percentile(all, 0.99)), inSeconds(all[len(all)-1])
	}
	return l
}

// percentile is the smallest of sorted, which is not empty, that at least the
// share p of them does not exceed.
func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[max(int(math.Ceil(p*float64(len(sorted))))-1, 0)]
}
