package checker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"coup/harness"
)

// Deposed checks that a node does not go on leading long after another one was
// elected in a newer term: a leader that hears nothing of a majority of the
// voters has to step down by itself (section 6.2 of Ongaro's thesis), or whatever
// asks it hangs for as long as it is cut off, and who trusts its word is told
// what is no longer so.
//
// Time in which something other than the network was broken at the old leader
// is not counted: a node that is frozen can't step down.
type Deposed struct {
	// Within is how long a deposed leader may take: the time that the system
	// gives a leader without a majority, and what the machine adds to it.
	Within time.Duration
}

// DeposedDetails are the Details of [Deposed].
type DeposedDetails struct {
	Deposed int           `json:"deposed"` // leaders that still led when another one was elected
	Longest time.Duration `json:"longest"` // how long one of them went on, in nanoseconds
}

// reign is the time in which a node takes itself for the leader of a term.
type reign struct {
	node     string
	term     uint64
	from, to time.Duration
}

// reigns are all reigns in the order in which they began. One that did not end
// ends with the run.
func reigns(h *harness.History) []reign {
	var all []reign
	open := map[string]int{} // node -> its reign that has not ended
	var now time.Duration
	for _, e := range h.Events {
		now = max(now, e.Time)
		switch e.Kind {
		case harness.RoleEvent, harness.BootEvent, harness.ExitEvent, harness.GiveUpEvent:
		default:
			continue
		}
		if i, leads := open[e.Node]; leads {
			all[i].to = e.Time
			delete(open, e.Node)
		}
		if e.Kind == harness.RoleEvent && e.Role == "leader" {
			open[e.Node] = len(all)
			all = append(all, reign{node: e.Node, term: e.Term, from: e.Time})
		}
	}
	for _, i := range open {
		all[i].to = now
	}
	return all
}

// Name implements [harness.Checker].
func (Deposed) Name() string { return "deposed" }

// Check implements [harness.Checker].
func (c Deposed) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "deposed", Valid: harness.Valid}
	all := reigns(h)
	var end time.Duration
	if n := len(h.Events); n > 0 {
		end = h.Events[n-1].Time
	}
	broken := faults(h, end)
	d := DeposedDetails{}
	for _, old := range all {
		for _, next := range all {
			if next.term <= old.term || next.node == old.node || next.from <= old.from || next.from >= old.to {
				continue
			}
			d.Deposed++
			on := able(old.node, next.from, old.to, end, broken)
			d.Longest = max(d.Longest, on)
			if on > c.Within && r.Counterexample == nil {
				r.Valid = harness.Invalid
				r.Summary = fmt.Sprintf("%s went on leading in term %d for %s after %s was elected in term %d.",
					old.node, old.term, seconds(old.to-next.from), next.node, next.term)
				r.Counterexample = &harness.Counterexample{Witness: []harness.Witness{}, Story: []string{
					fmt.Sprintf("At %s %s became the leader in term %d.", seconds(old.from), old.node, old.term),
					fmt.Sprintf("At %s %s became the leader in term %d: a majority no longer follows %s.", seconds(next.from), next.node, next.term, old.node),
					fmt.Sprintf("%s took itself for the leader until %s. Without a majority it has to step down within %s.", old.node, seconds(old.to), seconds(c.Within)),
				}}
			}
			break // later ones depose nobody who is deposed already
		}
	}
	r.Details = d
	switch {
	case r.Valid == harness.Invalid:
	case len(all) == 0:
		r.Valid, r.Summary = harness.Unknown, "No node ever said that it leads."
	case d.Deposed == 0:
		r.Summary = "No node still led when another one was elected."
	default:
		r.Summary = fmt.Sprintf("%s still led when another one was elected, for %s at most.", plural(d.Deposed, "node"), seconds(d.Longest))
	}
	return r, nil
}

// able is the part of the time between from and to in which nothing but the
// network was broken at node. Nobody knows when what was not healed was over.
func able(node string, from, to, end time.Duration, all []*fault) (sum time.Duration) {
	its := slices.DeleteFunc(slices.Clone(all), func(f *fault) bool { return len(f.Links) > 0 || !f.touches(node) })
	for _, g := range between(its, from, to, func(f *fault) time.Duration { return f.until(end) }) {
		sum += g.Length()
	}
	return sum
}
