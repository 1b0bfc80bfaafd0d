// Package report writes one run as one HTML file for people who see nothing
// else of it: the verdict and its proof, what the clients saw and the nodes
// did over time, and every operation.
//
// The file asks nobody for anything: scripts, styles and data are inside it,
// and its content security policy forbids every request and every script but
// its own. All of the run's words are taken for hostile and escaped.
package report

import (
	"fmt"
	"io"
	"time"

	"coup/cluster/capture"
	"coup/harness"
)

// Input is what a report is made of. Every part may be missing.
type Input struct {
	Title   string        // what was run, in a few words; the page's heading
	Command string        // the command that runs it again
	Plan    []Field       // what was run, as a table
	Started time.Time     // by the wall clock
	Nodes   []string      // in the order in which they are to be shown
	Tells   harness.Facts // what they tell about themselves

	Verdict    Verdict
	Events     []harness.Event     // in the order of time
	Operations []harness.Operation // in the order of invocation

	// Trace is what every simulated machine did; nil if the run was not traced.
	Trace Trace
	// TraceCommand traces the run when it is run again, or is "".
	TraceCommand string

	// Captured is the packets of the run; nil if none were captured. Dir is its directory, as
	// commands name it.
	Captured *capture.Set
	Dir      string

	// MaxOperations bounds the operations that the file lists, and by that its
	// size; 0 means 300,000. Above it those that ended info or belong to a
	// counterexample stay and the others are thinned out evenly, so that as
	// many as possible of the failed ones stay. Figures and plots are made from
	// all operations in any case.
	MaxOperations int

	_ struct{}
}

// Field is one line of the table of what was run.
type Field struct {
	Name, Value string
}

// Verdict is what verdict.json holds. The Details of a result may be of the
// checker's own type or what JSON makes of them when read back.
type Verdict struct {
	Valid   harness.Validity
	Reasons []string // why it is unknown, each a sentence
	Results []harness.Result
}

// Write writes the report of in to w. The memory it needs grows with the
// operations, by less than half a kilobyte for each; in is not changed.
func Write(w io.Writer, in Input) error {
	p, err := newPage(&in)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
