package conduct

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Liveness checks that the system serves when nothing is broken: that in every
// stretch of the run in which no fault is in force, each function that clients
// call succeeds within a bound, and keeps succeeding. The stretches are those
// between faults, and the one after everything was healed (the phase "serve").
//
// Such a promise can be broken by the machine that runs the test as well as by the
// system, so a violation has to be proved: the stretch was as long as the bound,
// clients called the function all through it, a majority of the nodes reported
// their state all through it, and the machine was not overloaded ([timeline.Overloaded]).
// Where nothing succeeded and less than that is known, the result is unknown.
type Liveness struct {
	Within time.Duration // the bound; 0: [DefaultServeWithin]
	// Conditional are functions that may rightly fail again and again, such as the release of
	// a lock whose lease is over: such an answer is no lack of service.
	Conditional []string
}

// DefaultServeWithin is far longer than an election usually takes on a busy machine.
// hashicorp/raft, for one, may send nothing to a node for 10 s.
const DefaultServeWithin = 30 * time.Second

// LivenessDetails are the Details of [Liveness]. All times are nanoseconds since the
// start of the run.
type LivenessDetails struct {
	Within time.Duration `json:"within"`
	Healed time.Duration `json:"healed"` // when everything was healed; -1: never
	// Served is when each function that was asked for succeeded first after that;
	// -1: never. Sorted by name.
	Served []ServedAgain      `json:"served"`
	Quiet  []timeline.Stretch `json:"quiet"` // the stretches without a fault that were as long as the bound
}

// Idle implements [Idle]: after the healing nothing succeeded of what clients asked for.
func (d LivenessDetails) Idle() bool {
	return len(d.Served) > 0 && !slices.ContainsFunc(d.Served, func(s ServedAgain) bool { return s.At >= 0 })
}

// ServedAgain is when a function succeeded after everything was healed.
type ServedAgain struct {
	F  string        `json:"f"`
	At time.Duration `json:"at"`
}

// Name implements [harness.Checker].
func (Liveness) Name() string { return "liveness" }

// Judges implements [harness.Judging].
func (Liveness) Judges() harness.Subject { return harness.Service }

// Check implements [harness.Checker]. It takes O(n log n).
func (c Liveness) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	c.Within = cmp.Or(c.Within, DefaultServeWithin)
	r := harness.Result{Checker: "liveness", Valid: harness.Valid}
	stretches, healed := timeline.Quiet(h)
	d := LivenessDetails{Within: c.Within, Healed: healed, Served: []ServedAgain{}, Quiet: []timeline.Stretch{}}
	byF := map[string][]*harness.Operation{}
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.Type != harness.Fail || !slices.Contains(c.Conditional, op.F) {
			byF[op.F] = append(byF[op.F], op)
		}
	}
	var proved, doubted *outage
	for _, s := range stretches {
		if s.Length() < c.Within {
			continue // it can prove nothing
		}
		if err := ctx.Err(); err != nil {
			return r, err
		}
		d.Quiet = append(d.Quiet, s)
		var all []*outage
		for _, f := range slices.Sorted(maps.Keys(byF)) {
			switch o := c.outage(h, s, f, byF[f]); {
			case o == nil:
			case o.doubt == "":
				all = append(all, o)
			default:
				doubted = o
			}
		}
		if proved == nil {
			proved = together(all, c.Within)
		}
	}
	if healed < 0 {
		r.Valid, r.Summary, r.Details = harness.Unknown, "The run ended before everything was healed.", d
		if len(h.Events) == 0 {
			r.Summary = "There is no event of the run, so nobody knows when everything was healed."
		}
		return r, nil
	}
	last := stretches[len(stretches)-1]
	d.Served = servedAgain(byF, last)
	r.Details = d
	if proved != nil {
		r.Valid = harness.Invalid
		r.Summary, r.Counterexample = proved.tell(h, c.Within, healed)
		return r, nil
	}
	r.Valid, r.Summary = judgeServed(d.Served, healed, last)
	if r.Valid == harness.Unknown && doubted != nil && doubted.To > healed {
		r.Unproved(doubted.doubt)
	}
	return r, nil
}

