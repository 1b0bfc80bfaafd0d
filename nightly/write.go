package nightly

import (
	"errors"
	"io"

	"coup/harness"
	"coup/results"
)

// write writes everything that a night leaves beside its runs.
func write(dir string, r Report, past []Report) error {
	t := trendsOf(r, past)
	return errors.Join(
		results.WriteJSON(dir, ReportFile, r),
		results.WriteFile(dir, PageFile, func(w io.Writer) error { return writePage(w, r, t) }),
		results.WriteFile(dir, SummaryFile, func(w io.Writer) error { return writeSummary(w, r, t) }),
		results.WriteFile(dir, JUnitFile, func(w io.Writer) error { return writeJUnit(w, r) }),
		results.WriteJSON(dir, StatusFile, r.Status), // last: who sees it finds the others
	)
}

// writeJUnit writes a case for each cell. What is new is a failure; what proves nothing or
// could not be run is an error; what is known or was not run is skipped.
func writeJUnit(w io.Writer, r Report) error {
	var all []harness.Result
	for _, o := range r.Outcomes {
		valid := map[Class]harness.Validity{New: harness.Invalid, Flaky: harness.Invalid, Gone: harness.Invalid, Broken: harness.Unknown,
			Unproved: harness.Unknown, Expected: harness.Valid}
		result := harness.Result{Checker: o.Cell, Valid: harness.NotJudged, Summary: o.Says}
		if v, ok := valid[o.Class]; ok {
			result.Valid = v
		}
		if len(o.Failures) > 0 {
			result.Counterexample = &harness.Counterexample{Story: []string{o.Failures[0].Command}}
		}
		all = append(all, result)
	}
	return results.WriteJUnit(w, "coup nightly "+r.Name, all)
}
