package conduct

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Heartbeats measures how the heartbeats of its leader reached each node in the run. It finds
// no violations: how late they may be is for a promise to say. Its Details are
// [HeartbeatDetails].
//
// An interval is the time between two heartbeats of the same leader in the same term, as a node
// received them. The silence between the last heartbeat of one leader and the first of
// the next is none: see [Failover]. What a node had not told when it was killed is missing.
type Heartbeats struct{}

// HeartbeatDetails are the Details of [Heartbeats].
type HeartbeatDetails struct {
	Due   time.Duration   `json:"due"` // after the one before, at the latest, by the nodes' configuration
	All   Beats           `json:"all"`
	Nodes []NodeHeartbeat `json:"nodes"` // by name
}

// NodeHeartbeat is how the heartbeats of its leaders reached a node.
type NodeHeartbeat struct {
	Node  string `json:"node"`
	Shard int    `json:"shard,omitempty"` // in this log, from 1 on; 0: there is one
	Beats
}

// Beats are intervals between heartbeats. Lengths are rounded as the nodes did, but for the
// longest.
type Beats struct {
	Intervals int           `json:"intervals"`
	Median    time.Duration `json:"median"`
	P99       time.Duration `json:"p99"`
	Longest   time.Duration `json:"longest"`
	// The part of the run in which the longest was told, and whose heartbeats they were.
	Part   timeline.Stretch `json:"part"`
	Leader string           `json:"leader,omitempty"`
	Missed int              `json:"missed"` // see harness.MissedHeartbeats
	Late   int              `json:"late"`   // intervals in which any was missed
	Due    time.Duration    `json:"-"`

	counts map[time.Duration]int
}

// Add adds what a node told in an event of the kind [harness.HeartbeatsEvent].
func (b *Beats) Add(e harness.Event) {
	if b.counts == nil {
		b.counts = map[time.Duration]int{}
	}
	b.Due = max(b.Due, e.Heartbeats.Due)
	for took, n := range e.Heartbeats.Intervals {
		b.counts[took] += n
		b.Intervals += n
		if missed := harness.MissedHeartbeats(took, e.Heartbeats.Due); missed > 0 {
			b.Missed += n * missed
			b.Late += n
		}
	}
	if e.Heartbeats.Longest > b.Longest {
		b.Longest, b.Leader = e.Heartbeats.Longest, e.Leader
		b.Part = timeline.Stretch{From: e.Time - e.Heartbeats.From, To: e.Time - e.Heartbeats.Last}
	}
}

// Quantile is the smallest interval that at least this share of them does not exceed; 0 if
// there is none.
func (b *Beats) Quantile(share float64) time.Duration {
	rest := share * float64(b.Intervals)
	for _, took := range slices.Sorted(maps.Keys(b.counts)) {
		if rest -= float64(b.counts[took]); rest <= 1e-9 {
			return min(took, b.Longest)
		}
	}
	return b.Longest
}

// summed has its quantiles filled in.
func (b Beats) summed() Beats {
	b.Median, b.P99 = b.Quantile(0.5), b.Quantile(0.99)
	return b
}

// Name implements [harness.Checker].
func (Heartbeats) Name() string { return "heartbeats" }

// Judges implements [harness.Judging].
func (Heartbeats) Judges() harness.Subject { return harness.Conduct }

// Needs implements [harness.Needing].
func (Heartbeats) Needs() harness.Facts { return harness.Facts{harness.HeartbeatFact} }

// Check implements [harness.Checker]. It judges each shard by itself.
func (Heartbeats) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "heartbeats", Valid: harness.Valid}
	type member struct {
		node  string
		shard int
	}
	by := map[member]*Beats{}
	all := Beats{}
	for _, e := range h.Events {
		if e.Kind != harness.HeartbeatsEvent || e.Heartbeats == nil {
			continue
		}
		who := member{e.Node, e.Shard}
		if by[who] == nil {
			by[who] = &Beats{}
		}
		by[who].Add(e)
		all.Add(e)
	}
	if all.Intervals == 0 {
		r.Summary = "No node told of two heartbeats of the same leader."
		return r, nil
	}
	d := HeartbeatDetails{Due: all.Due, All: all.summed(), Nodes: []NodeHeartbeat{}}
	for _, who := range slices.SortedFunc(maps.Keys(by), func(a, b member) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.shard, b.shard))
	}) {
		d.Nodes = append(d.Nodes, NodeHeartbeat{who.node, who.shard, by[who].summed()})
	}
	r.Details = d
	worst := slices.MaxFunc(d.Nodes, func(a, b NodeHeartbeat) int { return cmp.Compare(a.Longest, b.Longest) })
	r.Summary = fmt.Sprintf("Of heartbeats that were due every %s, followers missed %d in %d of %s; the longest was %s, at %s between %s and %s.",
		story.Seconds(d.Due), all.Missed, all.Late, story.Plural(all.Intervals, "interval"),
		story.Seconds(worst.Longest), worst.Node, story.Seconds(worst.Part.From), story.Seconds(worst.Part.To))
	return r, nil
}

// LastHeartbeat is how the last heartbeats of an old leader reached a node before the new one
// was elected.
type LastHeartbeat struct {
	Node   string          `json:"node"`
	Before []time.Duration `json:"before"`           // the intervals before it, the newest of them, oldest first
	After  time.Duration   `json:"after"`            // when it arrived: from Failover.At on, negative if before
	Late   time.Duration   `json:"late,omitempty"`   // likewise, of one that arrived after the election: the old leader, or the node itself, had been frozen; 0: none did
	Silent time.Duration   `json:"silent,omitempty"` // from the last one until the first one of the new leader; 0: it does not say
	Missed int             `json:"missed"`           // in that time, or, where it does not say, 0
}

// lastHeartbeats are those of the old leader, by node. The new one was elected at elected, and
// the one after it at next.
func lastHeartbeats(h *harness.History, f Failover, elected, next time.Duration) []LastHeartbeat {
	of := map[string]*LastHeartbeat{}
	newest := map[string]time.Duration{} // when the newest heartbeat of the old leader arrived at each node
	heard := map[string]uint64{}         // the term of the heartbeats that each node told of last
	for _, e := range h.Events {
		b := e.Heartbeats
		if e.Kind != harness.HeartbeatsEvent || b == nil || e.Node == f.Old {
			continue
		}
		switch last := of[e.Node]; {
		case e.Term == f.OldTerm: // the newest part counts
			at, before := e.Time-b.Last, b.Recent
			newest[e.Node] = at
			for at > elected && len(before) > 0 {
				at -= before[len(before)-1]
				before = before[:len(before)-1]
			}
			if at <= elected {
				last = &LastHeartbeat{Node: e.Node, Before: slices.Clone(before), After: at - f.At}
				of[e.Node] = last
			}
			if late := newest[e.Node] - f.At; last != nil && newest[e.Node] > elected {
				last.Late = late
			}
		case e.Term == f.Term && b.Silent > 0 && heard[e.Node] == f.OldTerm && last != nil:
			if first := newest[e.Node] + b.Silent; first < next {
				last.Silent = first - f.At - last.After
				last.Missed = harness.MissedHeartbeats(last.Silent, b.Due)
			}
		}
		heard[e.Node] = e.Term
	}
	var all []LastHeartbeat
	for _, node := range slices.Sorted(maps.Keys(of)) {
		all = append(all, *of[node])
	}
	return all
}
