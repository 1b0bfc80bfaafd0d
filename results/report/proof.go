package report

import (
	"slices"
	"time"

	"coup/harness"
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

// findCalls gives the places in ops of the operations of the proofs, as far as they are there.
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
