package nightly

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/harness"
)

// Class says what became of a cell, beside what was expected of it.
type Class string

// The classes, the worst first.
const (
	New          Class = "new"      // it failed, and nobody knows this failure
	Flaky        Class = "flaky"    // likewise, but the same again did not fail each time
	Gone         Class = "gone"     // it should have failed, and all its runs were valid
	Broken       Class = "error"    // coup itself or its environment failed: a plan with a mistake, an image that is missing
	Unproved     Class = "unknown"  // its runs prove nothing
	NotRun       Class = "not run"  // the budget, or an interruption, left it out
	KnownFailure Class = "known"    // it failed in a way that is known
	Expected     Class = "expected" // as expected
)

// Classes are all classes, the worst first.
var Classes = []Class{New, Flaky, Gone, Broken, Unproved, NotRun, KnownFailure, Expected}

// Outcome is what became of a cell in a night.
type Outcome struct {
	Cell     string   `json:"cell"`
	Expect   Expect   `json:"expect"`
	Why      string   `json:"why,omitempty"`
	System   string   `json:"system"`
	Backend  string   `json:"backend"`
	Workload string   `json:"workload"`
	Faults   []string `json:"faults,omitempty"`
	Digest   string   `json:"digest"` // of its plan

	Class    Class    `json:"class"`
	Verdict  string   `json:"verdict,omitempty"` // the worst of its runs: valid, invalid or unknown; "" if there is none
	Says     string   `json:"says"`              // a sentence
	Runs     int      `json:"runs"`              // that were done
	Wanted   int      `json:"wanted"`            // that should have been
	Seconds  float64  `json:"seconds"`           // that they took
	Figures  Figures  `json:"figures"`           // of all its runs
	Failures []Record `json:"failures,omitempty"`

	Defect *Defect `json:"defect,omitempty"` // if it is to show one
}

// classOf is the class of a single run of a cell.
func classOf(c Cell, r *Record, known []Known, now time.Time) Class {
	switch {
	case r.Error != "":
		return Broken
	case r.Valid == harness.Unknown:
		return Unproved
	case c.Expect == ExpectAny || (c.Expect == ExpectInvalid) == (r.Valid == harness.Invalid):
		return Expected
	case r.Valid == harness.Valid:
		return Gone
	case slices.ContainsFunc(known, func(k Known) bool { return k.allows(c.Name, r.Fingerprint, now) }):
		return KnownFailure
	case r.Triage.flaky():
		return Flaky
	}
	return New
}

// outcomeOf is what the records of a cell come to.
func outcomeOf(c Cell, records []*Record, known []Known, now time.Time) Outcome {
	o := Outcome{Cell: c.Name, Expect: c.Expect, Why: c.Why, Backend: c.Plan.Backend, Workload: c.Plan.Workload,
		System: strings.TrimSuffix(c.Plan.System+"@"+c.Plan.Version, "@"), Faults: c.Plan.Nemesis, Digest: digest(c.Plan, c.Node),
		Runs: len(records), Wanted: len(c.Seeds), Class: NotRun, Says: "Not run.", Defect: c.Defect.seenIn(c, records)}
	var worst *Record
	seen := map[Class]int{}
	verdict := harness.Valid
	missed := 0
	for _, r := range records {
		class := classOf(c, r, known, now)
		seen[class]++
		o.Seconds += r.Seconds
		o.Figures = o.Figures.with(r.Figures)
		missed += r.Missed
		if r.Error == "" {
			verdict = harness.Worst(verdict, r.Valid)
		}
		if class != Expected && class != Gone {
			o.Failures = append(o.Failures, *r)
		}
		if worst == nil || slices.Index(Classes, class) < slices.Index(Classes, classOf(c, worst, known, now)) {
			worst = r
		}
	}
	if worst == nil {
		return o
	}
	if seen[Broken] < len(records) {
		o.Verdict = verdict.String()
	}
	o.Class = classOf(c, worst, known, now)
	o.Says = cmp.Or(worst.Error, worst.Sentence)
	if c.Expect == ExpectInvalid && seen[Expected] > 0 { // one is enough to show the contrast
		o.Class = Expected
		i := slices.IndexFunc(records, func(r *Record) bool { return classOf(c, r, known, now) == Expected })
		o.Says, o.Failures = records[i].Sentence, nil
		if missed > 0 {
			o.Says = fmt.Sprintf("%s (Shown by %d of %d runs.)", o.Says, seen[Expected], missed+seen[Expected])
		}
	}
	if o.Class == Gone {
		o.Failures = nil
		if o.Says = fmt.Sprintf("It should be invalid, and %s valid.", were(max(missed, len(records)))); len(records) < len(c.Seeds) {
			o.Class = NotRun // another run might show it
		}
	}
	return o
}

func were(n int) string {
	if n == 1 {
		return "its run was"
	}
	return fmt.Sprintf("all its %d runs were", n)
}
