package checker

import (
	"fmt"
	"time"

	"coup/harness"
)

// Monitor watches registers while a run goes on: it takes the lines of a
// history as they happen and says at which one the history stops being
// linearizable, no line too late and never too early, as long as every value is
// written once to a key. What it keeps is bounded by what is open: operations
// under way, writes of unknown outcome whose value nobody saw, and values that
// may still be read. Each line costs what there is open at that moment.
//
// It does what the tier of zones does, one operation at a time (see there): a
// value that can no longer be seen without a violation is forgotten, and to see
// what is not known is a violation.
//
// A Monitor is not safe for concurrent use. The zero value is not useful: see
// [NewMonitor].
type Monitor struct {
	pos       int
	keys      map[string]*watched
	processes map[int]*watchedOp // operations under way
}

// Finding is a violation that a [Monitor] saw.
type Finding struct {
	Key  string
	Time time.Duration // since the start of the run
	Text string        // what is wrong, in a sentence
}

// NewMonitor makes a monitor that has seen nothing.
func NewMonitor() *Monitor {
	return &Monitor{keys: map[string]*watched{}, processes: map[int]*watchedOp{}}
}

// Observe takes the next line. It returns a finding if the history cannot be
// explained since this line; after that the key is no longer watched. A line
// that makes no sense, like the end of what never began, is an error and is
// left out; so is a key to which a value is written twice, from then on.
func (m *Monitor) Observe(op harness.Op) (*Finding, error) {
	m.pos++
	if op.Type == harness.Invoke {
		return nil, m.invoke(op)
	}
	w := m.processes[op.Process]
	if w == nil {
		return nil, fmt.Errorf("process %d ends %s, which it had not begun", op.Process, op.F)
	}
	delete(m.processes, op.Process)
	k := m.keys[w.op.Key]
	delete(k.open, w)
	if k.done {
		return nil, nil
	}
	w.op.Type, w.op.End = op.Type, op.Time
	if op.Type == harness.OK {
		w.op.Output = op.Value
		if err := checkType(registerModel, &w.op); err != nil {
			k.done = true
			return nil, err
		}
	}
	text := k.complete(&w.op, m.pos)
	k.done = k.done || text != ""
	if k.completed++; k.completed%64 == 0 || k.done {
		k.forget()
	}
	if text == "" {
		return nil, nil
	}
	return &Finding{Key: w.op.Key, Time: op.Time, Text: text}, nil
}

var registerModel = RegisterModel()

// watchedOp is an operation under way.
type watchedOp struct{ op harness.Operation }

// watched is one key.
type watched struct {
	done      bool // nothing more is to be found
	open      map[*watchedOp]struct{}
	values    map[Maybe]*watchedValue // that may still be seen
	zones     map[*watchedZone]struct{}
	completed int
}

// watchedValue is a value that may still be seen.
type watchedValue struct {
	value    Maybe
	call     int   // of its writer
	compares bool  // the writer is a compare-and-set
	from     Maybe // of this value
	did      bool  // the writer took effect
	f        int   // the first return of an operation on this value or on one that replaced it by compare-and-set
	zone     *watchedZone
	prev     *watchedValue // by compare-and-set
	next     *watchedValue
}

// watchedZone is the zone of a block of values.
type watchedZone struct {
	f, s   int
	closed bool // nothing can be added any more
}

func (m *Monitor) invoke(op harness.Op) error {
	if m.processes[op.Process] != nil {
		return fmt.Errorf("process %d begins %s while it performs %s", op.Process, op.F, m.processes[op.Process].op.F)
	}
	k := m.keys[op.Key]
	if k == nil {
		k = &watched{open: map[*watchedOp]struct{}{}, values: map[Maybe]*watchedValue{}, zones: map[*watchedZone]struct{}{}}
		k.values[Maybe{}] = &watchedValue{call: -1, did: true, f: harness.Open, zone: &watchedZone{f: -1, s: -1}}
		m.keys[op.Key] = k
	}
	w := &watchedOp{harness.Operation{Process: op.Process, F: op.F, Key: op.Key, Input: op.Value, Type: harness.Info, Call: m.pos, Start: op.Time}}
	m.processes[op.Process] = w
	if k.done {
		return nil
	}
	if err := checkType(registerModel, &w.op); err != nil {
		k.done = true
		return err
	}
	k.open[w] = struct{}{}
	r := registerOp(&w.op)
	if !r.writes || r.compares && r.from == Just(r.to) {
		return nil
	}
	if k.values[Just(r.to)] != nil {
		k.done = true
		return fmt.Errorf("%d is written to %s a second time: the key is watched no longer", r.to, op.Key)
	}
	k.values[Just(r.to)] = &watchedValue{value: Just(r.to), call: m.pos, compares: r.compares, from: r.from, f: harness.Open}
	return nil
}

