package promise

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"coup/checker/conduct"
	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// asked are the operations that clients asked for of their own accord, from the
// beginning of the load until the last look at every object.
func (p Promise) asked(h *harness.History) (ops []*harness.Operation, from, to time.Duration) {
	from, to = timeline.Load(h)
	final := harness.Forever
	for _, e := range h.Events {
		if e.Kind == harness.PhaseEvent && e.Message == "final" {
			final = e.Time
			to = max(to, e.Time)
		}
	}
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.Start >= from && op.Start < final && (p.function == "" || op.F == p.function) {
			ops = append(ops, op)
		}
	}
	return ops, from, to
}

// of names the operations that a promise is about.
func (p Promise) of() string {
	if p.function == "" {
		return "operation"
	}
	return p.function
}

// idle is how long nobody may ask for anything in a time without a success: for longer,
// it is no outage but a load that rests.
const idle = time.Second

// gap is the longest time in which clients asked and no operation succeeded.
func gap(p Promise, h *harness.History) (measured, error) {
	ops, _, _ := p.asked(h) // in the order of their starts
	if len(ops) == 0 {
		return measured{}, fmt.Errorf("%w: no client asked for a %s", errNothing, p.of())
	}
	worst := timeline.Stretch{}
	for len(ops) > 0 {
		// What clients asked for until they rested.
		last, n := max(ops[0].Start, ops[0].End), 1
		for n < len(ops) && ops[n].Start <= last+idle {
			last = max(last, ops[n].Start, ops[n].End)
			n++
		}
		ends := []time.Duration{last}
		for _, op := range ops[:n] {
			if op.Type == harness.OK {
				ends = append(ends, op.End)
			}
		}
		from := ops[0].Start
		for _, end := range sortDurations(ends) {
			if end-from > worst.Length() {
				worst = timeline.Stretch{From: from, To: end}
			}
			from = end
		}
		ops = ops[n:]
	}
	return measured{
		value: worst.Length().Seconds(),
		text:  fmt.Sprintf(", from %s to %s", story.Seconds(worst.From), story.Seconds(worst.To)),
		story: append([]string{fmt.Sprintf("Clients asked, and no %s succeeded from %s to %s: for %s.", p.of(),
			story.Seconds(worst.From), story.Seconds(worst.To), story.Seconds(worst.Length()))}, during(h, worst)...),
	}, nil
}

// during tells which faults were in force in a stretch of the run.
func during(h *harness.History, s timeline.Stretch) []string {
	var in []string
	for _, f := range timeline.Faults(h, timeline.LastEvent(h)) {
		if f.Hold >= 0 && f.Start < s.To && f.End > s.From {
			in = append(in, fmt.Sprintf("%s:%s at %s from %s to %s", f.Fault, f.Target, strings.Join(f.Nodes, ", "), story.Seconds(f.Start), story.Seconds(f.End)))
		}
	}
	if len(in) == 0 {
		return []string{"No fault was in force in that time."}
	}
	return []string{"Faults in that time: " + strings.Join(in, "; ") + "."}
}

// latency is a quantile of how long operations took that succeeded.
func latency(p Promise, h *harness.History) (measured, error) {
	ops, _, _ := p.asked(h)
	var took []time.Duration
	var slowest *harness.Operation
	for _, op := range ops {
		if op.Type != harness.OK {
			continue
		}
		took = append(took, op.Latency())
		if slowest == nil || op.Latency() > slowest.Latency() {
			slowest = op
		}
	}
	if len(took) == 0 {
		return measured{}, fmt.Errorf("%w: no %s succeeded", errNothing, p.of())
	}
	w := p.worst(sortDurations(took))
	over := 0
	for _, d := range took {
		if !p.holds(d.Seconds()) {
			over++
		}
	}
	return measured{
		value: w.Seconds(),
		text:  fmt.Sprintf(" over %s", story.Plural(len(took), p.of())),
		story: []string{
			fmt.Sprintf("Of %s that succeeded %d did not keep within it.", story.Plural(len(took), p.of()), over),
			fmt.Sprintf("The slowest, a %s by process %d, was asked for at %s and took %s.", slowest.F, slowest.Process, story.Seconds(slowest.End-slowest.Latency()), story.Seconds(slowest.Latency())),
		},
	}, nil
}

