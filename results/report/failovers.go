package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"coup/checker/conduct"
	"coup/harness"
	"coup/harness/timeline"
)

// failoverTable is the changes of leader with their phases.
type failoverTable struct {
	Known bool   // the checker that tells them ran, and somebody would have seen one
	Polls string // how far apart the polls were by which they were seen; "" if the nodes told them
	None  string // why there are none
	Rows  []failoverRow
	// Sums are the median and the worst of each phase, of failovers after a fault that hit
	// the leader; none if there are fewer than two.
	Sums []failoverSum
}

// failoverSum sums a column of each phase up; -1: it can't be told.
type failoverSum struct {
	Name                                                      string
	Held, Silence, Detected, Elected, Noticed, Served, Handed time.Duration
}

type failoverRow struct {
	conduct.Failover
	Label string // what made the leader change
	Note  string // where the time is counted from
	Bars  []bar
	// Noticed is how long it took until every node but the leaders had noticed the new one.
	Noticed time.Duration
	Steps   []failoverStep
}

// bar is one phase in the drawing of a failover: x and width in percent of the longest.
type bar struct {
	Phase    string // detect, elect, serve, hand
	X, Width float64
	Text     string
}

func (t *failoverTable) fill(results []harness.Result, nodes []string, faults []*timeline.Fault) {
	var d conduct.FailoverDetails
	t.Known = details(results, conduct.Failovers{}.Name(), &d)
	if d.Polls > 0 {
		t.Polls = millis(d.Polls)
	}
	switch i := slices.IndexFunc(results, func(r harness.Result) bool { return r.Checker == conduct.Failovers{}.Name() }); {
	case i < 0:
		t.None = "Failovers were not measured in this run."
	default:
		t.None = results[i].Summary
	}
	all := d.Failovers
	var longest time.Duration
	for _, f := range all {
		longest = max(longest, f.Detected, f.Elected, f.Served, f.Handed)
	}
	for _, f := range all {
		row := failoverRow{Failover: f, Label: label(f.Fault, f.Target) + ofShard(f.Shard), Noticed: f.AllNoticed(nodes, f.Old)}
		switch f.Cause {
		case conduct.CauseFault:
			row.Note = ""
		case conduct.CauseHeal:
			row.Label, row.Note = "healing of "+row.Label, "counted from the call for an election after it"
		case conduct.CauseOngoing:
			row.Label, row.Note = row.Label+", ongoing", "counted from the election"
		default:
			row.Label, row.Note = "no known cause"+ofShard(f.Shard), "counted from the election"
		}
		row.Bars, row.Steps = phaseBars(f, longest), steps(f, row.Label, unheard(f, nodes, faults), unaware(f, nodes, faults))
		t.Rows = append(t.Rows, row)
	}
	t.sum()
}

// unaware says of each node that did not learn of the new leader before the next one what
// kept it, where the others did.
func unaware(f conduct.Failover, nodes []string, faults []*timeline.Fault) (all []string) {
	if len(f.Noticed) == 0 {
		return nil
	}
	for _, node := range nodes {
		if node == f.New || slices.ContainsFunc(f.Noticed, func(n conduct.Notice) bool { return n.Node == node }) {
			continue
		}
		elected := f.At + max(f.Elected, 0)
		all = append(all, fmt.Sprintf("%s did not learn that %s leads before the next leader%s", node, f.New, hitBy(node, faults, elected, elected)))
	}
	return all
}

// unheard says of each node that told of no heartbeat of the old leader what kept it, where
// others did.
func unheard(f conduct.Failover, nodes []string, faults []*timeline.Fault) (all []string) {
	if len(f.Heartbeats) == 0 {
		return nil
	}
	for _, node := range nodes {
		if node == f.Old || slices.ContainsFunc(f.Heartbeats, func(b conduct.LastHeartbeat) bool { return b.Node == node }) {
			continue
		}
		all = append(all, fmt.Sprintf("%s told of no heartbeat of %s in term %d%s", node, f.Old, f.OldTerm, hitBy(node, faults, f.At-hitBefore, f.At+max(f.Elected, 0))))
	}
	return all
}

// hitBefore is how long before a failover a fault may have ended that kept a node from
// telling of heartbeats: it tells of them every two seconds.
const hitBefore = 3 * time.Second

// hitBy names the last fault that was at a node between two moments; "" if there was none.
func hitBy(node string, faults []*timeline.Fault, from, to time.Duration) (why string) {
	for _, x := range faults {
		if x.Touches(node) && x.Start <= to && (!x.Ended || x.End > from) && x.Missed == "" && !x.Skipped {
			why = fmt.Sprintf(": %s #%d had hit it", label(x.Fault, x.Target), x.ID)
		}
	}
	return why
}

func (t *failoverTable) sum() {
	var phases [7][]time.Duration
	for _, r := range t.Rows {
		if r.Cause != conduct.CauseFault {
			continue
		}
		for i, d := range []time.Duration{r.Held, r.Silence, r.Detected, r.Elected, r.Noticed, r.Served, r.Handed} {
			if d >= 0 {
				phases[i] = append(phases[i], d)
			}
		}
	}
	if len(phases[3]) < 2 {
		return
	}
	for _, s := range []struct {
		name string
		at   float64
	}{{"median", 0.5}, {"worst", 1}} {
		var sum [7]time.Duration
		for i, all := range phases {
			sum[i] = -1
			if len(all) > 0 {
				slices.Sort(all)
				sum[i] = percentile(all, s.at)
			}
		}
		t.Sums = append(t.Sums, failoverSum{s.name, sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6]})
	}
}

func phaseBars(f conduct.Failover, longest time.Duration) []bar {
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
	add("hand", "until work was handed out again:", f.Handed)
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
		if r.Cause == conduct.CauseFault && r.Served >= 0 {
			served = append(served, r.Served)
		}
	}
	note := strings.TrimSuffix(t.None, ".") // as the checker says it
	if t.Polls != "" && strings.HasPrefix(note, "Polls ") {
		note = "polls every " + t.Polls + " never saw the leader change"
	}
	switch {
	case len(served) > 0:
		slices.Sort(served)
		note = "fault to first success: median " + millis(served[(len(served)-1)/2]) + " · max " + millis(served[len(served)-1])
	case len(t.Rows) > 0:
		note = "none after a fault that hit the leader"
	}
	return figure{"Leader changes", count(len(t.Rows)), note}
}
