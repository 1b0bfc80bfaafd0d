package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
	"time"

	"coup/cluster"
	"coup/cluster/capture"
	"coup/cluster/sim/engine"
	"coup/cluster/sim/machine"
	"coup/cluster/sim/network"
	"coup/cluster/sim/tracing"
	"coup/cluster/sim/world"
	"coup/cluster/trace"
)

// Config is what [Up] needs to bring a cluster up.
type Config struct {
	Program *Program
	Nodes   int
	System  cluster.System
	Options cluster.Options
	Network Latency   // the zero value is a network in one building
	Disk    DiskSpeed // the zero value is that of a fast disk
	// Output receives every line that a node writes, without the newline. It
	// must not keep the line.
	Output func(node string, line []byte)
	// Exited is called when a node's process ends by itself.
	Exited func(node string, code int)
	// GaveUp is called instead if it ended with status 1 after an error of its disk.
	GaveUp func(node, why string)
	// Trace gets everything that happens, in the words of System if that is a
	// trace.Reader. It does not change the run; nil costs nothing.
	Trace *trace.Writer
	// Capture is the folder for the packets of each node (package capture), and CaptureBound how large
	// a file may become, in bytes. It does not change the run; "" costs nothing.
	Capture      string
	CaptureBound int64
}

// Cluster is a cluster of simulated machines; see cluster.Cluster. Its methods
// are for tasks of its world.
type Cluster struct {
	w        *World
	ctx      context.Context
	trace    *tracing.Tracer // nil: there is no trace
	net      *network.Network
	taken    *capture.Network // nil: packets are not captured
	machines []*machine.Machine
	pods     []cluster.Pod // of the machines
	closed   bool
	final    string
	// asked says which nodes' processes are meant to end.
	asked map[string]bool
}

var (
	_ cluster.Cluster    = (*Cluster)(nil)
	_ cluster.Power      = (*Cluster)(nil)
	_ cluster.Clocks     = (*Cluster)(nil)
	_ cluster.Processors = (*Cluster)(nil)
	_ cluster.Disks      = (*Cluster)(nil)
	_ cluster.Rot        = (*Cluster)(nil)
	_ cluster.Links      = (*Cluster)(nil)
	_ cluster.Capturing  = (*Cluster)(nil)
	_ cluster.Files      = (*Cluster)(nil)
)

// Up brings a cluster up in the world w: nodes are about to run when it
// returns, but do not serve yet. It is called from a task of w.
func Up(ctx context.Context, w *World, cfg Config) (*Cluster, error) {
	if cfg.Network == (Latency{}) {
		cfg.Network = network.OneBuilding()
	}
	if cfg.Disk == (DiskSpeed{}) {
		cfg.Disk = machine.FastDisk()
	}
	w.Between(engine.HugeCode)
	var nodes []cluster.Node
	var names []string
	for i := range cfg.Nodes {
		name := fmt.Sprintf("n%d", i+1)
		nodes, names = append(nodes, cluster.Node{Name: name, Host: name}), append(names, name)
	}
	var taken *capture.Network
	if cfg.Capture != "" {
		var err error
		if taken, err = capture.NewNetwork(cfg.Capture, cfg.CaptureBound, names, world.Epoch, w.Now); err != nil {
			return nil, fmt.Errorf("capture: %w", err)
		}
	}
	tracer := tracing.New(w, cfg.Trace, cfg.System)
	c := &Cluster{w: w, ctx: ctx, trace: tracer, taken: taken, net: network.New(w, cfg.Network, tracer, taken), asked: map[string]bool{}}
	for _, node := range nodes {
		pod := cfg.System.Pod(node, nodes, cfg.Options)
		if !pod.Bundled() {
			return nil, fmt.Errorf("%w: a simulated machine runs the bundled node only, not the images of %s", cluster.ErrUnavailable, cfg.System.Name())
		}
		made := machine.Config{Name: node.Name, Program: cfg.Program, Args: pod.Containers[0].Args, Disk: cfg.Disk, Trace: tracer}
		c.pods = append(c.pods, pod)
		for _, pattern := range pod.Sealed {
			for _, dir := range pod.Data {
				made.Sealed = append(made.Sealed, path.Join(dir.Path, pattern))
			}
		}
		if cfg.Output != nil {
			made.Output = func(line []byte) { cfg.Output(node.Name, line) }
		}
		made.Exited = func(p *machine.Process) {
			switch unasked := !p.Killed() && !c.asked[node.Name] && !c.closed; {
			case unasked && p.Code() == 1 && p.Refused() > 0 && cfg.GaveUp != nil:
				cfg.GaveUp(node.Name, fmt.Sprintf("status 1; failures of its disk before: %d", p.Refused()))
			case unasked && cfg.Exited != nil:
				cfg.Exited(node.Name, p.Code())
			}
			w.Wake()
		}
		m := machine.New(w, c.net, made)
		c.machines = append(c.machines, m)
		if err := c.PutFiles(ctx, node.Name, pod.Files); err != nil {
			return nil, err
		}
	}
	for _, m := range c.machines {
		m.Start(ctx)
	}
	return c, nil
}

