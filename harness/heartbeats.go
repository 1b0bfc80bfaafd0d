package harness

import "time"

// Heartbeats sum up the heartbeats of a leader in a term that a node received, in a part of
// the run. They belong to an event of the kind [HeartbeatsEvent], whose time the lengths
// From and Last count back from. A node tells of them from time to time, so the parts of a
// long run are few.
type Heartbeats struct {
	// Due is how long after the one before a heartbeat is sent at the latest, by the node's
	// configuration.
	Due  time.Duration `json:"due"`
	From time.Duration `json:"from"` // the heartbeat from which the first interval counts arrived so long ago
	Last time.Duration `json:"last"` // the newest one arrived so long ago
	// Silent is, of the first part of a leader, how long before its first heartbeat the last
	// one of the leader before had arrived; 0: this is no first part, or there was none.
	Silent time.Duration `json:"silent,omitempty"`
	// Intervals are how long it took from one heartbeat to the next, and how often. They may be
	// rounded, by less than the differences that matter: to a 200th of Due or so.
	Intervals map[time.Duration]int `json:"intervals,omitempty"`
	Longest   time.Duration         `json:"longest,omitempty"` // of the intervals, exact
	Recent    []time.Duration       `json:"recent,omitempty"`  // the newest intervals of this leader in this term, oldest first, exact
}

// MissedHeartbeats is how many heartbeats were missed in an interval: it is as long as so many
// that are due, less the one that ended it. None is missed in one shorter than twice what is due.
func MissedHeartbeats(interval, due time.Duration) int {
	if due <= 0 {
		return 0
	}
	return max(0, int(interval/due)-1)
}
