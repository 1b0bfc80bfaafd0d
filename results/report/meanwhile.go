package report

import (
	"fmt"
	"strings"

	"coup/checker/conduct"
)

// sayMeanwhile says in plain words how the service fared while things were broken, for a
// reader who reads nothing else: whether somebody else took the lead, for how long nothing
// worked, and whether those who were cut off went on answering (availability) or kept to
// what is true (consistency). "" if nothing was broken.
func sayMeanwhile(in *Input, p *page) string {
	if len(p.Data.Faults) == 0 {
		return ""
	}
	var said []string
	if n := len(p.Changes.Rows); n > 0 {
		said = append(said, "The lead changed "+plural(n, "time")+".")
	} else if p.Changes.Known {
		said = append(said, "The leader never changed.")
	}
	if g := p.Gap.Length(); g > 0 {
		said = append(said, "The longest time in which no operation succeeded was "+span(g)+".")
	}
	var d conduct.PartitionDetails
	details(in.Verdict.Results, conduct.Partitions{}.Name(), &d)
	if s := sayCutOff(d); s != "" {
		said = append(said, s)
	}
	return strings.Join(said, " ")
}

// sayCutOff says what the smaller sides of partitions kept. Sides that nobody asked for
// anything tell nothing.
func sayCutOff(d conduct.PartitionDetails) string {
	var asked, answered, sides, wrong, open int
	for _, partition := range d.Partitions {
		for _, s := range partition.Sides {
			if n := s.Reads.All() + s.Updates.All(); !s.Majority && n > 0 {
				asked += n
				answered += s.Reads.OK + s.Updates.OK
				sides++
				switch s.Agrees {
				case conduct.Contradicts:
					wrong++
				case conduct.NotDecided:
					open++
				}
			}
		}
	}
	switch {
	case sides == 0:
		return ""
	case answered == 0:
		return fmt.Sprintf("Nodes that were cut off from the majority answered none of %s: they gave up availability, and kept consistency.", plural(asked, "operation"))
	case wrong == 0 && open > 0:
		return fmt.Sprintf("Nodes that were cut off from the majority answered %s of %s; whether that contradicts the rest was not decided.", count(answered), plural(asked, "operation"))
	case wrong == 0:
		return fmt.Sprintf("Nodes that were cut off from the majority answered %s of %s, and nothing that they answered contradicts the rest.", count(answered), plural(asked, "operation"))
	}
	return fmt.Sprintf("Nodes that were cut off from the majority answered %s of %s, and contradict the rest in %s of %s: they kept availability, and gave up consistency.",
		count(answered), plural(asked, "operation"), count(wrong), plural(sides, "case"))
}
