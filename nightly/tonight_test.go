package nightly

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"coup/checker"
	"coup/checker/conduct"
	"coup/harness"
	"coup/judge"
	"coup/plan"
	"coup/results"
)

// pretender takes the place of coup: it leaves run directories without running anything.
type pretender struct {
	// shows is what a run of a plan shows; an exit code above 2 is one without a verdict.
	shows func(p plan.Plan, again int) (valid harness.Validity, what string, code int, said string)

	mu   sync.Mutex
	runs map[string]int // how often each plan was run, by its seed and workload
	all  []string       // the first word of each command
	made int
}

func (f *pretender) command(_, soft context.Context, args ...string) (Ended, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, args[0])
	value := func(name string) string {
		if i := slices.Index(args, name); i >= 0 {
			return args[i+1]
		}
		return ""
	}
	p := plan.Default()
	from := value("--plan")
	if args[0] != "run" {
		from = args[slices.IndexFunc(args, func(a string) bool { return strings.Contains(a, "/"+runsDir+"/") })]
	}
	if filepath.Ext(from) == ".yaml" {
		if err := p.ReadPlan(from); err != nil {
			return Ended{}, err
		}
	} else {
		var stored plan.Stored
		if err := results.ReadJSON(from, results.PlanFile, &stored); err != nil {
			return Ended{}, err
		}
		p = stored.Plan
	}
	if b := value("--backend"); b != "" {
		p.Backend = b
	}
	key := fmt.Sprint(p.Workload, p.Seed)
	again := f.runs[key]
	f.runs[key]++
	valid, what, code, said := f.shows(p, again)
	if soft.Err() != nil {
		return Ended{2, "interrupted"}, nil
	}
	if code > 2 {
		return Ended{code, said}, nil
	}
	f.made++
	dir := filepath.Join(value("--out"), fmt.Sprintf("20300101-000000-%06x", f.made))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Ended{}, err
	}
	v := judge.Verdict{Verdict: checker.Verdict{Valid: valid, Results: []harness.Result{
		{Checker: "ran", Judges: harness.TheTest, Valid: min(valid, harness.Unknown), Summary: "It ran.", Details: conduct.RanDetails{OK: 100, Faults: 4, Bit: 3}},
		{Checker: "set", Judges: harness.Answers, Valid: valid, Summary: what},
		{Checker: "failovers", Judges: harness.Service, Details: conduct.FailoverDetails{Failovers: []conduct.Failover{
			{Cause: conduct.CauseFault, Served: 2 * time.Second}, {Cause: conduct.CauseFault, Served: time.Second}, {Cause: conduct.CauseNone, Served: time.Hour}}}},
		{Checker: "availability", Judges: harness.Service, Details: conduct.AvailabilityDetails{Start: time.Second, End: 11 * time.Second}},
	}}}
	stored := plan.Stored{Plan: p, Run: filepath.Base(dir), Tells: harness.Facts{}}
	return Ended{Code: code}, cmpErr(results.WriteJSON(dir, results.PlanFile, stored), results.WriteJSON(dir, results.VerdictFile, v),
		os.WriteFile(filepath.Join(dir, results.HistoryFile), nil, 0o644), os.WriteFile(filepath.Join(dir, results.EventsFile), nil, 0o644))
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// tryNight runs a night of these files with a pretender.
func tryNight(t *testing.T, soft context.Context, path, out string, f *pretender, change func(*Options)) (Report, error) {
	t.Helper()
	if f.runs == nil {
		f.runs = map[string]int{}
	}
	o := Options{Out: out, Workers: 3, Build: "this", Command: f.command, Say: func(s string) { io.WriteString(io.Discard, s) }}
	if change != nil {
		change(&o)
	}
	return Run(context.Background(), soft, []string{path}, o)
}

func all(valid harness.Validity, what string) func(plan.Plan, int) (harness.Validity, string, int, string) {
	return func(plan.Plan, int) (harness.Validity, string, int, string) {
		return valid, what, map[harness.Validity]int{harness.Valid: 0, harness.Invalid: 1, harness.Unknown: 2}[valid], ""
	}
}

