package elements

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Queue judges first-in first-out queues, element by element, in O(n log n).
// It sees less than linearizability does, but says what happened to whom, at
// any size. Its Details are [QueueDetails].
type Queue struct{}

// QueueDetails are the Details of [Queue]. At most 100 anomalies of a kind are listed.
type QueueDetails struct {
	Enqueued int `json:"enqueued"` // acknowledged
	Dequeued int `json:"dequeued"` // elements that came out
	Empty    int `json:"empty"`    // dequeues that found nothing
	Open     int `json:"open"`     // dequeues of which nobody knows whether they took an element
	Left     int `json:"left"`     // acknowledged and never seen again, no loss proved: the queue was not drained, or an open dequeue may have taken them
	// Lost elements were acknowledged, never came out, and the queue was found empty
	// later. They are counted only if there are more of them than open dequeues could
	// have taken.
	Lost []Anomaly `json:"lost"`
	// Duplicated elements came out more often than they were put in.
	Duplicated []Anomaly `json:"duplicated"`
	// Unexpected elements came out though nobody had begun to put them in.
	Unexpected []Anomaly `json:"unexpected"`
	// Disordered elements came out after others that were put in later.
	Disordered []Anomaly `json:"disordered"`
	// Hidden elements were in the queue during the whole of a dequeue that found it
	// empty.
	Hidden []Anomaly `json:"hidden"`
}

// Name implements [harness.Checker].
func (Queue) Name() string { return "queue" }

// Check implements [harness.Checker].
func (q Queue) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: q.Name()}
	m := model.Queue()
	if err := m.CheckTypes(h.Operations); err != nil {
		return r, err
	}
	var d QueueDetails
	found := newAnomalies(h, m, "lost", "duplicated", "unexpected", "disordered", "hidden")
	keys, groups := model.ByKey(h.Operations)
	for _, key := range keys {
		if ctx.Err() != nil {
			r.Valid, r.Summary = harness.Unknown, "There was no time to judge all queues."
			return r, nil
		}
		judgeQueue(key, groups[key], &d, found)
	}
	d.Lost, d.Duplicated, d.Unexpected = found.list("lost"), found.list("duplicated"), found.list("unexpected")
	d.Disordered, d.Hidden = found.list("disordered"), found.list("hidden")
	r.Details = d
	fine := fmt.Sprintf("Of %d acknowledged elements %d came out, once and in order", d.Enqueued, d.Dequeued)
	if d.Left > 0 {
		fine += fmt.Sprintf("; of %d nobody knows whether they are still in it", d.Left)
	}
	found.judge(&r, m, fine+".")
	return r, nil
}

func lastToReturn(ops []*harness.Operation) *harness.Operation {
	return slices.MaxFunc(ops, func(a, b *harness.Operation) int { return cmp.Compare(a.Return, b.Return) })
}

// queued is what is known of one element of a queue.
type queued struct {
	value    int64
	enqueues []*harness.Operation
	dequeues []*harness.Operation
}

// once says that the element was put in once and taken out at most once, so
// that its fate is known.
func (e *queued) once() bool { return len(e.enqueues) == 1 && len(e.dequeues) <= 1 }

// inFrom is the position from which the element was certainly in the queue.
func (e *queued) inFrom() int { return e.enqueues[0].Return }

// inUntil is the position until which it certainly stayed in the queue; Open if it
// never came out.
func (e *queued) inUntil() int {
	if len(e.dequeues) == 0 {
		return harness.Open
	}
	return e.dequeues[0].Call
}

func judgeQueue(key string, ops []*harness.Operation, d *QueueDetails, found *anomalies) {
	byValue := map[int64]*queued{}
	var elements []*queued
	get := func(v int64) *queued {
		e := byValue[v]
		if e == nil {
			e = &queued{value: v}
			byValue[v] = e
			elements = append(elements, e)
		}
		return e
	}
	var empty []*harness.Operation
	open := 0
	for _, op := range ops {
		switch {
		case op.F == "enqueue":
			e := get(op.Input.(int64))
			e.enqueues = append(e.enqueues, op)
			if op.Type == harness.OK {
				d.Enqueued++
			}
		case op.Type != harness.OK:
			open++
		default:
			if got := op.Output.(model.Maybe); got.Set {
				e := get(got.Int)
				e.dequeues = append(e.dequeues, op)
				d.Dequeued++
			} else {
				empty = append(empty, op)
			}
		}
	}
	d.Open += open
	d.Empty += len(empty)

	var clear []*queued // elements with one known fate
	for _, e := range elements {
		switch {
		case len(e.dequeues) > len(e.enqueues) && len(e.enqueues) > 0:
			found.add("duplicated", key, e.value, func(whole []*harness.Operation) story.Claim {
				return story.TooOftenBy(whole, e.value, lastToReturn(e.dequeues))
			},
				append(slices.Clone(e.enqueues), e.dequeues...)...)
		case len(e.dequeues) > 0 && (len(e.enqueues) == 0 || e.enqueues[0].Call > e.dequeues[0].Return):
			found.add("unexpected", key, e.value, func(whole []*harness.Operation) story.Claim { return story.NotBegunBy(whole, e.value, e.dequeues[0]) }, e.dequeues[0])
		case e.once():
			clear = append(clear, e)
		}
	}
	findLost(key, clear, empty, open, d, found)
	findDisorder(key, clear, open, found)
	findHidden(key, clear, empty, found)
}

