package machine

import (
	"time"

	"coup/cluster/sim/world"
)

// clock is what a machine takes for the time. It counts in whole numbers: how
// floating point rounds depends on the processor.
type clock struct {
	uptime time.Duration // what the monotonic clock showed at the start of the world
	jump   time.Duration // of the wall clock, off the right time
	drift  int64         // how many millionths both run too fast
	since  time.Duration // of the world, when drift was set
	ahead  time.Duration // how far drift had brought the clocks by then
}

const million = 1_000_000

// elapsed is how much time has passed by the clock at a time of the world.
func (c *clock) elapsed(now time.Duration) time.Duration {
	return now + c.ahead + drifted(now-c.since, c.drift)
}

// drifted is d times drift millionths, without overflow for d below a century.
func drifted(d time.Duration, drift int64) time.Duration {
	if drift == 0 {
		return 0
	}
	seconds, rest := d/time.Second, d%time.Second
	return seconds*time.Duration(drift)*(time.Second/million) + rest*time.Duration(drift)/million
}

// monotonic is what the monotonic clock shows.
func (c *clock) monotonic(now time.Duration) time.Duration { return c.uptime + c.elapsed(now) }

// wall is what the wall clock shows, in Unix nanoseconds.
func (c *clock) wall(now time.Duration) int64 {
	return world.Epoch.UnixNano() + int64(c.elapsed(now)+c.jump)
}

// set makes the clock wrong in another way. The monotonic clock never jumps;
// the wall clock is right again when nothing is wrong any more.
func (c *clock) set(now, jump time.Duration, drift int64) {
	c.ahead = c.elapsed(now) - now
	c.since, c.drift = now, drift
	c.jump = jump - c.ahead
}

// span is how long the clock takes to count d, rounded up.
func (c *clock) span(d time.Duration) time.Duration {
	if c.drift == 0 {
		return d
	}
	rate := time.Duration(million + c.drift)
	return d/rate*million + (d%rate*million+rate-1)/rate
}
