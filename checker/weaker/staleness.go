package weaker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Staleness measures how old the values are that reads of registers return. Every value
// must be written once. When a read begins, for how long had a newer value been
// acknowledged, and how many newer ones were there? The figures are lower bounds, because
// only what is certain counts. It takes O(n log n). Its Details are [StalenessDetails].
type Staleness struct {
	MaxTime     time.Duration // reads that are older break the promise; zero: no bound
	MaxVersions int           // the same in versions; zero: no bound
}

// StalenessDetails are the Details of [Staleness]. Times are nanoseconds.
type StalenessDetails struct {
	Reads       int           `json:"reads"` // that were measured
	Stale       int           `json:"stale"` // of them showed an old value
	Half        time.Duration `json:"half"`  // half of the stale reads were no older
	P99         time.Duration `json:"p99"`   // 99% of them were no older
	MaxTime     time.Duration `json:"max_time"`
	MaxVersions int           `json:"max_versions"`
}

// Name implements [harness.Checker].
func (Staleness) Name() string { return "staleness" }

// Check implements [harness.Checker].
func (c Staleness) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: c.Name()}
	m := model.Register()
	if err := m.CheckTypes(h.Operations); err != nil {
		return r, err
	}
	var d StalenessDetails
	var ages []time.Duration
	var worst *harness.Counterexample
	keys, groups := model.ByKey(h.Operations)
	for _, key := range keys {
		if ctx.Err() != nil {
			r.Valid, r.Summary, r.Details = harness.Unknown, "There was no time to measure all keys.", d
			return r, nil
		}
		for _, s := range staleReads(groups[key]) {
			d.Reads++
			if s.versions == 0 {
				continue
			}
			d.Stale++
			age := s.read.Start - s.newer.End
			ages = append(ages, age)
			d.MaxTime, d.MaxVersions = max(d.MaxTime, age), max(d.MaxVersions, s.versions)
			if worst == nil && (c.MaxTime > 0 && age > c.MaxTime || c.MaxVersions > 0 && s.versions > c.MaxVersions) {
				worst = &harness.Counterexample{Key: key}
				ops := []harness.Operation{*s.newer, *s.read}
				worst.Witness = story.Witnesses(m, ops)
				worst.Story = []string{story.Sentence(m, ops, 0), story.Sentence(m, ops, 1),
					fmt.Sprintf("What it got was older by at least %s and %s.", story.Seconds(age), story.Plural(s.versions, "version"))}
			}
		}
	}
	slices.Sort(ages)
	if n := len(ages); n > 0 {
		d.Half, d.P99 = ages[(n-1)/2], ages[(n-1)*99/100]
	}
	r.Details = d
	most := story.Plural(d.MaxVersions, "version")
	if story.TellerOf(m, h.Operations).Timed { // else nobody knows how long ago anything was
		most = story.Seconds(d.MaxTime) + " and " + most
	}
	r.Summary = fmt.Sprintf("%d of %s showed an old value, at most %s old.", d.Stale, story.Plural(d.Reads, "read"), most)
	if worst != nil {
		r.Valid, r.Counterexample = harness.Invalid, worst
	}
	return r, nil
}

// staleRead is a read with how old at least its value was.
type staleRead struct {
	read     *harness.Operation
	newer    *harness.Operation // the first newer write to be acknowledged
	versions int                // newer writes that were acknowledged before the read began
}

// staleReads measures the reads of one key. A write is newer than another if it
// began after the other had ended.
func staleReads(ops []*harness.Operation) []staleRead {
	var writes []*harness.Operation // in the order of their beginning
	writer := map[model.Maybe]*harness.Operation{}
	for _, op := range ops {
		if r := model.RegisterEffectOf(op); r.Writes {
			writer[model.Just(r.To)] = op
			writes = append(writes, op)
		}
	}
	// first[i] is the one of writes[i:] that was acknowledged first.
	first := make([]*harness.Operation, len(writes)+1)
	for i := len(writes) - 1; i >= 0; i-- {
		first[i] = writes[i]
		if next := first[i+1]; next != nil && model.Returned(next) < model.Returned(writes[i]) {
			first[i] = next
		}
	}
	var reads []staleRead
	type query struct{ read, after int } // count writes[after:] acknowledged before the read
	var queries []query
	for _, op := range ops {
		r := model.RegisterEffectOf(op)
		if !r.Observes || r.Writes {
			continue
		}
		after := 0
		if r.Saw.Set {
			w := writer[r.Saw]
			if w == nil {
				continue // nobody wrote that value: other checkers report it
			}
			after = sort.Search(len(writes), func(i int) bool { return writes[i].Call > model.Returned(w) })
		}
		s := staleRead{read: op, newer: first[after]}
		if s.newer != nil && model.Returned(s.newer) < op.Call {
			queries = append(queries, query{len(reads), after})
		}
		reads = append(reads, s)
	}
	// Writes are counted in the order of their ends, with a tree of partial sums
	// (Fenwick 1994).
	byEnd := make([]int, len(writes))
	for i := range byEnd {
		byEnd[i] = i
	}
	slices.SortFunc(byEnd, func(a, b int) int { return cmp.Compare(model.Returned(writes[a]), model.Returned(writes[b])) })
	slices.SortFunc(queries, func(a, b query) int { return cmp.Compare(reads[a.read].read.Call, reads[b.read].read.Call) })
	tree := make([]int, len(writes)+1)
	next, counted := 0, 0
	for _, q := range queries {
		for ; next < len(byEnd) && model.Returned(writes[byEnd[next]]) < reads[q.read].read.Call; next++ {
			counted++
			for i := byEnd[next] + 1; i < len(tree); i += i & -i {
				tree[i]++
			}
		}
		older := 0
		for i := q.after; i > 0; i -= i & -i {
			older += tree[i]
		}
		reads[q.read].versions = counted - older
	}
	return reads
}
