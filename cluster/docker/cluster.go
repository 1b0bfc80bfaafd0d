package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/docker/go-connections/nat"
	"golang.org/x/sync/errgroup"

	"coup/cluster"
	"coup/cluster/sandbox"
)

// Config is what [Up] needs to bring a cluster up.
type Config struct {
	Run     string // the run's id, unique on the engine
	Nodes   int
	System  cluster.System
	Options cluster.Options
	// Binary is the path of coup's own binary; empty: the running program.
	Binary string
	// Output receives every line that a node writes, without the newline. Lines
	// of one node come in order, those of different nodes concurrently.
	Output func(node string, line []byte)
	// Exited is called when a node's process ends that nobody had ended.
	Exited func(node string, code int)
}

// Limits of a node: enough for a database under test, and a bound on what a
// mad one can take from the machine.
const (
	nodeMemory    = 1 << 30
	nodePids      = 512
	sandboxMemory = 128 << 20
	sandboxPids   = 64
)

// Cluster is a cluster of containers; see cluster.Cluster.
type Cluster struct {
	e     *Engine
	cfg   Config
	lock  *runLock
	net   string // network id
	nodes []*node

	// Image is the id of the image that the nodes run.
	Image string
}

var _ cluster.Cluster = (*Cluster)(nil)

// node is a pod: a sandbox and a system container.
type node struct {
	cluster.Node
	spec    cluster.Spec
	sandbox string // container ids
	system  string
	agent   *sandbox.Agent
	hangUp  func()          // closes the agent's input
	ports   map[int]string  // port in the container -> address on this machine
	output  sync.WaitGroup  // copying of the system's output
	mu      sync.Mutex      // guards below, and orders start and end of the system
	up      bool            // the system is meant to run
	ended   <-chan struct{} // closed when the system's container has ended
}

// Up brings a cluster up: nodes run when it returns, but need not serve yet.
// When it fails, nothing is left behind. The connection to the engine belongs
// to the cluster from here on, and is closed with it.
func Up(ctx context.Context, e *Engine, cfg Config) (c *Cluster, err error) {
	lock, err := lockRun(cfg.Run)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	c = &Cluster{e: e, cfg: cfg, lock: lock}
	defer func() {
		if err != nil {
			err = explain(err, e.c.DaemonHost())
			// What was made must go even if ctx has ended.
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			err = errors.Join(err, c.Close(clean))
			c = nil
		}
	}()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		c.Image, err = e.ensureImage(gctx, cfg.Binary)
		return err
	})
	g.Go(func() error {
		res, err := e.c.NetworkCreate(gctx, "coup-"+cfg.Run, network.CreateOptions{Driver: "bridge", Labels: c.labels()})
		c.net = res.ID
		return err
	})
	if err := g.Wait(); err != nil {
		return c, err
	}
	for i := range cfg.Nodes {
		c.nodes = append(c.nodes, &node{Node: cluster.Node{Name: fmt.Sprintf("n%d", i+1)}, ports: map[int]string{}})
	}
	// A system is told its peers' addresses, so every sandbox starts first.
	if err := c.each(ctx, c.startSandbox); err != nil {
		return c, err
	}
	return c, c.each(ctx, func(ctx context.Context, n *node) error {
		if err := c.createSystem(ctx, n); err != nil {
			return err
		}
		return c.Start(ctx, n.Name)
	})
}

