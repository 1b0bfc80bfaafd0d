package nightly

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"coup/checker/conduct"
	"coup/judge"
	"coup/plan"
	"coup/results"
	"coup/results/report"
)

// RunFolder is a run that is to be compared.
type RunFolder struct {
	Name   string // where it is, for people
	Report string // the address of its report; "" if the page has no link to it
	// Varies is how a run that was made for the comparison differs from the others; "" for
	// any other. When such a run was made is not told, so that the same seed gives the same page.
	Varies string
	Files  fs.FS // the run directory, as results.OpenFolder opens it
}

// Comparison is what runs have and have not in common.
type Comparison struct {
	Runs []Compared
	// Words are of the plans, those that differ; Figures are of the runs. Each row has a name and a value of each run.
	Words, Figures [][]string
}

// Compared is one run of a comparison.
type Compared struct {
	RunFolder
	Stored  plan.Stored
	Verdict judge.Verdict
	Figures Figures
	Curves  *report.Progress // operations and faults; the curves begin when the load does
	Cut     bool             // its history is longer than is compared

	words map[string]string
}

const (
	mostCompared = 50        // runs
	mostRead     = 512 << 20 // bytes of a history
	readStep     = 16 << 20
)

// Compare reads run directories. The memory that it takes does not grow with the
// histories. An [InputError] says that one of them is no run that was judged.
func Compare(ctx context.Context, folders []RunFolder) (Comparison, error) {
	var c Comparison
	if len(folders) > mostCompared {
		return c, &InputError{fmt.Errorf("%d runs are too many: compare %d at most", len(folders), mostCompared)}
	}
	for _, folder := range folders {
		run, err := readCompared(ctx, folder)
		if err != nil {
			return c, err
		}
		c.Runs = append(c.Runs, run)
	}
	names := map[string]bool{}
	for _, r := range c.Runs {
		for name := range r.words {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		row := c.row(name, func(r Compared) string { return r.words[name] })
		if len(slices.Compact(slices.Clone(row[1:]))) > 1 {
			c.Words = append(c.Words, row)
		}
	}
	number := func(of func(Figures) int) func(Compared) string {
		return func(r Compared) string { return fmt.Sprint(of(r.Figures)) }
	}
	latency := func(p float64) func(Compared) string {
		return func(r Compared) string { return inMillis(r.Curves.Curves().Latency(p)) }
	}
	c.Figures = [][]string{
		c.row("verdict", func(r Compared) string { return r.Verdict.Valid.String() }),
		c.row("acknowledged", number(func(f Figures) int { return f.OK })),
		c.row("failed", number(func(f Figures) int { return f.Fail })),
		c.row("of which nobody knows", number(func(f Figures) int { return f.Info })),
		c.row("latency, median", latency(0.5)), c.row("latency, p99", latency(0.99)), c.row("latency, worst", latency(1)),
		c.row("faults with an effect", number(func(f Figures) int { return f.Bit })),
		c.row("changes of leader", number(func(f Figures) int { return f.Changes })),
		c.row("failovers after a fault", number(func(f Figures) int { return len(f.Failovers) })),
	}
	for _, m := range metrics {
		c.Figures = append(c.Figures, c.row(m.Name, func(r Compared) string {
			if v := m.of(r.Figures); v == v {
				return m.write(v)
			}
			return "-"
		}))
		if m.Name == "failover, p99" {
			c.Figures = append(c.Figures, c.row("failover, worst", func(r Compared) string {
				if n := len(r.Figures.Failovers); n > 0 {
					return m.write(r.Figures.Failovers[n-1])
				}
				return "-"
			}))
		}
	}
	beat := func(of func(conduct.Beats) string) func(Compared) string {
		return func(r Compared) string {
			if d, ok := heartbeatsOf(r.Verdict); ok {
				return of(d.All)
			}
			return "-"
		}
	}
	c.Figures = append(c.Figures,
		c.row("heartbeat interval, p99", beat(func(b conduct.Beats) string { return inMillis(b.P99) })),
		c.row("heartbeat interval, worst", beat(func(b conduct.Beats) string { return inMillis(b.Longest) })),
		c.row("heartbeats missed", beat(func(b conduct.Beats) string { return fmt.Sprint(b.Missed) })))
	return c, nil
}

// heartbeatsOf is what a verdict says of the heartbeats; false if nobody told of any.
func heartbeatsOf(v judge.Verdict) (d conduct.HeartbeatDetails, ok bool) {
	for _, r := range v.Results {
		if r.Checker != (conduct.Heartbeats{}).Name() || r.Details == nil {
			continue
		}
		b, err := json.Marshal(r.Details)
		return d, err == nil && json.Unmarshal(b, &d) == nil
	}
	return d, false
}

func inMillis(d time.Duration) string {
	switch ms := float64(d) / 1e6; {
	case d < 0:
		return "-"
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	default:
		return fmt.Sprintf("%.0f ms", ms)
	}
}

func (c Comparison) row(name string, of func(Compared) string) []string {
	row := []string{name}
	for _, r := range c.Runs {
		row = append(row, of(r))
	}
	return row
}

func readCompared(ctx context.Context, folder RunFolder) (run Compared, err error) {
	run.RunFolder = folder
	if err := results.DecodeJSON(folder.Files, results.PlanFile, &run.Stored); err != nil {
		return run, &InputError{fmt.Errorf("%s is not a run directory: %w", folder.Name, err)}
	}
	if err := results.DecodeJSON(folder.Files, results.VerdictFile, &run.Verdict); errors.Is(err, fs.ErrNotExist) {
		return run, &InputError{fmt.Errorf("%s has no verdict yet", folder.Name)}
	} else if err != nil {
		return run, &InputError{fmt.Errorf("%s: %w", folder.Name, err)}
	}
	run.Figures = figuresOf(run.Verdict)
	if run.words, err = wordsOf(run.Stored); err != nil {
		return run, &InputError{fmt.Errorf("%s: %w", folder.Name, err)}
	}
	stored := run.Stored
	stored.Plan.Nodes = min(stored.Plan.Nodes, 1000) // the file may be anything
	run.Curves = report.NewProgress(stored.NodeNames(), stored.Tells)
	read := func(name string, add func([]byte) bool) (more bool, err error) {
		var tail results.Tail
		more = true
		for read := 0; more && read < mostRead; read += readStep {
			if err := ctx.Err(); err != nil {
				return more, err
			}
			// A line that makes no sense is left out, as that which is only half written is.
			if more, err = tail.Read(folder.Files, name, readStep, func(line []byte) { add(line) }); err != nil {
				return more, &InputError{fmt.Errorf("%s: %w", folder.Name, err)}
			}
		}
		return more, nil
	}
	if _, err := read(results.EventsFile, run.Curves.EventLine); err != nil {
		return run, err
	}
	run.Curves.CurvesFrom(max(run.Curves.LoadBegan(), 0))
	run.Cut, err = read(results.HistoryFile, run.Curves.HistoryLine)
	return run, err
}

// wordsOf are the words of a plan, and what it ran on.
func wordsOf(stored plan.Stored) (map[string]string, error) {
	its := map[string]string{"coup": stored.Coup, "release": stored.Release, "processors": fmt.Sprint(stored.CPUs)}
	var words map[string]any
	b, err := json.Marshal(stored.Plan)
	if err == nil {
		err = json.Unmarshal(b, &words)
	}
	if err != nil {
		return nil, err
	}
	for k, v := range words {
		text, err := json.Marshal(v)
		if its[k] = strings.Trim(string(text), `"`); err != nil || len(its[k]) > 200 { // a schedule, or a list of operations
			its[k] = fmt.Sprintf("%d bytes, %s", len(its[k]), digest(v))
		}
	}
	return its, nil
}

// alike are the runs of the same plan, but for its seed and what is drawn from it: their
// places, in the order of the first of each.
func (c Comparison) alike() (groups [][]int) {
	at := map[string]int{}
	for i, r := range c.Runs {
		words := maps.Clone(r.words)
		delete(words, "seed")
		delete(words, "schedule")
		key := digest(words)
		g, known := at[key]
		if !known {
			g, at[key] = len(groups), len(groups)
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

// leastTogether runs of the same plan are told of together as well.
const leastTogether = 3

// WritePage writes the comparison as a page, with the curves over each other.
func (c Comparison) WritePage(w io.Writer) error {
	page := report.Comparison{Words: c.Words, Figures: c.Figures}
	for _, r := range c.Runs {
		_, says, _ := strings.Cut(r.Verdict.Sentence(), ": ") // the word stands beside it
		run := report.ComparedRun{Name: r.called(), Report: r.Report, Title: r.Stored.Title(), Says: says, Valid: r.Verdict.Valid,
			Started: r.Stored.Started, Command: r.Stored.Again(r.Name), Progress: r.Curves, Failovers: r.Figures.Failovers}
		if r.Varies != "" {
			run.Started = time.Time{}
		}
		if r.Cut {
			run.Note = fmt.Sprintf("the curves and latencies are those of the first %d MB of its history", mostRead>>20)
		}
		page.Runs = append(page.Runs, run)
	}
	for _, group := range c.alike() {
		if len(group) >= leastTogether {
			page.Alike = append(page.Alike, group)
		}
	}
	return report.WriteComparison(w, page)
}

// called is what a run is called in a comparison.
func (r Compared) called() string { return cmp.Or(r.Varies, r.Name) }

// Header is the first row of a table of the comparison.
func (c Comparison) Header() []string {
	return c.row("", func(r Compared) string {
		return report.Letter(slices.IndexFunc(c.Runs, func(o Compared) bool { return o.Curves == r.Curves }))
	})
}

// Legend says what the letters of the header stand for, a line each.
func (c Comparison) Legend() (lines []string) {
	for i, r := range c.Runs {
		lines = append(lines, fmt.Sprintf("%s  %s: %s", report.Letter(i), r.called(), r.Verdict.Sentence()))
	}
	return lines
}
