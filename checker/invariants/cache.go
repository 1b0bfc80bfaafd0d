package invariants

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Cache checks a history of [model.Cache] by its times and by the versions of the origin,
// and measures how much of it was served from the cache. The value of an entry is
// the version of the origin that it is a copy of; whoever fills must have read the origin
// after it was given the lease. The leases are those of "Scaling Memcache at Facebook"
// (Nishtala et al., NSDI 2013). The kinds of findings are
//
//   - invented: an entry that nobody had filled;
//   - outdated: an entry older than an invalidation that was acknowledged before;
//   - expired: an entry that was to be shown no longer;
//   - two-fillers: a lease that was given while another client had it;
//   - no-lease: a fill that was acknowledged though its lease was over for certain.
type Cache struct {
	// Bound is how far clocks may be apart; 0: 100 ms.
	Bound time.Duration
}

// CacheDetails are the Details of [Cache].
type CacheDetails struct {
	Details
	Load     CacheFigures `json:"load"`
	Failover CacheFigures `json:"failover"` // what began within [AfterFailover] of an election
	// Stale are the hits that were older than the origin, which a change may be on the way
	// to; Age is how long the oldest of them had been replaced, in nanoseconds.
	Stale int           `json:"stale"`
	Age   time.Duration `json:"age"`
}

// CacheFigures count gets.
type CacheFigures struct {
	Hits    int `json:"hits"`
	Leases  int `json:"leases"`  // no entry, and the lease to fill it
	Waiting int `json:"waiting"` // no entry, and no lease
}

// AfterFailover is how long after an election gets count as those of a failover.
const AfterFailover = 5 * time.Second

func (f CacheFigures) gets() int { return f.Hits + f.Leases + f.Waiting }

func (f CacheFigures) rate() string {
	if f.gets() == 0 {
		return "no gets"
	}
	return fmt.Sprintf("%d of %s were hits (%d %%)", f.Hits, story.Plural(f.gets(), "get"), 100*f.Hits/f.gets())
}

func (f *CacheFigures) count(got model.Cached) {
	switch {
	case got.Hit():
		f.Hits++
	case got.Token.Set:
		f.Leases++
	default:
		f.Waiting++
	}
}

// Name implements [harness.Checker].
func (Cache) Name() string { return "cache" }

// Check implements [harness.Checker].
func (c Cache) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	err := check(h, "a cache", func(op *harness.Operation) bool {
		switch op.F {
		case "get":
			_, ok := op.Output.(model.Cached)
			return ok || op.Type != harness.OK
		case "fill":
			_, ok := op.Input.(model.Fill)
			return ok
		case "invalidate":
			_, ok := op.Input.(int64)
			return ok
		}
		return false
	})
	if err != nil {
		return harness.Result{Checker: c.Name()}, err
	}
	c.Bound = cmp.Or(c.Bound, 100*time.Millisecond)
	f := find(model.Cache(), h, "invented", "outdated", "expired", "two-fillers", "no-lease")
	d := CacheDetails{}
	var elections []time.Duration
	for _, e := range timeline.RolesOf(h).Elected() {
		elections = append(elections, e.Time)
	}
	keys, byKey := model.ByKey(h.Operations)
	for _, key := range keys {
		e := entryOf(byKey[key])
		for _, op := range e.gets {
			got := op.Output.(model.Cached)
			d.Load.count(got)
			if slices.ContainsFunc(elections, func(at time.Duration) bool { return at <= op.Start && op.Start < at+AfterFailover }) {
				d.Failover.count(got)
			}
			if got.Hit() {
				c.hit(f, e, op)
				if age := e.age(op); age > 0 {
					d.Stale++
					d.Age = max(d.Age, age)
				}
			}
			if got.Token.Set {
				c.lease(f, e, op)
			}
		}
		for _, op := range e.fills {
			if op.Type == harness.OK {
				c.fill(f, e, op)
			}
		}
	}
	fine := d.Load.rate()
	if d.Failover.gets() > 0 {
		fine += fmt.Sprintf("; within %v of an election %s", AfterFailover, d.Failover.rate())
	}
	fine = fmt.Sprintf("%s. %s older than the origin, by %.3f s at most.", fine, story.Plural(d.Stale, "hit"), d.Age.Seconds())
	r := f.result(c.Name(), "The cache broke its promises", fine)
	if r.Valid == harness.Valid && d.Load.gets() == 0 {
		r.Valid, r.Summary = harness.Unknown, "Nobody got an answer from the cache."
	}
	d.Details = f.Details
	r.Details = d
	return r, nil
}

