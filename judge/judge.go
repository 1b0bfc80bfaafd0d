// Package judge makes a verdict and a report of what a run directory holds: it reads
// the history back from the files, runs the checkers, and writes what they found.
//
// Start with [Judge]. Histories without a run around them are for [History] and [Recording].
package judge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"coup/checker"
	"coup/checker/conduct"
	"coup/checker/histories"
	"coup/cluster"
	"coup/harness"
	"coup/harness/timeline"
	"coup/plan"
	"coup/results"
	"coup/workloads"
)

// Verdict is the content of verdict.json.
type Verdict struct {
	checker.Verdict
	// Notes say what a reader must know about the history itself.
	Notes []string `json:"notes,omitempty"`
}

// Sentence says the verdict in one line. What clients were answered is told first; but
// that the test did not test what it was meant to explains why all else is unknown.
func (v Verdict) Sentence() string {
	for _, tests := range []bool{true, false} {
		for _, r := range v.Results {
			if r.Valid == v.Valid && v.Valid != harness.Valid && (!tests || v.Valid == harness.Unknown && r.Judges == harness.TheTest) {
				return fmt.Sprintf("%s: %s", v.Valid, r.Summary)
			}
		}
	}
	if v.Valid == harness.Unknown {
		return "unknown: Nothing that clients were answered was judged."
	}
	var said []string
	for _, r := range v.Results {
		if r.Valid == harness.Valid && (r.Judges == harness.Answers || r.Judges == harness.TheTest && r.Checker == conduct.Ran{}.Name()) {
			said = append(said, r.Summary)
		}
	}
	return fmt.Sprintf("%s: %s", v.Valid, strings.Join(said, " "))
}

// NotJudged says what was not judged, and why.
func (v Verdict) NotJudged() (said []string) {
	by := map[string][]string{} // the checkers, by the reason
	for _, r := range v.Results {
		if r.Valid == harness.NotJudged {
			by[r.Summary] = append(by[r.Summary], r.Checker)
		}
	}
	for _, why := range slices.Sorted(maps.Keys(by)) {
		said = append(said, fmt.Sprintf("%s (%s)", strings.Join(by[why], ", "), strings.TrimSuffix(why, ".")))
	}
	return said
}

// InputError says that what was to be read makes no sense: the fault lies in
// the files, not in coup or the machine.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

// Instead is what a run is judged by in place of what its plan says; 0 or "": as in the plan.
type Instead struct {
	Time        plan.Duration // bounds on each checker
	Memory      int           // MiB
	Consistency string        // see plan.Plan
}

// Judge judges the run directory from its files and writes the verdict and
// the report.
func Judge(ctx context.Context, dir string) (Verdict, error) {
	return By(ctx, dir, Instead{})
}

// By is Judge with other bounds on the checkers, or by another promise, than those of the
// run's plan.
func By(ctx context.Context, dir string, b Instead) (Verdict, error) {
	v, h, stored, err := judge(ctx, dir, b)
	if err != nil {
		return v, &InputError{err}
	}
	if err := results.WriteJSON(dir, results.VerdictFile, v); err != nil {
		return v, err
	}
	err = results.WriteFile(dir, results.JUnitFile, func(w io.Writer) error {
		return results.WriteJUnit(w, stored.Title(), v.Results)
	})
	return v, errors.Join(err, writeReport(dir, stored, v, h))
}

