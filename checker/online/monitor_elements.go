package online

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"coup/checker/model"
	"coup/harness"
)

// setWatcher knows the elements of a set, and since when each must be in it.
type setWatcher struct {
	elements map[int64]*watchedElement
	known    []int // the positions since which elements must be in it, in order
	marks    int
}

type watchedElement struct {
	known int // since then it is in the set; Open if that is not sure
	mark  int // the last read that showed it
}

func newSetWatcher() watcher { return &setWatcher{elements: map[int64]*watchedElement{}} }

func (s *setWatcher) invoke(op *harness.Operation) error {
	if v, ok := op.Input.(int64); ok && s.elements[v] == nil {
		s.elements[v] = &watchedElement{known: harness.Open}
	}
	return nil
}

func (s *setWatcher) complete(op *harness.Operation, now int, _ func() int) string {
	know := func(e *watchedElement) {
		if e.known == harness.Open {
			e.known = now
			s.known = append(s.known, now)
		}
	}
	if op.Type != harness.OK {
		return "" // failed adds are left to the checkers: another process may have added the same element
	}
	if op.F == "add" {
		know(s.elements[op.Input.(int64)])
		return ""
	}
	s.marks++
	due, there := sort.SearchInts(s.known, op.Call), 0
	read := op.Output.([]int64)
	for _, v := range read {
		e := s.elements[v]
		switch {
		case e == nil:
			return fmt.Sprintf("Process %d read %d, which nobody had begun to add.", op.Process, v)
		case e.mark == s.marks:
			return fmt.Sprintf("Process %d read %d twice in one answer.", op.Process, v)
		}
		e.mark = s.marks
		if e.known < op.Call {
			there++
		}
	}
	if there < due {
		missed := int64(math.MaxInt64) // the smallest, whatever the order of the map is
		for v, e := range s.elements {
			if e.known < op.Call && e.mark != s.marks {
				missed = min(missed, v)
			}
		}
		return fmt.Sprintf("Process %d did not read %d, which was in the set when it began.", op.Process, missed)
	}
	for _, v := range read {
		know(s.elements[v])
	}
	return ""
}

// queueWatcher knows what may still be in a queue.
type queueWatcher struct {
	elements map[int64]*waiting
	in       []*waiting // elements that must be in it if nobody took them, the oldest first; some are out already
	open     int        // open dequeues, each of which may have taken an element
	outs     []out
}

type waiting struct {
	value int64
	begun int // when its enqueue began
	since int // when it was acknowledged; Open if it was not
	gone  bool
}

// out says that an element had come out by the position at, and that its enqueue
// had begun at begun: the latest of all that had come out by then.
type out struct {
	at    int
	begun int
	value int64
}

func newQueueWatcher() watcher { return &queueWatcher{elements: map[int64]*waiting{}} }

func (q *queueWatcher) invoke(op *harness.Operation) error {
	if op.F == "dequeue" {
		q.open++
		return nil
	}
	v := op.Input.(int64)
	if q.elements[v] != nil {
		return fmt.Errorf("%d is enqueued a second time", v)
	}
	q.elements[v] = &waiting{value: v, begun: op.Call, since: harness.Open}
	return nil
}

func (q *queueWatcher) complete(op *harness.Operation, now int, low func() int) string {
	if op.F == "enqueue" {
		e := q.elements[op.Input.(int64)]
		switch op.Type {
		case harness.OK:
			if e != nil {
				e.since = now
				q.in = append(q.in, e)
			}
		case harness.Fail:
			if e == nil {
				return fmt.Sprintf("Process %d failed to enqueue %d, and somebody had got it.", op.Process, op.Input)
			}
			delete(q.elements, e.value)
		}
		return ""
	}
	switch op.Type {
	case harness.Info:
		return "" // it stays open
	case harness.Fail:
		q.open--
		return ""
	}
	q.open--
	got := op.Output.(model.Maybe)
	if !got.Set {
		if n, first := q.before(op.Call); n > q.open {
			return fmt.Sprintf("Process %d found the queue empty, where %d was in it.", op.Process, first.value)
		}
		return ""
	}
	e := q.elements[got.Int]
	if e == nil {
		return fmt.Sprintf("Process %d got %d, which had come out before or which nobody had begun to enqueue.", op.Process, got.Int)
	}
	delete(q.elements, got.Int)
	e.gone = true
	// Did anything come out before this began that was enqueued after it?
	i := sort.Search(len(q.outs), func(i int) bool { return q.outs[i].at >= op.Call })
	if i > 0 && q.outs[i-1].begun > e.since {
		return fmt.Sprintf("Process %d got %d, after %d had come out, which was enqueued later.", op.Process, e.value, q.outs[i-1].value)
	}
	// Are there elements in it that were enqueued before, and more of them than open
	// dequeues may have taken?
	if n, first := q.before(e.begun); n > q.open {
		return fmt.Sprintf("Process %d got %d, where %d was still in the queue, which was enqueued earlier.", op.Process, e.value, first.value)
	}
	if n := len(q.outs); n == 0 || e.begun > q.outs[n-1].begun {
		q.outs = append(q.outs, out{now, e.begun, e.value})
	}
	if len(q.outs) > 64 {
		low := low()
		keep := sort.Search(len(q.outs), func(i int) bool { return q.outs[i].at >= low })
		q.outs = slices.Delete(q.outs, 0, max(0, keep-1))
	}
	return ""
}

// before counts the elements that have been in the queue since before a
// position, as far as it takes to exceed the open dequeues.
func (q *queueWatcher) before(pos int) (n int, first *waiting) {
	for len(q.in) > 0 && q.in[0].gone {
		q.in = q.in[1:]
	}
	for _, e := range q.in {
		if e.since >= pos || n > q.open {
			break
		}
		if e.gone {
			continue
		}
		if n++; first == nil {
			first = e
		}
	}
	return n, first
}

// counterWatcher knows what a counter must and may show.
type counterWatcher struct {
	upBegun, upDone, downBegun, downDone int64
	begun                                map[*harness.Operation]counterBounds // reads under way
}

type counterBounds struct{ upDone, downDone int64 }

func (c *counterWatcher) invoke(op *harness.Operation) error {
	v, add := op.Input.(int64)
	switch {
	case !add:
		c.begun[op] = counterBounds{c.upDone, c.downDone}
	case v < 0:
		c.downBegun += v
	default:
		c.upBegun += v
	}
	return nil
}

func (c *counterWatcher) complete(op *harness.Operation, _ int, _ func() int) string {
	v, add := op.Input.(int64)
	if !add {
		b := c.begun[op]
		delete(c.begun, op)
		if op.Type != harness.OK {
			return ""
		}
		got := op.Output.(int64)
		if low := b.upDone + c.downBegun; got < low {
			return fmt.Sprintf("Process %d read %d, where at least %d was acknowledged.", op.Process, got, low)
		}
		if high := c.upBegun + b.downDone; got > high {
			return fmt.Sprintf("Process %d read %d, where at most %d had been begun.", op.Process, got, high)
		}
		return ""
	}
	up := v >= 0
	switch op.Type {
	case harness.OK:
		if up {
			c.upDone += v
		} else {
			c.downDone += v
		}
	case harness.Fail: // it never counts; but reads so far had to allow for it
		if up {
			c.upBegun -= v
		} else {
			c.downBegun -= v
		}
	}
	return ""
}
