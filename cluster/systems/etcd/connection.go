package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"coup/cluster"
	"coup/harness"
)

// link is a client of one node. It is used by one goroutine at a time.
type link struct {
	*clientv3.Client
	node string

	mu      sync.Mutex
	refused error // why the node could not be dialled the last time
}

// dial makes a client of one node, which connects when it is used, and asks no other
// node. Requests are never sent twice: MaxUnaryRetries counts attempts.
func dial(a cluster.Access, node string) (*link, error) {
	l := &link{node: node}
	retry := backoff.DefaultConfig
	retry.BaseDelay, retry.MaxDelay = 20*time.Millisecond, 200*time.Millisecond
	c, err := clientv3.New(clientv3.Config{
		Endpoints:       []string{"http://" + node},
		MaxUnaryRetries: 1,
		Logger:          zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				conn, err := a.Dial(ctx, node, clients)
				l.mu.Lock()
				defer l.mu.Unlock()
				l.refused = err
				return conn, err
			}),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: time.Second}),
			grpc.WithNoProxy(), grpc.WithDisableRetry(), grpc.WithIdleTimeout(0),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	l.Client = c
	return l, nil
}

// ready returns when the node has answered on the connection, so that a request
// reaches it. Its error wraps harness.ErrFail: nothing was asked.
func (l *link) ready(ctx context.Context) error {
	conn := l.ActiveConnection()
	for {
		state := conn.GetState()
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %s does not answer: %w", harness.ErrFail, l.node, ctx.Err())
		case state == connectivity.Ready:
			return nil
		case state == connectivity.TransientFailure: // and it stays so until an attempt works, without a word of others
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.refused != nil {
				return fmt.Errorf("%w: connect to %s: %w", harness.ErrFail, l.node, l.refused)
			}
			return fmt.Errorf("%w: connect to %s: it hung up, or did not answer", harness.ErrFail, l.node)
		case state == connectivity.Idle:
			conn.Connect()
		}
		conn.WaitForStateChange(ctx, state)
	}
}

// connection is a client that talks to its own node. It implements the operations of
// package cluster.
type connection struct {
	access cluster.Access
	home   string
	name   string // unique within the run: elements of queues are named by it
	seq    uint64
	reads  string
	ttl    int64 // of locks, seconds
	link   *link // nil: not connected
	held   map[string]clientv3.LeaseID
}

// Open implements cluster.System. The connection is made when it is used.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	ttl, err := number(o, lockTTL)
	if err != nil {
		return nil, err
	}
	name := o.Client
	if name == "" {
		name = rand.Text()
	}
	return &connection{access: a, home: node, name: name, reads: o.Reads, ttl: ttl, held: map[string]clientv3.LeaseID{}}, nil
}

// Node implements cluster.Conn.
func (c *connection) Node() string { return c.home }

// Close implements cluster.Conn. Locks that are held pass to others when their leases
// are over.
func (c *connection) Close() error {
	c.drop()
	return nil
}

// drop ends the connection to the node; the next operation makes another.
func (c *connection) drop() {
	if c.link != nil {
		c.link.Close() // an error is ignored: the link is not used any more
		c.link = nil
	}
}

// with performs do on a connection that is ready. Its error is what do returned,
// classified by effect, or wraps harness.ErrFail because nothing was asked.
func (c *connection) with(ctx context.Context, effect bool, do func(ctx context.Context, l *link) error) error {
	if c.link == nil {
		l, err := dial(c.access, c.home)
		if err != nil {
			return err
		}
		c.link = l
	}
	if err := c.link.ready(ctx); err != nil {
		c.drop() // another one tries at once, and not after ever longer pauses
		return err
	}
	err := do(ctx, c.link)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		c.drop() // what was lost on the way is sent again after ever longer pauses
	}
	if !effect || didNotHappen(err) {
		return fmt.Errorf("%w: %s: %w", harness.ErrFail, c.home, err)
	}
	return fmt.Errorf("%s: %w", c.home, err)
}

// read performs an operation without effect: whatever goes wrong, it did not happen.
// A read that has to be linearizable is refused at once by a node without a leader.
func (c *connection) read(ctx context.Context, local bool, do func(ctx context.Context, l *link) error) error {
	if !local {
		ctx = clientv3.WithRequireLeader(ctx)
	}
	return c.with(ctx, false, do)
}

// write performs an operation with an effect. A node without a leader refuses it at
// once, before it does anything.
func (c *connection) write(ctx context.Context, do func(ctx context.Context, l *link) error) error {
	return c.with(clientv3.WithRequireLeader(ctx), true, do)
}

// certain are the errors of etcd that mean: the request was refused before it was
// proposed to the cluster, or it was applied as one that changes nothing. Read in
// etcd's source, in 3.4, 3.5 and 3.7: EtcdServer.processInternalRaftRequestOnce, the
// interceptor of unary requests, and the appliers. Others are not certain, though
// their words may sound so: "database space exceeded" is also said of writes that were
// done, and "leader changed", "server stopped" and all that timed out of proposals
// that are under way.
var certain = []error{
	rpctypes.ErrNoLeader,        // the interceptor, for requests that require a leader
	rpctypes.ErrTooManyRequests, // too much is waiting to be applied
	rpctypes.ErrRequestTooLarge, // never proposed
	rpctypes.ErrLeaseNotFound,   // looked up before anything is written
	rpctypes.ErrNotCapable,      // the interceptor
}

// dropped is what raft says of a proposal that nobody took: ErrProposalDropped.
const dropped = "raft proposal dropped"

// learner is what a node without a vote says to most requests, before it does anything.
var learner = rpctypes.ErrorDesc(rpctypes.ErrGRPCNotSupportedForLearner)

func didNotHappen(err error) bool {
	etcd := rpctypes.Error(err)
	var known rpctypes.EtcdError
	if errors.As(etcd, &known) && slices.ContainsFunc(certain, func(c error) bool { return errors.Is(known, c) }) {
		return true
	}
	said := rpctypes.ErrorDesc(err)
	code := status.Code(err)
	return code == codes.Unknown && strings.HasSuffix(said, dropped) || code == codes.FailedPrecondition && said == learner
}
