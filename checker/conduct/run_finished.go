package conduct

import (
	"context"
	"fmt"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Finished checks that the run came to its end: after the load everything was healed,
// the system served again, and every object was read once more. Otherwise the run is
// unknown: what was lost may be in an object that nobody read.
type Finished struct{}

// FinishedDetails are the Details of [Finished].
type FinishedDetails struct {
	Objects int      `json:"objects"` // that the load has used
	Unseen  []string `json:"unseen"`  // those that could not be looked at in the end
}

// Name implements [harness.Checker].
func (Finished) Name() string { return "finished" }

// Judges implements [harness.Judging].
func (Finished) Judges() harness.Subject { return harness.TheTest }

// Check implements [harness.Checker].
func (Finished) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "finished", Valid: harness.Unknown}
	var last, final, stuck, unhealed *harness.Event
	interrupted := false
	for i := range h.Events {
		if e := &h.Events[i]; e.Kind == harness.StuckEvent {
			stuck = e
		} else if e.Kind == harness.UnhealedEvent {
			unhealed = e
		} else if e.Kind == harness.InterruptEvent {
			interrupted = true
		} else if e.Kind == harness.PhaseEvent {
			last = e
			if e.Enters(harness.PhaseFinal) {
				final = e
			}
			if e.Enters(harness.PhaseDone) {
				break
			}
		}
	}
	switch {
	case stuck != nil:
		r.Summary = "The run could not go on. " + stuck.Message + "."
		return r, nil
	case len(h.Events) == 0:
		r.Summary = "There is no event of the run (events.jsonl), so nobody knows what was done to the nodes, and whether the run came to its end."
		return r, nil
	case last == nil:
		r.Summary = "The run ended before it began."
		return r, nil
	case !last.Enters(harness.PhaseDone) || final == nil:
		r.Summary = fmt.Sprintf("The run did not finish: it ended in the phase %q, which began at %s.", last.Message, story.Seconds(last.Time))
		return r, nil
	}
	seen := map[string]bool{}
	var order []string
	for i := range h.Operations {
		op := &h.Operations[i]
		if _, known := seen[op.Key]; !known {
			order = append(order, op.Key)
			seen[op.Key] = false
		}
		if op.Start >= final.Time && op.Type == harness.OK && !leftMore(op) {
			seen[op.Key] = true
		}
	}
	d := FinishedDetails{Objects: len(order), Unseen: []string{}}
	for _, key := range order {
		if !seen[key] {
			d.Unseen = append(d.Unseen, key)
		}
	}
	r.Details = d
	switch {
	case interrupted: // a job that was cancelled must not pass for one that was done
		r.Summary = "The run was interrupted before its load was over."
	case unhealed != nil:
		r.Summary = fmt.Sprintf("Not everything could be healed after the load: %s.", unhealed.Message)
	case len(d.Unseen) == 0:
		r.Valid = harness.Valid
		r.Summary = fmt.Sprintf("After everything was healed, every one of %s was looked at once more.", story.Plural(d.Objects, "object"))
	case len(d.Unseen) == d.Objects:
		r.Summary = fmt.Sprintf("After everything was healed, no operation succeeded in the %s that were left for it.", story.Seconds(last.Time-final.Time))
	default:
		r.Summary = fmt.Sprintf("After everything was healed, %d of %s could not be looked at: %s.", len(d.Unseen), story.Plural(d.Objects, "object"), story.List(d.Unseen))
	}
	return r, nil
}

// leftMore reports whether op took an element out of a queue. Then the queue may hold
// more; only a dequeue that finds it empty has seen all of it.
func leftMore(op *harness.Operation) bool {
	v, ok := op.Output.(model.Maybe)
	_, f := harness.Function(op.F)
	return f == "dequeue" && ok && v.Set
}
