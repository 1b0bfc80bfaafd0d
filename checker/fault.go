package checker

import (
	"slices"
	"time"

	"coup/harness"
)

// fault is what the events tell of one fault.
type fault struct {
	harness.Event // its first event
	Start         time.Duration
	Hold          time.Duration // -1: never seen to bite
	End           time.Duration // the end of the run if it never ended
	Missed        string        // why it did not bite, if it did not
	skipped       bool          // there was nobody to do it, or to do it to
	ended         bool
	trouble       bool // it was not healed when it ended
}

// faults gathers the events of each fault, in the order in which they began.
// Faults without an end end at end.
func faults(h *harness.History, end time.Duration) []*fault {
	var fs []*fault
	byID := map[int]*fault{}
	for _, e := range h.Events {
		switch e.Kind {
		case harness.FaultStart, harness.FaultHold, harness.FaultMiss, harness.FaultSkip, harness.FaultEnd:
		default:
			continue
		}
		f := byID[e.ID]
		if f == nil && e.Kind == harness.FaultSkip {
			continue // nothing was begun
		}
		if f == nil {
			f = &fault{Event: e, Start: e.Time, Hold: -1, End: max(end, e.Time)}
			byID[e.ID] = f
			fs = append(fs, f)
		}
		// The victims may be known only once the fault holds.
		if len(f.Nodes) == 0 {
			f.Nodes = e.Nodes
		}
		if len(f.Links) == 0 {
			f.Links = e.Links
		}
		switch e.Kind {
		case harness.FaultHold:
			f.Hold = e.Time
		case harness.FaultMiss:
			f.Missed = e.Message
			if f.Missed == "" {
				f.Missed = "no reason was given"
			}
		case harness.FaultSkip:
			f.skipped = true
		case harness.FaultEnd:
			f.End, f.ended, f.trouble = e.Time, true, e.Message != ""
		}
	}
	return fs
}

// touches says whether node is a victim of the fault.
func (f *fault) touches(node string) bool {
	return slices.Contains(f.Nodes, node) || slices.ContainsFunc(f.Links, func(l harness.Link) bool {
		return l.From == node || l.To == node
	})
}

// until is when the fault was over: one that was not healed when it ended is in
// force up to the time healed.
func (f *fault) until(healed time.Duration) time.Duration {
	if f.trouble {
		return healed
	}
	return f.End
}

// between are the stretches of [from, to] in which none of the faults, which are
// in the order in which they began, is in force; until says when each is over.
func between(all []*fault, from, to time.Duration, until func(*fault) time.Duration) (stretches []Gap) {
	for _, f := range all {
		if f.Start > to {
			break
		}
		if f.Start > from {
			stretches = append(stretches, Gap{from, f.Start})
		}
		from = max(from, until(f))
	}
	if from < to {
		stretches = append(stretches, Gap{from, to})
	}
	return stretches
}