// outage is a time as long as the bound in which functions were asked for in
// vain, though no fault was in force.
type outage struct {
	timeline.Stretch
	stretch timeline.Stretch
	fs      []string
	ops     []*harness.Operation // that were tried and did not succeed
	doubt   string               // why it proves nothing; "" if it does
}

// outage finds the first one of a function in a stretch, if there is any; one
// that is proved, if there is one.
func (c Liveness) outage(h *harness.History, s timeline.Stretch, f string, ops []*harness.Operation) *outage {
	var successes []time.Duration
	for _, op := range ops {
		if op.Type == harness.OK && op.End >= s.From && op.End <= s.To {
			successes = append(successes, op.End)
		}
	}
	var doubted *outage
	for _, g := range gapsBetween(successes, s.From, s.To) {
		if g.Length() < c.Within {
			continue
		}
		o := &outage{Stretch: g, stretch: s, fs: []string{f}}
		for _, op := range ops {
			if inVain(op, g) {
				o.ops = append(o.ops, op)
			}
		}
		if len(o.ops) == 0 {
			continue // who is not asked need not answer
		}
		for at := g.From; at+c.Within <= g.To; at += max(1, c.Within/thirds) {
			if o.doubt = doubts(h, timeline.Stretch{From: at, To: at + c.Within}, o.ops); o.doubt == "" {
				return o
			}
		}
		if doubted == nil {
			doubted = o
		}
	}
	return doubted
}