const oneOfEach = `
known: known.yaml
look: {again: 4}
plan: {backend: docker, time: 10s, nodes: 3}
cells:
  - {name: valid, plan: {workload: register, seed: 1}}
  - {name: new, plan: {workload: set, seed: 1}}
  - {name: flaky, plan: {workload: set, seed: 2}}
  - {name: known, plan: {workload: set, seed: 3}}
  - {name: contrast, expect: invalid, plan: {workload: set, seed: 1}}
  - {name: contrast by luck, expect: invalid, plan: {workload: set, seed: 4}}
  - {name: gone, expect: invalid, plan: {workload: register, seed: 1}}
  - {name: doubtful, plan: {workload: queue, seed: 1}}
  - {name: doubtful once, plan: {workload: queue, seed: 2}}
  - {name: image missing, plan: {workload: counter, seed: 1}}
  - {name: typo, plan: {workload: setz}}
  - {name: anything, expect: any, plan: {workload: set, seed: 3}}
  - {name: differs, plan: {backend: sim, workload: set, seed: 9}}
`

// showsEach is what the cells of oneOfEach show.
func showsEach(p plan.Plan, again int) (harness.Validity, string, int, string) {
	switch key := fmt.Sprint(p.Workload, p.Seed); {
	case p.Workload == "register", key == "set4":
		return harness.Valid, "", 0, ""
	case key == fmt.Sprint("set", 4+otherSeed):
		return harness.Invalid, "Elements went wrong: 2 lost.", 1, ""
	case key == "set1" && p.Backend == "docker":
		return harness.Invalid, "Elements went wrong: 1 lost.", 1, ""
	case key == "set2" && p.Backend == "docker":
		return []harness.Validity{harness.Invalid, harness.Valid}[again%2], "Elements went wrong: 1 duplicated.", 1 - again%2, ""
	case key == "set3":
		return harness.Invalid, "Elements went wrong: 3 stale.", 1, ""
	case key == "set9":
		return harness.Invalid, "Elements went wrong: 1 unexpected.", 1, ""
	case key == "queue2" && again > 0, p.Backend == "sim":
		return harness.Valid, "", 0, ""
	case p.Workload == "counter":
		return 0, "", 255, "level=INFO\ncoup: image not found: build it\n"
	}
	return harness.Unknown, "too few", 2, ""
}

