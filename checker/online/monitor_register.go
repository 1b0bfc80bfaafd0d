package online

import (
	"fmt"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// registerWatcher does the same as the tier of zones (package linearizable), one
// operation at a time. It forgets a value when nobody can see it any more without a
// violation. An operation that sees an unknown value is a violation.
type registerWatcher struct {
	values    map[model.Maybe]*watchedValue // that may still be seen
	zones     []*watchedZone
	completed int
	blind     bool // an operation did not tell what it saw, so forgotten values may matter
}

func newRegisterWatcher() watcher {
	k := &registerWatcher{values: map[model.Maybe]*watchedValue{}}
	k.values[model.Maybe{}] = &watchedValue{call: -1, did: true, f: harness.Open, zone: &watchedZone{f: -1, s: -1}}
	return k
}

// watchedValue is a value that may still be seen.
type watchedValue struct {
	value    model.Maybe
	call     int         // of its writer
	compares bool        // the writer is a compare-and-set
	from     model.Maybe // of this value
	did      bool        // the writer took effect
	f        int         // the first return of an operation on this value or on one that replaced it by compare-and-set
	zone     *watchedZone
	prev     *watchedValue // by compare-and-set
	next     *watchedValue
}

// watchedZone is the zone of a block of values.
type watchedZone struct {
	f, s   int
	kept   bool // it is one of the zones that new ones are compared with
	closed bool // nothing can be added any more
}

func (k *registerWatcher) invoke(op *harness.Operation) error {
	r := model.RegisterEffectOf(op)
	if !r.Writes || r.Compares && r.From == model.Just(r.To) {
		return nil
	}
	if k.values[model.Just(r.To)] != nil {
		return fmt.Errorf("%d is written a second time", r.To)
	}
	k.values[model.Just(r.To)] = &watchedValue{value: model.Just(r.To), call: op.Call, compares: r.Compares, from: r.From, f: harness.Open}
	return nil
}

func (k *registerWatcher) complete(op *harness.Operation, now int, low func() int) string {
	if k.blind {
		return ""
	}
	text := k.end(op, now)
	if k.completed++; text == "" && k.completed%64 == 0 {
		k.forget(low())
	}
	return text
}

// end takes the end of an operation. It says what is wrong, if anything.
func (k *registerWatcher) end(op *harness.Operation, now int) string {
	switch op.Type {
	case harness.Info:
		return ""
	case harness.Fail:
		pending := *op
		pending.Type = harness.Info
		if r := model.RegisterEffectOf(&pending); r.Writes && !(r.Compares && r.From == model.Just(r.To)) {
			if v := k.values[model.Just(r.To)]; v != nil && v.did {
				return fmt.Sprintf("Process %d failed to write %d, and somebody had seen it.", op.Process, r.To)
			}
			delete(k.values, model.Just(r.To))
		}
		return ""
	}
	r := model.RegisterEffectOf(op)
	if r.Avoids {
		k.blind, k.values, k.zones = true, nil, nil
		return ""
	}
	saw := r.Saw
	if r.Writes {
		saw = model.Just(r.To)
	} else if c, ok := op.Input.(model.CAS); ok && c.From != model.Just(c.To) {
		// A compare-and-set that failed wrote nothing.
		if v := k.values[model.Just(c.To)]; v != nil && v.did {
			return fmt.Sprintf("Process %d failed to change %s to %d, and somebody had seen that.", op.Process, c.From, c.To)
		}
		delete(k.values, model.Just(c.To))
	}
	v := k.values[saw]
	if v == nil {
		return fmt.Sprintf("Process %d saw %s, which had been replaced before it began or which nobody had written.", op.Process, saw)
	}
	return k.touch(v, op, now)
}

// touch adds a completed operation to a value.
func (k *registerWatcher) touch(v *watchedValue, op *harness.Operation, now int) string {
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
	for _, other := range k.zones {
		if other != z && z.f < other.s && other.f < z.s {
			return fmt.Sprintf("Process %d saw %s, which was there both before and after another value.", op.Process, v.value)
		}
	}
	if !z.kept {
		z.kept, k.zones = true, append(k.zones, z)
	}
	return ""
}

// establish records that the writer of a value took effect.
func (k *registerWatcher) establish(v *watchedValue, op *harness.Operation, now int) string {
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

// forget drops the values that nobody can see any more without a violation.
func (k *registerWatcher) forget(low int) {
	// A zone is closed if another one, whose first return lies before low, must
	// come after it: of those the one with the latest call decides.
	var last, second *watchedZone
	for _, z := range k.zones {
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
	k.zones = slices.DeleteFunc(k.zones, func(z *watchedZone) bool {
		after := last
		if after == z {
			after = second
		}
		if !z.closed && (after == nil || z.f >= after.s) || z.f >= low || z.s >= low {
			return false
		}
		z.kept, z.closed, latest = false, true, max(latest, z.s)
		return true
	})
	for _, z := range k.zones {
		z.closed = z.closed || z.f < latest // it must come before one that is forgotten
	}
	for name, v := range k.values {
		replaced := v.next != nil && v.next.f < low
		if v.did && (replaced || v.zone.closed && !v.zone.kept) {
			delete(k.values, name)
			if v.next != nil {
				v.next.prev = nil
			}
		}
	}
}