// entry is what was done to a key, without what failed, in the order of the calls.
type entry struct {
	gets, fills, invalidations []*harness.Operation // of the gets only those that were answered
	granted                    []*harness.Operation // the gets that were given the lease
	leases                     map[int64]*harness.Operation
}

func entryOf(ops []*harness.Operation) *entry {
	e := &entry{leases: map[int64]*harness.Operation{}}
	for _, op := range ops {
		switch op.F {
		case "fill":
			e.fills = append(e.fills, op)
		case "invalidate":
			e.invalidations = append(e.invalidations, op)
		case "get":
			got, ok := op.Output.(model.Cached)
			if !ok {
				continue
			}
			e.gets = append(e.gets, op)
			if got.Token.Set {
				e.granted = append(e.granted, op)
				e.leases[got.Token.Int] = op
			}
		}
	}
	return e
}

// age is how long the origin has had a newer version than a hit showed, when it began.
func (e *entry) age(hit *harness.Operation) (age time.Duration) {
	v := hit.Output.(model.Cached).Value.Int
	for _, op := range e.invalidations {
		if op.Input.(int64) > v && op.Call < hit.Call {
			age = max(age, hit.Start-op.Start)
		}
	}
	return age
}

// hit judges a get that showed an entry.
func (c Cache) hit(f *findings, e *entry, op *harness.Operation) {
	v := op.Output.(model.Cached).Value.Int
	var last *harness.Operation // of the fills with this value, the one whose entry lasts longest
	var end time.Duration
	for _, fill := range e.fills {
		if fill.Input.(model.Fill).Value != v || fill.Call > op.Return {
			continue
		}
		if fill.Type != harness.OK {
			last, end = fill, 1<<62 // nobody knows when it took effect
			break
		}
		if until := fill.End + fill.Input.(model.Fill).TTL; last == nil || until > end {
			last, end = fill, until
		}
	}
	who := fmt.Sprintf("Process %d was shown %d", op.Process, v)
	if last == nil {
		f.add("invented", op.Key, who+", which nobody had filled in.", op)
		return
	}
	for _, i := range e.invalidations {
		if i.Type == harness.OK && i.Return < op.Call && i.Input.(int64) > v {
			f.add("outdated", op.Key, fmt.Sprintf("%s, though an invalidation had been acknowledged since the origin had version %d.", who, i.Input), last, i, op)
			return
		}
	}
	if op.Start > end+c.Bound {
		f.add("expired", op.Key, fmt.Sprintf("%s %.3f s after the entry was to be shown no longer.", who, (op.Start-end).Seconds()), last, op)
	}
}

// lease judges a get that was given the lease, against those before it.
func (c Cache) lease(f *findings, e *entry, op *harness.Operation) {
	for _, other := range e.granted {
		got := other.Output.(model.Cached)
		if other == op || other.Return > op.Call || op.End+c.Bound > other.Start+got.Lease {
			continue
		}
		if !e.endedBetween(got.Token.Int, other.Call, op.Return) {
			f.add("two-fillers", op.Key, fmt.Sprintf("Process %d was given the lease, which process %d had until %s at least.", op.Process, other.Process, story.Seconds(other.Start+got.Lease)), other, op)
			return
		}
	}
}

// endedBetween says whether a fill or an invalidation may have ended a lease between two positions.
func (e *entry) endedBetween(token int64, from, to int) bool {
	may := func(op *harness.Operation) bool { return op.Call < to && model.Returned(op) > from }
	return slices.ContainsFunc(e.invalidations, may) || slices.ContainsFunc(e.fills, func(op *harness.Operation) bool {
		return op.Input.(model.Fill).Token == token && may(op)
	})
}

// fill judges a fill that was acknowledged.
func (c Cache) fill(f *findings, e *entry, op *harness.Operation) {
	in := op.Input.(model.Fill)
	given := e.leases[in.Token]
	who := fmt.Sprintf("Process %d filled the entry", op.Process)
	if given == nil || given.Call > op.Return {
		return // of the get that was given it nobody knows
	}
	for _, i := range e.invalidations {
		if i.Type == harness.OK && given.Return < i.Call && i.Return < op.Call {
			f.add("no-lease", op.Key, who+" by a lease that an invalidation had ended.", given, i, op)
			return
		}
	}
	for _, other := range e.granted {
		if given.Return < other.Call && other.Return < op.Call {
			f.add("no-lease", op.Key, who+" by a lease that another client had been given since.", given, other, op)
			return
		}
	}
}
