package machine

import (
	"testing"
	"time"

	"coup/cluster/sim/world"
)

func TestClock(t *testing.T) {
	c := clock{uptime: time.Hour}
	wall := func(now time.Duration) time.Duration { return time.Duration(c.wall(now) - world.Epoch.UnixNano()) }
	if c.monotonic(time.Minute) != time.Hour+time.Minute || wall(time.Minute) != time.Minute || c.span(time.Second) != time.Second {
		t.Error("a clock is wrong without a reason")
	}
	c.set(time.Minute, -3*time.Second, 0)
	if wall(2*time.Minute) != 2*time.Minute-3*time.Second || c.monotonic(2*time.Minute) != time.Hour+2*time.Minute {
		t.Errorf("after a jump: %v, %v", wall(2*time.Minute), c.monotonic(2*time.Minute))
	}
	c.set(2*time.Minute, 0, 100_000)
	if wall(2*time.Minute) != 2*time.Minute || wall(2*time.Minute+10*time.Second) != 2*time.Minute+11*time.Second {
		t.Errorf("a tenth too fast: %v after 10 s", wall(2*time.Minute+10*time.Second)-2*time.Minute)
	}
	if got := c.span(11 * time.Second); got != 10*time.Second {
		t.Errorf("11 s take %v", got)
	}
	before := c.monotonic(3 * time.Minute)
	c.set(3*time.Minute, 0, 0)
	if c.monotonic(3*time.Minute) != before || wall(3*time.Minute) != 3*time.Minute {
		t.Error("healed, the monotonic clock jumped, or the wall clock is wrong")
	}
	// A program that sleeps until its clock shows a time does not wake before.
	for _, drift := range []int64{-100_000, -1, 1, 33_333, 100_000} {
		c.set(4*time.Minute, 0, drift)
		for _, d := range []time.Duration{1, 999, time.Millisecond, time.Hour + 1, 1000 * time.Hour} {
			if passed := c.monotonic(4*time.Minute+c.span(d)) - c.monotonic(4*time.Minute); passed < d || passed > d+2 {
				t.Errorf("drift %d: asked for %v, and %v passed", drift, d, passed)
			}
		}
	}
}
