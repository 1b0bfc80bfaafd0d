package timeline

import (
	"cmp"
	"slices"
	"time"

	"coup/harness"
)

// Fault is one fault, gathered from its events.
type Fault struct {
	harness.Event // its first event, with the victims once they are known
	Start         time.Duration
	Hold          time.Duration // when it was first known to have an effect; -1: never
	End           time.Duration // when it was healed; if it never was, the end that [Faults] was given
	Evidence      string        // of its effect, or why it had none or was skipped
	Missed        string        // why it had no effect, "" if it had one
	Skipped       bool          // there was no victim, or no leader to carry it out
	Ended         bool          // an event says when it ended
	Trouble       string        // why it could not be healed when it ended, "" if it could
}

// Faults gathers the events of each fault, in the order in which the faults
// began. A fault that never ended ends at end, or when it began if that is later.
// Faults that were only skipped, of which nothing was begun, are left out.
func Faults(h *harness.History, end time.Duration) []*Fault {
	return slices.DeleteFunc(AllFaults(h, end), func(f *Fault) bool { return f.Kind == harness.FaultSkip })
}

// AllFaults is Faults with those that were only skipped, which end when they begin.
func AllFaults(h *harness.History, end time.Duration) []*Fault {
	var all []*Fault
	byID := map[int]*Fault{}
	for _, e := range h.Events {
		switch e.Kind {
		case harness.FaultStart, harness.FaultHold, harness.FaultMiss, harness.FaultSkip, harness.FaultEnd:
		default:
			continue
		}
		f := byID[e.ID]
		if f == nil {
			f = &Fault{Event: e, Start: e.Time, Hold: -1, End: max(end, e.Time)}
			if e.Kind == harness.FaultSkip {
				f.End = e.Time // nothing was begun
			}
			byID[e.ID] = f
			all = append(all, f)
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
			f.Hold, f.Evidence = e.Time, e.Message
		case harness.FaultMiss:
			f.Missed, f.Evidence = cmp.Or(e.Message, "no reason was given"), e.Message
		case harness.FaultSkip:
			f.Skipped, f.Evidence = true, e.Message
		case harness.FaultEnd:
			f.End, f.Ended, f.Trouble = e.Time, true, e.Message
		}
	}
	return all
}

// Touches reports whether node is a victim of the fault, or at either end of a link that
// the fault hit.
func (f *Fault) Touches(node string) bool {
	return slices.Contains(f.Nodes, node) || slices.ContainsFunc(f.Links, func(l harness.Link) bool {
		return l.From == node || l.To == node
	})
}

// Until is when the fault was over. A fault that could not be healed when it ended was
// active until everything was healed: pass that time as healed.
func (f *Fault) Until(healed time.Duration) time.Duration {
	if f.Trouble != "" {
		return healed
	}
	return f.End
}

// WithoutFault returns the stretches between from and to in which none of the
// faults is in force. The faults are in the order in which they began; until says
// when each was over.
func WithoutFault(all []*Fault, from, to time.Duration, until func(*Fault) time.Duration) []Stretch {
	var stretches []Stretch
	for _, f := range all {
		if f.Start > to {
			break
		}
		if f.Start > from {
			stretches = append(stretches, Stretch{from, f.Start})
		}
		from = max(from, until(f))
	}
	if from < to {
		stretches = append(stretches, Stretch{from, to})
	}
	return stretches
}

// Quiet returns the stretches of the run in which no fault was in force, from
// the beginning of the load on. The last one begins when everything was healed
// after the load (the phase "serve", or "final" where there is none) and ends
// with the last operation; healed is when it begins, or -1 if it never did.
func Quiet(h *harness.History) (stretches []Stretch, healed time.Duration) {
	from, _ := Load(h)
	healed = -1
	asked := from // until when clients did
	for i := range h.Operations {
		asked = max(asked, h.Operations[i].Start, h.Operations[i].End)
	}
	end := asked
	over := time.Duration(-1)
	for _, e := range h.Events {
		end = max(end, e.Time)
		switch {
		case e.Enters(harness.PhaseHeal):
			over = e.Time
		case e.Enters(harness.PhaseServe), e.Enters(harness.PhaseFinal) && healed < 0:
			healed = e.Time
		}
	}
	if over < 0 {
		over = end
	}
	stretches = WithoutFault(Faults(h, end), from, over, func(f *Fault) time.Duration {
		return f.Until(over) // what was not healed then was healed in the end
	})
	if healed >= 0 {
		stretches = append(stretches, Stretch{healed, max(healed, asked)})
	}
	return stretches, healed
}

// Unbroken returns the stretches of the run, from the beginning of the load on, in
// which every node runs and can talk to every other one. A change of membership
// breaks that only until it is made. A run without a phase "load" has none.
func Unbroken(h *harness.History) []Stretch {
	from, end := time.Duration(-1), time.Duration(0)
	for _, e := range h.Events {
		if e.Enters(harness.PhaseLoad) {
			from = e.Time
		}
		end = max(end, e.Time)
	}
	if from < 0 {
		return nil
	}
	return WithoutFault(Faults(h, end), from, end, func(f *Fault) time.Duration {
		if f.Fault == "membership" && f.Hold >= 0 {
			return f.Hold // the change is made
		}
		return f.Until(end)
	})
}
