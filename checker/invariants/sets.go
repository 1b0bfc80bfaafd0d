package invariants

import (
	"context"
	"fmt"
	"time"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// SetFull judges sets as Jepsen's set-full does. An element is known once its add was
// acknowledged or a read shows it. It is stable if the read that began last of those
// that tell of it shows it, lost if that one began after it was known and does not, and else never-read. A
// stable element is stale if a read that began after it was known does not show it.
// An element that was lost, or stands twice in a read, makes the history invalid.
type SetFull struct {
	// Linearizable makes a stale element invalid, too.
	Linearizable bool
}

// Name implements [harness.Checker].
func (SetFull) Name() string { return "set-full" }

// Check implements [harness.Checker].
func (s SetFull) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	m := model.Set()
	if err := m.CheckTypes(h.Operations); err != nil {
		return harness.Result{Checker: s.Name()}, err
	}
	f := find(m, h, "lost", "duplicated", "stale")
	if !s.Linearizable {
		f.allow("stale")
	}
	f.allow("never-read")
	keys, groups := model.ByKey(h.Operations)
	for _, key := range keys {
		judgeSet(f, key, groups[key])
	}
	r := f.result(s.Name(), "Elements went wrong", fmt.Sprintf("%s stable.", story.Plural(f.Counts["stable"], "element")))
	if r.Valid == harness.Valid && f.Counts["stable"] == 0 {
		r.Valid, r.Summary = harness.Unknown, "No element was read at last, so nobody knows what became of them."
	}
	return r, nil
}

func judgeSet(f *findings, key string, ops []*harness.Operation) {
	type element struct {
		value int64
		begun int                // when its add was invoked first
		known *harness.Operation // the first operation to end that proves that it is there
		shown []int              // the reads that show it, as places in reads
		twice bool
	}
	elements := map[int64]*element{}
	var order []*element
	var reads []*harness.Operation // in the order of their calls
	for _, op := range ops {
		if op.F != "add" {
			if op.Type == harness.OK {
				reads = append(reads, op)
			}
			continue
		}
		e := elements[op.Input.(int64)]
		if e == nil {
			e = &element{value: op.Input.(int64), begun: op.Call}
			elements[e.value] = e
			order = append(order, e)
		}
		if op.Type == harness.OK && (e.known == nil || op.Return < e.known.Return) {
			e.known = op
		}
	}
	f.Counts["reads"] += len(reads)
	f.Counts["elements"] += len(order)
	for n, read := range reads {
		for _, v := range read.Output.([]int64) {
			e := elements[v]
			if e == nil {
				f.Counts["unexpected"]++ // Jepsen's set-full does not look at them
				continue
			}
			if read.Return < e.begun {
				continue
			}
			if last := len(e.shown) - 1; last >= 0 && e.shown[last] == n {
				if !e.twice {
					e.twice = true
					f.add("duplicated", key, fmt.Sprintf("%d stands twice in what process %d read.", v, read.Process), read)
				}
				continue
			}
			e.shown = append(e.shown, n)
			if e.known == nil || read.Return < e.known.Return {
				e.known = read
			}
		}
	}
	for _, e := range order {
		// The last reads that show it, and that do not although its add had begun.
		var present, absent *harness.Operation
		if len(e.shown) > 0 {
			present = reads[e.shown[len(e.shown)-1]]
		}
		next := len(e.shown) - 1
		for n := len(reads) - 1; n >= 0; n-- {
			if next >= 0 && e.shown[next] == n {
				next--
				continue
			}
			if reads[n].Return > e.begun {
				absent = reads[n]
				break
			}
		}
		late := absent != nil && e.known != nil && absent.Call > e.known.Return
		switch {
		case present != nil && (absent == nil || absent.Call < present.Call):
			f.Counts["stable"]++
			if late {
				age := absent.Start - e.known.End
				text := fmt.Sprintf("%d was known to be there, and process %d did not see it", e.value, absent.Process)
				if age > time.Duration(0) {
					text += fmt.Sprintf(" %s later", story.Seconds(age))
				}
				f.add("stale", key, text+"; it was seen later.", e.known, absent, present)
			}
		case late && (present == nil || present.Call < absent.Call):
			f.add("lost", key, fmt.Sprintf("%d was known to be there, and process %d, which read last of all who could tell, did not see it.", e.value, absent.Process), e.known, absent)
		default:
			f.add("never-read", key, fmt.Sprintf("%d was never looked for after it was known to be there.", e.value))
		}
	}
}

// TotalQueue judges queues whose order does not matter, as Jepsen's total-queue does:
// what was acknowledged comes out, and nothing else. An element that was acknowledged
// and never came out is lost, even if nobody drained the queue; one that came out more
// often than it was put in is duplicated, which is allowed; one whose enqueue is not
// known to have succeeded and that came out is recovered.
type TotalQueue struct {
	// Undrained says that the queue was not drained: what did not come out may be in it.
	Undrained bool
	// Settle, if it is not 0, is how long an element may be in nobody's hands that a client
	// has not taken in the end. An element is lost only if its queue was found empty so long
	// after the last enqueue, and otherwise nobody knows.
	Settle time.Duration
}

// Name implements [harness.Checker].
func (TotalQueue) Name() string { return "total-queue" }

