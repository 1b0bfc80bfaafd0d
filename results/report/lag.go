package report

import (
	"math"
	"time"

	"coup/checker/conduct"
	"coup/harness"
	"coup/harness/timeline"
)

// lagCurves are how far each node was behind the newest position of the log, over time: the
// most in each bin, and of all its shards. NaN: it did not answer.
type lagCurves struct {
	At    []seconds  `json:"at"`
	Nodes []lagCurve `json:"nodes"`
}

type lagCurve struct {
	Node    string    `json:"node"`
	Entries []seconds `json:"entries"` // of the log
	Time    []seconds `json:"time"`    // since another node was seen beyond its position
}

// lagBin is the narrowest: nodes are asked every quarter of a second, and a bin without an
// answer is a gap.
const lagBin = 500 * time.Millisecond

// gatherLags returns nil if nodes tell no positions.
func gatherLags(h *harness.History, end time.Duration) *lagCurves {
	b := makeBins(end, math.MaxInt32, 1)
	if b.width < lagBin {
		b = bins{lagBin, int((max(end, 1)-1)/lagBin) + 1}
	}
	c := &lagCurves{At: b.middles()}
	at := map[string]int{}
	for _, n := range h.Nodes {
		at[n] = len(c.Nodes)
		c.Nodes = append(c.Nodes, lagCurve{n, nothings(b.n), nothings(b.n)})
	}
	told := false
	for _, shard := range timeline.Shards(h) {
		for l := range conduct.LagsOf(shard.History, 0, harness.Forever) {
			for node, behind := range l.Nodes {
				i, known := at[node]
				if !known {
					continue
				}
				told = true
				of, bin := &c.Nodes[i], b.of(l.Time)
				of.Entries[bin] = most(of.Entries[bin], seconds(behind.Entries))
				of.Time[bin] = most(of.Time[bin], inSeconds(behind.Time))
			}
		}
	}
	if !told {
		return nil
	}
	return c
}

// most is the greater one, where NaN is nothing.
func most(a, b seconds) seconds {
	if math.IsNaN(float64(a)) || b > a {
		return b
	}
	return a
}