// together are the first outage and those that share the time of the bound with
// it, as one that lasted while all of them did; nil for none.
func together(all []*outage, within time.Duration) *outage {
	if len(all) == 0 {
		return nil
	}
	o := all[0]
	for _, other := range all[1:] {
		shared := timeline.Stretch{From: max(o.From, other.From), To: min(o.To, other.To)}
		if shared.Length() >= within {
			o.Stretch, o.fs, o.ops = shared, append(o.fs, other.fs...), append(o.ops, other.ops...)
		}
	}
	meanwhile := func(op *harness.Operation) bool { return op.Start >= o.From && op.Start <= o.To }
	if slices.ContainsFunc(o.ops, meanwhile) { // or all of them hung before
		o.ops = slices.DeleteFunc(o.ops, func(op *harness.Operation) bool { return !meanwhile(op) })
	}
	slices.SortStableFunc(o.ops, func(a, b *harness.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return o
}

// inVain reports whether op began within g and had not succeeded by its end.
func inVain(op *harness.Operation, g timeline.Stretch) bool {
	return op.Start >= g.From && op.Start <= g.To && (op.Type != harness.OK || op.End > g.To)
}

// doubts say why a window without a success proves nothing.
func doubts(h *harness.History, w timeline.Stretch, ops []*harness.Operation) string {
	var asked [thirds]int // an operation that hangs asks as long as it does
	for _, op := range ops {
		end := op.End
		if op.Return == harness.Open {
			end = max(end, op.Start)
		}
		if op.Start < w.To && end >= w.From {
			for i := third(w, max(op.Start, w.From)); i <= third(w, min(end, w.To)); i++ {
				asked[i]++
			}
		}
	}
	if slices.Min(asked[:]) == 0 {
		return "clients did not ask all the time"
	}
	said := map[string]*[thirds]int{}
	for _, n := range h.Nodes {
		said[n] = new([thirds]int)
	}
	for _, e := range h.Events {
		if e.Time < w.From || e.Time >= w.To || said[e.Node] == nil {
			continue
		}
		switch e.Kind {
		case harness.StateEvent:
			said[e.Node][third(w, e.Time)]++
		case harness.ExitEvent:
			delete(said, e.Node)
		}
	}
	var up []string
	for _, n := range h.Nodes {
		if s := said[n]; s != nil && slices.Min(s[:]) > 0 {
			up = append(up, n)
		}
	}
	if len(up) <= len(h.Nodes)/2 {
		return fmt.Sprintf("only %d of %d nodes said how they were all the time", len(up), len(h.Nodes))
	}
	return timeline.Overload(h, w)
}

// What has to be there all through a window has to be there in each third of it.
const thirds = 3

func third(w timeline.Stretch, t time.Duration) int {
	return min(thirds-1, int(thirds*(t-w.From)/w.Length()))
}

// servedAgain is when each function that was asked for in the stretch succeeded.
func servedAgain(byF map[string][]*harness.Operation, s timeline.Stretch) []ServedAgain {
	all := []ServedAgain{}
	for _, f := range slices.Sorted(maps.Keys(byF)) {
		first, asked := time.Duration(-1), false
		for _, op := range byF[f] {
			asked = asked || op.Start >= s.From
			if op.Type == harness.OK && op.End >= s.From && (first < 0 || op.End < first) {
				first = op.End
			}
		}
		if asked || first >= 0 {
			all = append(all, ServedAgain{f, first})
		}
	}
	return all
}

// judgeServed judges what is no proven violation.
func judgeServed(served []ServedAgain, healed time.Duration, s timeline.Stretch) (harness.Validity, string) {
	var slowest time.Duration
	var missing []string
	for _, f := range served {
		if f.At < 0 {
			missing = append(missing, f.F)
		}
		slowest = max(slowest, f.At-healed)
	}
	switch {
	case len(served) == 0:
		return harness.Unknown, "Nobody asked for anything after everything was healed."
	case len(missing) == len(served):
		return harness.Unknown, fmt.Sprintf("No operation succeeded in the %s after everything was healed.", story.Seconds(s.Length()))
	case len(missing) > 0:
		return harness.Unknown, fmt.Sprintf("No %s succeeded in the %s after everything was healed.", strings.Join(missing, " and no "), story.Seconds(s.Length()))
	}
	return harness.Valid, fmt.Sprintf("After everything was healed, every kind of operation succeeded within %s.", story.Seconds(slowest))
}

// tell tells of an outage that is proved.
func (o *outage) tell(h *harness.History, within, healed time.Duration) (summary string, c *harness.Counterexample) {
	c = &harness.Counterexample{Witness: []harness.Witness{}}
	say := func(format string, args ...any) { c.Story = append(c.Story, fmt.Sprintf(format, args...)) }
	what, other := strings.Join(o.fs, " and no "), whatElse(h, o.Stretch, o.fs)
	if other == "" {
		what, o.ops = "operation", nil
		for i := range h.Operations {
			if op := &h.Operations[i]; inVain(op, o.Stretch) {
				o.ops = append(o.ops, op)
			}
		}
	}
	if o.stretch.From == healed {
		summary = fmt.Sprintf("No %s succeeded in %v after everything was healed", what, within)
		say("At %s everything was healed: every node ran, and packets passed between all of them and the clients.", story.Seconds(healed))
	} else {
		summary = fmt.Sprintf("No %s succeeded in %v without any fault", what, within)
		say("From %s to %s no fault was in force.", story.Seconds(o.stretch.From), story.Seconds(o.stretch.To))
	}
	if o.From > o.stretch.From {
		summary += ", though some had before"
		say("The last success was at %s.", story.Seconds(o.From))
	}
	asked := map[string]int{}
	for _, op := range o.ops {
		asked[op.F]++
	}
	say("From %s to %s clients asked in vain for %s.", story.Seconds(o.From), story.Seconds(o.To), counted(asked))
	if other != "" {
		say("What succeeded meanwhile: %s.", other)
	}
	for _, s := range whoLed(h, o.Stretch) {
		say("%s", s)
	}
	for _, a := range answers(o.ops) {
		say("%s", a)
	}
	if o.To < o.stretch.To {
		say("The next success was at %s.", story.Seconds(o.To))
	}
	say("A majority that can talk to each other must serve within %v.", within)
	for _, op := range []*harness.Operation{o.ops[0], o.ops[len(o.ops)-1]} {
		if len(c.Witness) == 0 || op != o.ops[0] {
			c.Witness = append(c.Witness, story.Witnesses(model.Model{}, []harness.Operation{*op})...)
		}
	}
	return summary + ".", c
}

// whatElse are the functions other than fs that did succeed meanwhile, "" if none
// did.
func whatElse(h *harness.History, g timeline.Stretch, fs []string) string {
	n := map[string]int{}
	for i := range h.Operations {
		if op := &h.Operations[i]; op.Type == harness.OK && op.End > g.From && op.End < g.To && !slices.Contains(fs, op.F) {
			n[op.F]++
		}
	}
	return counted(n)
}

// counted is "read (3 times), write (once)".
func counted(n map[string]int) string {
	var said []string
	for _, f := range slices.Sorted(maps.Keys(n)) {
		said = append(said, fmt.Sprintf("%s (%s)", f, story.Times(n[f])))
	}
	return strings.Join(said, ", ")
}

// whoLed tells who took itself for the leader, in which terms.
func whoLed(h *harness.History, g timeline.Stretch) (said []string) {
	var reigns []*timeline.Reign
	seen := map[string]harness.Event{} // the last of each node
	elections, terms := 0, []uint64{}
	for _, e := range h.Events {
		if e.Time < g.From || e.Time > g.To {
			continue
		}
		switch e.Kind {
		case harness.ElectionEvent:
			elections++
		case harness.StateEvent:
			seen[e.Node] = e
			terms = append(terms, e.Term)
			if e.Role != "leader" {
				continue
			}
			i := slices.IndexFunc(reigns, func(r *timeline.Reign) bool { return r.Node == e.Node && r.Term == e.Term && r.Shard == e.Shard })
			if i < 0 {
				reigns = append(reigns, &timeline.Reign{Node: e.Node, Term: e.Term, From: e.Time, To: e.Time, Shard: e.Shard})
			} else {
				reigns[i].To = e.Time
			}
		}
	}
	var up []string
	for _, n := range h.Nodes {
		if e, ok := seen[n]; ok {
			of := ""
			if e.Leader != "" && e.Leader != n {
				of = " of " + e.Leader
			}
			up = append(up, fmt.Sprintf("%s %s%s in term %d", n, e.Role, of, e.Term))
		}
	}
	if len(up) > 0 {
		said = append(said, fmt.Sprintf("What the nodes said they were, in the end: %s.", strings.Join(up, ", ")))
	}
	const most = 5
	for i, r := range reigns {
		if i == most {
			said = append(said, fmt.Sprintf("%d more such times are left out here.", len(reigns)-most))
			break
		}
		said = append(said, fmt.Sprintf("%s took itself for the leader in term %d, from %s to %s.", r.Node, r.Term, story.Seconds(r.From), story.Seconds(r.To)))
	}
	if len(reigns) == 0 && len(terms) > 0 {
		said = append(said, fmt.Sprintf("None of them took itself for the leader, in the terms %d to %d.", slices.Min(terms), slices.Max(terms)))
	}
	if elections > 0 {
		said = append(said, fmt.Sprintf("They called for an election %s.", story.Times(elections)))
	}
	return said
}

// answers are the most frequent ends of operations that did not succeed.
func answers(ops []*harness.Operation) (said []string) {
	n := map[string]int{}
	for _, op := range ops {
		switch {
		case op.Type == harness.Invoke:
			n["no answer"]++
		default:
			n[cmp.Or(op.Error, "no reason was given")]++
		}
	}
	all := slices.Sorted(maps.Keys(n))
	slices.SortStableFunc(all, func(a, b string) int { return n[b] - n[a] })
	for _, text := range all[:min(len(all), 3)] {
		said = append(said, fmt.Sprintf("What they were told (%s): %s.", story.Times(n[text]), text))
	}
	return said
}
