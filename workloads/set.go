package workloads

import (
	"context"

	"coup/checker/elements"
	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
)

var set = Workload{
	Doc: "add elements to sets and read them whole",
	Generator: func(o Options) harness.Generator {
		o = o.orDefaults()
		return gen.Keys(o.Keys, func(string) harness.Generator {
			return gen.LimitHappened(o.OpsPerKey, counting{f: "add", share: 0.7, other: "read"})
		})
	},
	Final: func(keys []string) harness.Generator { return gen.Retry(readAll(keys), succeeded) },
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		s := c.(cluster.Set)
		switch op.F {
		case "add":
			return nil, s.SetAdd(ctx, op.Key, op.Value.(int64))
		case "read":
			return result(s.SetRead(ctx, op.Key))
		}
		return nil, unknownFunction(op)
	},
	Supports: supports[cluster.Set],
	Decode:   model.DecodeSet,
	Checkers: func() []harness.Checker {
		return []harness.Checker{elements.Set{}, linearizable.Checker{Model: model.Set()}}
	},
	Needs: []string{"add", "read"},
}

// result keeps a typed nil out of an any when there was an error.
func result[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// counting mixes the function f, whose values count up from 1, with another
// that takes no value.
type counting struct {
	f     string
	share float64 // of f
	other string
	last  int64
}

func (g counting) Next(m harness.Moment) (harness.Op, harness.Generator) {
	if m.Rand.Float64() >= g.share {
		return harness.Op{F: g.other}, g
	}
	g.last++
	return harness.Op{F: g.f, Value: g.last}, g
}

func (g counting) Update(harness.Moment, harness.Op) harness.Generator { return g }
