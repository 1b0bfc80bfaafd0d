package nightly

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/harness"
	"coup/plan"
)

// Defect is what a cell is to show: a defect that was reported, or what a system does by
// design that its users have to know.
type Defect struct {
	Link    string `json:"link"`    // to the report
	With    string `json:"with"`    // what has it: a system, its release, settings
	Without string `json:"without"` // what has not, in words
	Control string `json:"control"` // the cell that is run so

	Seeds []uint64  `json:"seeds,omitempty"` // of the runs
	Found []float64 `json:"found,omitempty"` // seconds of the load until it was seen, of the runs that showed it; sorted
}

// seenIn is the defect with what the runs of its cell have shown. It is nil for nil.
func (d *Defect) seenIn(c Cell, records []*Record) *Defect {
	if d == nil {
		return nil
	}
	seen := *d
	seen.With = withOf(c.Plan)
	for _, r := range records {
		seen.Seeds = append(seen.Seeds, r.Seed)
		if r.Error == "" && r.Valid == harness.Invalid {
			seen.Found = append(seen.Found, r.Found)
		}
	}
	slices.Sort(seen.Found)
	return &seen
}

// withOf says which system a plan runs, and how.
func withOf(p plan.Plan) string {
	words := []string{p.System}
	if p.Version != "" {
		words = append(words, p.Version)
	}
	var set []string
	for name, value := range p.Settings {
		set = append(set, name+"="+value)
	}
	slices.Sort(set)
	words = append(words, set...)
	if p.Reads != "" && p.Reads != plan.Default().Reads {
		words = append(words, "reads="+p.Reads)
	}
	return strings.Join(words, " ")
}

// chosen are only some of the cells, with so many runs of each, and of each control.
// Patterns are as in Must.
func (s Spec) chosen(only []string, runs, controlRuns int) (Spec, error) {
	controls := map[string]string{} // the cells that have one, by its name
	for _, c := range s.Cells {
		if c.Defect != nil {
			controls[c.Defect.Control] = c.Name
		}
	}
	for i, c := range s.Cells {
		n := runs
		if controls[c.Name] != "" {
			n = controlRuns
		}
		if n == 0 {
			continue
		}
		s.Cells[i].Seeds = nil
		for seed := range uint64(n) {
			s.Cells[i].Seeds = append(s.Cells[i].Seeds, seed+1)
		}
	}
	if len(only) == 0 {
		return s, nil
	}
	var known []string
	for _, c := range s.Cells {
		if controls[c.Name] == "" {
			known = append(known, c.Name)
		}
	}
	for _, pattern := range only {
		if !slices.ContainsFunc(known, func(name string) bool { return matches(pattern, name) }) {
			return s, fmt.Errorf("there is no cell %s (there are %s)", pattern, strings.Join(known, ", "))
		}
	}
	s.Cells = slices.DeleteFunc(s.Cells, func(c Cell) bool { return !anyMatches(only, cmp.Or(controls[c.Name], c.Name)) })
	return s, nil
}

// DefectRow is a row of the table of defects.
type DefectRow struct {
	Defect
	Name     string
	Workload string
	Faults   []string
	Runs     int           // of the cell
	Median   time.Duration // of the load, until it was seen; -1 if less than half of the runs showed it
	Valid    string        // in how many runs the control was valid
	Problem  string        // why the row does not show what it should; "" if it does
	Unproved bool          // the problem is that runs were not made, or prove nothing
}

// Defects are the rows of the table of defects. Each is to be found within a bound, by the
// median of its runs. Its control may never be invalid, and has to be valid in more than
// half of its runs.
func (r Report) Defects(within time.Duration) (rows []DefectRow) {
	for _, o := range r.Outcomes {
		if o.Defect == nil {
			continue
		}
		var control Outcome
		if i := slices.IndexFunc(r.Outcomes, func(c Outcome) bool { return c.Cell == o.Defect.Control }); i >= 0 {
			control = r.Outcomes[i]
		}
		row := DefectRow{Defect: *o.Defect, Name: o.Cell, Workload: o.Workload, Faults: o.Faults, Runs: o.Runs, Median: -1}
		if middle := (o.Runs - 1) / 2; middle < len(o.Defect.Found) {
			row.Median = time.Duration(o.Defect.Found[middle] * float64(time.Second))
		}
		valid := control.Runs - len(control.Failures)
		row.Valid = fmt.Sprintf("%d of %d", valid, control.Runs)
		switch {
		case o.Runs == 0 || o.Runs < o.Wanted || control.Runs < max(1, control.Wanted):
			row.Problem, row.Unproved = "not all runs were made", true
		case o.brokenBy() != "" || control.brokenBy() != "":
			row.Problem, row.Unproved = "a run has no verdict: "+cmp.Or(o.brokenBy(), control.brokenBy()), true
		case control.Verdict == harness.Invalid.String():
			row.Problem = fmt.Sprintf("%s shows it as well: %s", o.Defect.Without, control.Says)
		case row.Median < 0:
			row.Problem = fmt.Sprintf("found in %d of %d runs", len(o.Defect.Found), o.Runs)
		case row.Median > within:
			row.Problem = fmt.Sprintf("found after %v, and %v is the bound", row.Median.Round(time.Second), within)
		case 2*valid <= control.Runs:
			row.Problem, row.Unproved = fmt.Sprintf("whether %s shows it is unknown: %s", o.Defect.Without, control.Says), true
		}
		rows = append(rows, row)
	}
	return rows
}

// brokenBy is why a run has no verdict; "" if each has one.
func (o Outcome) brokenBy() string {
	for _, f := range o.Failures {
		if f.Error != "" {
			return f.Error
		}
	}
	return ""
}
