package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
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
	// Images are the ids of the images that containers name. A name that is not among
	// them is taken for a reference that the engine knows.
	Images map[string]string
	// Output receives every line that a node writes, without the newline. Lines
	// of one container come in order, those of different ones concurrently.
	Output func(node string, line []byte)
	// Capture is what to do with the packets of the nodes; nil: nothing.
	Capture *Capture
	// Exited is called when a node's container ends by itself.
	Exited func(node string, code int)
}

// Limits of a node: enough for a database under test, and a bound on what a broken one
// can take from the machine.
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

var (
	_ cluster.Cluster   = (*Cluster)(nil)
	_ cluster.Capturing = (*Cluster)(nil)
	_ cluster.Files     = (*Cluster)(nil)
)

// node is a pod: a sandbox and the containers of the system.
type node struct {
	cluster.Node
	pod      cluster.Pod
	sandbox  string // container id
	agent    *sandbox.Agent
	hangUp   func()         // closes the agent's input
	ports    map[int]string // port in the pod -> address on this machine
	gateway  string         // the address that clients have for the node
	ahead    time.Duration  // of the node's clock to this machine's, while packets are captured
	programs []*program
	output   sync.WaitGroup // copying of what the programs write
	stopLogs func()         // ends the reading of log files; nil: there is none

	mu     sync.Mutex // guards below and the programs, and orders their start and end
	up     bool       // the programs are meant to run
	placed bool       // the files that are written once are there
	placer string     // the container through which files get in; "": none was needed yet
}

// program is a container of a pod.
type program struct {
	cluster.Container
	id    string
	runs  bool
	ended <-chan struct{} // closed when the container has ended; nil: it never ran
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
			// What was made must be removed even if ctx has ended.
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
	roles := cluster.RolesOf(cfg.System, cfg.Nodes, cfg.Options)
	for _, n := range cluster.NodesOf(cfg.System, cfg.Nodes, cfg.Options) {
		c.nodes = append(c.nodes, &node{Node: n, ports: map[int]string{}})
	}
	// A system is told its peers' addresses, so every sandbox starts first.
	if err := c.each(ctx, c.nodes, c.startSandbox); err != nil {
		return c, err
	}
	if err := c.each(ctx, c.nodes, c.createPrograms); err != nil {
		return c, err
	}
	first := 0
	for _, role := range roles {
		group := c.nodes[first : first+role.Nodes]
		first += role.Nodes
		if err := c.each(ctx, group, func(ctx context.Context, n *node) error { return c.Start(ctx, n.Name) }); err != nil {
			return c, err
		}
	}
	return c, nil
}

