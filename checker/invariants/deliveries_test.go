package invariants_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"coup/checker/internal/testhistory"
	"coup/checker/invariants"
	"coup/harness"
)

func TestDeliveries(t *testing.T) {
	const ok, fail, info = harness.OK, harness.Fail, harness.Info
	put := step{0, ok, "put", 1, 5, 0, 0.1}
	next := step{0, ok, "put", 2, 5, 0.2, 0.3}
	first := step{1, ok, "deliver", 1, 1, 1, 1.1}
	again := step{2, ok, "deliver", 1, 2, 3.2, 3.3}
	third := step{2, ok, "deliver", 1, 3, 5.4, 5.5}
	done := step{2, ok, "ack", 1, 2, 3.4, 3.5}
	none, live := step{3, ok, "waiting", 0, 0, 9, 9.1}, step{3, ok, "dead", 0, 0, 9.2, 9.3}
	dead := step{3, ok, "dead", 1, 0, 9.2, 9.3}
	for _, row := range []struct {
		name  string
		steps []step
		want  harness.Validity
		found string
	}{
		{"acknowledged at once", []step{put, first, {1, ok, "ack", 1, 1, 1.2, 1.3}, none, live}, harness.Valid, ""},
		{"delivered again", []step{put, first, again, done, none, live}, harness.Valid, ""},
		{"the first is too late", []step{put, first, again, {1, fail, "ack", 1, 1, 3.3, 3.4}, {2, ok, "ack", 1, 2, 3.5, 3.6}, none, live}, harness.Valid, ""},
		{"a dead letter beside one that is acknowledged", []step{put, next, first, again, third, {1, ok, "deliver", 2, 4, 7.6, 7.7}, {1, ok, "ack", 2, 4, 7.8, 7.9}, none, dead}, harness.Valid, ""},
		{"in order", []step{put, next, first, {1, ok, "ack", 1, 1, 1.2, 2}, {2, ok, "deliver", 2, 2, 1.5, 1.9}, {2, ok, "ack", 2, 2, 2, 2.1}, none, live}, harness.Valid, ""},
		{"another producer does not wait", []step{put, {0, ok, "put", 3, 6, 0.2, 0.3}, {1, ok, "deliver", 3, 1, 0.4, 0.5}, {1, ok, "ack", 3, 1, 0.6, 0.7}, {1, ok, "deliver", 1, 2, 1, 1.1}, {1, ok, "ack", 1, 2, 1.2, 1.3}, none, live}, harness.Valid, ""},
		{"a delivery that nobody saw", []step{put, first, {2, info, "deliver", 0, 0, 3.2, 4}, {2, ok, "deliver", 1, 3, 6.2, 6.3}, {2, ok, "ack", 1, 3, 6.4, 6.5}, none, live}, harness.Valid, ""},
		{"nobody looked in the end", []step{put, next, first, {1, ok, "ack", 1, 1, 1.2, 2}}, harness.Unknown, "undrained"},

		{"acknowledged twice", []step{put, first, {1, ok, "ack", 1, 1, 1.2, 1.3}, {1, ok, "ack", 1, 1, 1.4, 1.5}, none, live}, harness.Invalid, "acked-twice"},
		{"acknowledged by an old delivery", []step{put, first, again, {1, ok, "ack", 1, 1, 3.4, 3.5}, none, live}, harness.Invalid, "acked-by-old-delivery"},
		{"delivered after it was acknowledged", []step{put, first, {1, ok, "ack", 1, 1, 1.2, 1.3}, again, none, live}, harness.Invalid, "delivered-after-ack"},
		{"delivered again too early", []step{put, first, {2, ok, "deliver", 1, 2, 2.8, 2.9}, done, none, live}, harness.Invalid, "redelivered-early"},
		{"the next one first", []step{put, next, {1, ok, "deliver", 2, 1, 0.4, 0.5}, {2, ok, "deliver", 1, 2, 0.6, 0.7}, {1, ok, "ack", 2, 1, 0.6, 0.7}, {2, ok, "ack", 1, 2, 0.8, 0.9}, none, live}, harness.Invalid, "out-of-order"},
		{"the next one before the acknowledgement", []step{put, next, first, {2, ok, "deliver", 2, 2, 1.2, 1.3}, {1, ok, "ack", 1, 1, 1.4, 1.5}, {2, ok, "ack", 2, 2, 1.6, 1.7}, none, live}, harness.Invalid, "out-of-order"},
		{"too often", []step{put, first, again, third, {2, ok, "deliver", 1, 4, 7.6, 7.7}, {2, ok, "ack", 1, 4, 7.8, 7.9}, none, live}, harness.Invalid, "too-often"},
		{"dead too early", []step{put, next, first, again, {1, ok, "deliver", 2, 4, 7.6, 7.7}, {1, ok, "ack", 2, 4, 7.8, 7.9}, none, dead}, harness.Invalid, "dead-too-early"},
		{"dead though acknowledged", []step{put, first, again, third, {2, ok, "ack", 1, 3, 5.6, 5.7}, none, dead}, harness.Invalid, "dead-though-acked"},
		{"one token for two", []step{put, {0, ok, "put", 3, 6, 0.2, 0.3}, first, {2, ok, "deliver", 3, 1, 1.2, 1.3}, {1, ok, "ack", 1, 1, 1.4, 1.5}, {2, ok, "ack", 3, 1, 1.4, 1.5}, none, live}, harness.Invalid, "token-not-larger"},
		{"lost", []step{put, next, first, {1, ok, "ack", 1, 1, 1.2, 1.3}, none, live}, harness.Invalid, "lost"},
		{"a dead letter is lost", []step{put, next, first, again, third, {1, ok, "deliver", 2, 4, 7.6, 7.7}, {1, ok, "ack", 2, 4, 7.8, 7.9}, none, live}, harness.Invalid, "lost"},
		{"from nowhere", []step{put, first, {1, ok, "ack", 1, 1, 1.2, 1.3}, {2, ok, "deliver", 9, 2, 1.4, 1.5}, none, live}, harness.Invalid, "unexpected"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := testhistory.Check(t, invariants.Deliveries{Most: 3}, tasksHistory(row.steps))
			d := r.Details.(invariants.DeliveryDetails)
			var found []string
			for kind, n := range d.Numbers {
				if n > 0 {
					found = append(found, kind)
				}
			}
			slices.Sort(found)
			if got := strings.Join(found, " "); r.Valid != row.want || got != row.found {
				t.Fatalf("%v, found %q; expected %v, %q: %s %v", r.Valid, got, row.want, row.found, r.Summary, d)
			}
			if r.Valid == harness.Invalid && (r.Counterexample == nil || len(r.Counterexample.Story) < 2 || len(r.Counterexample.Witness) == 0) {
				t.Errorf("no story: %+v", r.Counterexample)
			}
		})
	}
}

