package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"coup/harness"
	"coup/harness/timeline"
)

// proof is a counterexample.
type proof struct {
	Index   int
	Checker string
	Summary string
	Key     string
	Story   []string
	Witness []harness.Witness
	Edges   []harness.Edge
	Around  []moment // what happened around it
	Frames  []frames // where its packets are, if they were captured
}

// moment is something that happened.
type moment struct {
	At   time.Duration
	Text string
}

// gatherProofs returns the counterexamples, those of what clients saw first. A
// counterexample that several checkers found is listed once.
func gatherProofs(results []harness.Result) (all []proof) {
	order := []harness.Subject{"", harness.Answers, harness.Service, harness.Conduct, harness.TheTest}
	sorted := slices.Clone(results)
	slices.SortStableFunc(sorted, func(a, b harness.Result) int {
		return max(slices.Index(order, a.Judges), 1) - max(slices.Index(order, b.Judges), 1)
	})
	for _, r := range sorted {
		c := r.Counterexample
		if c == nil {
			continue
		}
		same := slices.IndexFunc(all, func(p proof) bool { return sameCalls(p.Witness, c.Witness) && len(c.Witness) > 0 })
		if same < 0 {
			all = append(all, proof{Index: len(all), Checker: r.Checker, Summary: r.Summary, Key: c.Key, Story: slices.Clone(c.Story), Witness: slices.Clone(c.Witness), Edges: c.Edges})
			continue
		}
		p := &all[same]
		p.Checker += " and " + r.Checker
		for _, line := range c.Story {
			if !slices.Contains(p.Story, line) {
				p.Story = append(p.Story, line)
			}
		}
		if len(p.Edges) == 0 && slices.EqualFunc(p.Witness, c.Witness, func(a, b harness.Witness) bool { return callOf(a) == callOf(b) }) {
			p.Edges = c.Edges // which count places among the operations
		}
	}
	return all
}

// sameCalls says whether both rest on the same operations, in whatever order.
func sameCalls(a, b []harness.Witness) bool {
	calls := map[call]bool{}
	for _, w := range a {
		calls[callOf(w)] = true
	}
	return len(a) == len(b) && !slices.ContainsFunc(b, func(w harness.Witness) bool { return !calls[callOf(w)] })
}

// mostAround is how many moments are told around a counterexample.
const mostAround = 6

// addAround adds the moments around a counterexample: which faults were on and who led,
// from its cause to its last answer. If there are too many, the first ones are kept,
// since they tell most about the cause.
func (p *proof) addAround(faults []*fault, reigns []timeline.Reign) {
	if len(p.Witness) == 0 {
		return
	}
	from, to := time.Duration(p.Witness[0].Start), time.Duration(0)
	for _, w := range p.Witness {
		from, to = min(from, time.Duration(w.Start)), max(to, time.Duration(w.Start), time.Duration(w.End))
	}
	if c := causeOf(*p, faults); c != nil {
		from = min(from, c.at)
	}
	for _, f := range faults {
		if f.Skipped || f.Missed != "" || f.Start > to || f.End < from {
			continue
		}
		text := f.Label()
		if v := f.Victims(); v != "" {
			text += " (" + v + ")"
		}
		if f.Ended {
			text += " until " + clock(f.End)
		}
		p.Around = append(p.Around, moment{f.Start, text})
	}
	for _, r := range reigns {
		if r.From > to || r.To < from {
			continue
		}
		text := r.Node + " leads"
		if r.Shard > 0 {
			text += fmt.Sprintf(" shard %d,", r.Shard)
		}
		if r.Term > 0 {
			text += fmt.Sprintf(" term %d", r.Term)
		}
		p.Around = append(p.Around, moment{r.From, text + " until " + clock(r.To)})
	}
	slices.SortStableFunc(p.Around, func(a, b moment) int { return cmp.Compare(a.At, b.At) })
	if left := len(p.Around) - mostAround; left > 0 {
		at := p.Around[mostAround].At
		p.Around = append(p.Around[:mostAround], moment{at, "and from then on: " + count(left) + " more"})
	}
}

type dataProof struct {
	Key   string          `json:"key"`
	Ops   []dataWitnessed `json:"ops"`
	Edges []harness.Edge  `json:"edges"`
}

type dataWitnessed struct {
	Name    string  `json:"name,omitempty"`
	Process int     `json:"process"`
	Key     string  `json:"key"`
	Text    string  `json:"text"`
	Type    string  `json:"type"`
	Start   seconds `json:"start"`
	End     seconds `json:"end"` // below 0: it never ended
	Node    string  `json:"node"`
	Line    int     `json:"line"`
	Row     int     `json:"row"` // in the list of operations; -1: not there
}

// call identifies an operation: a process begins one at a time.
type call struct {
	process int
	start   time.Duration
}

func callOf(w harness.Witness) call { return call{w.Process, time.Duration(w.Start)} }

// findCalls returns the indexes in ops of the operations of the proofs that are listed.
func findCalls(ops []harness.Operation, proofs []proof) map[call]int {
	wanted := map[call]bool{}
	for _, p := range proofs {
		for _, w := range p.Witness {
			wanted[callOf(w)] = true
		}
	}
	calls := map[call]int{}
	for i := range ops {
		if c := (call{ops[i].Process, ops[i].Start}); wanted[c] {
			calls[c] = i
		}
	}
	return calls
}

// fillLines adds the lines of the history to the witnesses that came without.
func fillLines(proofs []proof, ops []harness.Operation, calls map[call]int) {
	for _, p := range proofs {
		for i := range p.Witness {
			w := &p.Witness[i]
			if at, ok := calls[callOf(*w)]; ok && w.Line == 0 {
				w.Line = ops[at].Call
			}
		}
	}
}

func dataProofOf(c proof, calls map[call]int, rows []int) dataProof {
	d := dataProof{Key: c.Key, Ops: []dataWitnessed{}, Edges: append([]harness.Edge{}, c.Edges...)}
	for _, w := range c.Witness {
		row := -1
		if i, ok := calls[callOf(w)]; ok {
			if at, ok := slices.BinarySearch(rows, i); ok {
				row = at
			}
		}
		o := dataWitnessed{
			Name: w.Name, Process: w.Process, Key: w.Key, Text: w.Text, Type: typeName(w.Type),
			Start: inSeconds(time.Duration(w.Start)), End: -1, Node: w.Node, Line: w.Line, Row: row,
		}
		if w.End >= 0 && (w.Type == harness.OK || w.Type == harness.Fail) {
			o.End = inSeconds(time.Duration(w.End))
		}
		d.Ops = append(d.Ops, o)
	}
	return d
}