// Check implements [harness.Checker].
func (q TotalQueue) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	m := model.Bag()
	if err := m.CheckTypes(h.Operations); err != nil {
		return harness.Result{Checker: q.Name()}, err
	}
	f := find(m, h, "lost", "unexpected")
	f.allow("duplicated", "recovered", "undrained")
	drained := q.drained(h)
	type element struct {
		value                  int64
		attempts, acknowledged int
		out                    int
		lastPut, lastTaken     *harness.Operation
	}
	// Jepsen counts what was tried, whether it failed or not.
	byKey := map[string]map[int64]*element{}
	var keys []string
	order := map[string][]*element{}
	for i := range h.Operations {
		op := &h.Operations[i]
		if byKey[op.Key] == nil {
			byKey[op.Key] = map[int64]*element{}
			keys = append(keys, op.Key)
		}
		var v int64
		got, _ := op.Output.(model.Maybe)
		switch {
		case op.F == "enqueue":
			v = op.Input.(int64)
		case op.Type == harness.OK && got.Set:
			v = got.Int
		default:
			continue
		}
		e := byKey[op.Key][v]
		if e == nil {
			e = &element{value: v}
			byKey[op.Key][v] = e
			order[op.Key] = append(order[op.Key], e)
		}
		if op.F == "enqueue" {
			e.attempts++
			if op.Type == harness.OK {
				e.acknowledged++
				e.lastPut = op
			}
		} else {
			e.out++
			e.lastTaken = op
		}
	}
	for _, key := range keys {
		for _, e := range order[key] {
			f.Counts["attempts"] += e.attempts
			f.Counts["acknowledged"] += e.acknowledged
			f.Counts["dequeued"] += e.out
			switch {
			case e.attempts == 0:
				f.add("unexpected", key, fmt.Sprintf("%d came out, and nobody ever tried to put it in.", e.value), e.lastTaken)
				continue
			case e.out > e.attempts:
				f.add("duplicated", key, fmt.Sprintf("%d came out %s and was put in %s.", e.value, story.Times(e.out), story.Times(e.attempts)), e.lastTaken)
			}
			if e.out < e.acknowledged && q.Undrained {
				f.Counts["left"]++
			} else if e.out < e.acknowledged && !drained(key) {
				f.add("undrained", key, fmt.Sprintf("%d was acknowledged and has not come out, and nobody found the queue empty in the end.", e.value))
			} else if e.out < e.acknowledged {
				f.add("lost", key, fmt.Sprintf("%d was acknowledged %s and came out %s.", e.value, story.Times(e.acknowledged), story.Times(e.out)), e.lastPut)
			}
			if n := min(e.out, e.attempts) - e.acknowledged; n > 0 {
				f.add("recovered", key, fmt.Sprintf("%d came out, though its enqueue is not known to have succeeded.", e.value))
			}
		}
	}
	fine := fmt.Sprintf("All of %d acknowledged elements came out.", f.Counts["acknowledged"])
	if q.Undrained {
		fine = fmt.Sprintf("Of %d acknowledged elements %d did not come out, and may still be in the queue.", f.Counts["acknowledged"], f.Counts["left"])
	}
	r := f.result(q.Name(), "Elements went wrong", fine)
	if n := f.Numbers["undrained"]; r.Valid == harness.Valid && n > 0 {
		r.Valid, r.Summary = harness.Unknown, fmt.Sprintf("%s did not come out of queues that nobody found empty in the end.", story.Plural(n, "element"))
	}
	if r.Valid == harness.Valid && f.Counts["attempts"] == 0 {
		r.Valid, r.Summary = harness.Unknown, "Nobody put anything into the queue."
	}
	return r, nil
}

// drained tells of the queues that were found empty long enough after the last enqueue.
func (q TotalQueue) drained(h *harness.History) func(key string) bool {
	put, empty := map[string]time.Duration{}, map[string]time.Duration{}
	for _, op := range h.Operations {
		got, _ := op.Output.(model.Maybe)
		switch {
		case op.F == "enqueue" && op.Type != harness.Fail:
			put[op.Key] = max(put[op.Key], op.Start, op.End)
		case op.F == "dequeue" && op.Type == harness.OK && !got.Set:
			empty[op.Key] = max(empty[op.Key], op.Start)
		}
	}
	return func(key string) bool { return q.Settle == 0 || empty[key] >= put[key]+q.Settle }
}

// UniqueIDs checks that no id was given twice (Jepsen's unique-ids).
type UniqueIDs struct{}

// Name implements [harness.Checker].
func (UniqueIDs) Name() string { return "unique-ids" }

// Check implements [harness.Checker].
func (u UniqueIDs) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	err := check(h, "a source of ids", func(op *harness.Operation) bool {
		_, ok := op.Output.(int64)
		return op.F == "generate" && (ok || op.Type != harness.OK)
	})
	if err != nil {
		return harness.Result{Checker: u.Name()}, err
	}
	f := find(model.IDs(), h, "duplicated")
	first := map[int64]*harness.Operation{}
	for i := range h.Operations {
		op := &h.Operations[i]
		if f.Counts["attempts"]++; op.Type != harness.OK {
			continue
		}
		f.Counts["acknowledged"]++
		id := op.Output.(int64)
		if other := first[id]; other != nil {
			f.add("duplicated", op.Key, fmt.Sprintf("Processes %d and %d were both given %d.", other.Process, op.Process, id), other, op)
		} else {
			first[id] = op
		}
	}
	r := f.result(u.Name(), "Ids went wrong", fmt.Sprintf("All of %s differ.", story.Plural(len(first), "id")))
	if r.Valid == harness.Valid && len(first) == 0 {
		r.Valid, r.Summary = harness.Unknown, "No id was given."
	}
	return r, nil
}