func TestOneOfEachClass(t *testing.T) {
	path := inFolder(t, "night.yaml", oneOfEach, "known.yaml", `
- {fingerprint: "set: stale", link: "https://example.com/7"}
- {fingerprint: "set: never seen", link: x, unseen-nights: 1}
- {fingerprint: "set: hidden", link: x, until: 2001-01-01}
`)
	f := &pretender{shows: showsEach}
	out := t.TempDir()
	r, err := tryNight(t, t.Context(), path, out, f, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Class{"valid": Expected, "new": New, "flaky": Flaky, "known": KnownFailure, "contrast": Expected, "contrast by luck": Expected, "gone": Gone, "doubtful": Unproved,
		"doubtful once": Expected, "image missing": Broken, "typo": Broken, "anything": Expected, "differs": New}
	for _, o := range r.Outcomes {
		if want[o.Cell] != o.Class {
			t.Errorf("%s is %s, not %s: %s", o.Cell, o.Class, want[o.Cell], o.Says)
		}
		kept := o.Class != Expected
		for _, rec := range o.Failures {
			if _, err := os.Stat(filepath.Join(out, r.ID, rec.Dir)); (err == nil) != kept && rec.Error == "" {
				t.Errorf("%s: %s: %v", o.Cell, rec.Dir, err)
			}
		}
		switch o.Cell {
		case "new":
			if a := o.Failures[0].Triage.Again; a.Failed != 4 || a.Runs != 4 {
				t.Errorf("run again: %+v", a)
			}
			if !strings.Contains(o.Failures[0].Triage.InSim, "valid") {
				t.Errorf("in the simulator: %+v", o.Failures[0].Triage)
			}
		case "flaky":
			if a := o.Failures[0].Triage.Again; a.Failed != 2 || a.Runs != 4 {
				t.Errorf("run again: %+v", a)
			}
		case "contrast by luck":
			if o.Says != "invalid: Elements went wrong: 2 lost. (Shown by 1 of 2 runs.)" {
				t.Error(o.Says)
			}
		case "gone":
			if o.Says != "It should be invalid, and all its 3 runs were valid." {
				t.Error(o.Says)
			}
		case "image missing":
			if o.Says != "image not found: build it" {
				t.Error(o.Says)
			}
		case "differs":
			if tr := o.Failures[0].Triage; !tr.Replayed || tr.Differs != "" || tr.Smallest == "" || tr.Traced == "" {
				t.Errorf("%+v", tr)
			}
		case "valid":
			if f := o.Figures; f.OK != 100 || f.Bit != 3 || f.median() != 1 || f.worst() != 2 || f.Changes != 3 || f.throughput() != 10 {
				t.Errorf("%+v", f)
			}
		}
	}
	if s := r.Status; s.Code != CodeNews || len(s.News) != 6 || s.Counts[New] != 2 {
		t.Errorf("%+v", s)
	}
	if k := r.Known; len(k[0].Cells) != 1 || k[0].News != "" || !strings.Contains(k[1].News, "not seen in 1 nights") || !strings.Contains(k[2].News, "gone by 2001-01-01") {
		t.Errorf("%+v", k)
	}
	var again Status
	if err := results.ReadJSON(filepath.Join(out, r.ID), StatusFile, &again); err != nil || again.Code != CodeNews {
		t.Errorf("%v: %+v", err, again)
	}
	left, err := os.ReadDir(filepath.Join(out, r.ID, runsDir))
	if err != nil || len(left) != 6 { // new, flaky, known, gone, doubtful, differs
		var names []string
		for _, l := range left {
			names = append(names, l.Name())
		}
		t.Errorf("%v: %v", err, names)
	}
}

func TestExitCodes(t *testing.T) {
	const cells = "plan: {backend: sim, time: 10s, nodes: 3}\ncells: [{name: a, plan: {workload: set}}, {name: b, plan: {workload: register}}]\n"
	for name, c := range map[string]struct {
		file  string
		shows func(plan.Plan, int) (harness.Validity, string, int, string)
		code  int
		why   string
	}{
		"green":        {cells, all(harness.Valid, ""), CodeGreen, ""},
		"invalid":      {cells, all(harness.Invalid, "Elements went wrong: 1 lost."), CodeNews, "a is new"},
		"unknown":      {cells, all(harness.Unknown, "too few"), CodeUnknown, "a proves nothing"},
		"error":        {cells + "  ", func(plan.Plan, int) (harness.Validity, string, int, string) { return 0, "", 255, "coup: no engine" }, CodeError, "no engine"},
		"operations":   {cells + "must: {operations: 201}", all(harness.Valid, ""), CodeUnknown, "200 operations succeeded, and 201 must"},
		"faults":       {cells + "must: {faults: 7}", all(harness.Valid, ""), CodeUnknown, "6 faults had an effect, and 7 must"},
		"enough":       {cells + "must: {faults: 6, operations: 200, cells: 100}", all(harness.Valid, ""), CodeGreen, ""},
		"budget":       {cells + "budget: 1ns", all(harness.Valid, ""), CodeUnknown, "0 of 2 cells"},
		"must run":     {cells + "budget: 1ns\nmust: {run: [b, c]}", all(harness.Valid, ""), CodeUnknown, "b must run, and did not"},
		"no such cell": {cells + "must: {run: [c]}", all(harness.Valid, ""), CodeUnknown, "c must run, and there is no such cell"},
		"new and in error": {cells, func(p plan.Plan, _ int) (harness.Validity, string, int, string) {
			if p.Workload == "set" {
				return 0, "", 255, "coup: no"
			}
			return harness.Invalid, "x", 1, ""
		}, CodeNews, "b is new"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := tryNight(t, t.Context(), inFolder(t, "a.yaml", c.file), t.TempDir(), &pretender{shows: c.shows}, nil)
			if err != nil || r.Status.Code != c.code || !strings.Contains(strings.Join(r.Status.Why, "\n"), c.why) || (c.code == 0) != (len(r.Status.Why) == 0) {
				t.Errorf("%v: %+v", err, r.Status)
			}
		})
	}
}

