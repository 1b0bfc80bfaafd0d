package nightly

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"coup/checker/story"
	"coup/results"
)

// Schema is the version of night.json. It rises when a field changes its meaning.
const Schema = 1

// Report is the content of night.json: all that is known of a night.
type Report struct {
	Schema     int       `json:"schema"`
	Name       string    `json:"name"` // of the file
	ID         string    `json:"id"`
	Cells      string    `json:"cells_digest"` // of all cells, also those of other shards
	Build      string    `json:"build"`
	Shard      int       `json:"shard,omitempty"`
	Shards     int       `json:"shards,omitempty"`
	Began      time.Time `json:"began"`
	Ended      time.Time `json:"ended,omitzero"` // zero: it is under way, or was interrupted
	Must       Must      `json:"must"`
	Keep       Keep      `json:"keep"`
	Entries    []Known   `json:"known_entries,omitempty"`
	NamedCells []string  `json:"names"`             // of all cells
	Lacking    []string  `json:"lacking,omitempty"` // what is not there of a night that was merged, in words

	Status   Status       `json:"status"`
	Outcomes []Outcome    `json:"cells"`
	Known    []KnownState `json:"known,omitempty"`
}

// Status is the content of status.json: how the night went, and why.
type Status struct {
	ID         string        `json:"id"`
	Finished   bool          `json:"finished"`
	Code       int           `json:"exit_code"`
	Sentence   string        `json:"sentence"`
	Why        []string      `json:"why"`    // of the exit code, one reason each
	Counts     map[Class]int `json:"counts"` // of cells
	News       []string      `json:"news"`   // cells that are new, flaky, gone or in error
	Runs       int           `json:"runs"`
	Operations int           `json:"operations"` // that succeeded
	Faults     int           `json:"faults"`     // that had an effect
}

// KnownState says what became of an entry of the known failures.
type KnownState struct {
	Known
	Cells []string `json:"cells,omitempty"` // that failed so tonight
	Last  string   `json:"last,omitempty"`  // the last night in which it was seen
	Quiet int      `json:"quiet"`           // nights since then, in which its cells ran; tonight is one of them
	News  string   `json:"news,omitempty"`  // why the entry itself is news
}

// The exit codes of a night.
const (
	CodeGreen   = 0   // nothing is new, and enough was run
	CodeNews    = 1   // something is new, flaky or gone, or a known failure needs a look
	CodeUnknown = 2   // it proves too little
	CodeError   = 255 // nothing is new, but cells could not be run
)

// with is the report with these outcomes.
func (r Report) with(all []Outcome, past []Report) Report {
	r.Outcomes = all
	s := Status{ID: r.ID, Finished: !r.Ended.IsZero(), Counts: map[Class]int{}, Why: []string{}, News: []string{}}
	for _, o := range all {
		s.Counts[o.Class]++
		s.Runs += o.Runs
		s.Operations += o.Figures.OK
		s.Faults += o.Figures.Bit
		switch o.Class {
		case New, Flaky, Gone, Broken:
			s.News = append(s.News, o.Cell)
		}
	}
	r.Known = r.knownStates(past)
	code := CodeGreen
	because := func(c int, why string) {
		s.Why = append(s.Why, why)
		for _, worse := range []int{CodeNews, CodeError, CodeUnknown} {
			if c == worse || code == worse {
				code = worse
				return
			}
		}
	}
	for _, o := range all {
		switch o.Class {
		case New, Flaky, Gone:
			because(CodeNews, fmt.Sprintf("%s is %s: %s", o.Cell, o.Class, o.Says))
		case Broken:
			because(CodeError, fmt.Sprintf("%s could not be run: %s", o.Cell, o.Says))
		case Unproved:
			because(CodeUnknown, fmt.Sprintf("%s proves nothing: %s", o.Cell, o.Says))
		}
	}
	for _, k := range r.Known {
		if k.News != "" {
			because(CodeNews, k.News)
		}
	}
	for _, why := range r.tooLittle(s, past) {
		because(CodeUnknown, why)
	}
	if !s.Finished {
		because(CodeUnknown, "the night is not over")
	}
	s.Code = code
	s.Sentence = sentence(s, len(all))
	r.Status = s
	return r
}

// sentence says how the night went.
func sentence(s Status, cells int) string {
	var said []string
	for _, c := range Classes {
		if n := s.Counts[c]; n > 0 {
			said = append(said, fmt.Sprintf("%d %s", n, map[Class]string{Broken: "in error", Unproved: "unknown", Expected: "as expected"}[c]))
			if c != Broken && c != Unproved && c != Expected {
				said[len(said)-1] = fmt.Sprintf("%d %s", n, c)
			}
		}
	}
	head := map[int]string{CodeGreen: "Nothing new", CodeNews: "There is news", CodeError: "Nothing new, but not all could be run", CodeUnknown: "Nothing new, but too little is proved"}[s.Code]
	if !s.Finished {
		head += " so far"
	}
	return fmt.Sprintf("%s: of %s, %s.", head, story.Plural(cells, "cell"), strings.Join(said, ", "))
}

// A night has to do at least this share of what was usual in so many nights before.
const (
	usualShare  = 0.5
	usualNights = 7
)

