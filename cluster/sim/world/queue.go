package world

import "time"

// eventQueue holds the events that are going to happen, in order.
//
// Most events are timeouts, and most timeouts are called off before their time. Events that
// were called off are removed from time to time; otherwise most of the queue would be these.
type eventQueue struct {
	heap  []event // a binary heap; without pointers, so that moving an event is cheap
	slots []slot  // what to do, by the events' slots
	free  []uint32
	off   int // events that were called off and are still in the heap
}

// event is when something happens.
type event struct {
	at   time.Duration
	seq  uint64 // of equal times, the order in which they were scheduled
	slot uint32
}

func (e *event) before(other *event) bool {
	return e.at < other.at || e.at == other.at && e.seq < other.seq
}

// slot is what happens in the event seq.
type slot struct {
	seq uint64
	do  func() // nil: it was called off
}

// Ticket is for calling an event off (World.CallOff). That of no event is zero.
type Ticket struct {
	seq  uint64
	slot uint32
}

// len is how many events are going to happen.
func (q *eventQueue) len() int { return len(q.heap) - q.off }

// push takes an event in; seq is not 0, and greater than any before.
func (q *eventQueue) push(at time.Duration, seq uint64, do func()) Ticket {
	e := event{at, seq, uint32(len(q.slots))}
	if n := len(q.free); n > 0 {
		e.slot, q.free = q.free[n-1], q.free[:n-1]
		q.slots[e.slot] = slot{seq, do}
	} else {
		q.slots = append(q.slots, slot{seq, do})
	}
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&q.heap[up]) {
			break
		}
		q.heap[i] = q.heap[up]
		i = up
	}
	q.heap[i] = e
	return Ticket{seq, e.slot}
}

// pop takes the first event out. There must be one.
func (q *eventQueue) pop() (e event, do func()) {
	for {
		e = q.heap[0]
		last := len(q.heap) - 1
		q.heap[0], q.heap = q.heap[last], q.heap[:last]
		q.sink(0)
		do = q.slots[e.slot].do
		q.slots[e.slot] = slot{}
		q.free = append(q.free, e.slot)
		if do != nil {
			return e, do
		}
		q.off--
	}
}

// sink moves the event at i down to where it belongs.
func (q *eventQueue) sink(i int) {
	all := q.heap
	if i >= len(all) {
		return
	}
	e := all[i]
	for {
		down := 2*i + 1
		if down+1 < len(all) && all[down+1].before(&all[down]) {
			down++
		}
		if down >= len(all) || !all[down].before(&e) {
			all[i] = e
			return
		}
		all[i] = all[down]
		i = down
	}
}

// callOff cancels an event, if it has not happened yet.
func (q *eventQueue) callOff(t Ticket) {
	if t.seq == 0 || q.slots[t.slot].seq != t.seq || q.slots[t.slot].do == nil {
		return
	}
	q.slots[t.slot].do = nil
	if q.off++; q.off > 64 && q.off > len(q.heap)/2 {
		q.clean()
	}
}

// clean takes out all events that were called off.
func (q *eventQueue) clean() {
	left := q.heap[:0]
	for _, e := range q.heap {
		if q.slots[e.slot].do != nil {
			left = append(left, e)
			continue
		}
		q.slots[e.slot] = slot{}
		q.free = append(q.free, e.slot)
	}
	q.heap, q.off = left, 0
	for i := len(left)/2 - 1; i >= 0; i-- {
		q.sink(i)
	}
}