// A night that is interrupted again and again comes to the same as one that was left alone.
func TestGoesOn(t *testing.T) {
	path := inFolder(t, "night.yaml", strings.Replace(oneOfEach, "known: known.yaml", "", 1))
	whole, err := tryNight(t, t.Context(), path, t.TempDir(), &pretender{shows: showsEach}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	var last Report
	interrupted := 0
	for try := 0; last.Ended.IsZero(); try++ {
		if try > 100 {
			t.Fatal("it never ends")
		}
		soft, cancel := context.WithCancel(t.Context())
		f := &pretender{}
		f.shows = func(p plan.Plan, again int) (harness.Validity, string, int, string) {
			if len(f.all) > 3+try {
				cancel()
				interrupted++
			}
			return showsEach(p, again)
		}
		last, err = tryNight(t, soft, path, out, f, func(o *Options) { o.Workers = 1 })
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
	if interrupted < 3 {
		t.Errorf("it was interrupted %d times", interrupted)
	}
	dirs, _ := filepath.Glob(filepath.Join(out, "[0-9]*"))
	if len(dirs) != 1 {
		t.Errorf("nights: %v", dirs)
	}
	if len(last.Outcomes) != len(whole.Outcomes) {
		t.Fatal(last.Status.Sentence)
	}
	for i := range last.Outcomes {
		if a, b := last.Outcomes[i], whole.Outcomes[i]; a.Class != b.Class || a.Runs != b.Runs || a.Figures.OK != b.Figures.OK || a.Says != b.Says {
			t.Errorf("%s: %s, %d runs, %d: %s\nwhole: %s, %d runs, %d: %s", a.Cell, a.Class, a.Runs, a.Figures.OK, a.Says, b.Class, b.Runs, b.Figures.OK, b.Says)
		}
	}
	// It is over now: the next one is another night, and so is one of other cells.
	next, err := tryNight(t, t.Context(), path, out, &pretender{shows: showsEach}, nil)
	if err != nil || next.ID == last.ID || next.Status.Runs != last.Status.Runs {
		t.Errorf("%v: %s after %s", err, next.ID, last.ID)
	}
}

func TestOtherCellsAreAnotherNight(t *testing.T) {
	path := inFolder(t, "a.yaml", "plan: {backend: sim}\ncells: [{name: a, fresh: 3}, {name: b}]")
	out := t.TempDir()
	soft, cancel := context.WithCancel(t.Context())
	f := &pretender{}
	f.shows = func(p plan.Plan, again int) (harness.Validity, string, int, string) {
		if len(f.all) == 2 {
			cancel()
		}
		return all(harness.Valid, "")(p, again)
	}
	first, err := tryNight(t, soft, path, out, f, func(o *Options) { o.Workers = 1 })
	if err != nil || first.Status.Code != CodeUnknown || first.Status.Runs != 1 || !first.Ended.IsZero() {
		t.Fatalf("%v: %+v", err, first.Status)
	}
	if err := os.WriteFile(path, []byte("plan: {backend: sim}\ncells: [{name: a, fresh: 4}, {name: b}]"), 0o644); err != nil {
		t.Fatal(err)
	}
	second, err := tryNight(t, t.Context(), path, out, &pretender{shows: all(harness.Valid, "")}, nil)
	if err != nil || second.ID == first.ID || second.Status.Runs != 5 {
		t.Errorf("%v: %+v", err, second.Status)
	}
}

// What a full disk ended goes on, and is no matter of the cell that met it.
func TestDiskFull(t *testing.T) {
	path := inFolder(t, "a.yaml", "plan: {backend: sim}\ncells: [{name: a}, {name: b}, {name: c}]")
	out := t.TempDir()
	f := &pretender{shows: all(harness.Valid, "")}
	full := func(ctx, soft context.Context, args ...string) (Ended, error) {
		if len(f.all) == 1 {
			return Ended{}, fmt.Errorf("write: %w", syscall.ENOSPC)
		}
		return f.command(ctx, soft, args...)
	}
	r, err := tryNight(t, t.Context(), path, out, f, func(o *Options) { o.Command, o.Workers = full, 1 })
	if err == nil || !strings.Contains(err.Error(), "is full: free some space") || r.Status.Runs != 1 || r.Status.Counts[Broken] > 0 {
		t.Fatalf("%v: %+v", err, r.Status)
	}
	r2, err := tryNight(t, t.Context(), path, out, f, nil)
	if err != nil || r2.ID != r.ID || r2.Status.Runs != 3 || len(f.all) != 3 || r2.Status.Code != CodeGreen {
		t.Errorf("%v: %+v, %d commands", err, r2.Status, len(f.all))
	}
}

func TestOneNightAtATime(t *testing.T) {
	out := t.TempDir()
	unlock, err := lock(out)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	_, err = tryNight(t, t.Context(), inFolder(t, "a.yaml", "cells: [{name: a}]"), out, &pretender{shows: all(harness.Valid, "")}, nil)
	if err == nil || !strings.Contains(err.Error(), "another night") {
		t.Error(err)
	}
}

func TestLessThanUsual(t *testing.T) {
	out := t.TempDir()
	path := inFolder(t, "a.yaml", "plan: {backend: sim}\ncells: [{name: a}, {name: b}, {name: c}, {name: d}]")
	f := &pretender{shows: all(harness.Valid, "")}
	for night := range 3 {
		if r, err := tryNight(t, t.Context(), path, out, f, nil); err != nil || r.Status.Code != CodeGreen {
			t.Fatalf("night %d: %v: %+v", night, err, r.Status)
		}
	}
	os.WriteFile(path, []byte("plan: {backend: sim}\ncells: [{name: a}]"), 0o644)
	r, err := tryNight(t, t.Context(), path, out, f, nil)
	if err != nil || r.Status.Code != CodeUnknown || !strings.Contains(strings.Join(r.Status.Why, "\n"), "1 cells, and 4 were usual in the 3 nights before") {
		t.Errorf("%v: %+v", err, r.Status)
	}
}

func TestShards(t *testing.T) {
	path := inFolder(t, "a.yaml", "plan: {backend: sim}\nmust: {operations: 450}\ncells: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}]")
	var seen []string
	for shard := 1; shard <= 2; shard++ {
		r, err := tryNight(t, t.Context(), path, t.TempDir(), &pretender{shows: all(harness.Valid, "")}, func(o *Options) { o.Shard, o.Shards = shard, 2 })
		if err != nil || shard == 1 && r.Status.Code != CodeGreen || shard == 2 && r.Status.Code != CodeUnknown { // 200 of 225
			t.Errorf("shard %d: %v: %+v", shard, err, r.Status)
		}
		for _, o := range r.Outcomes {
			seen = append(seen, o.Cell)
		}
	}
	if slices.Sort(seen); !slices.Equal(seen, []string{"a", "b", "c", "d", "e"}) {
		t.Error(seen)
	}
}

func TestInOrder(t *testing.T) {
	cell := func(name string, runs int) Cell {
		return Cell{Name: name, Expect: ExpectValid, Plan: plan.Default(), Seeds: make([]uint64, runs)}
	}
	cells := []Cell{cell("fresh", 1), cell("long ago", 1), cell("failed", 2), cell("new", 1), cell("changed", 1), cell("must", 1)}
	was := func(name string, class Class) Outcome {
		return Outcome{Cell: name, Class: class, Digest: digest(plan.Default(), "")}
	}
	changed := was("changed", Expected)
	changed.Digest = "another"
	past := []Report{
		{Outcomes: []Outcome{was("fresh", Expected), was("long ago", Expected), was("failed", New), was("must", Expected)}},
		{Outcomes: []Outcome{was("fresh", Expected), was("failed", NotRun), changed}},
	}
	var got []string
	for _, j := range inOrder(cells, []string{"m*"}, past) {
		got = append(got, fmt.Sprint(j.cell.Name, j.run))
	}
	want := []string{"must1", "new1", "changed1", "failed1", "long ago1", "fresh1", "failed2"}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestMerge(t *testing.T) {
	path := inFolder(t, "night.yaml", strings.Replace(oneOfEach, "known: known.yaml", "", 1))
	whole, err := tryNight(t, t.Context(), path, t.TempDir(), &pretender{shows: showsEach}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for shard := 1; shard <= 3; shard++ {
		dirs = append(dirs, t.TempDir())
		if _, err := tryNight(t, t.Context(), path, dirs[shard-1], &pretender{shows: showsEach}, func(o *Options) { o.Shard, o.Shards = shard, 3 }); err != nil {
			t.Fatal(err)
		}
	}
	out := t.TempDir()
	merged, err := Merge(append(dirs, dirs[0]), out) // the first shard is given twice
	if err != nil {
		t.Fatal(err)
	}
	if merged.Status.Sentence != whole.Status.Sentence || merged.Status.Operations != whole.Status.Operations || merged.Status.Code != whole.Status.Code {
		t.Errorf("%+v\nwhole %+v", merged.Status, whole.Status)
	}
	for i, o := range merged.Outcomes {
		if o.Cell != whole.Outcomes[i].Cell || o.Class != whole.Outcomes[i].Class {
			t.Errorf("%s is %s, not %s", o.Cell, o.Class, whole.Outcomes[i].Class)
		}
		for _, f := range o.Failures {
			if _, err := os.Stat(filepath.Join(out, merged.ID, f.Dir, results.VerdictFile)); f.Error == "" && err != nil {
				t.Error(err)
			}
		}
	}
	if lacking, err := Merge(dirs[1:], out); err != nil || !strings.Contains(strings.Join(lacking.Status.Why, "\n"), "shard 1 of 3 is not there") || lacking.ID == merged.ID {
		t.Errorf("%v: %+v", err, lacking.Status)
	}
	other := t.TempDir()
	if _, err := tryNight(t, t.Context(), inFolder(t, "night.yaml", "cells: [{name: a}]"), other, &pretender{shows: all(harness.Valid, "")}, nil); err != nil {
		t.Fatal(err)
	}
	for _, dirs := range [][]string{{dirs[0], other}, {t.TempDir()}} {
		if _, err := Merge(dirs, t.TempDir()); err == nil {
			t.Errorf("%v is merged", dirs)
		}
	}
}

func TestPrune(t *testing.T) {
	out := t.TempDir()
	path := inFolder(t, "a.yaml", "plan: {backend: docker, workload: set}\nlook: {again: 1}\nkeep: {nights: 3, failures: 24h}\ncells: [{name: a}]")
	var ids []string
	for range 5 {
		r, err := tryNight(t, t.Context(), path, out, &pretender{shows: all(harness.Invalid, "x")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	left, _ := filepath.Glob(filepath.Join(out, "[0-9]*", ReportFile))
	if len(left) != 3 || filepath.Base(filepath.Dir(left[0])) != ids[2] {
		t.Errorf("%v of %v", left, ids)
	}
	runs := func() int {
		all, _ := filepath.Glob(filepath.Join(out, "[0-9]*", runsDir))
		return len(all)
	}
	if runs() != 3 {
		t.Errorf("%d nights keep their runs", runs())
	}
	if err := prune(out, Keep{90, plan.Duration(24 * time.Hour), 1}, time.Now()); err != nil || runs() != 1 {
		t.Errorf("%v: beyond the size, %d nights keep their runs", err, runs())
	}
}
