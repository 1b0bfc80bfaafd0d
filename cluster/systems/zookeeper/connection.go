package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"coup/cluster"
	"coup/harness"
)

// link is one session, over one connection after the other. The client makes a new session
// by itself when one is over; a link does not let it connect any more then. So whatever
// is done over a link is done in the one session or refused by the server.
type link struct {
	*zk.Conn
	access cluster.Access
	nodes  []string    // tried in turn
	lease  *time.Timer // of the lock that is held by the session

	mu      sync.Mutex
	once    bool     // it connects once, and not again when the connection is lost
	dials   int      // attempts so far
	conn    net.Conn // the connection in use
	refused error    // why the last attempt did not work
	over    bool     // the session is over, or the link is not used any more
}

// silent is a logger for the client, which writes to the standard error otherwise.
type silent struct{}

func (silent) Printf(string, ...any) {}

// bufferSize is enough for each request of coup. The client's own is 1.5 MB.
const bufferSize = 16 << 10

// dial begins a session. once is said of those that do not outlive their connection.
func dial(a cluster.Access, session time.Duration, once bool, nodes ...string) (*link, error) {
	l := &link{access: a, nodes: nodes, once: once}
	c, _, err := zk.Connect([]string{"node"}, session, zk.WithHostProvider(l), zk.WithDialer(l.dial), zk.WithMaxConnBufferSize(bufferSize),
		zk.WithLogger(silent{}), zk.WithLogInfo(false), zk.WithEventCallback(func(e zk.Event) {
			if e.State == zk.StateExpired {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.over = true
			}
		}))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	l.Conn = c
	return l, nil
}

// Init, Len, Next and Connected implement zk.HostProvider.
func (*link) Init([]string) error { return nil }
func (l *link) Len() int          { return len(l.nodes) }
func (*link) Connected()          {}

// Next is the node to connect to. The client waits a second, or until it is closed,
// if there is nobody left to ask.
func (l *link) Next() (node string, wait bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nodes[l.dials%len(l.nodes)], l.over || l.once && l.dials > 0
}

// errOver is why a link does not connect again.
var errOver = errors.New("the connection is lost")

func (l *link) dial(_, node string, timeout time.Duration) (net.Conn, error) {
	l.mu.Lock()
	over, again := l.over || l.once && l.dials > 0, l.dials > 0
	l.dials++
	l.mu.Unlock()
	if over {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.refused == nil {
			l.refused = errOver
		}
		return nil, errOver
	}
	if again {
		time.Sleep(50 * time.Millisecond) // the client asks without a pause
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := l.access.Dial(ctx, node, clients)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && l.over { // meanwhile
		conn.Close()
		err = errOver
	}
	l.conn, l.refused = conn, err
	return conn, err
}

// ready returns when there is a session and a connection, so that a request is sent at
// once. Its error wraps harness.ErrFail: nothing was asked.
func (l *link) ready(ctx context.Context) error {
	for l.State() != zk.StateHasSession {
		l.mu.Lock()
		over, refused := l.over, l.refused
		l.mu.Unlock()
		switch {
		case over:
			return fmt.Errorf("%w: the session is over", harness.ErrFail)
		case l.once && refused != nil:
			return fmt.Errorf("%w: connect to %s: %w", harness.ErrFail, l.nodes[0], refused)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s gives no session: %w", harness.ErrFail, strings.Join(l.nodes, ", "), ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// leave ends the connection without a word: the session goes on until the server finds
// that nobody has used it. The client takes a second to end.
func (l *link) leave() {
	l.mu.Lock()
	l.over = true
	if l.conn != nil {
		l.conn.Close() // it is not used any more
	}
	l.mu.Unlock()
	go l.Conn.Close()
}

// end ends the session, if that can be said to a server within the second that the client
// takes for it.
func (l *link) end() {
	go func() {
		l.Conn.Close()
		l.leave() // or the client goes on looking for a server
	}()
}

// answers are the errors with which ZooKeeper answers a request that it has ordered among
// all others and that changes nothing. Any other says too little, even where it
// sounds certain: the client tells of a connection that was lost in several ways.
var answers = []error{zk.ErrNoNode, zk.ErrNodeExists, zk.ErrBadVersion, zk.ErrNotEmpty}

// answer reports whether an error is one of answers.
func answer(err error) bool {
	return slices.ContainsFunc(answers, func(a error) bool { return errors.Is(err, a) })
}

// ask performs a request. Its error is one of answers, or says whether the request may
// have had an effect. The client knows no deadlines: it is left behind when there is no answer in time.
func ask[T any](ctx context.Context, l *link, effect bool, request func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	if err := l.ready(ctx); err != nil {
		return result{}.value, err
	}
	done := make(chan result, 1)
	go func() {
		v, err := request()
		done <- result{v, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		r.err = ctx.Err()
	}
	switch {
	case r.err == nil:
		return r.value, nil
	case answer(r.err):
		return r.value, fmt.Errorf("%w: %w", harness.ErrFail, r.err)
	case !effect:
		return r.value, fmt.Errorf("%w: %s: %w", harness.ErrFail, l.nodes[0], r.err)
	}
	return r.value, fmt.Errorf("%s: %w", l.nodes[0], r.err)
}

// connection is a client that talks to its own node. It implements the operations of
// package cluster.
type connection struct {
	access  cluster.Access
	home    string
	reads   string
	session time.Duration
	link    *link            // nil: not connected
	held    map[string]*link // the session of each lock that is held
}

// Open implements cluster.System. The connection is made when it is used.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	session := time.Duration(o.Number("session-timeout", settings)) * time.Millisecond
	return &connection{access: a, home: node, reads: o.Reads, session: session, held: map[string]*link{}}, nil
}

// Node implements cluster.Conn.
func (c *connection) Node() string { return c.home }

// Close implements cluster.Conn. Locks that are held pass to others when their sessions
// are over.
func (c *connection) Close() error {
	c.drop()
	for _, l := range c.held {
		l.leave()
	}
	clear(c.held)
	return nil
}

// drop ends the connection; the next operation makes another.
func (c *connection) drop() {
	if c.link != nil {
		c.link.leave()
		c.link = nil
	}
}

// perform performs a request over the connection to the node of the client.
func perform[T any](ctx context.Context, c *connection, effect bool, request func(z *zk.Conn) (T, error)) (v T, err error) {
	if c.link == nil {
		if c.link, err = dial(c.access, c.session, true, c.home); err != nil {
			return v, err
		}
	}
	l := c.link
	v, err = ask(ctx, l, effect, func() (T, error) { return request(l.Conn) })
	if err != nil && !answer(err) {
		c.drop()
	}
	return v, err
}
