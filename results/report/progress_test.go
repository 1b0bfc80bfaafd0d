package report

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/harness"
)

// Curves that are gathered one by one are those of a report, in wider bins.
func TestCurvesAreThoseOfAReport(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var c Curves
	var ops []harness.Operation
	end := 100 * time.Second
	for i := range 20_000 {
		start := time.Duration(i) * end / 20_000
		took := time.Duration(math.Exp(r.NormFloat64()) * float64(5*time.Millisecond))
		how := []harness.Type{harness.OK, harness.OK, harness.OK, harness.Fail, harness.Info}[r.IntN(5)]
		ops = append(ops, harness.Operation{Type: how, Start: start, End: min(start+took, end)})
		c.Add(start, min(start+took, end), how)
	}
	forRates, forLatencies := c.widths(end)
	rates, latencies := c.draw(forRates, forLatencies, end)
	if len(rates.At) > maxBins || len(latencies.At) > maxBins || len(rates.At) < maxBins/4 {
		t.Errorf("%d and %d bins", len(rates.At), len(latencies.At))
	}
	near := func(what string, got, want time.Duration) {
		t.Helper()
		if math.Abs(float64(got-want)) > 0.011*float64(want)+1 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	sums := map[harness.Type]float64{}
	took := make([][]time.Duration, len(latencies.At))
	var all []time.Duration
	for _, op := range ops {
		sums[op.Type]++
		if at := int(op.Start / forLatencies); op.Type == harness.OK {
			took[at], all = append(took[at], op.End-op.Start), append(all, op.End-op.Start)
		}
	}
	for how, drawn := range map[harness.Type][]seconds{harness.OK: rates.OK, harness.Fail: rates.Fail, harness.Info: rates.Info} {
		sum := 0.0
		for _, v := range drawn {
			sum += float64(v) * forRates.Seconds()
		}
		if math.Abs(sum-sums[how]) > 1e-6 || c.Ended(how) != int(sums[how]) {
			t.Errorf("%v: the curve is of %v operations, want %v", how, sum, sums[how])
		}
	}
	seconds := func(s seconds) time.Duration { return time.Duration(float64(s) * 1e9) }
	for i, its := range took {
		slices.Sort(its)
		near("p50", seconds(latencies.P50[i]), percentile(its, 0.5))
		near("p99", seconds(latencies.P99[i]), percentile(its, 0.99))
		if got, want := latencies.Max[i], inSeconds(its[len(its)-1]); got != want {
			t.Errorf("max: %v, want %v", got, want)
		}
	}
	slices.Sort(all)
	near("p99 of all", c.Latency(0.99), percentile(all, 0.99))
	if c.Latency(1) != all[len(all)-1] {
		t.Errorf("worst: %v, want %v", c.Latency(1), all[len(all)-1])
	}
	if none := new(Curves); none.Latency(0.5) != -1 {
		t.Error("a latency of no operations")
	}
}

// Whatever comes, memory stays bounded, and what is shown can be written.
func TestProgressIsBounded(t *testing.T) {
	p := NewProgress([]string{"n1", "n2", "n3"}, nil)
	r := rand.New(rand.NewPCG(1, 3))
	for i := range 25_000 {
		p.HistoryLine(fmt.Appendf(nil, `{"time":%d,"process":%d,"type":"invoke","f":"x"}`, i*i, i))
		p.HistoryLine(fmt.Appendf(nil, `{"time":%d,"process":%d,"type":"ok","f":"x"}`, int64(i)<<r.IntN(46), i-r.IntN(2)))
	}
	for i := range 12_000 {
		p.EventLine(fmt.Appendf(nil, `{"time":%d,"kind":"role","node":"n%d","role":"leader","term":%d,"nodes":["x%d"]}`, i, i, i, i))
		p.EventLine(fmt.Appendf(nil, `{"time":%d,"kind":"hold","id":%d,"fault":"pause","nodes":["y%d"],"message":%q}`, i, i, i, strings.Repeat("x", 3000)))
		p.EventLine(fmt.Appendf(nil, `{"time":%d,"kind":"violation","message":"v"}`, i))
	}
	if len(p.curves.bins) > mostBins || len(p.open) > mostOpen || len(p.events) > mostEvents || len(p.named) > mostLanes {
		t.Errorf("%d bins, %d operations, %d events, %d nodes", len(p.curves.bins), len(p.open), len(p.events), len(p.named))
	}
	k := p.Known(false)
	if b, err := json.Marshal(k); err != nil || len(b) > 8<<20 {
		t.Errorf("%d bytes: %v", len(b), err)
	}
	if k.Found != 12_000 || len(k.Violations) > 1 || len(k.Lanes) > mostLanes || len(k.Notes) != 1 {
		t.Errorf("%d violations, %d of them shown, %d lanes, notes %q", k.Found, len(k.Violations), len(k.Lanes), k.Notes)
	}
}

// Who leads is known from what nodes tell, or else from polls.
func TestProgressKnowsWhoLeads(t *testing.T) {
	for _, c := range []struct {
		tells harness.Facts
		lines []string
		want  string
	}{
		{harness.Facts{harness.Events}, []string{
			`{"time":1,"kind":"role","node":"n1","role":"leader","term":2}`,
			`{"time":2,"kind":"state","node":"n2","role":"leader","term":9}`, // what nodes tell by themselves counts more
		}, "n1, term 2"},
		{harness.Facts{harness.Events}, []string{
			`{"time":1000,"kind":"role","node":"n1","role":"leader","term":2}`,
			`{"time":2000,"kind":"hold","id":1,"fault":"pause","nodes":["n1"]}`,
			`{"time":3000,"kind":"role","node":"n2","role":"leader","term":3}`,
			`{"time":4000,"kind":"phase","message":"heal"}`,
		}, "n2, term 3; n1, term 2 (paused)"},
		{nil, []string{
			`{"time":1,"kind":"state","node":"n1","role":"follower"}`, `{"time":1,"kind":"state","node":"n2","role":"leader"}`,
			`{"time":2,"kind":"state","node":"n1","role":"leader"}`, `{"time":2,"kind":"state","node":"n2","role":"follower"}`,
			`{"time":3,"kind":"state","node":"n1","role":"leader"}`,
		}, "n1"},
		{nil, []string{`{"time":1,"kind":"role","node":"n1","role":"leader"}`, `{"time":5,"kind":"exit","node":"n1"}`, `{"time":9,"kind":"phase","message":"load"}`}, ""},
	} {
		p := NewProgress([]string{"n1", "n2"}, c.tells)
		for _, line := range c.lines {
			if !p.EventLine([]byte(line)) {
				t.Errorf("%s makes no sense", line)
			}
		}
		if got := p.Known(false).Leaders; got != c.want {
			t.Errorf("%v: %q, want %q", c.lines, got, c.want)
		}
	}
	p := NewProgress(nil, nil)
	for _, line := range []string{"", "{", "null", "[]", `{"kind":7}`, `{"time":"x","kind":"role"}`, `{"time":1}`} {
		if p.EventLine([]byte(line)) || p.HistoryLine([]byte(line)) {
			t.Errorf("%s makes sense", line)
		}
	}
}
