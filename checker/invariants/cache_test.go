package invariants

import (
	"testing"
	"time"

	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/harness"
)

// use is an operation on a cache; times are in milliseconds. An end of 0 is an answer that never came.
func use(process int, f string, in, out any, start, end int) harness.Operation {
	op := harness.Operation{
		Process: process, F: f, Key: "k", Input: in, Output: out, Type: harness.OK,
		Start: time.Duration(start) * time.Millisecond, End: time.Duration(end) * time.Millisecond,
		Call: start, Return: end,
	}
	if end == 0 {
		op.Type, op.Return, op.Output = harness.Info, harness.Open, nil
	}
	return op
}

func failed(op harness.Operation) harness.Operation {
	op.Type, op.Output = harness.Fail, nil
	return op
}

func TestCache(t *testing.T) {
	const valid, invalid = harness.Valid, harness.Invalid
	lease := func(p int, token int64, start, end int) harness.Operation {
		return use(p, "get", nil, model.Cached{Token: model.Just(token), Lease: time.Second}, start, end)
	}
	hit := func(p int, v int64, start, end int) harness.Operation {
		return use(p, "get", nil, model.Cached{Value: model.Just(v)}, start, end)
	}
	wait := func(p, start, end int) harness.Operation { return use(p, "get", nil, model.Cached{}, start, end) }
	fill := func(p int, token, v int64, start, end int) harness.Operation {
		return use(p, "fill", model.Fill{Token: token, Value: v, TTL: 500 * time.Millisecond}, nil, start, end)
	}
	changed := func(p int, v int64, start, end int) harness.Operation {
		return use(p, "invalidate", v, nil, start, end)
	}
	for _, c := range []struct {
		name  string
		ops   []harness.Operation
		cache harness.Validity
		kind  string
		whole harness.Validity // as one object
	}{
		{"filled and hit", []harness.Operation{lease(0, 1, 1, 2), wait(1, 3, 4), fill(0, 1, 1, 5, 6), hit(1, 1, 7, 8)}, valid, "", valid},
		{"what nobody filled", []harness.Operation{hit(1, 1, 7, 8)}, invalid, "invented", invalid},
		{"what is filled later", []harness.Operation{lease(0, 1, 1, 2), hit(1, 1, 3, 4), fill(0, 1, 1, 5, 6)}, invalid, "invented", invalid},
		{"what failed to be filled", []harness.Operation{lease(0, 1, 1, 2), failed(fill(0, 1, 1, 5, 6)), hit(1, 1, 7, 8)}, invalid, "invented", invalid},
		{"a fill of which nobody knows", []harness.Operation{lease(0, 1, 1, 2), fill(0, 1, 1, 5, 0), hit(1, 1, 900, 901)}, valid, "", valid},
		{"older than an invalidation", []harness.Operation{lease(0, 1, 1, 2), fill(0, 1, 1, 5, 6), changed(1, 2, 7, 8), hit(1, 1, 9, 10)}, invalid, "outdated", invalid},
		{"while it is invalidated", []harness.Operation{lease(0, 1, 1, 2), fill(0, 1, 1, 5, 6), changed(1, 2, 7, 12), hit(2, 1, 9, 10)}, valid, "", valid},
		{"an invalidation that failed", []harness.Operation{lease(0, 1, 1, 2), fill(0, 1, 1, 5, 6), failed(changed(1, 2, 7, 8)), hit(2, 1, 9, 10)}, valid, "", valid},
		{"an invalidation of which nobody knows", []harness.Operation{lease(0, 1, 1, 2), fill(0, 1, 1, 5, 6), changed(1, 2, 7, 0), hit(2, 1, 9, 10)}, valid, "", valid},
		{"filled anew", []harness.Operation{lease(0, 1, 1, 2), changed(1, 2, 3, 4), lease(1, 2, 5, 6), fill(1, 2, 2, 7, 8), hit(2, 2, 9, 10)}, valid, "", valid},
		{"filled late", []harness.Operation{lease(0, 1, 1, 2), changed(1, 2, 3, 4), fill(0, 1, 1, 5, 6)}, invalid, "no-lease", invalid},
		{"filled by the lease before", []harness.Operation{lease(0, 1, 1, 2), lease(1, 2, 1201, 1202), fill(0, 1, 1, 1203, 1204)}, invalid, "no-lease", invalid},
		{"at its end", []harness.Operation{lease(0, 1, 1, 2), fill(0, 1, 1, 5, 6), hit(1, 1, 590, 591)}, valid, "", valid},
		{"after its end", []harness.Operation{lease(0, 1, 1, 2), fill(0, 1, 1, 5, 6), hit(1, 1, 650, 651)}, invalid, "expired", valid},
		{"a second life", []harness.Operation{lease(0, 1, 1, 2), fill(0, 1, 1, 5, 6), lease(0, 2, 600, 601), fill(0, 2, 1, 602, 603), hit(1, 1, 650, 651)}, valid, "", valid},
		{"two fillers", []harness.Operation{lease(0, 1, 1, 2), lease(1, 2, 3, 4)}, invalid, "two-fillers", invalid},
		{"two at once", []harness.Operation{lease(0, 1, 1, 5), lease(1, 2, 3, 4)}, valid, "", invalid},
		{"one after the other", []harness.Operation{lease(0, 1, 1, 2), lease(1, 2, 1002, 1003)}, valid, "", valid},
		{"freed by an invalidation", []harness.Operation{lease(0, 1, 1, 2), changed(2, 2, 3, 0), lease(1, 2, 4, 5)}, valid, "", valid},
		{"freed by a fill", []harness.Operation{lease(0, 1, 1, 2), fill(0, 1, 1, 3, 4), lease(1, 2, 5, 6)}, valid, "", valid},
		{"gone before its end", []harness.Operation{lease(0, 1, 1, 2), fill(0, 1, 1, 3, 4), wait(1, 5, 6), lease(1, 2, 7, 8)}, valid, "", valid},
		{"gone and back", []harness.Operation{lease(0, 1, 1, 2), fill(0, 1, 1, 3, 4), wait(1, 5, 6), hit(1, 1, 7, 8)}, valid, "", invalid},
		{"a get that was never answered", []harness.Operation{use(0, "get", nil, nil, 1, 0), lease(1, 2, 3, 4)}, valid, "", valid},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &harness.History{Operations: c.ops}
			r, err := Cache{}.Check(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			kind := ""
			for k := range r.Details.(CacheDetails).Numbers {
				kind += k
			}
			want := c.cache
			if kind != c.kind || r.Valid != want {
				t.Errorf("%v %q, want %v %q: %s", r.Valid, kind, want, c.kind, r.Summary)
			}
			l, err := linearizable.Checker{Model: model.Cache()}.Check(t.Context(), h)
			if err != nil || l.Valid != c.whole {
				t.Errorf("as one object: %v, want %v (%v)", l.Valid, c.whole, err)
			}
		})
	}
}

// What is measured: hits, and how old they were.
func TestCacheFigures(t *testing.T) {
	token := model.Cached{Token: model.Just(1), Lease: time.Second}
	h := &harness.History{Operations: []harness.Operation{
		use(0, "get", nil, token, 1, 2),
		use(0, "fill", model.Fill{Token: 1, Value: 1, TTL: time.Second}, nil, 3, 4),
		use(1, "invalidate", int64(2), nil, 5, 0),
		use(2, "get", nil, model.Cached{Value: model.Just(1)}, 205, 206),
		use(2, "get", nil, model.Cached{}, 207, 208),
	}}
	r, err := Cache{}.Check(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	d := r.Details.(CacheDetails)
	if d.Load != (CacheFigures{Hits: 1, Leases: 1, Waiting: 1}) || d.Stale != 1 || d.Age != 200*time.Millisecond {
		t.Errorf("%+v", d)
	}
	if want := "1 of 3 gets were hits (33 %). 1 hit older than the origin, by 0.200 s at most."; r.Summary != want {
		t.Errorf("%q, want %q", r.Summary, want)
	}
}
