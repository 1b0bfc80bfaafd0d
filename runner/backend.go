package runner

import (
	"context"
	"fmt"
	"time"

	"coup/cluster"
	"coup/cluster/docker"
	"coup/harness"
	"coup/plan"
)

// backend is what runs happen on.
type backend struct {
	// drive gives the run its runtime and epoch, and carries body out from its
	// first to its last moment.
	drive func(r *run, body func() error) error
	// up brings the run's cluster up, and notes in r.stored what it runs on.
	up func(ctx context.Context, r *run) (cluster.Cluster, error)
}

func backendOf(name string) backend {
	if name == plan.Simulated {
		return backend{driveSim, upSim}
	}
	return backend{driveMachine, upDocker}
}

func driveMachine(r *run, body func() error) error {
	rt := harness.NewRuntime()
	r.begin(rt, rt.StartTime())
	return body()
}

// upPatience bounds how long an engine may take. It takes seconds; one that
// hangs must not hang a nightly job.
const upPatience = 3 * time.Minute

func upDocker(ctx context.Context, r *run) (cluster.Cluster, error) {
	engine, err := docker.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if removed, err := engine.Collect(ctx, false); err != nil {
		engine.Close()
		return nil, err
	} else if removed != (docker.Removed{}) {
		r.o.Log.Info("removed what dead runs had left", "removed", removed.String())
	}
	names, err := r.images(ctx, engine)
	if err != nil {
		engine.Close()
		return nil, err
	}
	up, cancel := context.WithTimeoutCause(ctx, upPatience, fmt.Errorf("the Docker engine did not bring the cluster up within %v", upPatience))
	defer cancel()
	var packets *docker.Capture
	if dir, bound := r.captureInto(); dir != "" {
		packets = &docker.Capture{Dir: dir, Bound: bound, Epoch: r.nodes.epoch.Round(0)}
	}
	c, err := docker.Up(up, engine, docker.Config{
		Run: r.store.ID, Nodes: r.plan.Nodes, System: r.sys, Options: r.options, Images: names, Capture: packets,
		Output: r.nodes.output, Exited: func(node string, code int) { r.nodes.exited(ctx, node, code) },
	})
	if err != nil {
		if up.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", context.Cause(up), err)
		}
		return nil, err
	}
	// A context that ends means that everything shall end at once: operations are not
	// waited for.
	context.AfterFunc(ctx, c.HangUp)
	r.stored.Engine, r.stored.API, r.stored.Image = engine.Version, engine.API, c.Image
	return c, nil
}
