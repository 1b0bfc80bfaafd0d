package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"coup/cluster"
	"coup/harness"
)

// silent is a logger for the client, which writes to the standard error otherwise.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

var silence = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

// options are those of a client that does each thing once, within the deadline of its
// context, over one connection.
func options(dial func(ctx context.Context) (net.Conn, error)) *redis.Options {
	silence()
	return &redis.Options{
		Dialer:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		MaxRetries: -1, DialerRetries: 1, PoolSize: 1, ContextTimeoutEnabled: true, ReadTimeout: -1, WriteTimeout: -1,
		Protocol: 2, DisableIdentity: true, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// sentinel is a client of a node's sentinel, and server one of its redis-server.
func sentinel(a cluster.Access, node string) *redis.SentinelClient {
	return redis.NewSentinelClient(options(func(ctx context.Context) (net.Conn, error) { return a.Dial(ctx, node, "sentinel") }))
}

func server(a cluster.Access, node string) *redis.Client {
	return redis.NewClient(options(func(ctx context.Context) (net.Conn, error) { return a.Dial(ctx, node, "redis") }))
}

// masterOf is the address that a sentinel gives to clients.
func masterOf(ctx context.Context, s *redis.SentinelClient) (address string, err error) {
	at, err := s.GetMasterAddrByName(ctx, master).Result()
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(at[0], at[1]), nil
}

// nameOf is the node of an address, or "".
func nameOf(a cluster.Access, address string) string {
	host, _, _ := net.SplitHostPort(address)
	for _, n := range a.Nodes() {
		if n.Host == host {
			return n.Name
		}
	}
	return ""
}

// role is what ROLE answers: master or slave, and of a slave the state of its
// connection to the master.
func role(ctx context.Context, c *redis.Client) (role, link string, err error) {
	answer, err := c.Do(ctx, "role").Slice()
	if err != nil || len(answer) == 0 {
		return "", "", cmp.Or(err, errors.New("ROLE says nothing"))
	}
	if len(answer) > 3 {
		link = fmt.Sprint(answer[3])
	}
	return fmt.Sprint(answer[0]), link, nil
}

// connection is a client that asks the sentinel of its own node for the master. It
// implements the operations of package cluster.
type connection struct {
	access     cluster.Access
	home, node string
	o          cluster.Options
	sentinel   *redis.SentinelClient // of home; nil: not connected
	client     *redis.Client         // of the master; nil: not connected
	address    string                // of the master
	again      time.Time             // when the sentinel is asked again
	held       map[string]string
}

// Open implements cluster.System. The connection is made when it is used.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	return &connection{access: a, home: node, node: node, o: o, held: map[string]string{}}, nil
}

// Node implements cluster.Conn.
func (c *connection) Node() string { return c.node }

// Close implements cluster.Conn.
func (c *connection) Close() error {
	c.drop()
	c.forget()
	return nil
}

// forget ends the connection to the sentinel.
func (c *connection) forget() {
	if c.sentinel != nil {
		c.sentinel.Close() // it can't be closed better
		c.sentinel = nil
	}
}

// ask asks the sentinel for the address of the master.
func (c *connection) ask(ctx context.Context) (address string, err error) {
	if c.sentinel == nil {
		c.sentinel = sentinel(c.access, c.home)
	}
	c.again = time.Now().Add(switched)
	if address, err = masterOf(ctx, c.sentinel); err != nil {
		c.forget()
		c.again = time.Now().Add(10 * switched)
		err = fmt.Errorf("the sentinel of %s: %w", c.home, err)
	}
	return address, err
}

// switched is the time after which a client sees that the sentinel names another
// master: other clients are told by a subscription. A client whose sentinel does not
// answer stays with the master that it has.
const switched = 100 * time.Millisecond

// look leaves a master that the sentinel does not name any more.
func (c *connection) look(ctx context.Context) {
	if c.client == nil || time.Now().Before(c.again) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, switched)
	defer cancel()
	if address, err := c.ask(ctx); err == nil && address != c.address {
		c.drop()
	}
}

func (c *connection) drop() {
	if c.client != nil {
		c.client.Close() // it can't be closed better
		c.client = nil
	}
}

// connect connects to the master. As Redis asks of its clients, it sees whether the
// node takes itself for the master, too.
func (c *connection) connect(ctx context.Context) error {
	c.node = c.home
	address, err := c.ask(ctx)
	if err != nil {
		return err
	}
	c.address = address
	c.node = cmp.Or(nameOf(c.access, address), c.home)
	// A connection that is lost is not made anew behind our back: the node may be a
	// replica by then, which answers reads with what it has.
	// The client dials in goroutines of its own.
	node, dialled := c.node, new(atomic.Bool)
	c.client = redis.NewClient(options(func(ctx context.Context) (net.Conn, error) {
		if dialled.Swap(true) {
			return nil, fmt.Errorf("%w: the connection to %s is lost", harness.ErrFail, node)
		}
		return c.access.DialAddress(ctx, address)
	}))
	switch is, _, err := role(ctx, c.client); {
	case err != nil:
		c.drop()
		return fmt.Errorf("connect to %s: %w", c.node, err)
	case is != "master":
		c.drop()
		return fmt.Errorf("%s is no master, though the sentinel of %s says so", c.node, c.home)
	}
	return nil
}

// refusals are the errors with which Redis refuses a command before it does anything.
// Scripts of coup write last, so that they have done nothing either. Read in Redis'
// source, in 7.0: processCommand, and scriptCall for scripts.
var refusals = []string{"READONLY ", "NOREPLICAS ", "LOADING ", "MASTERDOWN ", "MISCONF "}

func refused(err error) bool {
	var said redis.Error
	return errors.As(err, &said) && slices.ContainsFunc(refusals, func(p string) bool { return strings.HasPrefix(said.Error(), p) })
}

// result is what a command of the client returns.
type result[T any] interface{ Result() (T, error) }

// perform performs a command at the master. Its error is redis.Nil for a value that
// there is not, and else says whether the command may have had an effect.
func perform[T any](ctx context.Context, c *connection, effect bool, command func(r redis.Cmdable) result[T]) (v T, err error) {
	c.look(ctx)
	if c.client == nil {
		if err := c.connect(ctx); err != nil {
			return v, fmt.Errorf("%w: %w", harness.ErrFail, err)
		}
	}
	if replicas := number(c.o, "wait"); effect && replicas > 0 {
		// WAIT asks for what was written over the same connection.
		p := c.client.Pipeline()
		written, wait := command(p), p.Do(ctx, "wait", replicas, waitFor(ctx).Milliseconds())
		p.Exec(ctx) // each command has its own error
		v, err = written.Result()
		if n, waited := wait.Int(); (err == nil || errors.Is(err, redis.Nil)) && (waited != nil || n < replicas) {
			c.drop()
			return v, fmt.Errorf("%s has written it, and WAIT knows of %d replicas that have it, not %d (%v)", c.node, n, replicas, waited)
		}
	} else {
		v, err = command(c.client).Result()
	}
	if err == nil || errors.Is(err, redis.Nil) {
		return v, err
	}
	c.drop() // who is the master is asked anew
	if !effect || refused(err) {
		return v, fmt.Errorf("%w: %s: %w", harness.ErrFail, c.node, err)
	}
	return v, fmt.Errorf("%s: %w", c.node, err)
}

// waitFor is for how long WAIT waits: its answer has to be in time.
func waitFor(ctx context.Context) time.Duration {
	if d, ok := harness.Left(ctx); ok {
		return max(time.Millisecond, min(time.Second, d/2))
	}
	return time.Second
}