// share is the share of operations that succeeded.
func share(p Promise, h *harness.History) (measured, error) {
	ops, _, _ := p.asked(h)
	if len(ops) == 0 {
		return measured{}, fmt.Errorf("%w: no client asked for a %s", errNothing, p.of())
	}
	ok := 0
	for _, op := range ops {
		if op.Type == harness.OK {
			ok++
		}
	}
	text := fmt.Sprintf("%d of %s succeeded", ok, story.Plural(len(ops), p.of()))
	return measured{value: float64(ok) / float64(len(ops)), text: ": " + text, story: []string{text + "."}}, nil
}

// throughput is how many operations succeeded in a second of the load.
func throughput(p Promise, h *harness.History) (measured, error) {
	ops, _, _ := p.asked(h)
	from, to := timeline.Load(h)
	if to <= from {
		return measured{}, fmt.Errorf("%w: there was no load", errNothing)
	}
	ok := 0
	for _, op := range ops {
		if op.Type == harness.OK && op.End <= to {
			ok++
		}
	}
	text := fmt.Sprintf("%s succeeded in %s of load", story.Plural(ok, p.of()), story.Seconds(to-from))
	return measured{value: float64(ok) / (to - from).Seconds(), text: ": " + text, story: []string{text + "."}}, nil
}

// failover is a quantile of the times from a fault that hit the leader until a client
// was served again.
func failover(p Promise, h *harness.History) (measured, error) {
	return step(p, h, "the first client was served", func(f conduct.Failover) time.Duration { return f.Served })
}

// handout is a quantile of the times from a fault that hit the leader until work that was
// there before was given to a client again.
func handout(p Promise, h *harness.History) (measured, error) {
	return step(p, h, "work was first handed out again", func(f conduct.Failover) time.Duration { return f.Handed })
}

// step is a quantile of the times until a step of failovers.
func step(p Promise, h *harness.History, what string, of func(conduct.Failover) time.Duration) (measured, error) {
	r, err := conduct.EachShard{Checker: conduct.Failovers{}}.Check(context.Background(), h)
	if err != nil {
		return measured{}, err
	}
	d, ok := r.Details.(conduct.FailoverDetails)
	if !ok {
		return measured{}, fmt.Errorf("%w: nobody saw a leader", errNothing)
	}
	var took []time.Duration
	var worst conduct.Failover
	faults := 0
	for _, f := range d.Failovers {
		if f.Cause != conduct.CauseFault {
			continue
		}
		faults++
		if of(f) < 0 {
			continue
		}
		took = append(took, of(f))
		if of(f) > of(worst) || len(took) == 1 {
			worst = f
		}
	}
	switch {
	case faults == 0:
		return measured{}, fmt.Errorf("%w: no fault made the leader change", errNothing)
	case len(took) == 0:
		return measured{}, fmt.Errorf("%w: after no fault that made the leader change it was seen that %s", errNothing, what)
	}
	w := p.worst(sortDurations(took))
	return measured{
		value: w.Seconds(),
		text:  fmt.Sprintf(" over %s", story.Plural(len(took), "failover")),
		story: []string{fmt.Sprintf("The slowest of %s: %s:%s at %s hit %s, which led; %s was elected, and %s after %s.",
			story.Plural(len(took), "failover"), worst.Fault, worst.Target, story.Seconds(worst.At), worst.Old, worst.New, what, story.Seconds(of(worst)))},
	}, nil
}

// elections counts calls for an election.
func elections(p Promise, h *harness.History) (measured, error) {
	var calls []harness.Event
	for _, e := range h.Events {
		if e.Kind == harness.ElectionEvent {
			calls = append(calls, e)
		}
	}
	return p.countEvents(h, calls, "call for an election", "calls for an election")
}

// leaders counts changes of leader.
func leaders(p Promise, h *harness.History) (measured, error) {
	elected := timeline.RolesOf(h).Elected()
	if len(elected) == 0 {
		return measured{}, fmt.Errorf("%w: no node ever said that it leads", errNothing)
	}
	led := map[int]bool{} // the shards that have had a leader
	changes := slices.DeleteFunc(slices.Clone(elected), func(e harness.Event) bool {
		first := !led[e.Shard]
		led[e.Shard] = true
		return first
	})
	return p.countEvents(h, changes, "change of leader", "changes of leader")
}