// findLost counts the elements that were acknowledged before somebody found
// the queue empty and that nobody got. Open dequeues may have taken as many.
func findLost(key string, clear []*queued, empty []*harness.Operation, open int, d *QueueDetails, found *anomalies) {
	var drained *harness.Operation // the last to find the queue empty
	for _, op := range empty {
		if drained == nil || op.Call > drained.Call {
			drained = op
		}
	}
	var missing []*queued
	for _, e := range clear {
		if len(e.dequeues) > 0 || e.enqueues[0].Type != harness.OK {
			continue
		}
		if drained != nil && e.inFrom() < drained.Call {
			missing = append(missing, e)
		} else {
			d.Left++
		}
	}
	if len(missing) <= open {
		d.Left += len(missing)
		return
	}
	for _, e := range missing {
		found.add("lost", key, e.value, is(story.Lost{Value: e.value, Found: drained, Missing: len(missing), Open: open}), e.enqueues[0], drained)
	}
}

// findDisorder looks for pairs of elements in the wrong order: the first was in the
// queue before anybody began to enqueue the second, and left after it, or not at all.
func findDisorder(key string, clear []*queued, open int, found *anomalies) {
	byIn := slices.Clone(clear)
	slices.SortFunc(byIn, func(a, b *queued) int { return cmp.Compare(a.inFrom(), b.inFrom()) })
	byBegin := slices.Clone(clear)
	slices.SortFunc(byBegin, func(a, b *queued) int { return cmp.Compare(a.enqueues[0].Call, b.enqueues[0].Call) })
	var latest *queued // of those in the queue before b was begun, the one that stayed longest
	next := 0
	for _, b := range byBegin {
		for ; next < len(byIn) && byIn[next].inFrom() < b.enqueues[0].Call; next++ {
			a := byIn[next]
			if len(a.dequeues) == 0 && open > 0 {
				continue // somebody may have taken it in time
			}
			if latest == nil || a.inUntil() > latest.inUntil() {
				latest = a
			}
		}
		if latest == nil || len(b.dequeues) == 0 || latest.inUntil() < b.dequeues[0].Return {
			continue
		}
		claim := func(whole []*harness.Operation) story.Claim {
			return story.OvertakenBy(whole, latest.value, b.value, b.dequeues[0])
		}
		proof := []*harness.Operation{latest.enqueues[0], b.enqueues[0], b.dequeues[0]}
		if len(latest.dequeues) > 0 {
			proof = append(proof, latest.dequeues[0])
		}
		found.add("disordered", key, b.value, claim, proof...)
	}
}

// findHidden looks for elements that were in the queue during the whole of a
// dequeue that found nothing.
func findHidden(key string, clear []*queued, empty []*harness.Operation, found *anomalies) {
	byIn := slices.Clone(clear)
	slices.SortFunc(byIn, func(a, b *queued) int { return cmp.Compare(a.inFrom(), b.inFrom()) })
	slices.SortFunc(empty, func(a, b *harness.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var latest *queued
	next := 0
	for _, op := range empty {
		for ; next < len(byIn) && byIn[next].inFrom() < op.Call; next++ {
			if a := byIn[next]; len(a.dequeues) > 0 && (latest == nil || a.inUntil() > latest.inUntil()) {
				latest = a
			}
		}
		if latest != nil && latest.inUntil() > op.Return {
			found.add("hidden", key, latest.value, is(story.Hidden{Value: latest.value, Found: op}),
				latest.enqueues[0], op, latest.dequeues[0])
		}
	}
}