func judge(ctx context.Context, dir string, b Instead) (v Verdict, h *harness.History, stored plan.Stored, err error) {
	stored, h, v.Notes, err = Read(dir)
	if err != nil {
		return v, nil, stored, err
	}
	within := stored
	p := &within.Plan
	p.CheckTime, p.CheckMemory = cmp.Or(b.Time, p.CheckTime), cmp.Or(b.Memory, p.CheckMemory)
	if was := stored.Plan; p.CheckTime != was.CheckTime || p.CheckMemory != was.CheckMemory {
		v.Notes = append(v.Notes, fmt.Sprintf("each checker was given %s and %d MiB, and by the plan of the run it is %s and %d MiB",
			p.CheckTime, p.CheckMemory, was.CheckTime, was.CheckMemory))
	}
	if p.Consistency = cmp.Or(b.Consistency, p.Consistency); p.Consistency != stored.Plan.Consistency {
		if _, err := p.Judged(); err != nil {
			return v, nil, stored, fmt.Errorf("workload %s: %w", p.Workload, err)
		}
		v.Notes = append(v.Notes, fmt.Sprintf("it was judged as %s, and by the plan of the run it is %s", p.Consistency, cmp.Or(stored.Plan.Consistency, "what the workload promises")))
	}
	if asked, said := strings.TrimPrefix(p.Version, "v"), strings.TrimPrefix(stored.Release, "v"); asked != "" && said != "" && asked != said {
		v.Notes = append(v.Notes, fmt.Sprintf("the plan asks for %s %s, and the nodes say that they run %s", p.System, asked, said))
	}
	from, to := timeline.Load(h)
	if why := timeline.Overload(h, timeline.Stretch{From: from, To: to}); why != "" {
		v.Notes = append(v.Notes, why+", so that times say as much about it as about the system; what had to be done within a bound is not called invalid")
	}
	all, err := Checkers(within)
	if err != nil {
		return v, nil, stored, err
	}
	v.Verdict = checker.CheckAll(ctx, all, h)
	return v, h, stored, v.addPartitions(ctx, *p, h)
}

// Violation returns the first violation in what the run directory holds so far, or "". A
// violation in the beginning of a history is final: no later operation can explain an
// earlier answer.
func Violation(ctx context.Context, dir string) string {
	stored, h, _, err := Read(dir)
	if err != nil {
		return "" // a line that is only half written; the next look will tell
	}
	all, err := Checkers(stored)
	if err != nil {
		return ""
	}
	for _, c := range all {
		if v := checker.CheckAll(ctx, []harness.Checker{c}, h); v.Valid == harness.Invalid {
			return v.Results[0].Summary
		}
	}
	return ""
}

// Read reads a run directory. notes say what a reader must know about the history.
func Read(dir string) (stored plan.Stored, h *harness.History, notes []string, err error) {
	if err := results.ReadJSON(dir, results.PlanFile, &stored); err != nil {
		return stored, nil, nil, err
	}
	if err := stored.Mend(); err != nil {
		return stored, nil, nil, err
	}
	w, err := workloads.Find(stored.Plan.Workload)
	if err != nil {
		return stored, nil, nil, err
	}
	_, history, err := results.Locate(dir)
	if err != nil {
		return stored, nil, nil, err
	}
	h, torn, err := results.ReadHistory(dir, history, w.Decode)
	if err != nil {
		return stored, nil, nil, err
	}
	if torn != "" {
		notes = append(notes, torn)
	}
	for _, e := range h.Events {
		if e.Kind == harness.InterruptEvent {
			notes = append(notes, e.Message)
		}
	}
	h.Nodes = stored.NodeNames()
	h.Tells = stored.Tells
	if stored.Shards > 1 {
		sys, err := stored.Plan.FindSystem()
		if err != nil {
			return stored, nil, nil, err
		}
		o := stored.Plan.Options()
		if s, ok := sys.(cluster.Sharded); ok {
			h.ShardOf = func(key string) int { return s.ShardOf(key, o) }
		}
	}
	return stored, h, notes, nil
}

// History judges a history by itself, as that of a workload. There is
// nothing to tell whether faults bit.
func History(ctx context.Context, path, workload string, p plan.Plan) (Verdict, error) {
	var v Verdict
	p.Workload = workload
	w, err := p.Judged()
	if err != nil {
		return v, &InputError{err}
	}
	h, torn, err := results.ReadHistory("", path, w.Decode)
	if err != nil {
		return v, &InputError{err}
	}
	if torn != "" {
		v.Notes = append(v.Notes, torn)
	}
	all := promises(p, w)
	v.Verdict = checker.CheckAll(ctx, append(all, histories.Succeeded{}), h)
	return v, nil
}

// Recording judges a history that another tool may have recorded.
func Recording(ctx context.Context, r *histories.Recording, p plan.Plan) Verdict {
	v := Verdict{Notes: r.Notes}
	v.Verdict = checker.CheckAll(ctx, withinBounds(p, r.Checkers()), &r.History)
	v.Results = r.Restore(v.Results)
	return v
}
