package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"coup/cluster"
	"coup/cluster/docker"
	"coup/cluster/sim"
	"coup/cluster/trace"
	"coup/plan"
)

// SimulatedProgram is the bundled node that a plan runs, compiled for simulated machines
// when a run first needs it. All runs of this process share it.
func SimulatedProgram(p plan.Plan, sys cluster.System) (*sim.Program, error) {
	n1 := cluster.Node{Name: "n1", Host: "n1"}
	if pod := sys.Pod(n1, []cluster.Node{n1}, p.Options()); pod.Bundled() && pod.Containers[0].Variant == cluster.TLS {
		return withTLS()
	}
	return usual()
}

var usual, withTLS = loaded(""), loaded(cluster.TLS)

// loaded loads a variant of the node once.
func loaded(variant string) func() (*sim.Program, error) {
	return sync.OnceValues(func() (*sim.Program, error) {
		module, err := sim.NodeModule(variant)
		if err != nil {
			return nil, err
		}
		return sim.Load(context.Background(), module, compiledDir(module))
	})
}

// driveSim runs body in a simulated world.
func driveSim(r *run, body func() error) error {
	w := sim.NewWorld(r.plan.Seed)
	r.options.Clock = func() time.Time { return sim.Epoch.Add(w.Now()) }
	r.begin(w, time.Time{})
	if r.o.Stuck != nil {
		w.OnStuck(stuckPatience, func(e *sim.StuckError) { r.o.Stuck(r.store.Dir, e.Node, e.After) })
	}
	err := w.Run(body)
	if c, ok := r.cluster.(*sim.Cluster); ok && err == nil {
		r.stored.Machines = c.Final()
		err = r.storePlan()
	}
	return err
}

// stuckPatience is how much CPU time a simulated program may take before it waits for
// anything. Programs take milliseconds, unless they are in an endless loop.
const stuckPatience = 20 * time.Second

func upSim(ctx context.Context, r *run) (cluster.Cluster, error) {
	program, err := SimulatedProgram(r.plan, r.sys)
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	r.stored.Module, r.stored.Node = program.Hash, os.Getenv(sim.NodeVariable)
	var tracing *trace.Writer
	if r.o.Trace {
		if tracing, err = r.store.Trace(); err != nil {
			return nil, err
		}
	}
	captures, bound := r.captureInto()
	return sim.Up(ctx, r.rt.(*sim.World), sim.Config{
		Program: program, Nodes: r.plan.Nodes, System: r.sys, Options: r.options, Trace: tracing, Capture: captures, CaptureBound: bound,
		Output: r.nodes.output, Exited: func(node string, code int) { r.nodes.exited(ctx, node, code) },
		GaveUp: func(node, why string) { r.nodes.gaveUp(ctx, node, why) },
	})
}

// DefaultBackend is where nodes run if nothing is said: in containers, or on simulated
// machines if no Docker engine answers. Then why is the reason.
func DefaultBackend(ctx context.Context) (backend string, why error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	engine, err := docker.Connect(ctx)
	if err == nil {
		return "docker", engine.Close()
	}
	if _, missing := sim.NodeModule(""); missing != nil || !errors.Is(err, cluster.ErrUnavailable) {
		return "docker", nil // its own error says best what is missing
	}
	return "sim", err
}
