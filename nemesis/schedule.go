package nemesis

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"coup/cluster"
)

// Spec names a fault and what it is aimed at: "kill:leader".
type Spec struct{ Fault, Target string }

func (s Spec) String() string { return s.Fault + ":" + s.Target }

// ParseSpec reads "fault:target". nodes are what the nodes of the cluster are called, and
// their roles: a fault that can be aimed at every node can be aimed at any of them, by
// name. Its errors say what there is.
func ParseSpec(s string, nodes ...string) (Spec, error) {
	name, target, _ := strings.Cut(s, ":")
	f, ok := Faults[name]
	if !ok {
		return Spec{}, fmt.Errorf("there is no fault %q (there are %s)", name, strings.Join(FaultNames(), ", "))
	}
	if target == "" {
		target = Random
	}
	targets := f.Targets
	if slices.Contains(targets, All) {
		targets = slices.Concat(targets, nodes)
	}
	if !slices.Contains(targets, target) {
		return Spec{}, fmt.Errorf("%s can't be aimed at %q (but at %s)", name, target, strings.Join(targets, ", "))
	}
	return Spec{name, target}, nil
}

// Entry is one strike of a schedule. A schedule is data: it is a part of the plan of a
// run, and editing it there changes what happens.
type Entry struct {
	At     time.Duration // when it begins, since the start of the load
	For    time.Duration // how long, from when it begins to be applied until it is healed
	Fault  string
	Target string
	Mode   string // one of the fault's, if it has several
	Seed   uint64 // for what the fault leaves to chance: which node, which direction
}

// defaultMode is the mode of an entry that names none: its seed chooses.
func (e Entry) defaultMode() string {
	modes := Faults[e.Fault].Modes
	if len(modes) == 0 {
		return ""
	}
	return modes[e.Seed%uint64(len(modes))]
}

// Complete returns the entry with a mode: its own, or if it names none the one that
// its seed chooses. The error for an unknown mode says which there are.
func (e Entry) Complete() (Entry, error) {
	if e.Mode == "" {
		e.Mode = e.defaultMode()
	}
	if modes := Faults[e.Fault].Modes; e.Mode != "" && !slices.Contains(modes, e.Mode) {
		return e, fmt.Errorf("%s has no mode %q (it has %s)", e.Fault, e.Mode, cmp.Or(strings.Join(modes, ", "), "none"))
	}
	return e, nil
}

// activeFaults is how many faults are active at a time on average, if no interval is
// given. With more, a cluster of five nodes gets no work done.
const activeFaults = 1.5

// Pace says how fast strikes may follow each other for a system. Strikes that end
// before the system reacts, or begin before it has recovered, test little.
type Pace struct {
	Strike   time.Duration // how long a strike usually lasts, at least
	Recovery time.Duration // between the end of a strike and the next one of the same spec, at least
}

// PaceOf is the pace for a system with this timing.
func PaceOf(t cluster.Timing) Pace {
	return Pace{Strike: t.Failover * 5 / 4, Recovery: t.Restart}
}

const shortestStrike, usualStrike = 500 * time.Millisecond, 2 * time.Second

// Interval is the average time between two strikes of the same spec, in a schedule
// that ends at end. That is interval, if it is given; if it is 0, it follows from the
// number of specs and the system's pace.
func Interval(specs int, interval, end time.Duration, p Pace) time.Duration {
	if interval > 0 {
		return interval
	}
	usual := max(usualStrike, p.Strike) + p.Recovery
	interval = max(2*usual, time.Duration(float64(usual)*float64(specs)/activeFaults))
	// Even a short run must see every fault.
	return min(interval, max(end*2/5, 2*shortestStrike))
}

// Schedule draws a schedule from a seed: each spec strikes again and again, on
// its own, until the time end, with an average of Interval between two strikes.
// Every spec strikes at least once.
func Schedule(specs []Spec, seed uint64, interval, end time.Duration, p Pace) []Entry {
	interval = Interval(len(specs), interval, end, p)
	var all []Entry
	for i, s := range specs {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		between := func(lo, hi float64) time.Duration {
			return time.Duration((lo + (hi-lo)*r.Float64()) * float64(interval)).Round(time.Millisecond) // for who reads the plan
		}
		strike := p.Strike
		if Faults[s.Fault].Brief {
			strike = 0
		}
		longest := float64(min(2*max(usualStrike, strike), interval*7/10)) / float64(interval)
		for at, first := between(0.1, 0.8), true; ; first = false {
			hold := max(between(longest*2/5, longest), min(shortestStrike, interval/2))
			if first {
				hold = min(hold, end/2)
				at = min(at, end-hold)
			}
			if at+hold > end {
				break
			}
			e := Entry{At: at, For: hold, Fault: s.Fault, Target: s.Target, Seed: r.Uint64()}
			e.Mode = e.defaultMode()
			all = append(all, e)
			at += max(between(0.7, 1.3), hold+max(shortestStrike/2, p.Recovery))
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return cmp.Compare(a.At, b.At) })
	return all
}
