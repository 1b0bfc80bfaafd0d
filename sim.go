package coup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"coup/cluster"
	"coup/cluster/docker"
	"coup/cluster/sim"
	"coup/cluster/trace"
	"coup/harness"
	"coup/results"
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
			s.program, s.err = sim.Load(context.WithoutCancel(ctx), module, compiledDir(module))
		}
	})
	return s.program, s.err
}

// driveSim runs body in a simulated world.
func driveSim(r *run, body func() error) error {
	w := sim.NewWorld(r.plan.Seed)
	r.rt = w
	if r.o.Stuck != nil {
		w.OnStuck(stuckPatience, func(e *sim.StuckError) { r.o.Stuck(r.store.Dir, e.Node, e.After) })
	}
	err := w.Run(body)
	if c, ok := r.cluster.(*sim.Cluster); ok && err == nil {
		r.stored.Machines = c.Final()
		err = results.WriteJSON(r.store.Dir, results.PlanFile, r.stored)
	}
	return err
}

// stuckPatience is how long a simulated program may compute, in time of the
// processor, before it waits for anything. Programs that do not loop for ever take
// milliseconds.
const stuckPatience = 20 * time.Second

// JudgeStuck judges what was recorded of a run until the program of a simulated
// node was found to loop for ever.
func JudgeStuck(ctx context.Context, dir, node string, after time.Duration) (Verdict, error) {
	name := filepath.Join(dir, results.EventsFile)
	events, err := os.ReadFile(name)
	if err != nil {
		return Verdict{}, err
	}
	// A line that was not finished is cut off: another one follows it.
	events = events[:bytes.LastIndexByte(events, '\n')+1]
	at := time.Duration(0)
	for line := range bytes.Lines(events) {
		var e harness.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return Verdict{}, fmt.Errorf("%s: %w", name, err)
		}
		at = max(at, e.Time)
	}
	stuck, err := json.Marshal(harness.Event{Time: at, Kind: harness.StuckEvent, Node: node,
		Message: fmt.Sprintf("The program of %s computed for %v and waited for nothing: it loops for ever", node, after)})
	if err != nil {
		return Verdict{}, err
	}
	if err := os.WriteFile(name, append(append(events, stuck...), '\n'), 0o644); err != nil {
		return Verdict{}, err
	}
	return Judge(ctx, dir)
}

// simRuns says why simulated machines can't run a system: they run one program, which
// is compiled into coup.
func simRuns(sys cluster.System, o cluster.Options) error {
	n1 := cluster.Node{Name: "n1", Host: "n1"}
	if !sys.Pod(n1, []cluster.Node{n1}, o).Bundled() {
		return fmt.Errorf("simulated machines run the bundled system only (--system raft), and %s runs in containers: --backend docker", sys.Name())
	}
	return nil
}

func upSim(ctx context.Context, r *run) (cluster.Cluster, error) {
	program, err := simProgram(ctx)
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
	return sim.Up(ctx, r.rt.(*sim.World), sim.Config{
		Program: program, Nodes: r.plan.Nodes, System: r.sys, Options: r.plan.options(), Trace: tracing,
		Output: r.output, Exited: func(node string, code int) { r.exited(ctx, node, code) },
		GaveUp: func(node, why string) { r.gaveUp(ctx, node, why) },
	})
}

// DefaultBackend is where nodes run unless it is said: in containers, or on
// simulated machines if no Docker engine answers; why says what is wrong with
// the engine then.
func DefaultBackend(ctx context.Context) (backend string, why error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	engine, err := docker.Connect(ctx)
	if err == nil {
		return "docker", engine.Close()
	}
	if _, missing := sim.NodeModule(); missing != nil || !errors.Is(err, cluster.ErrUnavailable) {
		return "docker", nil // which says best itself what it lacks
	}
	return "sim", err
}
