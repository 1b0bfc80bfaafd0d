package nightly

import (
	"cmp"
	"slices"
)

// inOrder puts the runs of cells in the order of what nights before have taught: cells
// that must run, cells that are new or whose plan has changed, cells that were not as
// expected when last seen, then those that were unseen for longest. Before any cell is run a
// second time, each has been run once.
func inOrder(cells []Cell, must []string, past []Report) []job {
	type seen struct {
		night int // of the last one in which it ran; -1: none
		class Class
		plan  string
	}
	last := map[string]seen{}
	for i, night := range past {
		for _, o := range night.Outcomes {
			if o.Class != NotRun {
				last[o.Cell] = seen{i, o.Class, o.Digest}
			}
		}
	}
	urgency := func(c Cell) int {
		s, known := last[c.Name]
		switch {
		case anyMatches(must, c.Name):
			return 0
		case !known || s.plan != digest(c.Plan, c.Node):
			return 1
		case s.class != Expected && s.class != KnownFailure:
			return 2
		default:
			return 3 + s.night // the longest unseen first
		}
	}
	sorted := slices.Clone(cells)
	slices.SortStableFunc(sorted, func(a, b Cell) int { return cmp.Compare(urgency(a), urgency(b)) })
	var jobs []job
	for run := 1; ; run++ {
		before := len(jobs)
		for _, c := range sorted {
			if run <= len(c.Seeds) {
				jobs = append(jobs, job{c, run})
			}
		}
		if len(jobs) == before {
			return jobs
		}
	}
}