// each calls fn for every node concurrently.
func (c *Cluster) each(ctx context.Context, fn func(context.Context, *node) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range c.nodes {
		g.Go(func() error {
			if err := fn(ctx, n); err != nil {
				return fmt.Errorf("%s: %w", n.Name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func (c *Cluster) startSandbox(ctx context.Context, n *node) error {
	n.spec = c.cfg.System.Spec(n.Node, nil, c.cfg.Options) // only the ports count yet
	published := nat.PortMap{}
	exposed := nat.PortSet{}
	for _, p := range []int{n.spec.ClientPort, sandbox.EchoPort} {
		port := nat.Port(fmt.Sprintf("%d/tcp", p))
		exposed[port] = struct{}{}
		published[port] = []nat.PortBinding{{HostIP: "127.0.0.1"}}
	}
	pids := int64(sandboxPids)
	res, err := c.e.c.ContainerCreate(ctx,
		&container.Config{
			Image: c.Image, Hostname: n.Name, Labels: c.labels(), ExposedPorts: exposed,
			Entrypoint: []string{imagePath}, Cmd: []string{"sandbox"},
			OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		},
		&container.HostConfig{
			CapDrop: []string{"ALL"}, CapAdd: []string{"NET_ADMIN"}, ReadonlyRootfs: true,
			SecurityOpt: []string{"no-new-privileges"}, PortBindings: published,
			NetworkMode: container.NetworkMode(c.net), LogConfig: container.LogConfig{Type: "none"},
			Resources: container.Resources{Memory: sandboxMemory, PidsLimit: &pids},
		}, nil, nil, c.name(n, "-sandbox"))
	if err != nil {
		return err
	}
	n.sandbox = res.ID
	attached, err := c.e.c.ContainerAttach(ctx, n.sandbox, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return err
	}
	n.hangUp = attached.Close
	pr, pw := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(pw, pw, attached.Reader)
		pw.CloseWithError(err)
	}()
	n.agent = sandbox.NewAgent(attached.Conn, pr)
	if err := c.e.c.ContainerStart(ctx, n.sandbox, container.StartOptions{}); err != nil {
		return err
	}
	if err := n.agent.Hello(ctx); err != nil {
		return err
	}
	info, err := c.e.c.ContainerInspect(ctx, n.sandbox)
	if err != nil {
		return err
	}
	for _, ep := range info.NetworkSettings.Networks {
		n.Host = ep.IPAddress
	}
	for port, bound := range info.NetworkSettings.Ports {
		for _, b := range bound {
			n.ports[port.Int()] = net.JoinHostPort(b.HostIP, b.HostPort)
		}
	}
	if n.Host == "" || n.ports[n.spec.ClientPort] == "" || n.ports[sandbox.EchoPort] == "" {
		return errors.New("the engine gave the sandbox no address or published no port")
	}
	return nil
}

func (c *Cluster) createSystem(ctx context.Context, n *node) error {
	n.spec = c.cfg.System.Spec(n.Node, c.Nodes(), c.cfg.Options)
	img, cmd := c.Image, append([]string{c.cfg.System.Name() + "node"}, n.spec.Args...)
	entry := []string{imagePath}
	if n.spec.Image != "" {
		img, cmd, entry = n.spec.Image, n.spec.Args, nil
	}
	pids := int64(nodePids)
	res, err := c.e.c.ContainerCreate(ctx,
		&container.Config{
			Image: img, Labels: c.labels(), Entrypoint: entry, Cmd: cmd,
			User:         "0:0", // the agent has no capability to signal processes of other users
			AttachStdout: true, AttachStderr: true,
		},
		&container.HostConfig{
			NetworkMode: container.NetworkMode("container:" + n.sandbox), PidMode: container.PidMode("container:" + n.sandbox),
			CapDrop: []string{"ALL"}, ReadonlyRootfs: true, SecurityOpt: []string{"no-new-privileges"},
			Mounts: []mount.Mount{{
				Type: mount.TypeVolume, Source: c.name(n, ""), Target: n.spec.DataDir,
				VolumeOptions: &mount.VolumeOptions{Labels: c.labels()},
			}},
			Tmpfs:     map[string]string{"/tmp": "size=64m"},
			LogConfig: container.LogConfig{Type: "none"},
			Resources: container.Resources{Memory: nodeMemory, PidsLimit: &pids},
		}, nil, nil, c.name(n, ""))
	if err != nil {
		return err
	}
	n.system = res.ID
	return nil
}

func (c *Cluster) name(n *node, suffix string) string {
	return "coup-" + c.cfg.Run + "-" + n.Name + suffix
}

func (c *Cluster) node(name string) (*node, error) {
	for _, n := range c.nodes {
		if n.Name == name {
			return n, nil
		}
	}
	return nil, fmt.Errorf("there is no node %q", name)
}

// Nodes implements cluster.Cluster.
func (c *Cluster) Nodes() []cluster.Node {
	all := make([]cluster.Node, len(c.nodes))
	for i, n := range c.nodes {
		all[i] = n.Node
	}
	return all
}

// Dial implements cluster.Cluster: a cluster.Dial.
func (c *Cluster) Dial(ctx context.Context, name string) (net.Conn, error) {
	n, err := c.node(name)
	if err != nil {
		return nil, err
	}
	return dial(ctx, n.ports[n.spec.ClientPort])
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// Start implements cluster.Cluster.
func (c *Cluster) Start(ctx context.Context, name string) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	// The engine may be slower to notice an end than the agent was.
	if ended := n.ending(); ended != nil {
		select {
		case <-ended:
		case <-ctx.Done():
			return fmt.Errorf("start %s: it has not ended yet: %w", name, ctx.Err())
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.up {
		return nil
	}
	// The output is attached first, so that not a line is lost.
	attached, err := c.e.c.ContainerAttach(ctx, n.system, container.AttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	if err := c.e.c.ContainerStart(ctx, n.system, container.StartOptions{}); err != nil {
		attached.Close()
		return fmt.Errorf("start %s: %w", name, explain(err, c.e.c.DaemonHost()))
	}
	ended := make(chan struct{})
	n.up, n.ended = true, ended
	n.output.Add(1)
	go func() {
		defer n.output.Done()
		out := &lines{emit: func(line []byte) { c.cfg.Output(n.Name, line) }}
		errs := &lines{emit: out.emit}
		stdcopy.StdCopy(out, errs, attached.Reader) // ends with the process
		out.flush()
		errs.flush()
		attached.Close()
		c.watchEnd(n, ended)
	}()
	return nil
}

// ending returns what is closed when a system that is to end has ended; nil if
// it is meant to run, or never did.
func (n *node) ending() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.up {
		return nil
	}
	return n.ended
}

// watchEnd waits until the engine has seen the end of the system's container.
func (c *Cluster) watchEnd(n *node, ended chan<- struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done, failed := c.e.c.ContainerWait(ctx, n.system, container.WaitConditionNotRunning)
	code := -1
	select {
	case res := <-done:
		code = int(res.StatusCode)
	case <-failed: // it was removed, or the engine is gone: it does not run
	}
	n.mu.Lock()
	unasked := n.up
	n.up = false
	n.mu.Unlock()
	close(ended)
	if unasked && c.cfg.Exited != nil {
		c.cfg.Exited(n.Name, code)
	}
}

// end sends a signal to the node's processes and waits until none is left.
func (c *Cluster) end(ctx context.Context, name string, signal syscall.Signal, patience time.Duration) (string, error) {
	n, err := c.node(name)
	if err != nil {
		return "", err
	}
	before, err := n.agent.Procs(ctx)
	if err != nil {
		return "", err
	}
	if len(before) == 0 {
		return "", fmt.Errorf("%s runs no process that could be ended", name)
	}
	n.mu.Lock()
	n.up = false
	n.mu.Unlock()
	if err := n.agent.Signal(ctx, int(signal)); err != nil {
		return "", err
	}
	for give := time.Now().Add(patience); ; {
		left, err := n.agent.Procs(ctx)
		if err != nil {
			return "", err
		}
		if len(left) == 0 {
			return fmt.Sprintf("%s of %s: gone", describe(before), name), nil
		}
		if time.Now().After(give) {
			return "", fmt.Errorf("%s of %s still there %v after %v", describe(left), name, patience, signal)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func describe(procs []sandbox.Proc) string {
	var s []string
	for _, p := range procs {
		s = append(s, fmt.Sprintf("process %d (%s)", p.PID, p.Name))
	}
	return strings.Join(s, ", ")
}

// Kill implements cluster.Cluster.
func (c *Cluster) Kill(ctx context.Context, name string) (string, error) {
	return c.end(ctx, name, syscall.SIGKILL, 5*time.Second)
}

// Stop implements cluster.Cluster.
func (c *Cluster) Stop(ctx context.Context, name string) (string, error) {
	return c.end(ctx, name, syscall.SIGTERM, 10*time.Second)
}

// Pause implements cluster.Cluster.
func (c *Cluster) Pause(ctx context.Context, name string) (string, error) {
	n, err := c.node(name)
	if err != nil {
		return "", err
	}
	if err := n.agent.Signal(ctx, sandbox.SIGSTOP); err != nil {
		return "", err
	}
	for give := time.Now().Add(2 * time.Second); ; {
		all, err := n.agent.Procs(ctx)
		if err != nil {
			return "", err
		}
		stopped := len(all) > 0
		for _, p := range all {
			stopped = stopped && p.Stopped
		}
		switch {
		case stopped:
			return fmt.Sprintf("every thread of %s of %s: stopped", describe(all), name), nil
		case len(all) == 0:
			return "", fmt.Errorf("%s runs no process that could be paused", name)
		case time.Now().After(give):
			return "", fmt.Errorf("%s of %s still runs", describe(all), name)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Resume implements cluster.Cluster.
func (c *Cluster) Resume(ctx context.Context, name string) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	return n.agent.Signal(ctx, sandbox.SIGCONT)
}

// SetCuts implements cluster.Cluster. Every node drops what comes in.
func (c *Cluster) SetCuts(ctx context.Context, cuts []cluster.Cut) error {
	return c.each(ctx, func(ctx context.Context, n *node) error {
		var f sandbox.Filter
		for _, other := range c.nodes {
			if other != n {
				f.Peers = append(f.Peers, other.Host)
			}
		}
		for _, cut := range cuts {
			if cut.To != n.Name {
				continue
			}
			if cut.From == "" {
				f.Clients = max(f.Clients, cut.Loss)
				continue
			}
			from, err := c.node(cut.From)
			if err != nil {
				return err
			}
			f.Drops = append(f.Drops, sandbox.Drop{From: from.Host, Loss: cut.Loss})
		}
		return n.agent.SetFilter(ctx, f)
	})
}

const (
	probeCount = 50
	// probeWait is how long probes may be on their way. Between two network
	// namespaces of one kernel they take microseconds.
	probeWait = 100 * time.Millisecond
)

// Probe implements cluster.Cluster.
func (c *Cluster) Probe(ctx context.Context, from, to string) (float64, error) {
	t, err := c.node(to)
	if err != nil {
		return 0, err
	}
	if from == "" {
		return c.probeFromOutside(ctx, t)
	}
	f, err := c.node(from)
	if err != nil {
		return 0, err
	}
	token := rand.Uint64()
	if err := f.agent.Send(ctx, t.Host, token, probeCount); err != nil {
		return 0, err
	}
	heard := 0
	for give := time.Now().Add(probeWait); heard < probeCount && time.Now().Before(give); time.Sleep(5 * time.Millisecond) {
		if heard, err = t.agent.Heard(ctx, token); err != nil {
			return 0, err
		}
	}
	return float64(heard) / probeCount, nil
}

// probeFromOutside asks the agent for an echo on its published port. One
// answer or none: a connection is not a packet.
func (c *Cluster) probeFromOutside(ctx context.Context, n *node) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	conn, err := dial(ctx, n.ports[sandbox.EchoPort])
	if err != nil {
		return 0, nil
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	word := []byte("coup")
	if _, err := conn.Write(word); err != nil {
		return 0, nil
	}
	if _, err := io.ReadFull(conn, word); err != nil {
		return 0, nil
	}
	return 1, nil
}

// HangUp ends all nodes at once: their agents end, and the kernel ends the
// systems with them. What it leaves behind is for Close to remove. It may be
// called at any time, and again.
func (c *Cluster) HangUp() {
	for _, n := range c.nodes {
		n.mu.Lock()
		n.up = false
		n.mu.Unlock()
		if n.hangUp != nil {
			n.hangUp()
		}
	}
}

// Close implements cluster.Cluster.
func (c *Cluster) Close(ctx context.Context) error {
	c.HangUp()
	err := c.e.remove(ctx, c.cfg.Run)
	for _, n := range c.nodes {
		n.output.Wait()
	}
	return errors.Join(err, c.lock.release(), c.e.Close())
}

// lines cuts a stream into lines.
type lines struct {
	emit func(line []byte)
	rest []byte
}

// maxLine is where a line without end is cut.
const maxLine = 1 << 16

func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := 0
		for i < len(p) && p[i] != '\n' {
			i++
		}
		l.rest = append(l.rest, p[:i]...)
		if i < len(p) || len(l.rest) >= maxLine {
			l.flush()
		}
		p = p[min(i+1, len(p)):]
	}
	return n, nil
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.emit(l.rest)
		l.rest = l.rest[:0]
	}
}