// countEvents counts events of the load and after: all, or the most from the beginning of
// a fault to that of the next one.
func (p Promise) countEvents(h *harness.History, events []harness.Event, one, many string) (measured, error) {
	from, _ := timeline.Load(h)
	type span struct {
		begins time.Duration
		what   string
		count  int
		told   []string
	}
	spans := []span{{begins: from, what: "the load"}}
	if p.perFault {
		spans = nil
		for _, f := range timeline.Faults(h, timeline.LastEvent(h)) {
			if f.Hold >= 0 {
				spans = append(spans, span{begins: f.Start, what: fmt.Sprintf("%s:%s of %s at %s", f.Fault, f.Target, strings.Join(f.Nodes, ", "), story.Seconds(f.Start))})
			}
		}
		if len(spans) == 0 {
			return measured{}, fmt.Errorf("%w: no fault bit", errNothing)
		}
	}
	for _, e := range events {
		for i := len(spans) - 1; i >= 0; i-- {
			if e.Time >= spans[i].begins {
				spans[i].count++
				if len(spans[i].told) < 10 {
					spans[i].told = append(spans[i].told, fmt.Sprintf("At %s: %s in term %d.", story.Seconds(e.Time), e.Node, e.Term))
				}
				break
			}
		}
	}
	worst := spans[0]
	for _, s := range spans {
		if s.count > worst.count {
			worst = s
		}
	}
	noun := many
	if worst.count == 1 {
		noun = one
	}
	return measured{
		value: float64(worst.count),
		text:  fmt.Sprintf(" %s from %s on", noun, worst.what),
		story: append([]string{fmt.Sprintf("From %s on there were %d %s.", worst.what, worst.count, noun)}, worst.told...),
	}, nil
}

// leaderless is the longest time in which a node that answered knew of no leader. It is
// told by polls: it lasted at least from the first to the last poll that said so.
func leaderless(p Promise, h *harness.History) (measured, error) {
	from, _ := timeline.Load(h)
	stretches := []timeline.Stretch{{From: from, To: timeline.LastEvent(h)}}
	if p.healed {
		stretches, _ = timeline.Quiet(h)
	}
	type spell struct {
		node     string
		from, to time.Duration
	}
	type member struct {
		node  string
		shard int
	}
	var worst spell
	polls := 0
	for _, s := range stretches {
		open := map[member]time.Duration{}
		for _, e := range h.Events {
			if e.Kind != harness.StateEvent || e.Role == "" || e.Time < s.From || e.Time > s.To {
				continue
			}
			polls++
			if e.Leader != "" || e.Role == "leader" {
				delete(open, member{e.Node, e.Shard})
				continue
			}
			began, is := open[member{e.Node, e.Shard}]
			if !is {
				open[member{e.Node, e.Shard}] = e.Time
				began = e.Time
			}
			if e.Time-began > worst.to-worst.from {
				worst = spell{e.Node, began, e.Time}
			}
		}
	}
	if polls == 0 {
		return measured{}, fmt.Errorf("%w: no node was asked whether it has a leader", errNothing)
	}
	if worst.node == "" {
		return measured{text: fmt.Sprintf(", as far as %d answers tell", polls)}, nil
	}
	s := timeline.Stretch{From: worst.from, To: worst.to}
	return measured{
		value: s.Length().Seconds(),
		text:  fmt.Sprintf(" at %s, from %s to %s", worst.node, story.Seconds(worst.from), story.Seconds(worst.to)),
		story: append([]string{fmt.Sprintf("Whenever %s was asked from %s to %s, it knew of no leader: for %s.", worst.node,
			story.Seconds(worst.from), story.Seconds(worst.to), story.Seconds(s.Length()))}, during(h, s)...),
	}, nil
}

