package workloads

import (
	"context"
	"slices"
	"time"

	"coup/checker/invariants"
	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
)

// cache has processes that look for entries, fill those that are missing if they are given
// the lease to, and invalidate them when the origin changes. The origin is the generator's:
// it has a version of each key, which is what an entry holds.
var cache = Workload{
	Doc: "get entries that live for a while, fill those that are missing by a lease, and invalidate them",
	Generator: func(o Options) harness.Generator {
		o = o.orDefaults()
		return gen.Keys(o.Keys, func(string) harness.Generator {
			return gen.LimitHappened(longLived*o.OpsPerKey, cacheOps{version: 1})
		})
	},
	Final: func(keys []string) harness.Generator {
		var ops []harness.Op
		for _, key := range keys {
			ops = append(ops, harness.Op{F: "get", Key: key})
		}
		return gen.Retry(ops, succeeded)
	},
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		store := c.(cluster.Cache)
		switch op.F {
		case "get":
			got, err := store.CacheGet(ctx, op.Key, fillLease)
			if err != nil {
				return nil, err
			}
			out := model.Cached{Value: maybe(got.Value), Token: maybe(got.Token)}
			if out.Token.Set {
				out.Lease = fillLease
			}
			return out, nil
		case "fill":
			in := op.Value.(model.Fill)
			return nil, store.CacheFill(ctx, op.Key, in.Token, in.Value, in.TTL)
		case "invalidate":
			return nil, store.CacheInvalidate(ctx, op.Key)
		}
		return nil, unknownFunction(op)
	},
	Looks:    func(op *harness.Operation) bool { return op.F == "get" },
	Supports: supports[cluster.Cache],
	Decode:   model.DecodeCache,
	Checkers: func() []harness.Checker {
		return []harness.Checker{invariants.Cache{}, linearizable.Checker{Model: model.Cache()}}
	},
	Levels: []Level{
		oneWay("linearizable", "gets, fills and invalidations of a key each happen at one moment, and no entry is shown after its end",
			invariants.Cache{}, linearizable.Checker{Model: model.Cache()}),
		oneWay("cache", "no entry is shown after its end, or older than an acknowledged invalidation; one filler at a time", invariants.Cache{}),
	},
	Needs:       []string{"get", "fill", "invalidate"},
	Conditional: []string{"fill"}, // the lease may be over
}

const (
	// fillLease is how long a client may take to fill an entry.
	fillLease = time.Second
	// An entry may be shown for a time between these, so that some end while they are looked at.
	shortestTTL = 300 * time.Millisecond
	longestTTL  = 3 * time.Second
	// longestQuiet is how long the origin stays as it is at most, before it may change again.
	longestQuiet = 2 * longestTTL
	// changesInARow is how often the origin changes before it stays as it is for a while.
	changesInARow = 8
	// longLived is how many times as often as others a key is used before another takes its place: long enough
	// for entries to come to their end meanwhile.
	longLived = 5
)

// cacheOps mixes gets with invalidations of one key. Who was given the lease fills the
// entry when it next turns to the key, with what the origin had when it was given it: in
// between, the origin may change. After a few changes the origin stays as it is for a while: entries
// that are invalidated all the time never come to their end.
type cacheOps struct {
	version int64         // of the origin
	quiet   time.Duration // until when the origin does not change
	fillers []filler
}

// filler is a process that has the lease.
type filler struct {
	process int
	fill    model.Fill
}

// mostFillers bounds how many fillers are remembered: of those that died nobody hears again.
const mostFillers = 8

func (g cacheOps) Next(m harness.Moment) (harness.Op, harness.Generator) {
	mine := func(f filler) bool { return f.process == m.Process }
	if i := slices.IndexFunc(g.fillers, mine); i >= 0 {
		fill := g.fillers[i].fill
		fill.TTL = shortestTTL + time.Duration(m.Rand.Int64N(int64(longestTTL-shortestTTL))).Round(time.Millisecond)
		g.fillers = slices.Concat(g.fillers[:i], g.fillers[i+1:])
		return harness.Op{F: "fill", Value: fill}, g
	}
	if m.Time >= g.quiet && m.Rand.IntN(12) == 0 {
		if g.version++; g.version%changesInARow == 0 {
			g.quiet = m.Time + time.Duration(m.Rand.Int64N(int64(longestQuiet)))
		}
		return harness.Op{F: "invalidate", Value: g.version}, g
	}
	return harness.Op{F: "get"}, g
}

func (g cacheOps) Update(_ harness.Moment, op harness.Op) harness.Generator {
	if got, ok := op.Value.(model.Cached); ok && op.F == "get" && op.Type == harness.OK && got.Token.Set {
		g.fillers = append(slices.Clone(g.fillers), filler{op.Process, model.Fill{Token: got.Token.Int, Value: g.version}})
		g.fillers = g.fillers[max(0, len(g.fillers)-mostFillers):]
	}
	return g
}
