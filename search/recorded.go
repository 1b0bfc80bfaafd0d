package search

import (
	"time"

	"coup/harness"
	"coup/harness/timeline"
	"coup/judge"
)

// tillViolation reads the run in dir, and how long its load lasted until it was
// ended by a violation; 0 if it was not.
func tillViolation(dir string) (after time.Duration, h *harness.History, err error) {
	if _, h, _, err = judge.Read(dir); err != nil {
		return 0, nil, err
	}
	from, _ := timeline.Load(h)
	for _, e := range h.Events {
		if e.Kind == harness.ViolationEvent {
			return e.Time - from, h, nil
		}
	}
	return 0, h, nil
}

// TillFound reads the run in dir, in which a violation was found, and how long the load
// lasted until it was seen: until it ended the load, or as long as the load was, if only
// the checkers saw it.
func TillFound(dir string) (time.Duration, *harness.History, error) {
	after, h, err := tillViolation(dir)
	if err != nil || after > 0 {
		return after, h, err
	}
	from, to := timeline.Load(h)
	return to - from, h, nil
}

// lasted is how long a recorded run took, by its own clock.
func lasted(dir string) (time.Duration, error) {
	_, h, _, err := judge.Read(dir)
	if err != nil {
		return 0, err
	}
	return timeline.LastEvent(h), nil
}
