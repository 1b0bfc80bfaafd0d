package nightly

import (
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"coup/checker/conduct"
	"coup/judge"
	"coup/plan"
	"coup/results"
	"coup/results/report"
)

// Comparison is what runs have and have not in common.
type Comparison struct {
	Runs []Compared
	// Rows have a name and a value of each run: first the words of the plans that differ, then figures.
	Rows [][]string
}

// Compared is one run of a comparison.
type Compared struct {
	Dir     string
	Verdict judge.Verdict
	Seconds []conduct.AvailableSecond // from the beginning of the load
	Figures Figures
}

// Compare reads the directories of runs.
func Compare(dirs []string) (Comparison, error) {
	var c Comparison
	var words []map[string]string
	for _, dir := range dirs {
		run := Compared{Dir: dir}
		var stored plan.Stored
		if err := results.ReadJSON(dir, results.PlanFile, &stored); err != nil {
			return c, &InputError{err}
		}
		if err := results.ReadJSON(dir, results.VerdictFile, &run.Verdict); err != nil {
			return c, &InputError{err}
		}
		run.Figures = figuresOf(run.Verdict)
		for _, r := range run.Verdict.Results {
			var d conduct.AvailabilityDetails
			if b, err := json.Marshal(r.Details); err == nil && r.Checker == (conduct.Availability{}).Name() && json.Unmarshal(b, &d) == nil {
				run.Seconds = d.Seconds
			}
		}
		its := map[string]string{"coup": stored.Coup, "release": stored.Release, "processors": fmt.Sprint(stored.CPUs)}
		var asWords map[string]any
		b, err := json.Marshal(stored.Plan)
		if err == nil {
			err = json.Unmarshal(b, &asWords)
		}
		if err != nil {
			return c, err
		}
		for k, v := range asWords {
			text, err := json.Marshal(v)
			if its[k] = strings.Trim(string(text), `"`); err != nil || len(its[k]) > 200 { // a schedule, or a list of operations
				its[k] = fmt.Sprintf("%d bytes, %s", len(its[k]), digest(v))
			}
		}
		c.Runs, words = append(c.Runs, run), append(words, its)
	}
	row := func(name string, of func(i int) string) []string {
		r := []string{name}
		for i := range c.Runs {
			r = append(r, of(i))
		}
		return r
	}
	names := map[string]bool{}
	for _, its := range words {
		for name := range its {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		r := row(name, func(i int) string { return words[i][name] })
		if len(slices.Compact(slices.Clone(r[1:]))) > 1 {
			c.Rows = append(c.Rows, r)
		}
	}
	c.Rows = append(c.Rows, row("verdict", func(i int) string { return c.Runs[i].Verdict.Valid.String() }),
		row("acknowledged", func(i int) string { return fmt.Sprint(c.Runs[i].Figures.OK) }),
		row("faults with an effect", func(i int) string { return fmt.Sprint(c.Runs[i].Figures.Bit) }),
		row("changes of leader", func(i int) string { return fmt.Sprint(c.Runs[i].Figures.Changes) }))
	for _, m := range metrics {
		c.Rows = append(c.Rows, row(m.Name, func(i int) string {
			if v := m.of(c.Runs[i].Figures); v == v {
				return m.write(v)
			}
			return "-"
		}))
	}
	return c, nil
}

var comparePage = template.Must(template.New("compare").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{{.Policy}}"><title>{{len .Runs}} runs compared</title><style>{{.Style}}</style></head>
<body><header class="top"><span class="name">coup compare</span></header><main>
<section><h2>Operations that succeeded, each second <small>up to {{.Most}}</small></h2>{{.Curves}}
<ul class="around">{{range $i, $r := .Runs}}<li class="curve-{{$i}}"><b>{{index $.Signs $i}}</b> <code>{{$r.Dir}}</code>: {{$r.Verdict.Sentence}}</li>{{end}}</ul></section>
<section><h2>What differs, and figures</h2><div class="scroll"><table><thead><tr><th>{{range .Signs}}<th>{{.}}{{end}}</tr></thead>
<tbody>{{range .Rows}}<tr>{{range $i, $v := .}}{{if $i}}<td>{{$v}}{{else}}<th>{{$v}}{{end}}{{end}}</tr>{{end}}</tbody></table></div></section>
</main></body></html>
`))

// colours of curves, of Okabe and Ito's palette; each has a letter as well.
var colours = []string{"#0072b2", "#c54e00", "#00805f", "#a03f7c", "#8a6100", "#5a4fb0"}

// WritePage writes the comparison as a page, with the curves over each other.
func (c Comparison) WritePage(w io.Writer) error {
	style, err := report.Style()
	if err != nil {
		return err
	}
	longest, most := 1, 1
	for _, r := range c.Runs {
		longest = max(longest, len(r.Seconds))
		for _, s := range r.Seconds {
			most = max(most, s.OK)
		}
	}
	const wide, high = 1000, 260
	var curves, css strings.Builder
	fmt.Fprintf(&curves, `<svg class="curves" viewBox="0 0 %d %d" width="100%%" role="img" aria-label="successes each second">`, wide, high)
	signs := []string{}
	for i, r := range c.Runs {
		colour := colours[i%len(colours)]
		signs = append(signs, string(rune('A'+i%26)))
		fmt.Fprintf(&css, ".curve-%d b { color: %s } .curves .curve-%d { fill: none; stroke: %s; stroke-width: 1.5 }\n", i, colour, i, colour)
		var d strings.Builder
		for j, s := range r.Seconds {
			fmt.Fprintf(&d, "%c%d %d", "ML"[min(j, 1)], wide*j/longest, high-high*s.OK/most)
		}
		fmt.Fprintf(&curves, `<path class="curve-%d" d="%s"/>`, i, d.String())
	}
	curves.WriteString("</svg>")
	style += css.String()
	return comparePage.Execute(w, map[string]any{"Runs": c.Runs, "Rows": c.Rows, "Signs": signs, "Most": most, "Curves": template.HTML(curves.String()), // numbers alone
		"Style": template.CSS(style), "Policy": report.Policy(style, "")})
}

// Header is the first row of a table of the comparison.
func (c Comparison) Header() []string {
	all := []string{""}
	for _, r := range c.Runs {
		all = append(all, filepath.Base(filepath.Clean(r.Dir)))
	}
	return all
}
