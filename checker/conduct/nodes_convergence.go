package conduct

import (
	"context"
	"fmt"
	"slices"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Convergence tells, for each node that a fault hit, how long it took after the fault was
// healed until the node had all that others had at that moment: figures only, the verdict is
// always valid. Its Details are [ConvergenceDetails].
//
// Nodes are asked every quarter of a second, so a time may be late by as much. A node that
// another fault hits before it is level again tells nothing.
type Convergence struct{}

// ConvergenceDetails are the Details of [Convergence].
type ConvergenceDetails struct {
	Nodes []Converged `json:"nodes"` // in the order in which the faults were healed
}

// Converged is the way of one node back to the others, after one fault.
type Converged struct {
	ID     int           `json:"id"` // of the fault
	Fault  string        `json:"fault"`
	Node   string        `json:"node"`
	Shard  int           `json:"shard,omitempty"` // in this log, from 1 on; 0: there is one
	Healed time.Duration `json:"healed"`          // when the fault was healed, in nanoseconds since the start of the run
	Behind uint64        `json:"behind"`          // by how many positions it was behind when it first answered after that
	After  time.Duration `json:"after"`           // from the healing until it was seen level; -1: it never was
	// Cut is set if another fault hit the node before it was seen level.
	Cut bool `json:"cut,omitempty"`
}

// Name implements [harness.Checker].
func (Convergence) Name() string { return "convergence" }

// Judges implements [harness.Judging].
func (Convergence) Judges() harness.Subject { return harness.Conduct }

// Needs implements [harness.Needing].
func (Convergence) Needs() harness.Facts { return harness.Facts{harness.Position} }

// Check implements [harness.Checker]. It takes O(faults times looks).
func (Convergence) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "convergence", Valid: harness.Valid}
	d := ConvergenceDetails{Nodes: []Converged{}}
	looks, end := timeline.AllLooks(h), timeline.LastEvent(h)
	all := timeline.Faults(h, end)
	for _, f := range all {
		if !f.Ended || f.Missed != "" || f.Skipped || f.Trouble != "" {
			continue
		}
		for _, node := range h.Nodes {
			if f.Touches(node) {
				d.Nodes = append(d.Nodes, converged(looks, all, f, node, end))
			}
		}
	}
	slices.SortStableFunc(d.Nodes, func(a, b Converged) int { return int(a.Healed - b.Healed) })
	r.Details, r.Summary = d, summariseConvergence(d)
	return r, nil
}

func converged(looks []timeline.Look, all []*timeline.Fault, f *timeline.Fault, node string, end time.Duration) Converged {
	c := Converged{ID: f.ID, Fault: f.Fault, Node: node, Healed: f.End, After: -1}
	until := end + 1
	for _, other := range all {
		switch {
		case other == f || !other.Touches(node) || (other.Missed != "" || other.Skipped) && other.Hold < 0:
		case other.Start <= f.End && other.End > f.End:
			until = f.End // it is still broken by another one
		case other.Start > f.End:
			until = min(until, other.Start)
		}
	}
	var goal uint64 // the newest position that anybody was seen at by then
	answered := false
	for _, l := range looks {
		if l.Time <= f.End {
			for _, e := range l.Nodes {
				goal = max(goal, e.Applied)
			}
			continue
		}
		if l.Time >= until {
			break
		}
		e, ok := l.Nodes[node]
		if !ok {
			continue
		}
		if !answered && e.Applied < goal {
			c.Behind = goal - e.Applied
		}
		answered = true
		if e.Applied >= goal {
			c.After = l.Time - f.End
			return c
		}
	}
	c.Cut = until <= end
	return c
}

func summariseConvergence(d ConvergenceDetails) string {
	var took []time.Duration
	var worst Converged
	for _, c := range d.Nodes {
		if c.After < 0 {
			continue
		}
		if took = append(took, c.After); len(took) == 1 || c.After > worst.After {
			worst = c
		}
	}
	switch {
	case len(d.Nodes) == 0:
		return "No fault at a node was healed."
	case len(took) == 0:
		return fmt.Sprintf("Of %s that a fault had hit, none was seen level with the others before the next fault or the end.", story.Plural(len(d.Nodes), "node"))
	}
	slices.Sort(took)
	s := fmt.Sprintf("After a fault was healed, its nodes had what the others had within %s, half of the time within %s; the slowest was %s, after a %s that was healed at %s.",
		story.Seconds(took[len(took)-1]), story.Seconds(took[(len(took)-1)/2]), worst.Node, worst.Fault, story.Seconds(worst.Healed))
	cut := 0
	for _, c := range d.Nodes {
		if c.Cut {
			cut++
		}
	}
	if cut > 0 {
		s += fmt.Sprintf(" In %d of %d cases the next fault came first.", cut, len(d.Nodes))
	}
	if never := len(d.Nodes) - len(took) - cut; never > 0 {
		s += fmt.Sprintf(" In %d it was not so until the end.", never)
	}
	return s
}
