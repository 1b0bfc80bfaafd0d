// Package timeline reads the events of a run: which faults were in force when,
// who led in which term, when the load began and ended, and in which stretches
// nothing was broken. Checkers and the report read a run through it, so that they
// cannot disagree.
//
// Start with [Faults], [RolesOf] and [Quiet]. The functions only read the
// history, so several goroutines may call them with the same one. All times are
// durations since the start of the run.
package timeline

import (
	"time"

	"coup/harness"
)

// Stretch is a part of a run. As JSON its ends are nanoseconds since the start
// of the run.
type Stretch struct {
	From time.Duration `json:"from"`
	To   time.Duration `json:"to"`
}

// Length is how long the stretch lasted.
func (s Stretch) Length() time.Duration { return s.To - s.From }

// LastEvent is the time of the last event, 0 if there is none.
func LastEvent(h *harness.History) time.Duration {
	if n := len(h.Events); n > 0 {
		return h.Events[n-1].Time
	}
	return 0
}