// complete takes the end of an operation. It says what is wrong, if anything.
func (k *watched) complete(op *harness.Operation, now int) string {
	switch op.Type {
	case harness.Info:
		return ""
	case harness.Fail:
		pending := *op
		pending.Type = harness.Info
		if r := registerOp(&pending); r.writes && !(r.compares && r.from == Just(r.to)) {
			if v := k.values[Just(r.to)]; v != nil && v.did {
				return fmt.Sprintf("Process %d failed to write %d, and somebody had seen it.", op.Process, r.to)
			}
			delete(k.values, Just(r.to))
		}
		return ""
	}
	r := registerOp(op)
	if r.avoids {
		k.done = true // more can matter to it than is kept here
		return ""
	}
	saw := r.saw
	if r.writes {
		saw = Just(r.to)
	} else if c, ok := op.Input.(CAS); ok && c.From != Just(c.To) {
		// A compare-and-set that failed wrote nothing.
		if v := k.values[Just(c.To)]; v != nil && v.did {
			return fmt.Sprintf("Process %d failed to change %s to %d, and somebody had seen that.", op.Process, c.From, c.To)
		}
		delete(k.values, Just(c.To))
	}
	v := k.values[saw]
	if v == nil {
		return fmt.Sprintf("Process %d saw %s, which had been replaced before it began or which nobody had written.", op.Process, saw)
	}
	return k.touch(v, op, now)
}

// touch adds a completed operation to a value.
func (k *watched) touch(v *watchedValue, op *harness.Operation, now int) string {
	if text := k.establish(v, op, now); text != "" {
		return text
	}
	if v.next != nil && v.next.f < op.Call {
		return fmt.Sprintf("Process %d saw %s, which had been changed to %s before it began.", op.Process, v.value, v.next.value)
	}
	for u := v; u != nil && u.f == harness.Open; u = u.prev {
		u.f = now
	}
	z := v.zone
	if z.closed {
		return fmt.Sprintf("Process %d saw %s, which had been replaced before it began.", op.Process, v.value)
	}
	z.f, z.s = min(z.f, now), max(z.s, op.Call)
	for other := range k.zones {
		if other != z && z.f < other.s && other.f < z.s {
			return fmt.Sprintf("Process %d saw %s, which was there both before and after another value.", op.Process, v.value)
		}
	}
	k.zones[z] = struct{}{}
	return ""
}

// establish notes that the writer of a value took effect.
func (k *watched) establish(v *watchedValue, op *harness.Operation, now int) string {
	if v.did {
		return ""
	}
	v.did = true
	if !v.compares {
		v.zone = &watchedZone{f: harness.Open, s: v.call}
		return ""
	}
	from := k.values[v.from]
	if from == nil {
		return fmt.Sprintf("%s can only have been written in place of %s, which had been replaced before or which nobody had written.", v.value, v.from)
	}
	if text := k.establish(from, op, now); text != "" {
		return text
	}
	if from.next != nil {
		return fmt.Sprintf("%s was replaced twice, by %s and by %s.", v.from, from.next.value, v.value)
	}
	from.next, v.prev, v.zone = v, from, from.zone
	v.zone.s = max(v.zone.s, v.call)
	return ""
}

// forget lets go of what can no longer be seen without a violation.
func (k *watched) forget() {
	if k.done {
		k.values, k.zones = nil, nil
		return
	}
	low := harness.Open // no operation that is still to end began before
	for w := range k.open {
		low = min(low, w.op.Call)
	}
	// A zone is closed if another one, whose first return lies before low, must
	// come after it: of those the one with the latest call decides.
	var last, second *watchedZone
	for z := range k.zones {
		if z.f >= low {
			continue
		}
		if last == nil || z.s > last.s {
			last, second = z, last
		} else if second == nil || z.s > second.s {
			second = z
		}
	}
	latest := -1
	for z := range k.zones {
		after := last
		if after == z {
			after = second
		}
		if !z.closed && (after == nil || z.f >= after.s) || z.f >= low || z.s >= low {
			continue
		}
		delete(k.zones, z)
		z.closed, latest = true, max(latest, z.s)
	}
	for z := range k.zones {
		z.closed = z.closed || z.f < latest // it must come before one that is forgotten
	}
	for name, v := range k.values {
		_, alive := k.zones[v.zone]
		replaced := v.next != nil && v.next.f < low
		if v.did && (replaced || v.zone.closed && !alive) {
			delete(k.values, name)
			if v.next != nil {
				v.next.prev = nil
			}
		}
	}
}
