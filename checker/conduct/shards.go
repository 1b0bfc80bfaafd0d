package conduct

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// EachShard lets a checker judge each log by itself where nodes hold several: each has
// leaders, terms and positions of its own. The result is the worst of them. Where nodes hold
// one log, it is that of the checker.
type EachShard struct {
	harness.Checker
	// Whole: the result is that of all logs together, unless one of them by itself is invalid, or
	// did nothing that it was asked for (see [Idle]). It is for what a single log may rightly say
	// too little about.
	Whole bool
}

// Judges implements [harness.Judging].
func (c EachShard) Judges() harness.Subject { return harness.SubjectOf(c.Checker) }

// Needs implements [harness.Needing].
func (c EachShard) Needs() harness.Facts { return harness.NeedsOf(c.Checker) }

// Idle are Details of a result that may be unknown because clients asked for something, and nothing
// succeeded.
type Idle interface{ Idle() bool }

// ShardDetails are the Details of one shard.
type ShardDetails struct {
	Shard   int              `json:"shard"`
	Valid   harness.Validity `json:"valid"`
	Summary string           `json:"summary"`
	Details any              `json:"details,omitempty"`
}

// Check implements [harness.Checker].
func (c EachShard) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	shards := timeline.Shards(h)
	if len(shards) == 1 && shards[0].Number == 0 {
		return c.Checker.Check(ctx, h)
	}
	worst := harness.Result{Checker: c.Name(), Valid: harness.Valid}
	if c.Whole {
		whole, err := c.Checker.Check(ctx, h)
		if err != nil {
			return whole, err
		}
		worst = whole
	}
	var parts []ShardDetails
	var said []string
	for _, s := range shards {
		r, err := c.Checker.Check(ctx, s.History)
		if err != nil {
			return r, fmt.Errorf("shard %d: %w", s.Number, err)
		}
		parts = append(parts, ShardDetails{s.Number, r.Valid, r.Summary, r.Details})
		said = append(said, fmt.Sprintf("Shard %d: %s", s.Number, r.Summary))
		worse := harness.Worst(worst.Valid, r.Valid) != worst.Valid
		idle, _ := r.Details.(Idle)
		if c.Whole && r.Valid != harness.Invalid && (idle == nil || !idle.Idle()) || !worse {
			continue
		}
		worst.Valid, worst.Counterexample = r.Valid, r.Counterexample
		worst.Summary = said[len(said)-1]
		if r.Counterexample != nil {
			worst.Counterexample.Story = append([]string{fmt.Sprintf("This is about shard %d of %d.", s.Number, len(shards))}, r.Counterexample.Story...)
		}
	}
	if c.Whole {
		return worst, nil
	}
	if worst.Valid == harness.Valid {
		worst.Summary = strings.Join(said, " ")
	}
	switch c.Checker.(type) {
	case Failovers:
		worst.Details, worst.Summary = failoversOf(parts)
	case Lag:
		worst.Details = lagOf(parts)
	case Convergence:
		d := ConvergenceDetails{Nodes: []Converged{}}
		for _, p := range parts {
			for _, c := range p.Details.(ConvergenceDetails).Nodes {
				c.Shard = p.Shard
				d.Nodes = append(d.Nodes, c)
			}
		}
		worst.Details, worst.Summary = d, summariseConvergence(d)
	default:
		worst.Details = parts
	}
	return worst, nil
}

// failoversOf are the failovers of all shards, in the order of the elections.
func failoversOf(parts []ShardDetails) (any, string) {
	d := FailoverDetails{Failovers: []Failover{}}
	for _, p := range parts {
		one, ok := p.Details.(FailoverDetails)
		if !ok {
			return nil, p.Summary // nobody would have seen one
		}
		d.Polls = one.Polls
		for _, f := range one.Failovers {
			f.Shard = p.Shard
			d.Failovers = append(d.Failovers, f)
		}
	}
	slices.SortStableFunc(d.Failovers, func(a, b Failover) int { return int(a.electedAt() - b.electedAt()) })
	summary := summariseFailovers(d)
	if len(d.Failovers) > 0 {
		summary = strings.Replace(summary, "The leader changed", fmt.Sprintf("The leaders of the %d shards changed", len(parts)), 1)
		summary = strings.Replace(summary, "a fault that hit it", "a fault that hit the one before", 1)
	}
	return d, summary
}

// electedAt is when the new leader knew that it leads.
func (f Failover) electedAt() time.Duration { return f.At + max(f.Elected, 0) }

func lagOf(parts []ShardDetails) any {
	d := LagDetails{Nodes: []NodeLag{}}
	for _, p := range parts {
		one, ok := p.Details.(LagDetails)
		if !ok {
			continue
		}
		d.Looks += one.Looks
		for _, n := range one.Nodes {
			n.Shard = p.Shard
			d.Nodes = append(d.Nodes, n)
		}
	}
	return d
}

// Shards tells, where nodes hold several logs, how many of them each fault left without a
// leader, and whether clients of the others were served meanwhile: figures only, the
// verdict is always valid. Its Details are [ShardsDetails].
type Shards struct{}

