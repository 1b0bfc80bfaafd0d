package conduct

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Lag measures how far each node is behind the newest position of the log that any node
// told (replication lag), from the time when clients begin until everything was looked at
// once more. It finds no violations: how far nodes may be behind is for a promise to say.
// Its Details are [LagDetails].
//
// All nodes are asked at about the same time, every quarter of a second. So a lag of some
// entries, or of less than that time, may be one of the question.
type Lag struct{}

// LagDetails are the Details of [Lag].
type LagDetails struct {
	Looks int       `json:"looks"` // how often nodes were asked
	Nodes []NodeLag `json:"nodes"` // by name
}

// NodeLag is how far a node was behind.
type NodeLag struct {
	Node    string        `json:"node"`
	Asked   int           `json:"asked"`           // looks at which it answered
	Silent  int           `json:"silent"`          // looks at which it did not: it was dead, or cut off from who asked
	Median  uint64        `json:"median"`          // entries
	P99     uint64        `json:"p99"`             // entries
	Entries uint64        `json:"entries"`         // the most
	Time    time.Duration `json:"time"`            // the longest: since another node was seen at a later position
	At      time.Duration `json:"at"`              // when it was that
	Shard   int           `json:"shard,omitempty"` // in this log, from 1 on; 0: there is one
}

// Name implements [harness.Checker].
func (Lag) Name() string { return "lag" }

// Judges implements [harness.Judging].
func (Lag) Judges() harness.Subject { return harness.Conduct }

// Needs implements [harness.Needing].
func (Lag) Needs() harness.Facts { return harness.Facts{harness.Position} }

// Check implements [harness.Checker]. It takes O(n log n).
func (Lag) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "lag", Valid: harness.Valid}
	from, _ := timeline.Load(h)
	d := LagDetails{Nodes: []NodeLag{}}
	entries := map[string][]uint64{}
	worst := map[string]NodeLag{}
	for one := range LagsOf(h, from, harness.Forever) {
		d.Looks++
		for node, l := range one.Nodes {
			entries[node] = append(entries[node], l.Entries)
			if w, ok := worst[node]; !ok || l.Time > w.Time {
				worst[node] = NodeLag{Time: l.Time, At: one.Time}
			}
		}
	}
	if d.Looks == 0 {
		r.Summary = "Nobody asked the nodes where in the log they are."
		return r, nil
	}
	var last NodeLag
	for _, node := range slices.Sorted(maps.Keys(entries)) {
		all := entries[node]
		slices.Sort(all)
		n := worst[node]
		n.Node, n.Asked, n.Silent = node, len(all), d.Looks-len(all)
		n.Median, n.P99, n.Entries = all[(len(all)-1)/2], all[(len(all)-1)*99/100], all[len(all)-1]
		d.Nodes = append(d.Nodes, n)
		if n.Time >= last.Time {
			last = n
		}
	}
	r.Details = d
	r.Summary = "No node was seen behind another."
	if last.Time > 0 {
		half := "none"
		if last.Median > 0 {
			half = fmt.Sprintf("%d or fewer", last.Median)
		}
		r.Summary = fmt.Sprintf("The farthest behind was %s, at %s: by %s. It was %s behind at most, and half of the time %s.", last.Node,
			story.Seconds(last.At), story.Seconds(last.Time), story.Plural(int(last.Entries), "position"), half)
	}
	return r, nil
}

// Lags is how far nodes were behind when they were asked at a moment.
type Lags struct {
	Time  time.Duration
	Nodes map[string]Behind // by name; only those that answered
}

// Behind is how far a node is behind.
type Behind struct {
	Entries uint64        // how many positions of the log
	Time    time.Duration // since another node was seen beyond its position
}

// LagsOf are the lags from one moment to another, in order.
func LagsOf(h *harness.History, from, to time.Duration) func(yield func(Lags) bool) {
	return func(yield func(Lags) bool) {
		// Moments at which some node was first seen at a position beyond all that was seen before.
		type record struct {
			position uint64
			at       time.Duration
		}
		var records []record
		for _, look := range timeline.AllLooks(h) {
			newest := uint64(0)
			for _, e := range look.Nodes {
				newest = max(newest, e.Applied)
			}
			if n := len(records); n == 0 || newest > records[n-1].position {
				records = append(records, record{newest, look.Time})
			}
			if look.Time < from || look.Time > to || newest == 0 {
				continue
			}
			lags := Lags{Time: look.Time, Nodes: map[string]Behind{}}
			for node, e := range look.Nodes {
				var l Behind
				if e.Applied < newest {
					i, _ := slices.BinarySearchFunc(records, e.Applied+1, func(r record, p uint64) int {
						if r.position < p {
							return -1
						}
						return 1
					})
					l.Entries, l.Time = newest-e.Applied, look.Time-records[i].at
				}
				lags.Nodes[node] = l
			}
			if !yield(lags) {
				return
			}
		}
	}
}
