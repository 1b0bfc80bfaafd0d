package workloads

import (
	"context"

	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
)

var lock = Workload{
	Doc: "acquire locks, renew their leases and release them",
	Generator: func(o Options) harness.Generator {
		o = o.orDefaults()
		return gen.Keys(o.Keys, func(string) harness.Generator {
			return gen.LimitHappened(o.OpsPerKey, lockOps{holder: nobody})
		})
	},
	// In the end every lock can be acquired once more, at the latest when its last
	// lease is over.
	Final: func(keys []string) harness.Generator {
		var ops []harness.Op
		for _, k := range keys {
			ops = append(ops, harness.Op{F: "acquire", Key: k})
		}
		return gen.Retry(ops, succeeded)
	},
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		l := c.(cluster.Lock)
		switch op.F {
		case "acquire":
			return granted(l.Acquire(ctx, op.Key))
		case "renew":
			return granted(l.Renew(ctx, op.Key))
		case "release":
			return nil, l.Release(ctx, op.Key)
		}
		return nil, unknownFunction(op)
	},
	Supports: supports[cluster.Lock],
	Decode:   model.DecodeLock,
	Checkers: func() []harness.Checker {
		return []harness.Checker{linearizable.Checker{Model: model.Lock()}}
	},
	Needs:       []string{"acquire", "renew", "release"},
	Conditional: []string{"renew", "release"},
}

func granted(g cluster.Grant, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return model.Grant{Token: maybe(g.Token), Lease: g.Lease}, nil
}

// lockOps lets all processes ask for a lock, except its holder, which renews the lease
// and then releases the lock: soon in one half of the cases, late in the other. A lock
// that is held for long can be lost; one that changes hands often shows who else got it.
type lockOps struct {
	holder int // the process that was last seen to hold the lock
	renews int // how many times its holder renews it for one release
}

const (
	nobody     = -1
	renewsFew  = 4
	renewsMany = 100
)

func (g lockOps) Next(m harness.Moment) (harness.Op, harness.Generator) {
	switch {
	case m.Process != g.holder:
		return harness.Op{F: "acquire"}, g
	case m.Rand.IntN(1+g.renews) == 0:
		return harness.Op{F: "release"}, g
	}
	return harness.Op{F: "renew"}, g
}

func (g lockOps) Update(m harness.Moment, op harness.Op) harness.Generator {
	switch {
	case op.Type == harness.OK && op.F == "acquire":
		g.holder, g.renews = op.Process, renewsFew
		if m.Rand.IntN(2) == 0 {
			g.renews = renewsMany
		}
	case op.Process == g.holder && (op.Type != harness.OK || op.F == "release"):
		g.holder = nobody
	}
	return g
}
