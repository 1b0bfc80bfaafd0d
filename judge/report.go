package judge

import (
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

	"coup/checker/histories"
	"coup/checker/story"
	"coup/cluster/trace"
	"coup/harness"
	"coup/harness/timeline"
	"coup/plan"
	"coup/results"
	"coup/results/report"
)

// Report renders the report of a run directory again, from the verdict that
// is there.
func Report(dir string) error {
	stored, h, _, err := Read(dir)
	if err != nil {
		return &InputError{err}
	}
	var v Verdict
	if err := results.ReadJSON(dir, results.VerdictFile, &v); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s has no verdict yet: coup check %s makes one", dir, dir)
		}
		return &InputError{err}
	}
	return writeReport(dir, stored, v, h)
}

func writeReport(dir string, stored plan.Stored, v Verdict, h *harness.History) error {
	in := report.Input{
		Title:   stored.Title(),
		Command: stored.Again(dir),
		Started: stored.Started, Nodes: h.Nodes, Tells: h.Tells,
		Verdict: report.Verdict{Valid: v.Valid, Reasons: v.reasons(), Results: v.Results},
		Events:  h.Events, Operations: h.Operations,
		Plan: fields(stored, h), Captured: stored.Captured, Dir: dir,
	}
	if stored.Plan.Backend == "sim" {
		in.TraceCommand = stored.TraceCommand(dir)
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

// WriteRecording writes the verdict on a recording, and the report, to a directory,
// which it makes if need be. name is what the history is called.
func WriteRecording(dir, name, model string, r *histories.Recording, v Verdict) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if err := results.WriteJSON(dir, results.VerdictFile, v); err != nil {
		return err
	}
	err := results.WriteFile(dir, results.JUnitFile, func(w io.Writer) error { return results.WriteJUnit(w, name, v.Results) })
	in := report.Input{
		Title:   fmt.Sprintf("%s, judged as %s", name, model),
		Command: "coup check --model " + model + " " + name,
		Verdict: report.Verdict{Valid: v.Valid, Reasons: v.reasons(), Results: v.Results},
		Plan:    []report.Field{{Name: "history", Value: name}, {Name: "model", Value: model}},

		Operations: r.Told(),
	}
	return errors.Join(err, results.WriteFile(dir, results.ReportFile, func(w io.Writer) error { return report.Write(w, in) }))
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
func fields(s plan.Stored, h *harness.History) []report.Field {
	p := s.Plan
	settings := make([]string, 0, len(p.Settings))
	for _, k := range slices.Sorted(maps.Keys(p.Settings)) {
		settings = append(settings, k+"="+p.Settings[k])
	}
	fields := []report.Field{
		{Name: "system", Value: strings.TrimSpace(p.System + " " + p.Version)}, {Name: "the nodes say they run", Value: s.Release},
		{Name: "planted bug", Value: p.Bug}, {Name: "reads", Value: p.Reads},
		{Name: "judged as", Value: p.Consistency},
		{Name: "settings", Value: strings.Join(settings, " ")},
		{Name: "nodes", Value: fmt.Sprint(p.Nodes)}, {Name: "workload", Value: strings.ReplaceAll(p.Workload, ",", ", ")},
		{Name: "load", Value: load(p)}, {Name: "objects", Value: objects(p)},
		{Name: "faults", Value: strings.Join(p.Nemesis, " ")}, {Name: "seed", Value: fmt.Sprint(p.Seed)},
		{Name: "captured", Value: captured(s)},
		{Name: "backend", Value: strings.TrimSpace(p.Backend + " " + s.Engine)}, {Name: "image of coup", Value: s.Image},
		{Name: "images", Value: imagesOf(s)},
		{Name: "machine", Value: machine(s, h)},
		{Name: "simulated program", Value: s.Module},
		{Name: "versions", Value: fmt.Sprintf("coup %s, %s", s.Coup, s.Go)},
		{Name: "run", Value: s.Run},
	}
	return slices.DeleteFunc(fields, func(f report.Field) bool { return f.Value == "" })
}

// imagesOf says which images the system's containers ran.
func imagesOf(s plan.Stored) string {
	var all []string
	for _, i := range s.Images {
		all = append(all, fmt.Sprintf("%s: %s (%s)", i.Name, i.Reference, i.Digest))
	}
	return strings.Join(all, ", ")
}

// machine says how busy the machine was, if it told.
func machine(s plan.Stored, h *harness.History) string {
	var most float64
	for _, e := range h.Events {
		if e.Kind == harness.MachineEvent {
			most = max(most, e.Ready)
		}
	}
	if most == 0 {
		return ""
	}
	from, to := timeline.Load(h)
	return fmt.Sprintf("%s; threads ready to run for each: %.1f on average under load, %.1f at most in %.0f s",
		story.Plural(s.CPUs, "processor"), timeline.Ready(h, timeline.Stretch{From: from, To: to}), most, harness.MachineEvery.Seconds())
}

// captured says how many packets of each node were kept.
func captured(s plan.Stored) string {
	if s.Plan.Capture == 0 {
		return ""
	}
	if s.Captured == nil {
		return "nothing: the run ended before"
	}
	return fmt.Sprintf("the newest %d MiB of the packets of each node; the run begins at %s there (frame.time_epoch)", s.Captured.Bound, s.Captured.EpochTime(0))
}

// load says in words how much clients ask for.
func load(p plan.Plan) string {
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
func objects(p plan.Plan) string {
	if p.Operations != nil {
		return ""
	}
	return fmt.Sprintf("%d at a time, %d operations each", p.Keys, p.OpsPerKey)
}
