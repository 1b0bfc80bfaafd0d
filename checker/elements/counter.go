package elements

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Counter judges counters by the bounds within which every read must lie: what
// was acknowledged before it began must be in it, and what nobody had begun
// when it ended cannot be. It takes O(n log n) and sees less than
// linearizability does. Its Details are [CounterDetails].
type Counter struct {
	// AllowBackward forgives a read that shows less than one before it, as long as both
	// lie within their bounds: as Jepsen's counter does.
	AllowBackward bool
}

// CounterDetails are the Details of [Counter]. At most 100 anomalies of a kind
// are listed; their element is the number that was read.
type CounterDetails struct {
	Adds         int `json:"adds"`         // begun
	Acknowledged int `json:"acknowledged"` // of them
	Reads        int `json:"reads"`        // that succeeded
	// Low reads miss something that was acknowledged before they began.
	Low []Anomaly `json:"low"`
	// High reads show more than anybody had begun to add when they ended.
	High []Anomaly `json:"high"`
	// Backward reads show less than a read that had ended before, though
	// nothing was ever subtracted.
	Backward []Anomaly `json:"backward"`
}

// Name implements [harness.Checker].
func (Counter) Name() string { return "counter" }

// Check implements [harness.Checker].
func (c Counter) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: c.Name()}
	m := model.Counter()
	if err := m.CheckTypes(h.Operations); err != nil {
		return r, err
	}
	var d CounterDetails
	found := newAnomalies(h, m, "low", "high", "backward")
	keys, groups := model.ByKey(h.Operations)
	for _, key := range keys {
		if ctx.Err() != nil {
			r.Valid, r.Summary = harness.Unknown, "There was no time to judge all counters."
			return r, nil
		}
		c.judge(key, groups[key], &d, found)
	}
	d.Low, d.High, d.Backward = found.list("low"), found.list("high"), found.list("backward")
	r.Details = d
	found.judge(&r, m, fmt.Sprintf("Each of %s lay within the bounds that the adds around it allow.", story.Plural(d.Reads, "read")))
	if r.Valid == harness.Invalid {
		r.Summary = "Reads" + r.Summary[len("Elements"):]
	}
	return r, nil
}

// sums is a running total by position.
type sums struct {
	at    []int
	total []int64
}

func newSums(ops []*harness.Operation, at func(*harness.Operation) int) sums {
	sorted := slices.Clone(ops)
	slices.SortFunc(sorted, func(a, b *harness.Operation) int { return cmp.Compare(at(a), at(b)) })
	var s sums
	var total int64
	for _, op := range sorted {
		total += op.Input.(int64)
		s.at, s.total = append(s.at, at(op)), append(s.total, total)
	}
	return s
}

// before is the total of what lies before position p.
func (s sums) before(p int) int64 {
	i := sort.SearchInts(s.at, p)
	if i == 0 {
		return 0
	}
	return s.total[i-1]
}

func (c Counter) judge(key string, ops []*harness.Operation, d *CounterDetails, found *anomalies) {
	var up, down, reads []*harness.Operation
	for _, op := range ops {
		switch {
		case op.F == "add":
			d.Adds++
			if op.Type == harness.OK {
				d.Acknowledged++
			}
			if op.Input.(int64) < 0 {
				down = append(down, op)
			} else {
				up = append(up, op)
			}
		case op.Type == harness.OK:
			d.Reads++
			reads = append(reads, op)
		}
	}
	call := func(op *harness.Operation) int { return op.Call }
	done := func(op *harness.Operation) int { return op.Return }
	upBegun, upDone, downBegun, downDone := newSums(up, call), newSums(up, done), newSums(down, call), newSums(down, done)

	var proved []*harness.Operation // reads by their end, with the highest so far
	for _, read := range reads {
		got := read.Output.(int64)
		low := upDone.before(read.Call) + downBegun.before(read.Return)
		high := upBegun.before(read.Return) + downDone.before(read.Call)
		if got < low {
			found.add("low", key, got, is(story.Bounds{Read: read, Low: low, High: high}), read)
		}
		if got > high {
			found.add("high", key, got, is(story.Bounds{Read: read, Low: low, High: high}), read)
		}
	}
	if c.AllowBackward || len(down) > 0 {
		return
	}
	byEnd := slices.Clone(reads)
	slices.SortFunc(byEnd, func(a, b *harness.Operation) int { return cmp.Compare(a.Return, b.Return) })
	for _, read := range reads { // in order of their beginning
		for len(byEnd) > 0 && byEnd[0].Return < read.Call {
			if len(proved) == 0 || byEnd[0].Output.(int64) > proved[0].Output.(int64) {
				proved = byEnd[:1:1]
			}
			byEnd = byEnd[1:]
		}
		if len(proved) > 0 && read.Output.(int64) < proved[0].Output.(int64) {
			claim := func(whole []*harness.Operation) story.Claim { return story.BackwardBy(whole, proved[0], read) }
			found.add("backward", key, read.Output.(int64), claim, proved[0], read)
		}
	}
}

// WrongReads are reads of one counter that lie outside their bounds: of each kind
// (low, high, backward) the operations that prove the first.
func WrongReads(ops []*harness.Operation) map[string][]harness.Operation {
	found := newAnomalies(&harness.History{}, model.Counter(), "low", "high", "backward")
	Counter{}.judge("", ops, &CounterDetails{}, found)
	return found.first
}
