package nightly

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// metric is a figure of a cell that is followed over nights.
type metric struct {
	Name  string
	Short string
	of    func(Figures) float64 // NaN: there is none
	log   bool                  // what counts is by which factor it changes; else by how much
	more  bool                  // more of it is better
	write func(float64) string
}

var metrics = []metric{
	{"failover, median", "failover", func(f Figures) float64 { return orNaN(f.median()) }, true, false, inSeconds},
	{"failover, p99", "p99", func(f Figures) float64 { return orNaN(f.p99()) }, true, false, inSeconds},
	{"longest outage", "outage", func(f Figures) float64 { return orNaN(f.Outage) }, true, false, inSeconds},
	{"operations a second", "ok/s", Figures.throughput, true, true, func(v float64) string { return fmt.Sprintf("%.0f/s", v) }},
	{"share of unknown", "unknown", Figures.doubt, false, false, func(v float64) string { return fmt.Sprintf("%.1f%%", 100*v) }},
}

func orNaN(v float64) float64 {
	if v <= 0 {
		return math.NaN()
	}
	return v
}

const (
	mostNights = 60 // that the page shows
	// The probabilities with which a night shows a change by chance in any of the series
	// of systems, and of cells. Those are fewer values, of which some are far off.
	alphaSystems = 0.05
	alphaCells   = 0.01
	// Smaller changes are no news: by a factor, or in points.
	leastFactor = 1.1
	leastPoints = 0.02
)

// trend is a series over nights: of a cell, or of all cells of a system.
type trend struct {
	Name   string
	Metric metric
	Values []float64 // a night each, NaN: none. Of a system, relative to what was usual for each cell
	Marks  []mark
}

// mark is a change in a trend.
type mark struct {
	At     int // the night
	Before float64
	After  float64
	Worse  bool
}

// trends are the series of cells and of systems over the last nights, tonight included.
type trends struct {
	Nights  []string // their ids
	Classes map[string][]Class
	Cells   map[string][]trend // by cell, in the order of metrics
	Systems []trend
}

// trendsOf gathers the trends.
func trendsOf(tonight Report, past []Report) trends {
	nights := append(slices.Clone(past), tonight)
	nights = nights[max(0, len(nights)-mostNights):]
	t := trends{Classes: map[string][]Class{}, Cells: map[string][]trend{}}
	found := map[string][]*Outcome{} // by cell, a night each
	for i := range nights {
		t.Nights = append(t.Nights, nights[i].ID)
		for j := range nights[i].Outcomes {
			o := &nights[i].Outcomes[j]
			if found[o.Cell] == nil {
				found[o.Cell] = make([]*Outcome, len(nights))
			}
			found[o.Cell][i] = o
		}
	}
	systems := map[string][][]trend{} // by name, of each cell its trends
	series := len(tonight.Outcomes) * len(metrics)
	for _, o := range tonight.Outcomes {
		classes := make([]Class, len(nights))
		own := make([]trend, len(metrics))
		for m := range metrics {
			own[m] = trend{Name: o.Cell, Metric: metrics[m], Values: make([]float64, len(nights))}
		}
		for i, was := range found[o.Cell] {
			for m := range own {
				own[m].Values[i] = math.NaN()
			}
			if was == nil {
				continue
			}
			classes[i] = was.Class
			if was.Figures.Load == 0 || was.Digest != o.Digest { // another plan has other figures
				continue
			}
			for m := range own {
				own[m].Values[i] = own[m].Metric.of(was.Figures)
			}
		}
		for m := range own {
			own[m].find(alphaCells / float64(series))
		}
		t.Classes[o.Cell], t.Cells[o.Cell] = classes, own
		name := o.System + " " + o.Backend
		systems[name] = append(systems[name], own)
	}
	for name, cells := range systems {
		if len(cells) < 2 {
			continue
		}
		for m := range metrics {
			t.Systems = append(t.Systems, together(name, m, cells, len(nights)))
		}
	}
	for i := range t.Systems {
		t.Systems[i].find(alphaSystems / float64(len(t.Systems)))
	}
	slices.SortStableFunc(t.Systems, func(a, b trend) int { return cmp.Compare(a.Name, b.Name) })
	return t
}

// together is the trend of all cells of a system: the mean of how far each is from what is
// usual for it, which says more than any single one of them.
func together(name string, m int, cells [][]trend, nights int) trend {
	t := trend{Name: name, Metric: metrics[m], Values: make([]float64, nights)}
	sums, counts := make([]float64, nights), make([]int, nights)
	for _, cell := range cells {
		var known []float64
		for _, v := range cell[m].Values {
			if !math.IsNaN(v) {
				known = append(known, v)
			}
		}
		slices.Sort(known)
		if len(known) == 0 || t.Metric.log && rank(known, 0.5) <= 0 {
			continue
		}
		for i, v := range cell[m].Values {
			if !math.IsNaN(v) {
				sums[i] += t.Metric.scaled(v) - t.Metric.scaled(rank(known, 0.5))
				counts[i]++
			}
		}
	}
	for i := range t.Values {
		t.Values[i] = math.NaN()
		if counts[i] > 0 {
			t.Values[i] = t.Metric.unscaled(sums[i] / float64(counts[i]))
		}
	}
	return t
}

// scaled is a value on the scale on which differences count.
func (m metric) scaled(v float64) float64 {
	if m.log {
		return math.Log(math.Max(v, 1e-3))
	}
	return v
}

func (m metric) unscaled(v float64) float64 {
	if m.log {
		return math.Exp(v)
	}
	return v
}

// find marks the changes of a trend.
func (t *trend) find(alpha float64) {
	var xs []float64
	var at []int
	for i, v := range t.Values {
		if !math.IsNaN(v) {
			xs, at = append(xs, t.Metric.scaled(v)), append(at, i)
		}
	}
	for _, c := range changes(xs, alpha) {
		apart := math.Abs(c.After - c.Before)
		if t.Metric.log && apart < math.Log(leastFactor) || !t.Metric.log && apart < leastPoints {
			continue
		}
		t.Marks = append(t.Marks, mark{at[c.At], t.Metric.unscaled(c.Before), t.Metric.unscaled(c.After), (c.After > c.Before) != t.Metric.more})
	}
}