// lag is the longest time for which a node was behind the newest position of the log that
// any node told.
func lag(p Promise, h *harness.History) (measured, error) {
	from, _ := timeline.Load(h)
	stretches := []timeline.Stretch{{From: from, To: timeline.LastEvent(h)}}
	if p.healed {
		stretches, _ = timeline.Quiet(h)
	}
	var worst struct {
		node string
		conduct.Behind
		at time.Duration
	}
	looks := 0
	for _, shard := range timeline.Shards(h) {
		for _, s := range stretches {
			for l := range conduct.LagsOf(shard.History, s.From, s.To) {
				looks++
				for _, node := range slices.Sorted(maps.Keys(l.Nodes)) {
					b := l.Nodes[node]
					if p.healed {
						b.Time = min(b.Time, l.Time-s.From) // while something was broken a node may be behind
					}
					if b.Time > worst.Time {
						worst.node, worst.Behind, worst.at = node, b, l.Time
					}
				}
			}
		}
	}
	if looks == 0 {
		return measured{}, fmt.Errorf("%w: no node was asked where in the log it is", errNothing)
	}
	if worst.node == "" {
		return measured{text: fmt.Sprintf(", as far as %s tell", story.Plural(looks, "look"))}, nil
	}
	s := timeline.Stretch{From: worst.at - worst.Time, To: worst.at}
	return measured{
		value: worst.Time.Seconds(),
		text:  fmt.Sprintf(" at %s, until %s", worst.node, story.Seconds(worst.at)),
		story: append([]string{fmt.Sprintf("At %s %s was behind by %s: another node had been beyond its position since %s, for %s.", story.Seconds(worst.at),
			worst.node, story.Plural(int(worst.Entries), "position"), story.Seconds(s.From), story.Seconds(worst.Time))}, during(h, s)...),
	}, nil
}

// beats are the intervals between heartbeats of all nodes, and the node with the longest one.
func (p Promise) beats(h *harness.History) (all conduct.Beats, node string, err error) {
	from, _ := timeline.Load(h)
	stretches := []timeline.Stretch{{From: from, To: timeline.LastEvent(h)}}
	if p.healed {
		stretches, _ = timeline.Quiet(h)
	}
	for _, e := range h.Events {
		if e.Kind != harness.HeartbeatsEvent || e.Heartbeats == nil {
			continue
		}
		within := slices.ContainsFunc(stretches, func(s timeline.Stretch) bool {
			return e.Time-e.Heartbeats.From >= s.From && e.Time-e.Heartbeats.Last <= s.To
		})
		if within {
			longest := all.Longest
			if all.Add(e); all.Longest > longest {
				node = e.Node
			}
		}
	}
	if all.Intervals == 0 {
		err = fmt.Errorf("%w: no node told of two heartbeats of the same leader in that time", errNothing)
	}
	return all, node, err
}

// heartbeat is a quantile of the intervals between heartbeats.
func heartbeat(p Promise, h *harness.History) (measured, error) {
	all, node, err := p.beats(h)
	if err != nil {
		return measured{}, err
	}
	return measured{
		value: all.Quantile(p.quantile).Seconds(),
		text:  fmt.Sprintf(" over %s", story.Plural(all.Intervals, "interval")),
		story: longestBeat(h, all, node),
	}, nil
}

// missedHeartbeats is how many heartbeats were missed.
func missedHeartbeats(p Promise, h *harness.History) (measured, error) {
	all, node, err := p.beats(h)
	if err != nil {
		return measured{}, err
	}
	return measured{
		value: float64(all.Missed),
		text:  fmt.Sprintf(" in %d of %s", all.Late, story.Plural(all.Intervals, "interval")),
		story: append([]string{fmt.Sprintf("A heartbeat was due after %s, and %d were missed in %d of %s.", story.Seconds(all.Due), all.Missed, all.Late, story.Plural(all.Intervals, "interval"))},
			longestBeat(h, all, node)...),
	}, nil
}

// longestBeat tells the longest interval.
func longestBeat(h *harness.History, all conduct.Beats, node string) []string {
	return append([]string{fmt.Sprintf("The longest was %s: so long %s, some time between %s and %s, received no heartbeat of %s, which led.", story.Seconds(all.Longest), node,
		story.Seconds(all.Part.From), story.Seconds(all.Part.To), cmp.Or(all.Leader, "its leader"))}, during(h, all.Part)...)
}
