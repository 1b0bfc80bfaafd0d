package coup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"coup/checker"
	"coup/checker/conduct"
	"coup/checker/histories"
	"coup/checker/linearizable"
	"coup/cluster"
	"coup/cluster/systems"
	"coup/cluster/trace"
	"coup/harness"
	"coup/results"
	"coup/results/report"
	"coup/workloads"
)

// Verdict is the content of verdict.json.
type Verdict struct {
	checker.Verdict
	// Notes say what a reader must know about the history itself.
	Notes []string `json:"notes,omitempty"`
}

// Sentence says the verdict in one line.
func (v Verdict) Sentence() string {
	for _, r := range v.Results {
		if r.Valid == v.Valid && v.Valid != harness.Valid {
			return fmt.Sprintf("%s: %s", v.Valid, r.Summary)
		}
	}
	var said []string
	for _, r := range v.Results {
		if r.Checker == "linearizable" || r.Checker == "ran" {
			said = append(said, r.Summary)
		}
	}
	for _, r := range v.Results {
		if len(said) == 0 && r.Summary != "" {
			said = append(said, r.Summary)
		}
	}
	return fmt.Sprintf("%s: %s", v.Valid, strings.Join(said, " "))
}

// minOKPerSecond says how many operations must have succeeded for a verdict to mean
// something: fewer than this many a second on average is no load. It is far below
// what a cluster under every fault at once does.
const minOKPerSecond = 1

func (p Plan) minOK() int {
	perSecond := float64(minOKPerSecond)
	if p.Rate > 0 {
		perSecond = min(perSecond, p.Rate/2)
	}
	return int(perSecond * time.Duration(p.Time).Seconds())
}

// Checkers are the checkers that judge a run of the plan.
func Checkers(p Plan) ([]harness.Checker, error) {
	w, err := workloads.Find(p.Workload)
	if err != nil {
		return nil, err
	}
	var faults []string
	for _, s := range p.Schedule {
		if !slices.Contains(faults, s.Fault) {
			faults = append(faults, s.Fault)
		}
	}
	// What comes first is said first: that a run did not finish explains the rest.
	ran := conduct.Ran{Faults: faults, MinOK: p.minOK(), MinPerFunction: min(5, 1+p.minOK()/10), Needs: w.Needs}
	if p.Operations != nil { // whoever lists them knows what they are good for
		ran = conduct.Ran{Faults: faults}
	}
	all := []harness.Checker{conduct.Finished{}, ran}
	all = append(all, promises(p, w)...)
	sys, err := systems.Find(p.System)
	if err != nil {
		return nil, err
	}
	if lease := cluster.TimingOf(sys, p.options()).Lease; lease > 0 {
		all = append(all, conduct.Deposed{Within: lease + overtime[p.Backend]})
	}
	if p.Backend == "sim" {
		all = append(all, conduct.Steady{})
	}
	within := time.Duration(p.ServeWithin)
	all = append(all, conduct.Liveness{Within: within}, conduct.CatchUp{Within: within})
	return append(all, conduct.OneLeader{}, conduct.Terms{}, conduct.Replicas{}, conduct.Alive{}, conduct.Availability{}, conduct.Failovers{}), nil
}

// overtime is what a deposed leader may take beside its lease: on real machines
// a process may have to wait long for a processor or a disk.
var overtime = map[string]time.Duration{"docker": 20 * time.Second, "sim": time.Second}

// promises are the checkers of what the workload promises, within the bounds
// of the plan.
func promises(p Plan, w workloads.Workload) []harness.Checker {
	return withinBounds(p, w.Checkers())
}

// withinBounds gives the checkers the bounds of the plan on time and memory.
func withinBounds(p Plan, all []harness.Checker) []harness.Checker {
	for i, c := range all {
		if l, ok := c.(linearizable.Checker); ok {
			l.Timeout, l.MemoryBytes = time.Duration(p.CheckTime), uint64(p.CheckMemory)<<20
			all[i] = l
		}
	}
	return all
}

// InputError says that what was to be read makes no sense: the fault lies in
// the files, not in coup or the machine.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

// Bounds are what checkers may take in place of what the plan of a run says; 0: that.
type Bounds struct {
	Time   Duration
	Memory int // MiB
}

// Judge judges the run directory from its files and writes the verdict and
// the report.
func Judge(ctx context.Context, dir string) (Verdict, error) {
	return JudgeWithin(ctx, dir, Bounds{})
}