// Nodes implements cluster.Cluster.
func (c *Cluster) Nodes() (nodes []cluster.Node) {
	for _, m := range c.machines {
		nodes = append(nodes, cluster.Node{Name: m.Name(), Host: m.Name()})
	}
	return nodes
}

func (c *Cluster) machine(name string) (*machine.Machine, error) {
	for _, m := range c.machines {
		if m.Name() == name {
			return m, nil
		}
	}
	return nil, fmt.Errorf("there is no node %q", name)
}

// Dial implements cluster.Access.
func (c *Cluster) Dial(ctx context.Context, node, port string) (net.Conn, error) {
	for i, m := range c.machines {
		if m.Name() == node {
			p, err := c.pods[i].Port(port)
			if err != nil {
				return nil, err
			}
			return c.net.Dial(ctx, node, p.Number)
		}
	}
	return nil, fmt.Errorf("there is no node %q", node)
}

// DialAddress implements cluster.Access.
func (c *Cluster) DialAddress(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, err := c.machine(host); err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("address %s: %w", address, err)
	}
	return c.net.Dial(ctx, host, number)
}

// Exec implements cluster.Access: a simulated machine has one program.
func (c *Cluster) Exec(context.Context, string, string, ...string) ([]byte, error) {
	return nil, fmt.Errorf("%w: a simulated machine runs no commands", cluster.ErrUnavailable)
}

// PutFiles implements cluster.Files.
func (c *Cluster) PutFiles(_ context.Context, node string, files []cluster.File) error {
	m, err := c.machine(node)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := m.Put(f.Path, f.Content); err != nil {
			return err
		}
	}
	return nil
}

// Kill implements cluster.Cluster. The machine goes on: what the process had
// written is not lost, and its connections are closed.
func (c *Cluster) Kill(_ context.Context, node string) (string, error) {
	m, err := c.machine(node)
	if err != nil {
		return "", err
	}
	if !m.Runs() {
		return "", fmt.Errorf("%s does not run", node)
	}
	m.Kill()
	return fmt.Sprintf("%s: process %d was killed", node, m.Process().Number()), nil
}

// Crash cuts the node's power: what was not synced is lost or torn, and nobody
// hears of it. Start switches it on again.
func (c *Cluster) Crash(_ context.Context, node string) (evidence string, err error) {
	m, err := c.machine(node)
	if err != nil {
		return "", err
	}
	if !m.HasPower() {
		return "", fmt.Errorf("%s is switched off", node)
	}
	when := ""
	if m.AwaitFlush() {
		when = " in the middle of an fsync"
	}
	lost := m.PowerOff()
	return fmt.Sprintf("%s: power lost%s, and %d unsynced changes of its disk", node, when, lost), nil
}

// SetClock moves a node's wall clock from the right time by jump, and makes all
// its clocks run faster by drift millionths.
func (c *Cluster) SetClock(_ context.Context, node string, jump time.Duration, drift int64) (evidence string, err error) {
	m, err := c.machine(node)
	if err != nil {
		return "", err
	}
	m.SetClock(jump, drift)
	now := fmt.Sprintf("the wall clock is off by %v, and the clocks run at %.1f%%", jump, 100+float64(drift)/10_000)
	c.trace.Node(trace.Machine, node, 0, now)
	return node + ": " + now, nil
}

// SetCPU makes a node slow times as slow as usual: its program is charged more for its
// calls of the machine, and for each time that it gets control.
func (c *Cluster) SetCPU(_ context.Context, node string, slow int) (evidence string, err error) {
	m, err := c.machine(node)
	if err != nil {
		return "", err
	}
	m.SetSlow(slow)
	now := fmt.Sprintf("the program is %d times as slow", m.Slow())
	c.trace.Node(trace.Machine, node, 0, now)
	if m.Slow() == 1 {
		return "", nil
	}
	before := m.Busy()
	c.w.SleepFor(cpuWatch)
	return fmt.Sprintf("%s: %s, and computed for %v of %v", node, now, (m.Busy() - before).Round(time.Millisecond), cpuWatch), nil
}

// cpuWatch is for how long a slow processor is watched, to prove the fault.
const cpuWatch = 100 * time.Millisecond

