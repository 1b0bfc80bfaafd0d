package nightly

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"coup/results"
	"coup/results/report"
)

//go:embed page.html.tmpl page.css page.js
var files embed.FS

var pageTemplate = template.Must(template.ParseFS(files, "page.html.tmpl"))

// page is what the template shows.
type page struct {
	Report
	Policy  string
	Style   template.CSS
	Script  template.JS
	Word    string
	Mood    string
	Why     []string
	Took    string
	Part    string
	Alpha   string
	Counts  []pageCount
	News    []pageCell
	Known   []pageKnown
	Columns []string
	Rows    []pageRow
	Systems []pageTrend
	Figures []string
	Lines   []pageCell
	Nights  int
}

// Expectation says what was expected of a cell.
func (page) Expectation(why string) string { return "otherwise: " + why }

type pageCount struct {
	Class Class
	N     int
	Style string
	Sign  string
}

type pageKnown struct {
	KnownState
	Web bool // its link is an address
}

type pageRow struct {
	Name   string
	Fields [][]pageCell
}

type pageCell struct {
	Cell, Says, Why, Anchor, Style, Sign, Lower string
	Class                                       Class
	Runs, Wanted, OK, More                      int
	Failures                                    []pageFailure
	Strip                                       template.HTML
	Trends                                      []pageTrend
	Marks                                       []string
}

type pageFailure struct {
	Seed                              uint64
	Fingerprint, Triage, Dir, Command string
	Report, Smallest, Traced          string
}

type pageTrend struct {
	Name, Figure, Value string
	Line                template.HTML
	Marks               []string
}

const (
	mostWhy      = 12 // reasons on top of the page; all are in status.json
	mostFailures = 5  // of a cell
)

// writePage writes the page of a night.
func writePage(w io.Writer, r Report, t trends) error {
	style, err := report.Style()
	if err != nil {
		return err
	}
	own, err := files.ReadFile("page.css")
	if err != nil {
		return err
	}
	script, err := files.ReadFile("page.js")
	if err != nil {
		return err
	}
	style += string(own)
	p := page{Report: r, Policy: report.Policy(style, string(script)), Style: template.CSS(style), Script: template.JS(script),
		Why: r.Status.Why, Nights: len(t.Nights), Alpha: fmt.Sprintf("%g%%", 100*alphaSystems)}
	p.Word, p.Mood = map[int]string{CodeGreen: "green", CodeNews: "news", CodeUnknown: "unknown", CodeError: "error"}[r.Status.Code], map[int]string{CodeGreen: "green", CodeNews: "news"}[r.Status.Code]
	if p.Mood == "" {
		p.Mood = "doubt"
	}
	if n := len(p.Why) - mostWhy; n > 0 {
		p.Why = append(slices.Clone(p.Why[:mostWhy]), fmt.Sprintf("and %d more, in status.json", n))
	}
	if !r.Ended.IsZero() {
		p.Took = r.Ended.Sub(r.Began).Round(time.Second).String()
	}
	if r.Shards > 0 {
		p.Part = fmt.Sprintf("shard %d of %d", r.Shard, r.Shards)
	}
	for _, c := range Classes {
		if n := r.Status.Counts[c]; n > 0 {
			p.Counts = append(p.Counts, pageCount{c, n, styleOf(c), signOf(c)})
		}
	}
	for _, k := range r.Known {
		p.Known = append(p.Known, pageKnown{k, isWeb(k.Link)})
	}
	for _, m := range metrics {
		p.Figures = append(p.Figures, m.Short)
	}
	for i, o := range r.Outcomes {
		c := cellOf(i, o, t)
		p.Lines = append(p.Lines, c)
		if slices.Contains([]Class{New, Flaky, Gone, Broken, Unproved}, o.Class) {
			p.News = append(p.News, c)
		}
	}
	slices.SortStableFunc(p.News, func(a, b pageCell) int { return slices.Index(Classes, a.Class) - slices.Index(Classes, b.Class) })
	p.heat()
	for _, s := range t.Systems {
		if len(t.Nights) > 1 {
			p.Systems = append(p.Systems, pageTrend{Name: s.Name, Figure: s.Metric.Name, Line: lineOf(s, 3), Marks: s.told(t.Nights, true)})
		}
	}
	return pageTemplate.Execute(w, p)
}

func styleOf(c Class) string { return strings.ReplaceAll(string(c), " ", "-") }

// signOf tells a class without its colour.
func signOf(c Class) string {
	return map[Class]string{New: "!", Flaky: "~", Gone: "0", Broken: "×", Unproved: "?", NotRun: "–", KnownFailure: "k", Expected: "✓"}[c]
}

