package raftnode

import (
	"sync/atomic"
	"time"
)

// wallLease is the time until which no other node can become leader, because a majority
// has heard from this one and will not vote before. Only lease-wall-clock trusts it: it
// goes by the wall clock, which can be set back.
type wallLease struct{ until atomic.Int64 } // Unix nanoseconds

// extend notes that a majority was asked at since and answered.
func (l *wallLease) extend(since time.Time, lasts time.Duration) {
	l.until.Store(since.UnixNano() + int64(lasts))
}

func (l *wallLease) holds() bool { return time.Now().UnixNano() < l.until.Load() }
