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

var queue = Workload{
	Doc: "enqueue and dequeue on first-in first-out queues, drained at the end",
	Generator: func(o Options) harness.Generator {
		o = o.orDefaults()
		return gen.Keys(o.Keys, func(string) harness.Generator {
			// A few more elements go in than out, so that there is something to lose.
			return gen.LimitHappened(o.OpsPerKey, counting{f: "enqueue", share: 0.55, other: "dequeue"})
		})
	},
	Final: drainAll,
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		q := c.(cluster.Queue)
		switch op.F {
		case "enqueue":
			return nil, q.Enqueue(ctx, op.Key, op.Value.(int64))
		case "dequeue":
			v, err := q.Dequeue(ctx, op.Key)
			return maybe(v), err
		}
		return nil, unknownFunction(op)
	},
	Supports: supports[cluster.Queue],
	Decode:   model.DecodeQueue,
	Checkers: func() []harness.Checker {
		return []harness.Checker{elements.Queue{}, linearizable.Checker{Model: model.Queue()}}
	},
	Needs: []string{"enqueue", "dequeue"},
}

// drainAll takes from each queue until it is empty.
func drainAll(keys []string) harness.Generator {
	var ops []harness.Op
	for _, k := range keys {
		ops = append(ops, harness.Op{F: "dequeue", Key: k})
	}
	return gen.Retry(ops, func(op harness.Op) bool {
		return op.Type == harness.OK && !op.Value.(model.Maybe).Set // empty
	})
}
