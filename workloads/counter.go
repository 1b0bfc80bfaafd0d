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

var counter = Workload{
	Doc: "add to counters and read them",
	Generator: func(o Options) harness.Generator {
		o = o.orDefaults()
		return gen.Keys(o.Keys, func(string) harness.Generator {
			return gen.LimitHappened(o.OpsPerKey, gen.Func(func(m harness.Moment) harness.Op {
				if m.Rand.IntN(3) == 0 {
					return harness.Op{F: "read"}
				}
				return harness.Op{F: "add", Value: 1 + m.Rand.Int64N(9)}
			}))
		})
	},
	Final: func(keys []string) harness.Generator { return gen.Retry(readAll(keys), succeeded) },
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		n := c.(cluster.Counter)
		switch op.F {
		case "add":
			return nil, n.CounterAdd(ctx, op.Key, op.Value.(int64))
		case "read":
			return result(n.CounterRead(ctx, op.Key))
		}
		return nil, unknownFunction(op)
	},
	Supports: supports[cluster.Counter],
	Decode:   model.DecodeCounter,
	Checkers: func() []harness.Checker {
		return []harness.Checker{elements.Counter{}, linearizable.Checker{Model: model.Counter()}}
	},
	Needs: []string{"add", "read"},
}