// ShardsDetails are the Details of [Shards].
type ShardsDetails struct {
	Shards int          `json:"shards"`
	Nodes  []NodeLed    `json:"nodes"`  // by name
	Faults []ShardFault `json:"faults"` // those that made a leader change, in order
}

// NodeLed is how many shards a node led under load, on average over time: as far as it knew.
type NodeLed struct {
	Node   string  `json:"node"`
	Shards float64 `json:"shards"`
}

// ShardFault is what a fault did to the shards.
type ShardFault struct {
	ID     int           `json:"id"`
	Fault  string        `json:"fault"`
	Target string        `json:"target,omitempty"`
	Hit    []int         `json:"hit"`  // the shards whose leader it hit, and that elected another one
	From   time.Duration `json:"from"` // when the fault began, in nanoseconds since the start of the run
	To     time.Duration `json:"to"`   // when all of them served again
	OK     int           `json:"ok"`   // operations on objects of the other shards that succeeded meanwhile
	Gap    time.Duration `json:"gap"`  // the longest time without such a success
}

// Name implements [harness.Checker].
func (Shards) Name() string { return "shards" }

// Judges implements [harness.Judging].
func (Shards) Judges() harness.Subject { return harness.Service }

// Check implements [harness.Checker].
func (Shards) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "shards", Valid: harness.Valid}
	shards := timeline.Shards(h)
	d := ShardsDetails{Shards: len(shards), Faults: []ShardFault{}}
	found, err := EachShard{Checker: Failovers{}}.Check(ctx, h)
	if err != nil {
		return r, err
	}
	all, ok := found.Details.(FailoverDetails)
	if !ok || h.ShardOf == nil {
		r.Valid, r.Summary = harness.NotJudged, "Nobody would have seen the leader of a shard change."
		return r, nil
	}
	at := map[int]int{} // by fault
	for _, f := range all.Failovers {
		if f.Cause != CauseFault {
			continue
		}
		i, known := at[f.FaultID]
		if !known {
			i = len(d.Faults)
			at[f.FaultID] = i
			d.Faults = append(d.Faults, ShardFault{ID: f.FaultID, Fault: f.Fault, Target: f.Target, Hit: []int{}, From: f.At})
		}
		one := &d.Faults[i]
		one.To = max(one.To, f.At+max(f.Elected, f.Served))
		if !slices.Contains(one.Hit, f.Shard) {
			one.Hit = append(one.Hit, f.Shard)
			slices.Sort(one.Hit)
		}
	}
	hits, some, served := make([]int, len(shards)+1), 0, 0
	for i := range d.Faults {
		f := &d.Faults[i]
		f.others(h)
		hits[len(f.Hit)]++
		if len(f.Hit) < len(shards) {
			some++
		}
		if f.OK > 0 {
			served++
		}
	}
	d.Nodes = led(h)
	r.Details = d
	r.Summary = fmt.Sprintf("No fault made the leader of one of the %d shards change.", len(shards))
	if len(d.Faults) > 0 {
		var each []string
		for n, faults := range hits {
			if faults > 0 {
				each = append(each, fmt.Sprintf("%s the leaders of %d of %d shards", story.Times(faults), n, len(shards)))
			}
		}
		r.Summary = fmt.Sprintf("Faults made leaders change: %s.", strings.Join(each, ", "))
		if some > 0 {
			r.Summary += fmt.Sprintf(" After %d of the %d that left shards alone, clients of those were served until the others were again.", served, some)
		}
	}
	for i, n := range d.Nodes {
		said := fmt.Sprintf(", %s %.1f", n.Node, n.Shards)
		if i == 0 {
			said = fmt.Sprintf(" On average %s led %.1f shards", n.Node, n.Shards)
		}
		r.Summary += said
	}
	if len(d.Nodes) > 0 {
		r.Summary += "."
	}
	return r, nil
}

// led is how many shards each node led under load, on average.
func led(h *harness.History) (all []NodeLed) {
	from, to := timeline.Load(h)
	if to <= from {
		return nil
	}
	sum := map[string]time.Duration{}
	reigns := timeline.Reigns(h)
	for i, r := range reigns {
		for _, next := range reigns[i+1:] {
			if next.Shard == r.Shard && next.Term > r.Term { // a node that was killed has not told that its reign was over
				r.To = min(r.To, next.From)
				break
			}
		}
		sum[r.Node] += max(0, min(r.To, to)-max(r.From, from))
	}
	for _, node := range h.Nodes {
		all = append(all, NodeLed{node, float64(sum[node]) / float64(to-from)})
	}
	return all
}

// others counts what succeeded in the other shards meanwhile.
func (f *ShardFault) others(h *harness.History) {
	ends := []time.Duration{f.From, f.To}
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.Type != harness.OK || op.Key == "" || op.End < f.From || op.End > f.To || slices.Contains(f.Hit, h.ShardOf(op.Key)) {
			continue
		}
		f.OK++
		ends = append(ends, op.End)
	}
	slices.Sort(ends)
	for i := range ends[1:] {
		f.Gap = max(f.Gap, ends[i+1]-ends[i])
	}
}
