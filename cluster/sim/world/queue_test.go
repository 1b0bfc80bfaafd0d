package world

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Events come in the order of their times, of equal times as they were put in,
// also when some come out in between; those that were called off do not come.
func TestEventQueue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var q eventQueue
	var model []event // in order
	var tickets []Ticket
	most := 0
	for seq := uint64(1); seq <= 40_000; seq++ {
		switch k := rng.IntN(10); {
		case k < 6:
			e := event{at: time.Duration(rng.IntN(50)), seq: seq}
			tickets = append(tickets, q.push(e.at, seq, func() { e.slot = 1 }))
			i, _ := slices.BinarySearchFunc(model, e, func(a, b event) int {
				return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq))
			})
			model = slices.Insert(model, i, e)
		case k < 9 && len(tickets) > 0: // of an event that was, or is still to come
			i := rng.IntN(len(tickets))
			called := tickets[i]
			q.callOff(called)
			q.callOff(called)
			q.callOff(Ticket{})
			tickets = slices.Delete(tickets, i, i+1)
			model = slices.DeleteFunc(model, func(e event) bool { return e.seq == called.seq })
		case len(model) > 0:
			got, do := q.pop()
			want := model[0]
			model = model[1:]
			if got.at != want.at || got.seq != want.seq || do == nil {
				t.Fatalf("event %d at %d came, not %d at %d", got.seq, got.at, want.seq, want.at)
			}
		}
		if q.len() != len(model) {
			t.Fatalf("%d events are left of %d", q.len(), len(model))
		}
		most = max(most, len(model))
		if len(q.heap) > 2*most+200 || len(q.slots) > 2*most+200 {
			t.Fatalf("%d events and %d slots for %d", len(q.heap), len(q.slots), most)
		}
	}
	for range model {
		q.pop()
	}
	if q.len() != 0 || len(q.free) != len(q.slots) {
		t.Errorf("%d left, %d of %d slots are free", q.len(), len(q.free), len(q.slots))
	}
}