// JudgeWithin is Judge with other bounds on the checkers than those of the run.
func JudgeWithin(ctx context.Context, dir string, b Bounds) (Verdict, error) {
	v, h, stored, err := judge(ctx, dir, b)
	if err != nil {
		return v, &InputError{err}
	}
	if err := results.WriteJSON(dir, results.VerdictFile, v); err != nil {
		return v, err
	}
	err = results.WriteFile(dir, results.JUnitFile, func(w io.Writer) error {
		return results.WriteJUnit(w, stored.title(), v.Results)
	})
	return v, errors.Join(err, writeReport(dir, stored, v, h))
}

func judge(ctx context.Context, dir string, b Bounds) (v Verdict, h *harness.History, stored Stored, err error) {
	if err := results.ReadJSON(dir, results.PlanFile, &stored); err != nil {
		return v, nil, stored, err
	}
	h, v.Notes, err = readRun(dir, stored)
	if err != nil {
		return v, nil, stored, err
	}
	plan := stored.Plan
	plan.CheckTime, plan.CheckMemory = cmp.Or(b.Time, plan.CheckTime), cmp.Or(b.Memory, plan.CheckMemory)
	if was := stored.Plan; plan.CheckTime != was.CheckTime || plan.CheckMemory != was.CheckMemory {
		v.Notes = append(v.Notes, fmt.Sprintf("each checker was given %s and %d MiB, and by the plan of the run it is %s and %d MiB",
			plan.CheckTime, plan.CheckMemory, was.CheckTime, was.CheckMemory))
	}
	all, err := Checkers(plan)
	if err != nil {
		return v, nil, stored, err
	}
	v.Verdict = checker.CheckAll(ctx, all, h)
	return v, h, stored, nil
}

// violation returns the first violation in what the run directory holds so
// far, or "". Whatever is broken in the beginning of a history stays broken: no
// later operation can explain an earlier answer.
func violation(ctx context.Context, dir string, stored Stored) string {
	h, _, err := readRun(dir, stored)
	if err != nil {
		return "" // a line that is only half written; the next look will tell
	}
	all, err := Checkers(stored.Plan)
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

func readRun(dir string, stored Stored) (h *harness.History, notes []string, err error) {
	w, err := workloads.Find(stored.Plan.Workload)
	if err != nil {
		return nil, nil, err
	}
	_, history, err := results.Locate(dir)
	if err != nil {
		return nil, nil, err
	}
	h, torn, err := results.ReadHistory(dir, history, w.Decode)
	if err != nil {
		return nil, nil, err
	}
	if torn != "" {
		notes = append(notes, torn)
	}
	for _, e := range h.Events {
		if e.Kind == harness.InterruptEvent {
			notes = append(notes, e.Message)
		}
	}
	for i := range stored.Plan.Nodes {
		h.Nodes = append(h.Nodes, fmt.Sprintf("n%d", i+1))
	}
	slices.Sort(h.Nodes)
	return h, notes, nil
}

// JudgeHistory judges a history by itself, as that of a workload. There is
// nothing to tell whether faults bit.
func JudgeHistory(ctx context.Context, path, workload string, p Plan) (Verdict, error) {
	var v Verdict
	w, err := workloads.Find(workload)
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
	p.Workload = workload
	all := promises(p, w)
	v.Verdict = checker.CheckAll(ctx, append(all, something{}), h)
	return v, nil
}

// JudgeForeign judges a history that another tool may have recorded, as o
// says. name is what errors call it.
func JudgeForeign(ctx context.Context, r io.Reader, name string, o histories.Options, p Plan) (Verdict, error) {
	var v Verdict
	c, ok := histories.Models()[o.Model]
	if !ok {
		return v, &InputError{fmt.Errorf("there is no model %q (there are %s)", o.Model,
			strings.Join(slices.Sorted(maps.Keys(histories.Models())), ", "))}
	}
	h, err := histories.Read(r, o)
	if err != nil {
		return v, &InputError{fmt.Errorf("%s: %w", name, err)}
	}
	v.Verdict = checker.CheckAll(ctx, append(withinBounds(p, []harness.Checker{c}), something{}), h)
	return v, nil
}

// something checks that there is anything to judge: an empty file is more often
// a broken pipe than a history.
type something struct{}

func (something) Name() string { return "something" }

func (something) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "something", Valid: harness.Valid, Summary: fmt.Sprintf("%d operations.", len(h.Operations))}
	if len(h.Operations) == 0 {
		r.Valid, r.Summary = harness.Unknown, "There is no operation in the history."
	}
	return r, nil
}

