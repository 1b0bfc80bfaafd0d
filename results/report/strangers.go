package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"coup/checker/strangers"
	"coup/harness"
)

// strangerTable is what strangers tried.
type strangerTable struct {
	Summary string
	Rows    []strangerRow
}

// strangerRow is one way to come in.
type strangerRow struct {
	strangers.Way
	Words string   // what they came with
	Said  []string // what refusals said, the most frequent first
}

func (t *strangerTable) fill(results []harness.Result) {
	for _, r := range results {
		if name, _, _ := strings.Cut(r.Checker, " ("); name != (strangers.Checker{}).Name() {
			continue
		}
		var d strangers.Details
		if !details(results, r.Checker, &d) {
			continue
		}
		t.Summary = r.Summary
		for _, w := range d.Ways {
			said := slices.SortedFunc(maps.Keys(w.Answers), func(a, b string) int {
				return cmp.Or(cmp.Compare(w.Answers[b], w.Answers[a]), cmp.Compare(a, b))
			})
			for i, text := range said {
				said[i] = text + ": " + count(w.Answers[text])
			}
			t.Rows = append(t.Rows, strangerRow{Way: w, Words: strangers.Words(w.Way), Said: said})
		}
	}
}