func isWeb(link string) bool {
	u, err := url.Parse(link)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

func cellOf(i int, o Outcome, t trends) pageCell {
	c := pageCell{Cell: o.Cell, Says: o.Says, Why: o.Why, Anchor: fmt.Sprintf("cell-%d", i+1), Style: styleOf(o.Class), Sign: signOf(o.Class), Lower: strings.ToLower(o.Cell),
		Class: o.Class, Runs: o.Runs, Wanted: o.Wanted, OK: o.Figures.OK, Strip: stripOf(t.Classes[o.Cell])}
	for j, f := range o.Failures {
		if j == mostFailures {
			c.More = len(o.Failures) - j
			break
		}
		shown := pageFailure{Seed: f.Seed, Fingerprint: f.Fingerprint, Triage: f.Triage.String(), Dir: f.Dir, Command: f.Command}
		if f.Dir != "" && f.Error == "" {
			shown.Report = path.Join(f.Dir, results.ReportFile)
		}
		if f.Triage != nil && f.Triage.Smallest != "" {
			shown.Smallest = path.Join(f.Triage.Smallest, results.ReportFile)
		}
		if f.Triage != nil && f.Triage.Traced != "" {
			shown.Traced = path.Join(f.Triage.Traced, results.ReportFile)
		}
		c.Failures = append(c.Failures, shown)
	}
	for _, own := range t.Cells[o.Cell] {
		v := own.Metric.of(o.Figures)
		shown := pageTrend{Value: "–", Line: lineOf(own, 1)}
		if !math.IsNaN(v) && o.Figures.Load > 0 {
			shown.Value = own.Metric.write(v)
		}
		c.Trends = append(c.Trends, shown)
		c.Marks = append(c.Marks, own.told(t.Nights, false)...)
	}
	return c
}

// told are the changes of a trend in words.
func (t trend) told(nights []string, relative bool) (all []string) {
	for _, m := range t.Marks {
		word := "better"
		if m.Worse {
			word = "worse"
		}
		before, after := t.Metric.write(m.Before), t.Metric.write(m.After)
		if relative && t.Metric.log {
			before, after = fmt.Sprintf("%.0f%%", 100*m.Before), fmt.Sprintf("%.0f%%", 100*m.After)
		} else if relative {
			before, after = fmt.Sprintf("%+.1f%%", 100*m.Before), fmt.Sprintf("%+.1f%%", 100*m.After)
		}
		all = append(all, fmt.Sprintf("%s %s since %s: %s → %s", t.Metric.Name, word, nights[m.At], before, after))
	}
	return all
}

// heat fills the matrix of tonight: systems and backends by workloads and faults.
func (p *page) heat() {
	fields := map[string]map[string][]pageCell{}
	var rows []string
	for i, o := range p.Outcomes {
		row := strings.TrimSpace(o.System + " " + o.Backend)
		column := strings.TrimSpace(o.Workload + " " + strings.Join(o.Faults, " "))
		if o.Class == Broken {
			row, column = "in error", ""
		}
		if fields[row] == nil {
			fields[row] = map[string][]pageCell{}
			rows = append(rows, row)
		}
		if !slices.Contains(p.Columns, column) {
			p.Columns = append(p.Columns, column)
		}
		c := p.Lines[i]
		c.Trends, c.Strip = nil, ""
		fields[row][column] = append(fields[row][column], c)
	}
	slices.Sort(p.Columns)
	for _, row := range rows {
		r := pageRow{Name: row}
		for _, column := range p.Columns {
			r.Fields = append(r.Fields, fields[row][column])
		}
		p.Rows = append(p.Rows, r)
	}
}

// stripOf draws the classes of a cell, a column for each night. What it writes is numbers
// and the names of classes alone.
func stripOf(classes []Class) template.HTML {
	if len(classes) == 0 {
		return ""
	}
	const high = 14
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="strip" width="%d" height="%d" role="img" aria-label="classes of %d nights">`, 3*len(classes), high, len(classes))
	for _, c := range Classes {
		var d strings.Builder
		for i := 0; i < len(classes); i++ {
			if classes[i] != c {
				continue
			}
			from := i
			for i+1 < len(classes) && classes[i+1] == c {
				i++
			}
			fmt.Fprintf(&d, "M%d 0h%dv%dh-%dz", 3*from, 3*(i-from+1), high, 3*(i-from+1))
		}
		if d.Len() > 0 {
			fmt.Fprintf(&b, `<path class="k-%s" d="%s"/>`, styleOf(c), d.String())
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// lineOf draws a trend, and its changes. What it writes is numbers alone.
func lineOf(t trend, size int) template.HTML {
	lo, hi := math.Inf(1), math.Inf(-1)
	n := 0
	for _, v := range t.Values {
		if !math.IsNaN(v) {
			lo, hi = math.Min(lo, v), math.Max(hi, v)
			n++
		}
	}
	if n < 2 {
		return ""
	}
	high := 20 * size
	wide := 2 * size * len(t.Values)
	var d strings.Builder
	pen := "M"
	for i, v := range t.Values {
		if math.IsNaN(v) {
			pen = "M"
			continue
		}
		y := high / 2
		if hi > lo {
			y = int(math.Round(float64(high) * (hi - v) / (hi - lo)))
		}
		fmt.Fprintf(&d, "%s%d %d", pen, 2*size*i, y)
		pen = "L"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="line" width="%d" height="%d" role="img" aria-label="trend"><path d="%s"/>`, wide, high, d.String())
	for _, m := range t.Marks {
		class := "better"
		if m.Worse {
			class = "worse"
		}
		fmt.Fprintf(&b, `<path class="%s" d="M%d 0v%d"/>`, class, 2*size*m.At-size, high)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}
