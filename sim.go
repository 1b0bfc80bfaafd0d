package coup

import (
	"context"
	"fmt"
	"sync"

	"coup/cluster"
	"coup/cluster/sim"
)

// simulated is the bundled node, compiled for simulated machines when a run
// first needs it. All runs of this process share it.
var simulated struct {
	once    sync.Once
	program *sim.Program
	err     error
}

func simProgram(ctx context.Context) (*sim.Program, error) {
	s := &simulated
	s.once.Do(func() {
		var module []byte
		if module, s.err = sim.NodeModule(); s.err == nil {
			s.program, s.err = sim.Load(context.WithoutCancel(ctx), module, sim.CacheDir())
		}
	})
	return s.program, s.err
}

// driveSim runs body in a simulated world.
func driveSim(r *run, body func() error) error {
	w := sim.NewWorld(r.plan.Seed)
	r.rt, r.epoch = w, sim.Epoch
	return w.Run(body)
}

func upSim(ctx context.Context, r *run) (cluster.Cluster, error) {
	program, err := simProgram(ctx)
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	r.stored.Module = program.Hash
	return sim.Up(ctx, r.rt.(*sim.World), sim.Config{
		Program: program, Nodes: r.plan.Nodes, System: r.sys, Options: r.plan.options(),
		Output: r.output, Exited: func(node string, code int) { r.exited(ctx, node, code) },
	})
}