// each calls fn for every one of the nodes concurrently.
func (c *Cluster) each(ctx context.Context, nodes []*node, fn func(context.Context, *node) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range nodes {
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
	n.pod = c.cfg.System.Pod(n.Node, c.Nodes(), c.cfg.Options) // the hosts are not known yet, and don't count here
	if err := n.pod.Check(); err != nil {
		return fmt.Errorf("%s describes its nodes wrongly: %w", c.cfg.System.Name(), err)
	}
	published := nat.PortMap{}
	exposed := nat.PortSet{}
	numbers := []int{sandbox.EchoPort}
	for _, p := range n.pod.Ports {
		if !p.Peers {
			numbers = append(numbers, p.Number)
		}
	}
	for _, p := range numbers {
		port := nat.Port(fmt.Sprintf("%d/tcp", p))
		exposed[port] = struct{}{}
		published[port] = []nat.PortBinding{{HostIP: "127.0.0.1"}}
	}
	capabilities := []string{"NET_ADMIN", "KILL"} // to cut links, and to signal processes of other users
	var mounts []mount.Mount
	if len(n.pod.Logs) > 0 { // the agent reads them, whoever owns them
		capabilities = append(capabilities, "DAC_READ_SEARCH")
		mounts = c.mounts(n, true)
	}
	if c.cfg.Capture != nil {
		capabilities = append(capabilities, "NET_RAW")
		mounts = append(mounts, mount.Mount{Type: mount.TypeVolume, Source: c.name(n, "-capture"), Target: captureDir, VolumeOptions: &mount.VolumeOptions{Labels: c.labels()}})
	}
	pids := int64(sandboxPids)
	res, err := c.e.c.ContainerCreate(ctx,
		&container.Config{
			Image: c.Image, Hostname: n.Name, Labels: c.labels(), ExposedPorts: exposed,
			Entrypoint: []string{imagePath}, Cmd: []string{"sandbox"},
			OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		},
		&container.HostConfig{
			CapDrop: []string{"ALL"}, CapAdd: capabilities, ReadonlyRootfs: true,
			SecurityOpt: []string{"no-new-privileges"}, PortBindings: published, Mounts: mounts,
			NetworkMode: container.NetworkMode(c.net), LogConfig: container.LogConfig{Type: "none"},
			Resources: container.Resources{Memory: sandboxMemory, PidsLimit: &pids},
		}, &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{c.net: {Aliases: aliases(n)}}}, nil, c.name(n, "-sandbox"))
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
	if err := c.startCapture(ctx, n); err != nil {
		return err
	}
	info, err := c.e.c.ContainerInspect(ctx, n.sandbox)
	if err != nil {
		return err
	}
	for _, ep := range info.NetworkSettings.Networks {
		n.Host, n.gateway = ep.IPAddress, ep.Gateway
	}
	for port, bound := range info.NetworkSettings.Ports {
		for _, b := range bound {
			n.ports[port.Int()] = net.JoinHostPort(b.HostIP, b.HostPort)
		}
	}
	for _, p := range numbers {
		if n.ports[p] == "" {
			return fmt.Errorf("the engine did not publish port %d of the sandbox", p)
		}
	}
	if n.Host == "" {
		return errors.New("the engine gave the sandbox no address")
	}
	return c.reachable(ctx, n)
}

// aliases are the names by which the other nodes find a node: its own, and that of its
// role, which stands for all of them. The engine's own server answers, within each node.
func aliases(n *node) []string {
	all := []string{n.Name}
	if n.Role != "" && n.Role != n.Name {
		all = append(all, n.Role)
	}
	return all
}

// mounts are the pod's directories for data.
func (c *Cluster) mounts(n *node, readOnly bool) (all []mount.Mount) {
	for i, d := range n.pod.Data {
		suffix := ""
		if i > 0 {
			suffix = fmt.Sprintf("-data%d", i+1)
		}
		all = append(all, mount.Mount{
			Type: mount.TypeVolume, Source: c.name(n, suffix), Target: d.Path, ReadOnly: readOnly,
			VolumeOptions: &mount.VolumeOptions{Labels: c.labels(), NoCopy: !d.Filled},
		})
	}
	return all
}

// bundledNode is the command of coup's own binary that is a node of the bundled system,
// whatever the system that describes it is called.
const bundledNode = "raftnode"

