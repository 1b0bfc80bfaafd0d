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

// Set judges sets that only grow, element by element. It sees less than
// linearizability does (not the order of elements among each other), but it
// says what happened to whom, at any size. Its Details are [SetDetails].
type Set struct {
	// AllowStale forgives reads that miss an element which a later read shows,
	// as reads of a replica may.
	AllowStale bool
}

// SetDetails are the Details of [Set]. At most 100 anomalies of a kind are listed.
type SetDetails struct {
	Adds         int `json:"adds"`         // begun
	Acknowledged int `json:"acknowledged"` // of them
	Reads        int `json:"reads"`        // that succeeded
	// Lost elements were acknowledged or seen, and are missing in a later read
	// and in all reads since.
	Lost []Anomaly `json:"lost"`
	// Unexpected elements were read though nobody had begun to add them.
	Unexpected []Anomaly `json:"unexpected"`
	// Duplicated elements stood twice in one read.
	Duplicated []Anomaly `json:"duplicated"`
	// Stale elements were acknowledged or seen before a read began, missing in
	// it, and there again later.
	Stale []Anomaly `json:"stale"`
}

// Name implements [harness.Checker].
func (Set) Name() string { return "set" }

// Check implements [harness.Checker]. It takes O(n log n) and what it takes to
// look at every element of every read once.
func (s Set) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: s.Name()}
	m := model.Set()
	if err := m.CheckTypes(h.Operations); err != nil {
		return r, err
	}
	var d SetDetails
	found := newAnomalies(h, m, "lost", "unexpected", "duplicated", "stale")
	keys, groups := model.ByKey(h.Operations)
	for _, key := range keys {
		if ctx.Err() != nil {
			r.Valid, r.Summary = harness.Unknown, "There was no time to judge all sets."
			return r, nil
		}
		s.judge(key, groups[key], &d, found)
	}
	d.Lost, d.Unexpected = found.list("lost"), found.list("unexpected")
	d.Duplicated, d.Stale = found.list("duplicated"), found.list("stale")
	r.Details = d
	fine := fmt.Sprintf("All of %d acknowledged elements were in each of %d reads that began later.", d.Acknowledged, d.Reads)
	found.judge(&r, m, fine)
	if r.Valid == harness.Valid && d.Acknowledged > 0 && d.Reads == 0 {
		r.Valid, r.Summary = harness.Unknown, "Nobody read the set, so nobody knows what became of the elements."
	}
	return r, nil
}

// element is what is known of one element of a set.
type element struct {
	value int64
	add   *harness.Operation // the first to begin; nil if nobody added it
	known int                // from this position on it is in the set
	proof *harness.Operation // because of this operation
	last  *harness.Operation // the read that began last of those that show it
	mark  int                // the number of the read that showed it last, for counting
}

func (s Set) judge(key string, ops []*harness.Operation, d *SetDetails, found *anomalies) {
	elements := map[int64]*element{}
	get := func(v int64) *element {
		e := elements[v]
		if e == nil {
			e = &element{value: v, known: harness.Open, mark: -1}
			elements[v] = e
		}
		return e
	}
	know := func(e *element, op *harness.Operation) {
		if op.Return < e.known {
			e.known, e.proof = op.Return, op
		}
	}
	var reads []*harness.Operation
	for _, op := range ops {
		switch {
		case op.F == "add":
			d.Adds++
			e := get(op.Input.(int64))
			if e.add == nil {
				e.add = op
			}
			if op.Type == harness.OK {
				d.Acknowledged++
				know(e, op)
			}
		case op.Type == harness.OK:
			d.Reads++
			reads = append(reads, op)
		}
	}
	for n, read := range reads {
		for _, v := range read.Output.([]int64) {
			e := get(v)
			if e.mark == n {
				found.add("duplicated", key, v, is(story.Twice{Value: v, Read: read}), read)
			}
			e.mark, e.last = n, read
			if e.add == nil || e.add.Call > read.Return {
				found.add("unexpected", key, v, func(whole []*harness.Operation) story.Claim { return story.NotBegunBy(whole, v, read) }, read)
				continue
			}
			know(e, read)
		}
	}

	order := make([]*element, 0, len(elements))
	for _, e := range elements {
		e.mark = -1
		order = append(order, e)
	}
	slices.SortFunc(order, func(a, b *element) int {
		return cmp.Or(cmp.Compare(a.known, b.known), cmp.Compare(a.value, b.value))
	})
	said := map[*element]bool{}
	for n, read := range reads {
		due, _ := slices.BinarySearchFunc(order, read.Call, func(e *element, at int) int { return cmp.Compare(e.known, at) })
		there := 0
		for _, v := range read.Output.([]int64) {
			if e := elements[v]; e.mark != n {
				e.mark = n
				if e.known < read.Call {
					there++
				}
			}
		}
		if there == due {
			continue
		}
		for _, e := range order[:due] {
			if e.mark == n || said[e] {
				continue
			}
			proof := []*harness.Operation{read}
			if e.proof != read {
				proof = append(proof, e.proof)
			}
			if e.last != nil && e.last.Call > read.Call {
				if !s.AllowStale {
					said[e] = true
					found.add("stale", key, e.value, is(story.Missing{Value: e.value, Read: read, By: e.proof, Again: e.last}), append(proof, e.last)...)
				}
				continue
			}
			said[e] = true
			found.add("lost", key, e.value, is(story.Missing{Value: e.value, Read: read, By: e.proof}), proof...)
		}
	}
}
