package report

import (
	"math"
	"slices"
	"time"
)

// failoverTable is the changes of leader with their phases.
type failoverTable struct {
	Known bool // the checker that tells them ran
	Rows  []failoverRow
}

type failoverRow struct {
	failover
	Label string // what made the leader change
	Note  string // where the time is counted from
	Bars  []bar
}

// bar is one phase in the drawing of a failover: x and width in percent of the longest.
type bar struct {
	Phase    string // detect, elect, serve
	X, Width float64
	Text     string
}

func (t *failoverTable) fill(all []failover) {
	var longest time.Duration
	for _, f := range all {
		longest = max(longest, f.Detected, f.Elected, f.Served)
	}
	for _, f := range all {
		row := failoverRow{failover: f, Label: (&fault{Name: f.Fault, Target: f.Target}).Label()}
		switch f.Cause {
		case "fault":
			row.Note = ""
		case "heal":
			row.Label, row.Note = "healing of "+row.Label, "counted from the healing"
		case "ongoing":
			row.Label, row.Note = row.Label+", ongoing", "counted from the election"
		default:
			row.Label, row.Note = "no known cause", "counted from the election"
		}
		row.Bars = phaseBars(f, longest)
		t.Rows = append(t.Rows, row)
	}
}

func phaseBars(f failover, longest time.Duration) []bar {
	if longest <= 0 {
		return nil
	}
	var bars []bar
	var from time.Duration
	add := func(phase, text string, to time.Duration) {
		if to < from {
			return
		}
		bars = append(bars, bar{phase, percent(from, longest), percent(to-from, longest), text + " " + millis(to-from)})
		from = to
	}
	add("detect", "until the first node called for an election:", f.Detected)
	add("elect", "until there was a new leader:", f.Elected)
	add("serve", "until the first success:", f.Served)
	return bars
}

// percent is the share that part has in all, to a hundredth of a percent.
func percent(part, all time.Duration) float64 {
	return math.Round(1e4*float64(part)/float64(all)) / 100
}

// figure sums the failovers up.
func (t *failoverTable) figure() figure {
	var served []time.Duration
	for _, r := range t.Rows {
		if r.Cause == "fault" && r.Served >= 0 {
			served = append(served, r.Served)
		}
	}
	note := "the leader never changed"
	switch {
	case len(served) > 0:
		slices.Sort(served)
		note = "fault to first success: median " + millis(served[(len(served)-1)/2]) + " · max " + millis(served[len(served)-1])
	case len(t.Rows) > 0:
		note = "none after a fault that hit the leader"
	}
	return figure{"Leader changes", count(len(t.Rows)), note}
}
