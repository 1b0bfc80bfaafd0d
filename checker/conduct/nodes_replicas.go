package conduct

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Replicas checks that the nodes agree: whenever two nodes, or one node at two times,
// report a state at the same position of the log, the states are equal. Nodes that know
// of no positions must hold the same at the end of the run, when no client has asked for
// anything for a while (the phase "agree"). Its Details are [ReplicaDetails].
type Replicas struct {
	// Within is how long nodes may take to hold the same; 0: [DefaultServeWithin].
	Within time.Duration
}

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

// Judges implements [harness.Judging].
func (Replicas) Judges() harness.Subject { return harness.Conduct }

// Needs implements [harness.Needing].
func (Replicas) Needs() harness.Facts {
	return harness.Facts{harness.Digest}
}

// Check implements [harness.Checker].
func (c Replicas) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "replicas", Valid: harness.Valid}
	if looks := timeline.Digests(h); len(looks) > 0 && withoutPosition(looks) {
		return c.withoutPositions(h, looks), nil
	}
	d := ReplicaDetails{Final: []FinalState{}, Alone: []string{}, Differ: []Difference{}}
	first := map[uint64]harness.Event{} // by position: the first report
	both := map[uint64]bool{}
	final := map[string]harness.Event{}
	compared, reported := map[string]bool{}, map[string]bool{}
	ended := false
	for _, e := range h.Events {
		if e.Enters(harness.PhaseFinal) {
			ended = true
		}
		if e.Kind != harness.StateEvent || e.Hash == "" || e.Applied == 0 {
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

// withoutPosition reports whether some node told no position with its state.
func withoutPosition(looks []timeline.Look) bool {
	return slices.ContainsFunc(looks, func(l timeline.Look) bool {
		for _, e := range l.Nodes {
			if e.Applied == 0 {
				return true
			}
		}
		return false
	})
}

// withoutPositions compares what the nodes held in the end.
func (c Replicas) withoutPositions(h *harness.History, looks []timeline.Look) harness.Result {
	r := harness.Result{Checker: "replicas", Valid: harness.Valid}
	within := cmp.Or(c.Within, DefaultServeWithin)
	first, last := looks[0], looks[len(looks)-1]
	waited := last.Time - first.Time
	d := ReplicaDetails{Final: []FinalState{}, Alone: []string{}, Differ: []Difference{}}
	for _, l := range looks {
		d.Reports += len(l.Nodes)
	}
	for _, n := range h.Nodes {
		e, ok := last.Nodes[n]
		if !ok {
			d.Alone = append(d.Alone, n)
			continue
		}
		d.Final = append(d.Final, FinalState{Node: n, Applied: e.Applied, Hash: e.Hash})
		if a := d.Final[0]; a.Hash != e.Hash {
			d.Differ = append(d.Differ, Difference{NodeA: a.Node, HashA: a.Hash, TimeA: last.Time, NodeB: n, HashB: e.Hash, TimeB: last.Time})
		}
	}
	if len(d.Final) > 1 {
		d.Compared = 1
	}
	d.Together = len(d.Differ) == 0 && len(d.Alone) == 0
	r.Details = d
	ended := dying(h.Events, last.Time-within)
	overload := timeline.Overload(h, timeline.Stretch{From: first.Time, To: last.Time})
	switch unhealed := slices.ContainsFunc(h.Events, func(e harness.Event) bool { return e.Kind == harness.UnhealedEvent }); {
	case len(d.Final) < 2 && len(h.Nodes) > 1:
		r.Valid, r.Summary = harness.Unknown, "In the end no two nodes said what they hold."
	case len(d.Differ) == 0 && len(d.Alone) > 0:
		r.Valid, r.Summary = harness.Unknown, fmt.Sprintf("In the end %s did not say what they hold; the others held the same.", strings.Join(d.Alone, ", "))
	case len(d.Differ) == 0:
		r.Summary = fmt.Sprintf("In the end all nodes held the same: %s said so one by one.", story.Plural(len(d.Final), "node"))
	case unhealed:
		r.Valid, r.Summary = harness.Unknown, "Not everything was healed, and the nodes did not hold the same in the end."
	case ended != "":
		r.Valid = harness.Unknown
		r.Summary = fmt.Sprintf("The nodes did not hold the same in the end, but %s ended by itself while they should have come to agree.", ended)
	case waited < within:
		r.Valid = harness.Unknown
		r.Summary = fmt.Sprintf("The nodes did not hold the same in the end; they had only %s to agree, and may take %s.", story.Seconds(waited), story.Seconds(within))
	case overload != "":
		r.Summary = "The nodes did not hold the same in the end."
		r.Unproved(overload)
	default:
		x := d.Differ[0]
		r.Valid = harness.Invalid
		r.Summary = fmt.Sprintf("Replicas differ: in the end %s and %s did not hold the same.", x.NodeA, x.NodeB)
		r.Counterexample = &harness.Counterexample{Witness: []harness.Witness{}, Story: []string{
			fmt.Sprintf("From %s on everything was healed and nobody asked for anything.", story.Seconds(first.Time)),
			fmt.Sprintf("At %s, %s later, %s held %s and %s held %s, each asked by itself.",
				story.Seconds(last.Time), story.Seconds(waited), x.NodeA, x.HashA, x.NodeB, x.HashB),
			fmt.Sprintf("Within %s all nodes have to hold the same.", story.Seconds(within)),
		}}
	}
	return r
}

// dying is the first node that ended by itself at or after from; "" if none did.
func dying(events []harness.Event, from time.Duration) string {
	for _, e := range events {
		if e.Kind == harness.ExitEvent && e.Time >= from {
			return e.Node
		}
	}
	return ""
}
