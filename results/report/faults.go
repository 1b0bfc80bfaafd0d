package report

import (
	"slices"
	"strings"
	"time"

	"coup/harness"
	"coup/harness/timeline"
)

// fault is what the events tell of one fault, in the words of the page.
type fault struct {
	*timeline.Fault
}

// Label names the fault in plots and tables.
func (f *fault) Label() string {
	return label(f.Fault.Fault, f.Target)
}

// label is "kill leader".
func label(fault, target string) string { return strings.TrimSpace(fault + " " + target) }

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

// gatherFaults are the faults of a run in the order in which they began, those that were
// only skipped included; end is the end of the run.
func gatherFaults(h *harness.History, end time.Duration) (all []*fault) {
	for _, f := range timeline.AllFaults(h, end) {
		all = append(all, &fault{f})
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
