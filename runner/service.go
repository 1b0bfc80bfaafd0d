package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"coup/cluster"
	"coup/harness"
	"coup/nemesis"
	"coup/results"
)

const (
	servePatience = 60 * time.Second // for the cluster to come up, if the system does not say
	askPatience   = 10 * time.Second // for one answer of a system's own probe, or of its Init
	openPatience  = 300 * time.Millisecond
)

// awaitService returns when the system serves: by its own probe, if it has one; else
// when a majority follows one leader, if the nodes tell; else when all ports are open.
// Then it does what the system needs done once.
func (r *run) awaitService(ctx context.Context) error {
	patience := cmp.Or(cluster.TimingOf(r.sys, r.options).Start, servePatience)
	begun := r.rt.Now()
	until := begun + patience
	ready := r.portsAreOpen
	if probe, ok := r.sys.(cluster.Readiness); ok {
		ready = func(ctx context.Context) error {
			return r.ask(ctx, func(ctx context.Context) error { return probe.Ready(ctx, r.cluster, r.options) })
		}
	} else if i, ok := r.sys.(cluster.Informer); ok && i.Tells().Has(harness.Leader) {
		ready = r.majorityFollows
	}
	err := r.retry(ctx, until, func(ctx context.Context) error {
		err := ready(ctx)
		if errors.Is(err, cluster.ErrNoProgram) && r.rt.Now() > begun+programPatience {
			return &hopeless{err}
		}
		if err == nil || r.rt.Now() < begun+patience/4 {
			return err
		}
		if never := r.nodes.neverUp(manyStarts); never != "" {
			return &hopeless{fmt.Errorf("%s does not come up: %s; see %s", r.sys.Name(), never, filepath.Join(r.store.Dir, results.NodesDir))}
		}
		return err
	})
	var never *hopeless
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted before the cluster served: %w", ctx.Err())
	case errors.Is(err, cluster.ErrNoProgram) && errors.As(err, &never):
		return fmt.Errorf("%s does not serve: %w", r.sys.Name(), err)
	case errors.As(err, &never):
		return err
	default:
		return fmt.Errorf("%s did not serve within %v: %w; see %s", r.sys.Name(), patience, err, filepath.Join(r.store.Dir, results.NodesDir))
	}
	r.nodes.served()
	first, ok := r.sys.(cluster.Initializer)
	if !ok {
		return nil
	}
	err = r.retry(ctx, until, func(ctx context.Context) error {
		return r.ask(ctx, func(ctx context.Context) error { return first.Init(ctx, r.cluster, r.options) })
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("interrupted before clients could work: %w", ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("%s could not be made ready for clients within %v: %w; see %s", r.sys.Name(), patience, err, filepath.Join(r.store.Dir, results.NodesDir))
	}
	return nil
}

// hopeless is an error after which waiting longer is of no use.
type hopeless struct{ error }

func (h *hopeless) Unwrap() error { return h.error }

// programPatience is for a program that a container makes when it starts.
const programPatience = 3 * time.Second

// manyStarts is how often a node may end by itself before the cluster serves. One that
// needs another node often ends until that one is up, and is started again: so a quarter of
// the time for the start must be over, too.
const manyStarts = 12

// retry calls do until it succeeds, the time until has come, ctx ends, or it is hopeless.
func (r *run) retry(ctx context.Context, until time.Duration, do func(context.Context) error) error {
	for {
		err := do(ctx)
		var never *hopeless
		if err == nil || ctx.Err() != nil || r.rt.Now() > until || errors.As(err, &never) {
			return err
		}
		harness.Sleep(ctx, r.rt, r.rt.Now()+20*time.Millisecond)
	}
}

// ask bounds one question.
func (r *run) ask(ctx context.Context, question func(context.Context) error) error {
	ctx, cancel := r.rt.WithTimeout(ctx, askPatience)
	defer cancel()
	return question(ctx)
}

// majorityFollows returns nil when one node leads and a majority follows it, in each shard.
func (r *run) majorityFollows(ctx context.Context) error {
	all := nemesis.Statuses(ctx, r.rt, r.sys, r.cluster)
	led := 0
	for _, part := range nemesis.ByShard(all) {
		leader, _ := nemesis.LeaderOf(part)
		following := 0
		for _, s := range part {
			if leader != "" && s.Leader == leader {
				following++
			}
		}
		if following > r.plan.Nodes/2 {
			led++
		}
	}
	switch shards := r.shards(); {
	case led == shards:
		return nil
	case shards > 1:
		return fmt.Errorf("only %d of %d shards have a leader that a majority follows", led, shards)
	}
	return fmt.Errorf("no leader that a majority follows, and %d of %d nodes answer", len(all), r.plan.Nodes)
}

// portsAreOpen returns nil when every node accepts connections on all its ports that
// clients use.
func (r *run) portsAreOpen(ctx context.Context) error {
	nodes := r.cluster.Nodes()
	for _, n := range nodes {
		for _, port := range r.sys.Pod(n, nodes, r.options).Ports {
			if port.Peers {
				continue
			}
			if err := r.isOpen(ctx, n.Name, port.Name); err != nil {
				return fmt.Errorf("the port %s of %s is not open: %w", port.Name, n.Name, err)
			}
		}
	}
	return nil
}

// isOpen dials a port.
func (r *run) isOpen(ctx context.Context, node, port string) error {
	ctx, cancel := r.rt.WithTimeout(ctx, openPatience)
	defer cancel()
	return cluster.Accepts(ctx, r.cluster, node, port)
}
