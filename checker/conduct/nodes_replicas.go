package conduct

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/checker/story"
	"coup/harness"
)

// Replicas checks that the nodes agree: wherever two nodes, or one node at two
// times, report the state at the same position of the log, it is the same
// state. Its Details are [ReplicaDetails].
type Replicas struct{}

// mostDifferences bounds how many differences are listed one by one.
const mostDifferences = 100

// ReplicaDetails are the Details of [Replicas].
type ReplicaDetails struct {
	Reports  int          `json:"reports"`  // states that nodes reported
	Compared int          `json:"compared"` // positions of the log that more than one node reported
	Final    []FinalState `json:"final"`    // of each node, the last report after the run was healed
	Together bool         `json:"together"` // all nodes ended at the same position
	Alone    []string     `json:"alone"`    // nodes of which no report could be compared with another's
	Differ   []Difference `json:"differ"`   // the first 100
}

// FinalState is the state in which a node ended.
type FinalState struct {
	Node    string `json:"node"`
	Applied uint64 `json:"applied"`
	Hash    string `json:"hash"`
}

// Difference is a position of the log at which two reports differ.
type Difference struct {
	Applied uint64        `json:"applied"`
	NodeA   string        `json:"node_a"`
	HashA   string        `json:"hash_a"`
	TimeA   time.Duration `json:"time_a"` // nanoseconds since the start of the run
	NodeB   string        `json:"node_b"`
	HashB   string        `json:"hash_b"`
	TimeB   time.Duration `json:"time_b"`
}

// Name implements [harness.Checker].
func (Replicas) Name() string { return "replicas" }

// Check implements [harness.Checker].
func (Replicas) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "replicas", Valid: harness.Valid}
	d := ReplicaDetails{Final: []FinalState{}, Alone: []string{}, Differ: []Difference{}}
	first := map[uint64]harness.Event{} // by position: the first report
	both := map[uint64]bool{}
	final := map[string]harness.Event{}
	compared, reported := map[string]bool{}, map[string]bool{}
	ended := false
	for _, e := range h.Events {
		if e.Kind == harness.PhaseEvent && e.Message == "final" {
			ended = true
		}
		if e.Kind != harness.StateEvent || e.Hash == "" {
			continue
		}
		d.Reports++
		reported[e.Node] = true
		if ended {
			final[e.Node] = e
		}
		f, seen := first[e.Applied]
		if !seen {
			first[e.Applied] = e
			continue
		}
		if f.Node != e.Node {
			both[e.Applied], compared[f.Node], compared[e.Node] = true, true, true
		}
		if f.Hash != e.Hash && len(d.Differ) < mostDifferences {
			d.Differ = append(d.Differ, Difference{
				Applied: e.Applied, NodeA: f.Node, HashA: f.Hash, TimeA: f.Time, NodeB: e.Node, HashB: e.Hash, TimeB: e.Time,
			})
		}
	}
	d.Compared = len(both)
	nodes := slices.Clone(h.Nodes)
	for n := range reported {
		if !slices.Contains(nodes, n) {
			nodes = append(nodes, n)
		}
	}
	slices.Sort(nodes)
	d.Together = len(nodes) > 0
	for _, n := range nodes {
		if !compared[n] {
			d.Alone = append(d.Alone, n)
		}
		e, ok := final[n]
		if ok {
			d.Final = append(d.Final, FinalState{Node: n, Applied: e.Applied, Hash: e.Hash})
		}
		d.Together = d.Together && ok && e.Applied == d.Final[0].Applied
	}
	r.Details = d

	switch {
	case len(d.Differ) > 0:
		x := d.Differ[0]
		r.Valid = harness.Invalid
		r.Summary = fmt.Sprintf("Replicas differ: at position %d of the log %s and %s are not in the same state.", x.Applied, x.NodeA, x.NodeB)
		if x.NodeA == x.NodeB {
			r.Summary = fmt.Sprintf("Replicas differ: %s was in two different states at position %d of the log.", x.NodeA, x.Applied)
		}
		r.Counterexample = &harness.Counterexample{Witness: []harness.Witness{}, Story: []string{
			fmt.Sprintf("At %s %s had applied its log up to position %d and was in the state %s.", story.Seconds(x.TimeA), x.NodeA, x.Applied, x.HashA),
			fmt.Sprintf("At %s %s had applied its log up to the same position and was in the state %s.", story.Seconds(x.TimeB), x.NodeB, x.HashB),
			"The same log must lead to the same state on every node.",
		}}
	case d.Reports == 0:
		r.Valid, r.Summary = harness.Unknown, "No node reported its state."
	case d.Compared == 0 && len(h.Nodes) == 1:
		r.Summary = "There is one node, and nothing to compare it with."
	case d.Compared == 0:
		r.Valid, r.Summary = harness.Unknown, "No two nodes reported their states at the same position of the log."
	case ended && !d.Together:
		var ends []string
		for _, f := range d.Final {
			ends = append(ends, fmt.Sprintf("%s at %d", f.Node, f.Applied))
		}
		r.Valid = harness.Unknown
		r.Summary = fmt.Sprintf("The nodes did not come to the same position of the log in the end: of %d nodes, %s.", len(nodes), strings.Join(ends, ", "))
	default:
		r.Summary = fmt.Sprintf("The states of the nodes were equal at each of %s of the log where they can be compared", story.Plural(d.Compared, "position"))
		if d.Together {
			r.Summary += fmt.Sprintf(", the last one, %d, included", d.Final[0].Applied)
		}
		if len(d.Alone) > 0 {
			r.Summary += fmt.Sprintf("; %s could not be compared", story.List(d.Alone))
		}
		r.Summary += "."
	}
	return r, nil
}
