package report

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"coup/harness"
)

// Comparison is the page on which several runs stand side by side.
type Comparison struct {
	Runs []ComparedRun
	// Words are of the plans, those that differ; Figures are of the runs. Each row has a name and a value of each run.
	Words, Figures [][]string
	Alike          [][]int // runs, by their places, whose failovers are told together as well

	_ struct{}
}

// ComparedRun is one of the runs. Its progress has all of its events and operations, and curves that
// begin with the load.
type ComparedRun struct {
	Name      string // where it is
	Report    string // the address of its report, or ""
	Title     string
	Says      string // its verdict in a sentence
	Note      string // what to know about its figures, or ""
	Valid     harness.Validity
	Started   time.Time
	Command   string // that runs it again
	Progress  *Progress
	Failovers []float64 // seconds, sorted
}

// Letter is what a run is called in a comparison: A, B, and so on, then A2.
func Letter(i int) string {
	letter := string(rune('A' + i%26))
	if i >= 26 {
		letter += fmt.Sprint(i/26 + 1)
	}
	return letter
}

type comparePage struct {
	assets
	Comparison
	Heads   []comparedHead
	Spreads []failoverSpread
	Data    compareData
}

type comparedHead struct {
	ComparedRun
	Letter, Class, Word string
}

// failoverSpread is a row of the table of failovers.
type failoverSpread struct {
	Letters                           string
	N                                 int
	Least, Middle, P90, P99, Greatest string
	Strip                             template.HTML
}

// compareData is what the scripts see: a report's data without any curves but those of the runs.
type compareData struct {
	data
	Runs []comparedData `json:"runs"`
}

type comparedData struct {
	Letter    string      `json:"letter"`
	Faults    []dataFault `json:"faults"`
	OK        []seconds   `json:"ok"`
	P50       []seconds   `json:"p50"`
	P99       []seconds   `json:"p99"`
	Max       []seconds   `json:"max"`
	Failovers []seconds   `json:"failovers"`
}

// WriteComparison writes the page. It asks nobody for anything, as a report does.
func WriteComparison(w io.Writer, in Comparison) error {
	a, err := loadCompareAssets()
	if err != nil {
		return fmt.Errorf("comparison: %w", err)
	}
	p := comparePage{assets: a, Comparison: in}
	// All curves have bins of the same width, so that they can lie over each other.
	var end, forRates, forLatencies time.Duration
	for _, r := range in.Runs {
		end = max(end, r.Progress.end-r.Progress.zero)
	}
	for _, r := range in.Runs {
		rates, latencies := r.Progress.curves.widths(end)
		forRates, forLatencies = max(forRates, rates), max(forLatencies, latencies)
	}
	p.Data = compareData{data: data{Duration: inSeconds(end), Total: 1, Faults: []dataFault{}, Phases: []dataMoment{}, Violations: []dataMoment{}, Proofs: []dataProof{}, Lanes: []lane{}}, Runs: []comparedData{}}
	longest := 0.0
	for _, r := range in.Runs {
		if n := len(r.Failovers); n > 0 {
			longest = max(longest, r.Failovers[n-1])
		}
	}
	for i, r := range in.Runs {
		p.Heads = append(p.Heads, comparedHead{r, Letter(i), strings.ReplaceAll(r.Valid.String(), " ", "-"), r.Valid.String()})
		k := r.Progress.Known(true)
		rates, latencies := r.Progress.curves.draw(forRates, forLatencies, end)
		p.Data.Rates.At, p.Data.Latency.At = rates.At, latencies.At
		its := comparedData{Letter: Letter(i), Faults: []dataFault{}, OK: rates.OK, P50: latencies.P50, P99: latencies.P99, Max: latencies.Max, Failovers: []seconds{}}
		// Behind its end a run has no rate, which is not the same as a rate of 0.
		for j := range its.OK {
			if rates.At[j] > inSeconds(r.Progress.end-r.Progress.zero) {
				its.OK[j] = seconds(math.NaN())
			}
		}
		for _, f := range k.Faults {
			if f.To -= inSeconds(r.Progress.zero); f.To > 0 {
				f.From = max(0, f.From-inSeconds(r.Progress.zero))
				its.Faults = append(its.Faults, f)
			}
		}
		for _, f := range r.Failovers {
			its.Failovers = append(its.Failovers, seconds(f))
		}
		p.Data.Runs = append(p.Data.Runs, its)
		p.Spreads = append(p.Spreads, spreadOf(Letter(i), r.Failovers, longest))
	}
	for _, group := range in.Alike {
		var letters []string
		var all []float64
		for _, i := range group {
			letters, all = append(letters, Letter(i)), append(all, in.Runs[i].Failovers...)
		}
		slices.Sort(all)
		p.Spreads = append(p.Spreads, spreadOf(strings.Join(letters, " "), all, longest))
	}
	if err := pageTemplate.ExecuteTemplate(w, "compare.html.tmpl", p); err != nil {
		return fmt.Errorf("comparison: %w", err)
	}
	return nil
}

// spreadOf draws failovers as dots on a line that is as long as the longest of all runs. What it
// writes as HTML is numbers alone.
func spreadOf(letters string, sorted []float64, longest float64) failoverSpread {
	s := failoverSpread{Letters: letters, N: len(sorted), Least: "–", Middle: "–", P90: "–", P99: "–", Greatest: "–"}
	if s.N == 0 {
		return s
	}
	rank := func(p float64) float64 { return sorted[max(int(math.Ceil(p*float64(s.N)))-1, 0)] }
	write := func(v float64) string { return span(time.Duration(v * float64(time.Second))) }
	s.Least, s.Middle, s.P90, s.P99, s.Greatest = write(sorted[0]), write(rank(0.5)), write(rank(0.9)), write(rank(0.99)), write(sorted[s.N-1])
	x := func(v float64) float64 { return 1 + 98*v/max(longest, 1e-9) }
	var b strings.Builder
	b.WriteString(`<svg class="spread" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="failovers">`)
	fmt.Fprintf(&b, `<line x1="%.2f" x2="%.2f" y1="5" y2="5"/>`, x(sorted[0]), x(sorted[s.N-1]))
	fmt.Fprintf(&b, `<rect x="%.2f" y="1.5" width="%.2f" height="7"/>`, x(rank(0.25)), max(x(rank(0.75))-x(rank(0.25)), 0.2))
	for _, v := range sorted[max(0, s.N-500):] {
		fmt.Fprintf(&b, `<rect class="dot" x="%.2f" y="3.5" width=".3" height="3"/>`, x(v)-0.15)
	}
	fmt.Fprintf(&b, `<rect class="middle" x="%.2f" y="0" width=".4" height="10"/></svg>`, x(rank(0.5))-0.2)
	s.Strip = template.HTML(b.String())
	return s
}
