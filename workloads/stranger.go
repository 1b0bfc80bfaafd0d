package workloads

import (
	"context"
	"slices"
	"time"

	"coup/checker/strangers"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
)

// stranger tries, beside what clients do, to be let in by nodes that ask who one is. It is meant
// to run beside another workload: its attempts are few, and bounded in number.
var stranger = Workload{
	Doc: "try to be let in without the right certificate or token, by handshakes that hang, and by many at once; beside another workload",
	Generator: func(o Options) harness.Generator {
		o = o.orDefaults()
		return spaced{every: attemptEvery, g: gen.Keys(o.Keys, func(string) harness.Generator {
			return gen.LimitHappened(o.OpsPerKey, strangerOps{})
		})}
	},
	Final: func(keys []string) harness.Generator { return gen.Retry(readAll(keys), succeeded) },
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		s := c.(cluster.Stranger)
		switch {
		case op.F == strangers.Look:
			v, err := s.Read(ctx, op.Key)
			if err != nil || v == nil {
				return nil, err
			}
			return *v, nil
		case slices.Contains(cluster.Ways(), op.F):
			var write *int64
			if v, ok := op.Value.(int64); ok {
				write = &v
			}
			answer, err := s.Intrude(ctx, op.F, op.Key, write)
			if err != nil {
				return nil, err
			}
			return answer, nil
		}
		return nil, unknownFunction(op)
	},
	Supports: supports[cluster.Stranger],
	Decode:   strangers.Decode,
	Checkers: func() []harness.Checker {
		// Tokens are withdrawn only while keys are rotated.
		always := slices.DeleteFunc(cluster.Ways(), func(way string) bool { return way == cluster.OldToken })
		return []harness.Checker{strangers.Checker{Ways: always, Rotated: []string{cluster.OldToken}}}
	},
	Needs:       []string{strangers.Look},
	Conditional: cluster.Ways(),
	Unserved:    cluster.Ways(),
}

// attemptEvery is the time between two attempts, of all processes together.
const attemptEvery = 60 * time.Millisecond

// strangerOps are attempts of all kinds on one object, and looks whether one has changed it.
type strangerOps struct {
	newest int64
}

func (g strangerOps) Next(m harness.Moment) (harness.Op, harness.Generator) {
	ways := cluster.Ways()
	i := m.Rand.IntN(len(ways) + 3)
	if i >= len(ways) {
		return harness.Op{F: strangers.Look}, g
	}
	op := harness.Op{F: ways[i]}
	if op.F != cluster.Garbage && op.F != cluster.SlowHandshake && m.Rand.IntN(2) == 0 {
		g.newest++
		op.Value = g.newest
	}
	return op, g
}

func (g strangerOps) Update(harness.Moment, harness.Op) harness.Generator { return g }