// createPrograms creates the containers of a pod, now that the hosts are known.
func (c *Cluster) createPrograms(ctx context.Context, n *node) error {
	n.pod = c.cfg.System.Pod(n.Node, c.Nodes(), c.cfg.Options)
	if err := n.pod.Check(); err != nil {
		return fmt.Errorf("%s describes its nodes wrongly: %w", c.cfg.System.Name(), err)
	}
	for i, described := range n.pod.Containers {
		p := &program{Container: described}
		cfg := &container.Config{
			Image: described.Image, Labels: c.labels(), Entrypoint: described.Entrypoint, Cmd: described.Args,
			Env: described.Env, User: described.User, WorkingDir: described.WorkDir, AttachStdout: true, AttachStderr: true,
		}
		if id, ok := c.cfg.Images[described.Image]; ok {
			cfg.Image = id
		}
		if described.Image == "" {
			cfg.Image, cfg.Entrypoint = c.Image, []string{imagePath}
			cfg.Cmd = append([]string{bundledNode}, described.Args...)
		}
		pids := cmp.Or(described.Pids, nodePids)
		suffix := ""
		if i > 0 {
			suffix = "-" + described.Name
		}
		res, err := c.e.c.ContainerCreate(ctx, cfg, &container.HostConfig{
			NetworkMode: container.NetworkMode("container:" + n.sandbox), PidMode: container.PidMode("container:" + n.sandbox),
			CapDrop: []string{"ALL"}, CapAdd: described.Capabilities, ReadonlyRootfs: !described.Writable,
			SecurityOpt: []string{"no-new-privileges"},
			Mounts:      c.mounts(n, false),
			Tmpfs:       map[string]string{"/tmp": "size=64m"},
			LogConfig:   container.LogConfig{Type: "none"},
			Resources:   container.Resources{Memory: cmp.Or(described.Memory, nodeMemory), PidsLimit: &pids},
		}, nil, nil, c.name(n, suffix))
		if err != nil {
			return fmt.Errorf("container %s: %w", described.Name, err)
		}
		p.id = res.ID
		if p.StopSignal == "" {
			if info, err := c.e.c.ContainerInspect(ctx, p.id); err == nil {
				p.StopSignal = info.Config.StopSignal
			}
			p.StopSignal = cmp.Or(p.StopSignal, "SIGTERM")
		}
		n.programs = append(n.programs, p)
	}
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

// Dial implements cluster.Access.
func (c *Cluster) Dial(ctx context.Context, name, port string) (net.Conn, error) {
	address, err := c.Address(name, port)
	if err != nil {
		return nil, err
	}
	return dial(ctx, address)
}

// Address implements cluster.Addressed.
func (c *Cluster) Address(name, port string) (string, error) {
	n, err := c.node(name)
	if err != nil {
		return "", err
	}
	p, err := n.pod.Port(port)
	if err != nil {
		return "", err
	}
	if p.Peers {
		return "", fmt.Errorf("the port %s of %s is for its peers alone", port, name)
	}
	return n.ports[p.Number], nil
}

// DialAddress implements cluster.Access.
func (c *Cluster) DialAddress(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("address %s: %w", address, err)
	}
	for _, n := range c.nodes {
		if published := n.ports[number]; published != "" && (n.Host == host || n.Name == host) {
			return dial(ctx, published)
		}
	}
	return nil, fmt.Errorf("%s is the address of no node, or of a port that is not published", address)
}