// Report renders the report of a run directory again, from the verdict that
// is there.
func Report(dir string) error {
	var stored Stored
	if err := results.ReadJSON(dir, results.PlanFile, &stored); err != nil {
		return &InputError{err}
	}
	var v Verdict
	if err := results.ReadJSON(dir, results.VerdictFile, &v); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s has no verdict yet: coup check %s makes one", dir, dir)
		}
		return &InputError{err}
	}
	h, _, err := readRun(dir, stored)
	if err != nil {
		return &InputError{err}
	}
	return writeReport(dir, stored, v, h)
}

func writeReport(dir string, stored Stored, v Verdict, h *harness.History) error {
	in := report.Input{
		Title:   stored.title(),
		Command: stored.again(dir),
		Started: stored.Started, Nodes: h.Nodes,
		Verdict: report.Verdict{Valid: v.Valid, Reasons: v.reasons(), Results: v.Results},
		Events:  h.Events, Operations: h.Operations,
		Plan: stored.fields(),
	}
	if stored.Plan.Backend == "sim" {
		in.TraceCommand = stored.withNode("coup replay " + shellQuote(dir) + " --trace")
	}
	name := filepath.Join(dir, results.TraceFile)
	f, err := os.Open(name)
	if err == nil {
		defer f.Close()
		in.Trace = func(wanted func(time.Duration) bool) iter.Seq2[*trace.Event, error] { return trace.Read(f, wanted) }
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	write := func() error {
		return results.WriteFile(dir, results.ReportFile, func(w io.Writer) error { return report.Write(w, in) })
	}
	if err = write(); err == nil || in.Trace == nil {
		return err
	}
	// What is wrong with the trace must not cost the rest of the page.
	in.Trace = nil
	in.Verdict.Reasons = append(in.Verdict.Reasons, fmt.Sprintf("The trace %s can't be shown: %v.", name, err))
	return write()
}

// title is what was run, in a few words.
func (s Stored) title() string {
	p := s.Plan
	t := fmt.Sprintf("%s, %d nodes, %s for %s", p.System, p.Nodes, p.Workload, p.Time)
	if len(p.Nemesis) > 0 {
		t += " under " + strings.Join(p.Nemesis, ", ")
	}
	if p.Bug != "" {
		t += ", with the planted bug " + p.Bug
	}
	return t
}

// reasons say why the verdict is unknown, and what to know about the history.
func (v Verdict) reasons() []string {
	reasons := slices.Clone(v.Notes)
	for _, r := range v.Results {
		if v.Valid == harness.Unknown && r.Valid == harness.Unknown {
			reasons = append(reasons, r.Summary)
		}
	}
	return reasons
}

// fields is what was run, for the report.
func (s Stored) fields() []report.Field {
	p := s.Plan
	settings := make([]string, 0, len(p.Settings))
	for _, k := range slices.Sorted(maps.Keys(p.Settings)) {
		settings = append(settings, k+"="+p.Settings[k])
	}
	fields := []report.Field{
		{Name: "system", Value: p.System}, {Name: "planted bug", Value: p.Bug}, {Name: "reads", Value: p.Reads},
		{Name: "settings", Value: strings.Join(settings, " ")},
		{Name: "nodes", Value: fmt.Sprint(p.Nodes)}, {Name: "workload", Value: p.Workload},
		{Name: "load", Value: p.load()}, {Name: "objects", Value: p.objects()},
		{Name: "faults", Value: strings.Join(p.Nemesis, " ")}, {Name: "seed", Value: fmt.Sprint(p.Seed)},
		{Name: "backend", Value: strings.TrimSpace(p.Backend + " " + s.Engine)}, {Name: "image", Value: s.Image},
		{Name: "simulated program", Value: s.Module},
		{Name: "versions", Value: fmt.Sprintf("coup %s, hashicorp/raft %s, %s", s.Coup, s.Raft, s.Go)},
		{Name: "run", Value: s.Run},
	}
	return slices.DeleteFunc(fields, func(f report.Field) bool { return f.Value == "" })
}

// load says in words how much clients ask for.
func (p Plan) load() string {
	rate := fmt.Sprintf("%g operations a second", p.Rate)
	switch {
	case p.Operations != nil:
		rate = fmt.Sprintf("a list of operations (%d)", len(p.Operations))
	case p.Rate == 0:
		rate = "as fast as they are answered"
	}
	return fmt.Sprintf("%d processes for %s, %s", p.Concurrency, p.Time, rate)
}

// objects says in words what they work on; "" where a list says it.
func (p Plan) objects() string {
	if p.Operations != nil {
		return ""
	}
	return fmt.Sprintf("%d at a time, %d operations each", p.Keys, p.OpsPerKey)
}
