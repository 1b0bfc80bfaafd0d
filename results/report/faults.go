package report

import (
	"slices"
	"strings"
	"time"

	"coup/harness"
)

// fault is what the events tell of one fault.
type fault struct {
	ID       int
	Name     string // kill, partition, ...
	Target   string // leader, halves, ...
	Nodes    []string
	Links    []harness.Link
	Start    time.Duration
	Hold     time.Duration // when it was seen to bite; -1: never
	End      time.Duration // the end of the run where it was never healed
	Healed   bool
	Missed   bool   // it was tried and did not bite
	Skipped  bool   // there was nothing to apply it to
	Evidence string // that it bit, or why it did not
	Trouble  string // what was wrong with the healing
}

// Label names the fault in plots and tables: "kill leader".
func (f *fault) Label() string {
	return strings.TrimSpace(f.Name + " " + f.Target)
}

// Victims says who was hit: "n1, n2", or the links that were cut.
func (f *fault) Victims() string {
	if len(f.Links) == 0 {
		return strings.Join(f.Nodes, ", ")
	}
	return describeLinks(f.Links)
}

// Lasted is how long the fault held, or was tried.
func (f *fault) Lasted() time.Duration {
	return f.End - max(f.Start, f.Hold)
}

// gatherFaults are the faults of a run in the order in which they began; end is the end of the run.
func gatherFaults(events []harness.Event, end time.Duration) []*fault {
	var all []*fault
	byID := map[int]*fault{}
	for _, e := range events {
		switch e.Kind {
		case harness.FaultStart, harness.FaultHold, harness.FaultMiss, harness.FaultSkip, harness.FaultEnd:
		default:
			continue
		}
		f := byID[e.ID]
		if f == nil {
			f = &fault{ID: e.ID, Name: e.Fault, Target: e.Target, Start: e.Time, Hold: -1, End: max(end, e.Time)}
			byID[e.ID] = f
			all = append(all, f)
		}
		// The victims may be known only once the fault holds.
		if len(e.Nodes) > 0 {
			f.Nodes = e.Nodes
		}
		if len(e.Links) > 0 {
			f.Links = e.Links
		}
		switch e.Kind {
		case harness.FaultHold:
			f.Hold, f.Evidence = e.Time, e.Message
		case harness.FaultMiss:
			f.Missed, f.Evidence = true, e.Message
		case harness.FaultSkip:
			f.Skipped, f.Evidence, f.End = true, e.Message, e.Time
		case harness.FaultEnd:
			f.End, f.Healed, f.Trouble = e.Time, true, e.Message
		}
	}
	return all
}

// describeLinks writes links in few words: those in both directions as
// "n1 ↔ n2, n3", the others as "n1 → n2, n3", and nodes that have the same
// peers together, as "n1, n2 ↔ n3, n4".
func describeLinks(links []harness.Link) string {
	type end struct{ node, arrow string }
	var ends []end
	peers := map[end][]string{}
	add := func(from, arrow, to string) {
		e := end{nodeOrClients(from), arrow}
		if _, ok := peers[e]; !ok {
			ends = append(ends, e)
		}
		peers[e] = append(peers[e], nodeOrClients(to))
	}
	for i, l := range links {
		switch back := slices.Index(links, harness.Link{From: l.To, To: l.From}); {
		case back < 0:
			add(l.From, " → ", l.To)
		case back > i:
			add(l.From, " ↔ ", l.To)
		}
	}

	var tails []string
	nodes := map[string][]string{}
	for _, e := range ends {
		tail := e.arrow + strings.Join(peers[e], ", ")
		if nodes[tail] == nil {
			tails = append(tails, tail)
		}
		nodes[tail] = append(nodes[tail], e.node)
	}
	parts := make([]string, len(tails))
	for i, tail := range tails {
		parts[i] = strings.Join(nodes[tail], ", ") + tail
	}
	return strings.Join(parts, "; ")
}

func nodeOrClients(node string) string {
	if node == "" {
		return "clients"
	}
	return node
}
