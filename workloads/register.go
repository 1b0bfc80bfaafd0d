package workloads

import (
	"context"

	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/checker/weaker"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
)

var register = Workload{
	Doc: "read, write and compare-and-set on registers; every value is written once",
	Generator: func(o Options) harness.Generator {
		o = o.orDefaults()
		return gen.Keys(o.Keys, func(string) harness.Generator {
			return gen.LimitHappened(o.OpsPerKey, registerOps{})
		})
	},
	Final: func(keys []string) harness.Generator { return gen.Retry(readAll(keys), succeeded) },
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		r := c.(cluster.Register)
		switch op.F {
		case "read":
			v, err := r.Read(ctx, op.Key)
			return maybe(v), err
		case "write":
			return nil, r.Write(ctx, op.Key, op.Value.(int64))
		case "cas":
			cas := op.Value.(model.CAS)
			var from *int64
			if cas.From.Set {
				from = &cas.From.Int
			}
			saw, err := r.CAS(ctx, op.Key, from, cas.To)
			return maybe(saw), err
		}
		return nil, unknownFunction(op)
	},
	Supports: supports[cluster.Register],
	Decode:   model.DecodeRegister,
	Checkers: func() []harness.Checker {
		return []harness.Checker{linearizable.Checker{Model: model.Register()}}
	},
	Levels: registerLevels(),
	weaker: weaker.Held{},
	Needs:  []string{"read", "write", "cas"},
}

// registerOps mixes reads, writes and compare-and-sets of one register. Written
// values count up from 1; a compare-and-set expects one of the newest few, so
// that a good share of them succeeds.
type registerOps struct {
	newest int64
}

func (g registerOps) Next(m harness.Moment) (harness.Op, harness.Generator) {
	switch m.Rand.IntN(10) {
	case 0, 1, 2, 3:
		return harness.Op{F: "read"}, g
	case 4, 5, 6:
		g.newest++
		return harness.Op{F: "write", Value: g.newest}, g
	}
	var from model.Maybe
	if seen := g.newest - int64(m.Rand.IntN(3)); seen > 0 {
		from = model.Just(seen)
	}
	g.newest++
	return harness.Op{F: "cas", Value: model.CAS{From: from, To: g.newest}}, g
}

func (g registerOps) Update(harness.Moment, harness.Op) harness.Generator { return g }
