package conduct

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Availability tells how well the system served its clients while it was
// under load: figures only, the verdict is always valid. Its Details are
// [AvailabilityDetails].
type Availability struct{}

// AvailabilityDetails are the Details of [Availability]. All times are
// nanoseconds since the start of the run.
type AvailabilityDetails struct {
	Start      time.Duration       `json:"start"`       // when the load began
	End        time.Duration       `json:"end"`         // when it ended
	Seconds    []AvailableSecond   `json:"seconds"`     // every second from Start to End, also those in which nothing happened
	LongestGap timeline.Stretch    `json:"longest_gap"` // in all
	Faults     []FaultAvailability `json:"faults"`      // in the order in which they began
}

// AvailableSecond counts the operations that completed within one second of the run.
type AvailableSecond struct {
	Second int `json:"second"` // 0: from 0 s to 1 s of the run
	OK     int `json:"ok"`
	Fail   int `json:"fail"`
	Info   int `json:"info"`
}

// FaultAvailability tells how well the system served during one fault.
type FaultAvailability struct {
	ID         int              `json:"id"`
	Fault      string           `json:"fault"`
	Target     string           `json:"target,omitempty"`
	Nodes      []string         `json:"nodes,omitempty"`
	Start      time.Duration    `json:"start"` // when the nemesis began to apply it
	End        time.Duration    `json:"end"`   // when it was healed, or the end of the load
	OK         int              `json:"ok"`    // operations that completed in between
	Fail       int              `json:"fail"`
	Info       int              `json:"info"`
	LongestGap timeline.Stretch `json:"longest_gap"` // the longest that overlaps it, in full length
}

// Name implements [harness.Checker].
func (Availability) Name() string { return "availability" }

// Judges implements [harness.Judging].
func (Availability) Judges() harness.Subject { return harness.Service }

// Check implements [harness.Checker]. It takes O(n log n).
func (Availability) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "availability", Valid: harness.Valid}
	from, to := timeline.Load(h)
	d := AvailabilityDetails{Start: from, End: to}
	if len(h.Operations) == 0 || to <= from {
		r.Summary = "There was no load."
		r.Details = d
		return r, nil
	}

	first := int(from / time.Second)
	d.Seconds = make([]AvailableSecond, int((to-1)/time.Second)-first+1)
	for i := range d.Seconds {
		d.Seconds[i].Second = first + i
	}
	var successes []time.Duration
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.Start < from || op.Start > to {
			continue
		}
		if op.Type == harness.OK {
			successes = append(successes, op.End)
		}
		s := int(op.End/time.Second) - first
		if s < 0 || s >= len(d.Seconds) || op.Type != harness.OK && op.End < op.Start {
			continue
		}
		count(op.Type, &d.Seconds[s].OK, &d.Seconds[s].Fail, &d.Seconds[s].Info)
	}

	gaps := gapsBetween(successes, from, to)
	d.LongestGap = longest(gaps)
	for _, f := range timeline.Faults(h, to) {
		fa := FaultAvailability{ID: f.ID, Fault: f.Fault, Target: f.Target, Nodes: f.Nodes, Start: f.Start, End: f.End}
		for i := range h.Operations {
			if op := &h.Operations[i]; op.End >= f.Start && op.End <= f.End {
				count(op.Type, &fa.OK, &fa.Fail, &fa.Info)
			}
		}
		lo := sort.Search(len(gaps), func(i int) bool { return gaps[i].To > f.Start })
		hi := sort.Search(len(gaps), func(i int) bool { return gaps[i].From >= f.End })
		if lo < hi {
			fa.LongestGap = longest(gaps[lo:hi])
		}
		d.Faults = append(d.Faults, fa)
	}

	r.Details = d
	if len(successes) == 0 {
		r.Summary = fmt.Sprintf("No operation succeeded in %s.", story.Seconds(to-from))
	} else {
		r.Summary = fmt.Sprintf("The longest time without a success was %s, from %s to %s.",
			story.Seconds(d.LongestGap.Length()), story.Seconds(d.LongestGap.From), story.Seconds(d.LongestGap.To))
	}
	return r, nil
}

func count(t harness.Type, ok, fail, info *int) {
	switch t {
	case harness.OK:
		*ok++
	case harness.Fail:
		*fail++
	case harness.Info:
		*info++
	}
}

// gapsBetween are the stretches between from and to in which nothing succeeded, in
// order.
func gapsBetween(successes []time.Duration, from, to time.Duration) []timeline.Stretch {
	slices.Sort(successes)
	var gaps []timeline.Stretch
	last := from
	for _, s := range successes {
		if s = min(s, to); s > last {
			gaps = append(gaps, timeline.Stretch{From: last, To: s})
			last = s
		}
	}
	if to > last {
		gaps = append(gaps, timeline.Stretch{From: last, To: to})
	}
	return gaps
}

func longest(gaps []timeline.Stretch) timeline.Stretch {
	var l timeline.Stretch
	for _, g := range gaps {
		if g.Length() > l.Length() {
			l = g
		}
	}
	return l
}
