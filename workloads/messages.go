package workloads

import (
	"context"
	"time"

	"coup/checker/invariants"
	"coup/checker/model"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
)

// settle is how long after the load the queues are drained: a message that was handed to
// a client which is gone comes back when the system has noticed that.
const settle = 15 * time.Second

var messages = Workload{
	Doc: "publish and consume on queues that hand every message out at least once, in any order; drained at the end",
	// The same queues all the time: brokers are not made for ever new ones, and judging takes
	// no longer for long ones.
	Generator: func(o Options) harness.Generator {
		return gen.Keys(o.orDefaults().Keys, func(string) harness.Generator {
			return counting{f: "enqueue", share: 0.5, other: "dequeue"}
		})
	},
	Final: func(keys []string) harness.Generator { return later{drainAll(keys), 0} },
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		q := c.(cluster.Messages)
		switch op.F {
		case "enqueue":
			return nil, q.Publish(ctx, op.Key, op.Value.(int64))
		case "dequeue":
			v, err := q.Consume(ctx, op.Key)
			return maybe(v), err
		}
		return nil, unknownFunction(op)
	},
	Supports: supports[cluster.Messages],
	Decode:   model.DecodeQueue,
	Checkers: func() []harness.Checker {
		return []harness.Checker{invariants.TotalQueue{Settle: settle}}
	},
	Needs: []string{"enqueue", "dequeue"},
}

// later begins g when settle has passed.
type later struct {
	g     harness.Generator
	begin time.Duration // 0: not known yet
}

func (l later) Next(m harness.Moment) (harness.Op, harness.Generator) {
	if l.begin == 0 {
		l.begin = m.Time + settle
	}
	if m.Time < l.begin {
		return harness.Op{Time: l.begin}, l
	}
	return l.g.Next(m)
}

func (l later) Update(harness.Moment, harness.Op) harness.Generator { return l }
