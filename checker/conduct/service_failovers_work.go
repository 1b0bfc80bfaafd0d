package conduct

import (
	"cmp"
	"slices"
	"time"

	"coup/checker/model"
	"coup/harness"
)

// handout is work that a client got after it had waited: a task that another worker had
// before, or a message of a queue.
type handout struct {
	since time.Duration // when it was given to the other worker, or put into the queue
	asked time.Duration // when the client asked for it
	at    time.Duration // when the client got it; [harness.Forever]: nobody did
	queue bool          // it is a message
}

// handouts are all of a history, by the times at which they were got.
func handouts(h *harness.History) (all []handout) {
	type item struct {
		workload, key string
		value         int64
	}
	put, got := map[item]*harness.Operation{}, map[item]*harness.Operation{}
	given := map[item][]*harness.Operation{}
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.Type != harness.OK {
			continue
		}
		w, f := harness.Function(op.F)
		switch out := op.Output.(type) {
		case model.Assignment:
			if f == "take" {
				of := item{w, op.Key, out.Task}
				given[of] = append(given[of], op)
			}
		case model.Delivery:
			if f == "deliver" {
				of := item{w, op.Key, out.Message}
				given[of] = append(given[of], op)
				if got[of] == nil || op.End < got[of].End {
					got[of] = op
				}
			}
		case model.Maybe:
			if of := (item{w, op.Key, out.Int}); f == "dequeue" && out.Set && (got[of] == nil || op.End < got[of].End) {
				got[of] = op
			}
		}
		if v, ok := op.Input.(int64); ok && f == "enqueue" {
			put[item{w, op.Key, v}] = op
		}
		if v, ok := op.Input.(model.Produced); ok {
			put[item{w, op.Key, v.Message}] = op
		}
	}
	for of, in := range put {
		h := handout{since: in.End, at: harness.Forever, queue: true}
		if op := got[of]; op != nil {
			h.asked, h.at = op.Start, op.End
		}
		all = append(all, h)
	}
	for _, takes := range given {
		slices.SortStableFunc(takes, func(a, b *harness.Operation) int {
			return cmp.Compare(tokenOf(a), tokenOf(b))
		})
		for i := 1; i < len(takes); i++ {
			all = append(all, handout{since: takes[i-1].End, asked: takes[i].Start, at: takes[i].End})
		}
	}
	slices.SortFunc(all, func(a, b handout) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.since, b.since)) })
	return all
}

func tokenOf(op *harness.Operation) int64 {
	if d, ok := op.Output.(model.Delivery); ok {
		return d.Token
	}
	return op.Output.(model.Assignment).Token
}

// handedOut is how long it took from f.At until work that clients had or waited for by then
// was first given to a client by the new leader, and until all messages were that waited;
// -1 where that was not before the next election, or there was none.
func handedOut(all []handout, f Failover, elected, next time.Duration) (first, drained time.Duration) {
	first, drained = -1, -1
	for _, h := range all {
		if h.since >= f.At || h.at < elected {
			continue // it was not there yet, or no more
		}
		if h.asked >= f.At && h.at < next && first < 0 {
			first = h.at - f.At
		}
		if h.queue {
			drained = -1
			if h.at < next {
				drained = h.at - f.At
			}
		}
	}
	return first, drained
}