// A queue that does everything right, with operations that overlap: each takes effect at a moment of
// its own between its beginning and its end, and some are never answered.
func TestDeliveriesOfARightQueue(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		type message struct {
			id, producer, token int64
			until               float64
			given               int
		}
		var queue []*message
		var dead []int64
		var steps []step
		var hands [][2]int64
		busy := map[int64]float64{} // by producer: when its last put is over
		token, id, now := int64(0), int64(0), 0.0
		for n := range 200 {
			now += r.Float64() * 0.3
			s := step{process: n, how: harness.OK, from: now - r.Float64()*0.2, to: now + r.Float64()*0.2}
			if r.IntN(10) == 0 {
				s.how = harness.Info
			}
			happens := s.how == harness.OK || r.IntN(2) == 0
			switch x := r.IntN(10); {
			case x < 3:
				producer := int64(r.IntN(3))
				if busy[producer] >= s.from {
					continue
				}
				busy[producer] = s.to
				if s.how == harness.Info { // such a producer puts no more
					busy[producer] = 1e9
				}
				id++
				s.f, s.task, s.token = "put", id, producer
				if happens {
					queue = append(queue, &message{id: id, producer: producer})
				}
			case x < 7:
				s.f = "deliver"
				held := map[int64]bool{}
				for i := 0; happens && i < len(queue); i++ {
					m := queue[i]
					if held[m.producer] || m.token != 0 && m.until > now {
						held[m.producer] = true
						continue
					}
					if m.given == 3 {
						dead = append(dead, m.id)
						queue = slices.Delete(queue, i, i+1)
						i--
						continue
					}
					token++
					m.token, m.until, m.given = token, now+taskLease.Seconds(), m.given+1
					if s.how == harness.OK {
						s.task, s.token = m.id, token
						hands = append(hands, [2]int64{m.id, token})
					}
					break
				}
			case len(hands) == 0:
				continue
			default:
				h := hands[r.IntN(len(hands))]
				s.f, s.task, s.token = "ack", h[0], h[1]
				i := slices.IndexFunc(queue, func(m *message) bool { return m.id == h[0] })
				switch {
				case i < 0 || queue[i].token != h[1] || queue[i].until <= now:
					s.how = harness.Fail
				case happens:
					queue = slices.Delete(queue, i, i+1)
				}
			}
			steps = append(steps, s)
		}
		h := tasksHistory(steps)
		var waiting []int64
		for _, m := range queue {
			waiting = append(waiting, m.id)
		}
		end := 2 * len(steps)
		for i, look := range []struct {
			f    string
			seen []int64
		}{{"waiting", waiting}, {"dead", dead}} {
			h.Operations = append(h.Operations, harness.Operation{Type: harness.OK, F: look.f, Key: "k0", Output: append([]int64{}, look.seen...), Call: end + 2*i, Return: end + 2*i + 1})
		}
		res := testhistory.Check(t, invariants.Deliveries{Most: 3}, h)
		if res.Valid == harness.Invalid {
			t.Fatalf("seed %d: %s %v", seed, res.Summary, res.Counterexample.Story)
		}
	}
}