// Rot flips a bit of data that a node's disk has held for a while, in a file whose
// checksums the system verifies (cluster.Pod.Sealed). Data of the last sync is spared:
// a flipped bit there can't be told from a write that a power cut tore. The bit reads
// wrong until it is written again, or until Unrot.
func (c *Cluster) Rot(_ context.Context, node string) (evidence string, err error) {
	m, err := c.machine(node)
	if err != nil {
		return "", err
	}
	what, ok := m.Rot()
	if !ok {
		return "", fmt.Errorf("%s: there is nothing at rest on its disk", node)
	}
	now := what + " reads wrong"
	c.trace.Node(trace.Machine, node, 0, now)
	return node + ": " + now, nil
}

// Unrot makes everything on a node's disk read right again.
func (c *Cluster) Unrot(_ context.Context, node string) error {
	m, err := c.machine(node)
	if err == nil {
		m.Unrot()
	}
	return err
}

// stopPatience is how long a node may take to end when asked.
const stopPatience = 10 * time.Second

// Stop implements cluster.Cluster.
func (c *Cluster) Stop(ctx context.Context, node string) (string, error) {
	m, err := c.machine(node)
	if err != nil {
		return "", err
	}
	if !m.Runs() {
		return "", fmt.Errorf("%s does not run", node)
	}
	p, since := m.Process(), c.w.Now()
	c.asked[node] = true
	p.Terminate()
	for !p.Ended() && c.w.Now() < since+stopPatience && ctx.Err() == nil {
		c.w.SleepFor(time.Millisecond)
	}
	if !p.Ended() {
		p.Kill()
		late := fmt.Sprintf("%s had not ended %v after SIGTERM, and was killed", node, stopPatience)
		if m.DiskHangs() { // then it can't end by itself, and its supervisor kills it
			return late, nil
		}
		return "", errors.New(late)
	}
	return fmt.Sprintf("%s: ended with status %d, %v after SIGTERM", node, p.Code(), (c.w.Now() - since).Round(time.Millisecond)), nil
}

// Start implements cluster.Cluster.
func (c *Cluster) Start(_ context.Context, node string) error {
	m, err := c.machine(node)
	if err != nil {
		return err
	}
	if m.Runs() {
		return nil
	}
	c.asked[node] = false
	m.PowerOn(c.ctx)
	return nil
}

// Pause implements cluster.Cluster.
func (c *Cluster) Pause(_ context.Context, node string) (string, error) {
	m, err := c.machine(node)
	if err != nil {
		return "", err
	}
	if !m.Runs() {
		return "", fmt.Errorf("%s does not run", node)
	}
	m.Freeze()
	return fmt.Sprintf("%s: process %d is frozen", node, m.Process().Number()), nil
}

// Resume implements cluster.Cluster.
func (c *Cluster) Resume(_ context.Context, node string) error {
	m, err := c.machine(node)
	if err != nil {
		return err
	}
	m.Thaw()
	return nil
}

// SetCuts implements cluster.Cluster.
func (c *Cluster) SetCuts(_ context.Context, cuts []cluster.Cut) error {
	c.net.SetCuts(cuts)
	return nil
}

// probes is how many packets a probe consists of.
const probes = 40

// Probe implements cluster.Cluster.
func (c *Cluster) Probe(_ context.Context, from, to string) (float64, error) {
	if _, err := c.machine(to); err != nil {
		return 0, err
	}
	arrived := 0
	last := time.Duration(0)
	for range probes {
		if !c.net.Lost(from, to) && c.net.Up(to) && (from == "" || c.net.Up(from)) {
			arrived++
			last = max(last, c.net.Travel(from, to, 0))
		}
	}
	if arrived < probes {
		last = 100 * time.Millisecond // lost probes are waited for as well
	}
	c.w.SleepFor(last)
	return float64(arrived) / probes, nil
}

// Close implements cluster.Cluster.
func (c *Cluster) Close(context.Context) error {
	if c.closed {
		return nil
	}
	c.final = c.Fingerprint()
	c.closed = true
	for _, m := range c.machines {
		if m.Runs() {
			m.Process().Kill()
		}
	}
	return nil
}

// Captured implements cluster.Capturing.
func (c *Cluster) Captured(context.Context) (*capture.Set, error) {
	if c.taken == nil {
		return nil, nil
	}
	return c.taken.Close()
}

// Final is the fingerprint of a cluster that was closed, right before that.
func (c *Cluster) Final() string { return c.final }

// Fingerprint is a hash of all memory and disks of the machines. Two runs with the same
// fingerprint did the same.
func (c *Cluster) Fingerprint() string {
	h := sha256.New()
	for _, m := range c.machines {
		sum := m.Fingerprint()
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Calls is how often the nodes' programs have asked their machines for the time, to wait,
// or for what package guest has: a measure of the work done.
func (c *Cluster) Calls() (all uint64) {
	for _, m := range c.machines {
		all += m.Calls()
	}
	return all
}