// tooLittle says what was not done that had to be. A night under way is not asked.
func (r Report) tooLittle(s Status, past []Report) (why []string) {
	if !s.Finished {
		return nil
	}
	part := 1.0
	if r.Shards > 0 {
		part = 1 / float64(r.Shards)
	}
	why = append(why, r.Lacking...)
	ran := len(r.Outcomes) - s.Counts[NotRun] - s.Counts[Broken]
	wanted := float64(len(r.NamedCells)) * part
	if least := wanted * float64(r.Must.Cells) / 100; float64(ran) < least-1 || ran == 0 {
		why = append(why, fmt.Sprintf("too little ran: %d of %.0f cells, and %g%% must run", ran, wanted, float64(r.Must.Cells)))
	}
	for _, o := range r.Outcomes {
		if (o.Class == NotRun || o.Class == Broken) && anyMatches(r.Must.Run, o.Cell) {
			why = append(why, fmt.Sprintf("%s must run, and did not", o.Cell))
		}
	}
	for _, pattern := range r.Must.Run {
		if !slices.ContainsFunc(r.NamedCells, func(name string) bool { return matches(pattern, name) }) {
			why = append(why, fmt.Sprintf("%s must run, and there is no such cell", pattern))
		}
	}
	if least := float64(r.Must.Operations) * part; float64(s.Operations) < least {
		why = append(why, fmt.Sprintf("too little ran: %d operations succeeded, and %.0f must", s.Operations, least))
	}
	if least := float64(r.Must.Faults) * part; float64(s.Faults) < least {
		why = append(why, fmt.Sprintf("too little ran: %d faults had an effect, and %.0f must", s.Faults, least))
	}
	if s.Faults == 0 && slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return len(o.Faults) > 0 }) {
		why = append(why, "no fault had an effect")
	}
	var cells, operations, faults []float64
	for _, p := range slices.Backward(past) {
		if len(cells) < usualNights && p.Status.Finished && p.Name == r.Name && p.Shard == r.Shard && p.Shards == r.Shards {
			cells = append(cells, float64(len(p.Outcomes)-p.Status.Counts[NotRun]-p.Status.Counts[Broken]))
			operations = append(operations, float64(p.Status.Operations))
			faults = append(faults, float64(p.Status.Faults))
		}
	}
	usual := func(what string, now int, before []float64) {
		if len(before) < 3 {
			return
		}
		slices.Sort(before)
		if m := rank(before, 0.5); float64(now) < usualShare*m {
			why = append(why, fmt.Sprintf("too little ran: %d %s, and %.0f were usual in the %d nights before", now, what, m, len(before)))
		}
	}
	usual("cells", ran, cells)
	usual("operations that succeeded", s.Operations, operations)
	usual("faults with an effect", s.Faults, faults)
	return why
}

// knownStates says what became of each entry.
func (r Report) knownStates(past []Report) (all []KnownState) {
	for _, k := range r.Entries {
		state := KnownState{Known: k}
		seen, ran := k.seenIn(r.Outcomes)
		state.Cells = seen
		if len(seen) > 0 {
			state.Last = r.ID
		} else if ran {
			state.Quiet = 1
		}
		for _, p := range slices.Backward(past) {
			if state.Last != "" {
				break
			}
			if seen, ran := k.seenIn(p.Outcomes); len(seen) > 0 {
				state.Last = p.ID
			} else if ran {
				state.Quiet++
			}
		}
		switch {
		case k.overdue(r.Began):
			state.News = fmt.Sprintf("the known failure %q was to be gone by %s (%s)", k.Fingerprint, k.Until.Format(time.DateOnly), k.Link)
		case state.Quiet >= k.Unseen && !r.Ended.IsZero():
			state.News = fmt.Sprintf("the known failure %q was not seen in %d nights: is it gone? (%s)", k.Fingerprint, state.Quiet, k.Link)
		}
		all = append(all, state)
	}
	return all
}

// seenIn are the cells that failed so, and whether any of those did run in which it is known.
func (k Known) seenIn(all []Outcome) (seen []string, ran bool) {
	for _, o := range all {
		if o.Class == NotRun || o.Class == Broken || !k.at(o.Cell) {
			continue
		}
		ran = true
		if slices.ContainsFunc(o.Failures, func(f Record) bool { return f.Error == "" && k.is(o.Cell, f.Fingerprint) }) {
			seen = append(seen, o.Cell)
		}
	}
	return seen, ran
}

// Past are the nights in a folder that have ended, the oldest first.
func Past(out string) (all []Report, err error) {
	dirs, err := os.ReadDir(out)
	if err != nil {
		return nil, err
	}
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		var r Report
		err := results.ReadJSON(filepath.Join(out, d.Name()), ReportFile, &r)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case r.Schema != Schema:
			return nil, fmt.Errorf("%s was written by another release of coup (schema %d, not %d): give another folder with --out", filepath.Join(out, d.Name(), ReportFile), r.Schema, Schema)
		case !r.Ended.IsZero() && r.ID == d.Name():
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Report) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Table is a row for each cell: its name, what was expected, the verdict, the class, runs, operations that
// succeeded, failovers, their median and the worst, and the longest outage.
func (r Report) Table() (rows [][]string) {
	for _, o := range r.Outcomes {
		f := o.Figures
		rows = append(rows, []string{o.Cell, string(o.Expect), cmp.Or(o.Verdict, "-"), string(o.Class), fmt.Sprintf("%d of %d", o.Runs, o.Wanted),
			fmt.Sprint(f.OK), fmt.Sprint(f.Changes), inSeconds(f.median()), inSeconds(f.worst()), inSeconds(f.Outage)})
	}
	return rows
}

func inSeconds(s float64) string {
	if s < 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f s", s)
}
