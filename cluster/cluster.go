// Package cluster says what a system under test and a cluster of it are.
//
// A [System] describes its nodes as data, each a [Pod], and knows how to talk to
// one; a [Cluster] runs nodes so described, in containers or on simulated machines,
// and breaks them when the nemesis asks. Neither knows the other: N systems and M
// backends are N+M pieces.
//
// A new system starts with [System]: four methods that every system must have.
// Whatever else a system can do, it shows by implementing small interfaces: [Informer],
// [EventReader], [Readiness], [Initializer], [Digester], [Lossy], [Timed], [Grouped],
// [Named], [Imaged], [Local], [Planted], [Transferer], [Membership]. In the same way a cluster implements some of
// the interfaces of [Capabilities]. Callers ask for an interface before they use it,
// and say what can't be done without it.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// ErrUnavailable is wrapped by errors that mean: this backend cannot run here
// at all (no engine, no permission, no kernel support).
var ErrUnavailable = errors.New("backend unavailable")

// Access is the way from the harness and its clients to the nodes of a running
// cluster. Safe for concurrent use.
type Access interface {
	Nodes() []Node
	// Dial connects to a port of a node, by the port's name. ctx bounds the
	// dialling; the connection keeps the deadlines set on it.
	Dial(ctx context.Context, node, port string) (net.Conn, error)
	// DialAddress connects to host:port, an address as the nodes know it and as a
	// system tells its clients. It fails for an address that belongs to no node.
	DialAddress(ctx context.Context, address string) (net.Conn, error)
	// Exec runs a command in a container of the node ("": its first) and returns what it wrote. Its
	// error wraps ErrExec if the command ran and failed, ErrNoProgram if it could not, and ErrUnavailable if the
	// backend can't run commands.
	Exec(ctx context.Context, node, container string, argv ...string) (output []byte, err error)
}

// Addressed is an [Access] to nodes that other programs than coup can reach, too.
type Addressed interface {
	// Address is the host:port at which a program on this machine reaches a port of a
	// node, by the port's name. It stays the same until the cluster is closed.
	Address(node, port string) (string, error)
}

// Accepts returns nil if a node accepts connections on a port. A proxy may accept one
// though nothing listens behind it, and then ends it at once. ctx should end soon: a server
// that waits for its client says nothing until then.
func Accepts(ctx context.Context, a Access, node, port string) error {
	c, err := a.Dial(ctx, node, port)
	if err != nil {
		return err
	}
	defer c.Close()
	if t, ok := ctx.Deadline(); ok {
		c.SetReadDeadline(t)
	}
	if _, err = c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil // the server has sent something, or waits for the client
	}
	if errors.Is(err, io.EOF) {
		return errors.New("it is closed at once")
	}
	return err
}

// ErrExec is wrapped by errors of commands that ran and failed.
var ErrExec = errors.New("the command failed")

// ErrNoProgram is wrapped by errors of commands that did not run, because the container has
// no such program.
var ErrNoProgram = errors.New("the container has no such program")

// Cluster is a running cluster. All methods are safe for concurrent use.
// The methods that break something return evidence of the effect, in words. An error
// means that there was no effect, or that nobody could see one.
type Cluster interface {
	Access

	// Kill ends the node's processes at once (SIGKILL).
	Kill(ctx context.Context, node string) (evidence string, err error)
	// Stop asks the node to end (SIGTERM, or its image's own signal) and waits until it has.
	Stop(ctx context.Context, node string) (evidence string, err error)
	// Start starts a node that was killed or stopped, with its disk as it is.
	Start(ctx context.Context, node string) error
	// Pause freezes the node's processes; Resume thaws them.
	Pause(ctx context.Context, node string) (evidence string, err error)
	Resume(ctx context.Context, node string) error

	// SetCuts makes the network have exactly these cuts.
	SetCuts(ctx context.Context, cuts []Cut) error
	// Probe sends packets from one node to another and returns the share that
	// arrived, 0 to 1. From "" probes from the clients' side.
	Probe(ctx context.Context, from, to string) (float64, error)

	// Close ends the cluster and removes everything that was made for it.
	// It waits until all output of the nodes was delivered.
	Close(ctx context.Context) error
}

// Cut is a one-way impairment of the network: packets from From to To are
// dropped with probability Loss (1: all of them). From "" is every client.
//
// The rest is for clusters that implement [Links]: others do not know it.
type Cut struct {
	From, To string
	Loss     float64
	Delay    time.Duration // every packet takes this much longer
	Jitter   time.Duration // and this much more on average, some far more
	Rate     int           // bytes that pass in a second; 0: there is no limit
	Reset    bool          // connections are reset, and new ones refused
}

func (c Cut) String() string {
	s := fmt.Sprintf("%s->%s %.0f%%", c.From, c.To, c.Loss*100)
	if c.Delay > 0 || c.Jitter > 0 {
		s += fmt.Sprintf(" +%v~%v", c.Delay, c.Jitter)
	}
	if c.Rate > 0 {
		s += fmt.Sprintf(" %d B/s", c.Rate)
	}
	if c.Reset {
		s += " reset"
	}
	return s
}