// Exec implements cluster.Access.
func (c *Cluster) Exec(ctx context.Context, name, in string, argv ...string) ([]byte, error) {
	n, err := c.node(name)
	if err != nil {
		return nil, err
	}
	for _, p := range n.programs {
		if p.Name == in || in == "" {
			out, err := c.e.exec(ctx, p.id, argv)
			if err != nil {
				return out, fmt.Errorf("%s on %s: %w", argv[0], name, err)
			}
			return out, nil
		}
	}
	return nil, fmt.Errorf("%s has no container %q", name, in)
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// Start implements cluster.Cluster. It starts those of the node's containers that do
// not run.
func (c *Cluster) Start(ctx context.Context, name string) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	// The engine may be slower to notice an end than the agent was.
	for _, ended := range n.ending() {
		select {
		case <-ended:
		case <-ctx.Done():
			return fmt.Errorf("start %s: it has not ended yet: %w", name, ctx.Err())
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.up {
		if err := c.place(ctx, n); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
	}
	n.up = true
	for _, p := range n.programs {
		if p.runs {
			continue
		}
		if err := c.startProgram(ctx, n, p); err != nil {
			return fmt.Errorf("start %s: %w", name, explain(err, c.e.c.DaemonHost()))
		}
	}
	if len(n.pod.Logs) > 0 && n.stopLogs == nil {
		n.stopLogs = c.followLogs(n)
	}
	return nil
}

// startProgram starts a container of n, which is locked.
func (c *Cluster) startProgram(ctx context.Context, n *node, p *program) error {
	// The output is attached before the start, so that no line is lost.
	attached, err := c.e.c.ContainerAttach(ctx, p.id, container.AttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return err
	}
	if err := c.e.c.ContainerStart(ctx, p.id, container.StartOptions{}); err != nil {
		attached.Close()
		return err
	}
	ended := make(chan struct{})
	p.runs, p.ended = true, ended
	n.output.Add(1)
	go func() {
		defer n.output.Done()
		out := &lines{emit: func(line []byte) { c.cfg.Output(n.Name, line) }}
		errs := &lines{emit: out.emit}
		stdcopy.StdCopy(out, errs, attached.Reader) // ends with the process
		out.flush()
		errs.flush()
		attached.Close()
		c.watchEnd(n, p, ended)
	}()
	return nil
}

// ending returns a channel that is closed when the given containers have ended.
func (n *node) ending() (all []<-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.up {
		return nil
	}
	for _, p := range n.programs {
		if p.runs {
			all = append(all, p.ended)
		}
	}
	return all
}

// watchEnd waits until the engine has seen the end of a container.
func (c *Cluster) watchEnd(n *node, p *program, ended chan<- struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done, failed := c.e.c.ContainerWait(ctx, p.id, container.WaitConditionNotRunning)
	code := -1
	select {
	case res := <-done:
		code = int(res.StatusCode)
	case <-failed: // it was removed, or the engine is gone: it does not run
	}
	n.mu.Lock()
	unasked := n.up
	p.runs = false
	n.mu.Unlock()
	close(ended)
	if unasked && c.cfg.Exited != nil {
		c.cfg.Exited(n.Name, code)
	}
}

// Kill implements cluster.Cluster.
func (c *Cluster) Kill(ctx context.Context, name string) (string, error) {
	return c.end(ctx, name, 5*time.Second, func(n *node) error { return n.agent.Signal(ctx, int(syscall.SIGKILL)) })
}

// stopPatience is how long a container may take for a clean stop.
const stopPatience = 30 * time.Second

// Stop implements cluster.Cluster. Each container's first process gets the signal that
// its image asks for, in the opposite order of their start.
func (c *Cluster) Stop(ctx context.Context, name string) (string, error) {
	return c.end(ctx, name, stopPatience, func(n *node) error {
		for _, p := range slices.Backward(n.programs) {
			n.mu.Lock()
			runs, ended := p.runs, p.ended
			n.mu.Unlock()
			if !runs {
				continue
			}
			if err := c.e.c.ContainerKill(ctx, p.id, p.StopSignal); err != nil && !errdefs.IsConflict(err) { // it may have ended just now
				return err
			}
			select {
			case <-ended:
			case <-time.After(stopPatience):
				return fmt.Errorf("container %s of %s has not ended %v after %s", p.Name, name, stopPatience, p.StopSignal)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
}

// end has the node's processes end and waits until none is left.
func (c *Cluster) end(ctx context.Context, name string, patience time.Duration, ask func(*node) error) (string, error) {
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
	if err := ask(n); err != nil {
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
			return "", fmt.Errorf("%s of %s still there after %v", describe(left), name, patience)
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
		// What Exec has started since then is to stop as well.
		if !stopped && len(all) > 0 {
			if err := n.agent.Signal(ctx, sandbox.SIGSTOP); err != nil {
				return "", err
			}
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
	return c.each(ctx, c.nodes, func(ctx context.Context, n *node) error {
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
			f.Drops = append(f.Drops, sandbox.Drop{From: from.Host, Name: from.Name, Loss: cut.Loss})
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
	if outOfFiles(err) {
		return 0, errFiles
	}
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

// HangUp ends all nodes at once: their agents end, and the kernel ends the systems with
// them. Close removes what is left. HangUp may be called at any time, and more than once.
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
	for _, n := range c.nodes {
		if n.stopLogs != nil {
			n.stopLogs() // the agent reads them to their end first
		}
	}
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
