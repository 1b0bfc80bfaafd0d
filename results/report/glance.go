package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/harness"
)

// verdict is what the top of the page says.
type verdict struct {
	Class    string // valid, invalid, unknown
	Word     string
	Sentence string
	Why      []string
	// Meanwhile says how the service fared while things were broken.
	Meanwhile string
}

// figure is one of the run's numbers at a glance.
type figure struct {
	Name, Value, Note string
}

func sayVerdict(in *Input, p *page, end time.Duration) verdict {
	v := verdict{Class: in.Verdict.Valid.String(), Meanwhile: sayMeanwhile(in, p)}
	switch in.Verdict.Valid {
	case harness.Valid:
		v.Word, v.Sentence = "Valid", "The system kept its promise"
		with := "without faults"
		if n := len(p.Data.Faults); n > 0 {
			with = "with " + plural(n, "fault")
		}
		v.Sentence += ": in " + span(end) + " " + with + ", no client saw anything that a correct system could not have shown."
		v.Why = in.Verdict.Reasons
		return v
	case harness.Invalid:
		v.Word, v.Sentence = "Invalid", "The system broke its promise, and here is the proof."
		if len(p.Proofs) == 0 {
			v.Sentence = "The system broke its promise."
		}
	default:
		v.Word, v.Sentence = "Unknown", "It could not be decided whether the system kept its promise. Do not take this run for valid."
	}
	v.Why = append(v.Why, in.Verdict.Reasons...)
	for _, r := range in.Verdict.Results {
		said := slices.ContainsFunc(v.Why, func(why string) bool { return strings.Contains(why, r.Summary) })
		if r.Valid == in.Verdict.Valid && r.Summary != "" && !said {
			v.Why = append(v.Why, r.Checker+": "+r.Summary)
		}
	}
	return v
}

func gatherFigures(in *Input, p *page) []figure {
	var ok, fail, info int
	var latencies []time.Duration
	for i := range in.Operations {
		switch op := &in.Operations[i]; op.Type {
		case harness.OK:
			ok++
			latencies = append(latencies, op.Latency())
		case harness.Fail:
			fail++
		default:
			info++
		}
	}
	// The checker "ran" counts those of the load; the last look is no load.
	figures := []figure{{"Operations, with the last look", count(len(in.Operations)),
		fmt.Sprintf("%s ok · %s fail · %s info", count(ok), count(fail), count(info))}}
	if len(latencies) > 0 {
		slices.Sort(latencies)
		at := func(p float64) string { return millis(percentile(latencies, p)) }
		figures = append(figures, figure{"Latency, median", at(0.5), "p99 " + at(0.99) + " · max " + at(1)})
	}
	if g := p.Gap; g.Length() > 0 {
		figures = append(figures, figure{"Longest time without success", span(g.Length()), "from " + clock(g.From) + " to " + clock(g.To)})
	}
	if p.Changes.Known {
		figures = append(figures, p.Changes.figure())
	}
	missed, skipped := 0, 0
	for _, f := range p.Faults {
		switch {
		case f.Skipped:
			skipped++
		case f.Missed != "":
			missed++
		}
	}
	tried := len(p.Faults) - skipped
	note := "all of them bit"
	switch {
	case tried == 0:
		note = "the nemesis did nothing"
	case missed > 0:
		note = count(tried-missed) + " bit · " + count(missed) + " did not"
	}
	if skipped > 0 {
		note += " · " + count(skipped) + " skipped"
	}
	return append(figures, figure{"Faults", count(tried), note})
}
