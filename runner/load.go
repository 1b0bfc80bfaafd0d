package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coup/harness"
)

const (
	finalPatience    = 60 * time.Second      // for reading everything once more; at least as long as the load, and as the system may take to serve
	lostPatience     = 10 * time.Second      // the same, for a cluster that has not served after healing
	restAfterFailure = 20 * time.Millisecond // of a client after a fail or an info
)

// test is a test whose clients take their operations from g.
func (r *run) test(g harness.Generator, first int) harness.Test {
	nodes := r.cluster.Nodes()
	return harness.Test{
		Runtime: r.rt, Generator: g, Concurrency: r.plan.Concurrency, Seed: r.plan.Seed,
		Timeout: time.Duration(r.plan.Timeout), Backoff: restAfterFailure, FirstProcess: first,
		Open: func(thread, process int) (harness.Client, error) {
			o := r.options
			o.Client = fmt.Sprintf("p%d", process)
			c, err := r.sys.Open(r.cluster, nodes[thread%len(nodes)].Name, o)
			if err != nil {
				return nil, err
			}
			if !r.work.Works(c) {
				return nil, fmt.Errorf("%s can't do what the workload %s asks for", r.plan.System, r.plan.Workload)
			}
			return r.work.Client(c), nil
		},
		Record: r.record,
	}
}

func (r *run) record(op *harness.Op) error {
	var keys []string
	if op.Type == harness.Invoke {
		keys = r.work.Objects(*op)
	}
	if err := r.rec.operation(op, keys); err != nil {
		return err
	}
	r.found.observe(*op)
	return nil
}

// load lets clients and nemesis work. The clients go on until the cluster is healed and
// serves them again.
func (r *run) load(ctx, soft context.Context, start time.Duration) (next int, err error) {
	r.rec.enter(harness.PhaseLoad)
	loading, end := context.WithCancel(soft)
	defer end()
	working, rest := context.WithCancel(ctx)
	defer rest()
	if r.plan.FailFast {
		r.found.begin(r, end)
		defer r.found.end()
		judged := harness.Spawn(r.rt, func() { r.judgeOnTheWay(loading) })
		defer judged()
		defer r.rt.Wake()
		defer end()
	}
	var broken error
	healed := harness.Spawn(r.rt, func() {
		broken = r.trouble(ctx, loading, working, start, end, rest)
		rest()
		r.rt.Wake()
	})
	g, err := r.plan.Generator(r.work, start)
	if err == nil {
		next, err = harness.Run(ctx, working, r.test(g, 0))
	}
	rest()
	if err != nil || r.plan.Operations == nil {
		end() // clients that end early end the nemesis too, unless all that is listed was done
	}
	r.rt.Wake()
	healed()
	return next, errors.Join(err, broken)
}

// trouble lets the nemesis work until the load is over, then heals the cluster and waits
// until it serves. It ends loading when the time of the load is over; a violation ends it
// at once. The context working ends with the clients' work.
func (r *run) trouble(ctx, loading, working context.Context, start time.Duration, end, rest func()) error {
	struck := harness.Spawn(r.rt, func() { r.nemesis.Run(loading, r.plan.Entries()) })
	harness.Sleep(loading, r.rt, start+time.Duration(r.plan.Time))
	end()
	if r.found.any() {
		rest()
	}
	r.rt.Wake()
	struck()
	r.rec.enter(harness.PhaseHeal)
	err := r.nemesis.Heal(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	r.rec.enter(harness.PhaseServe)
	r.awaitSuccesses(ctx, working)
	// If something is still broken, the checkers will say so.
	if err := r.nemesis.Reinstate(ctx); err != nil && ctx.Err() == nil {
		r.o.Log.Warn("not healed", "says", err)
		r.rec.event(harness.Event{Time: r.rt.Now(), Kind: harness.UnhealedEvent, Message: err.Error()})
	}
	return nil
}

// awaitSuccesses returns when every function that the workload needs has succeeded once, and
// something in each shard that clients asked, or when the time for that is over. Clients with a list of operations call nothing else;
// then it returns when working ends, as it does if clients have ended because of an error.
func (r *run) awaitSuccesses(ctx, working context.Context) {
	listed := r.plan.Operations != nil
	if listed {
		r.rec.await(nil, nil)
	} else {
		r.rec.await(r.work.Needs, r.shardOf())
	}
	until := r.rt.Now() + time.Duration(r.plan.ServeWithin) + time.Second // a little more proves more
	for {
		if r.rec.serves() && !listed || working.Err() != nil || r.found.any() || r.rt.Now() > until || ctx.Err() != nil {
			return
		}
		harness.Sleep(ctx, r.rt, r.rt.Now()+20*time.Millisecond)
	}
}

// final looks at everything once more.
func (r *run) final(ctx context.Context, first int) error {
	patience := max(finalPatience, time.Duration(r.plan.Time), time.Duration(r.plan.ServeWithin))
	if !r.rec.serves() && !r.found.any() {
		patience = lostPatience
	}
	bounded, cancel := r.rt.WithTimeout(ctx, patience)
	defer cancel()
	_, err := harness.Run(ctx, bounded, r.test(r.work.Final(r.rec.used()), first))
	return err
}
