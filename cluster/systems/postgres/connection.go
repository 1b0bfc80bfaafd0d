package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"coup/cluster"
	"coup/harness"
)

// session is a connection to the server of a node.
type session struct {
	*pgx.Conn
	node string
	wire net.Conn
}

// dial connects to the server of a node. A connection that is lost is not made anew, not
// even to cancel what it was asked: a commit that waits for another node, and is
// canceled, is seen by everybody though no other node has it.
func dial(ctx context.Context, a cluster.Access, node string, o cluster.Options) (*session, error) {
	config, err := pgx.ParseConfig("host=node port=5432 user=postgres dbname=postgres sslmode=disable")
	if err != nil {
		return nil, err
	}
	s, dialled := &session{node: node}, new(atomic.Bool)
	config.Password, config.Fallbacks, config.ValidateConnect = o.Secret("postgres"), nil, nil
	config.RuntimeParams = map[string]string{"application_name": "coup"}
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		if dialled.Swap(true) {
			return nil, errors.New("it is dialled once")
		}
		wire, err := a.Dial(ctx, node, "postgres")
		s.wire = wire
		return wire, err
	}
	s.Conn, err = pgx.ConnectConfig(ctx, config)
	if err != nil && s.wire != nil {
		s.wire.Close() // it can't be closed better
	}
	return s, err
}

// isPrimary returns nil if the node of a session takes writes.
func (s *session) isPrimary(ctx context.Context) error {
	var replica bool
	if err := s.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&replica); err != nil {
		return err
	}
	if replica {
		return errReplica
	}
	return nil
}

var errReplica = errors.New("it is a replica")

// end ends a session. A server that waits does not see that.
func (s *session) end() {
	s.wire.Close() // it can't be closed better
	s.Conn.Close(context.Background())
}

// route is a way to one of some nodes: to the primary among them, or to any.
type route struct {
	nodes   []string // asked in this order
	primary bool
	session *session // nil: not connected
	search  *search  // nil: nothing is looked for
}

// search connects in the background: on a busy machine, that takes longer than an
// operation may.
type search struct {
	found chan *session // closed if the search was stopped
	stop  context.CancelFunc
	why   atomic.Pointer[error] // why the node that was asked last was not taken
}

const (
	// lookAgain is the pause after all nodes were asked in vain.
	lookAgain = 500 * time.Millisecond
	// leastPatience is how long a node may take to connect at first, mostPatience in the end.
	// A server that is busy gets even busier by connections that are given up.
	leastPatience, mostPatience = 2 * time.Second, 16 * time.Second
)

// run asks the nodes one after the other, again and again. A node that takes too long may
// take twice as long the next time.
func (f *search) run(ctx context.Context, a cluster.Access, o cluster.Options, r route) {
	defer close(f.found)
	for patience := leastPatience; ctx.Err() == nil; patience = min(2*patience, mostPatience) {
		for _, node := range r.nodes {
			s, err := take(ctx, a, o, node, r.primary, patience)
			if err == nil {
				f.found <- s
				return
			}
			err = fmt.Errorf("connect to %s: %w", node, err)
			f.why.Store(&err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
}

// take connects to a node, which may have to be the primary.
func take(ctx context.Context, a cluster.Access, o cluster.Options, node string, primary bool, patience time.Duration) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := dial(ctx, a, node, o)
	if err != nil || !primary {
		return s, err
	}
	if err := s.isPrimary(ctx); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// connect returns when there is a session. Its error wraps harness.ErrFail.
func (r *route) connect(ctx context.Context, a cluster.Access, o cluster.Options) error {
	if r.session != nil {
		return nil
	}
	if r.search == nil {
		background, stop := context.WithCancel(context.Background())
		r.search = &search{found: make(chan *session, 1), stop: stop}
		go r.search.run(background, a, o, *r)
	}
	select {
	case r.session = <-r.search.found:
		r.search.stop()
		r.search = nil
		return nil
	case <-ctx.Done():
		err := ctx.Err()
		if why := r.search.why.Load(); why != nil {
			err = *why
		}
		return fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
}

// drop ends the session; the next operation connects anew.
func (r *route) drop() {
	if r.session != nil {
		r.session.end()
		r.session = nil
	}
}

// close ends the session, or the search for one.
func (r *route) close() {
	r.drop()
	if r.search != nil {
		r.search.stop()
		r.session = <-r.search.found
		r.search = nil
		r.drop()
	}
}

// connection is a client that looks for the primary among its nodes. It implements the
// operations of package cluster.
type connection struct {
	access         cluster.Access
	node           string
	o              cluster.Options
	primary, local route // local: to the client's own node
}

// open makes a client of a node, which is among all.
func open(a cluster.Access, o cluster.Options, node string, all ...string) *connection {
	return &connection{access: a, node: node, o: o, primary: route{nodes: all, primary: true}, local: route{nodes: []string{node}}}
}

// Open implements cluster.System. The connection is made when it is used.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	all := []string{node}
	for _, n := range a.Nodes() {
		if n.Name != node {
			all = append(all, n.Name)
		}
	}
	return open(a, o, node, all...), nil
}

// Node implements cluster.Conn.
func (c *connection) Node() string { return c.node }

// Close implements cluster.Conn.
func (c *connection) Close() error {
	c.primary.close()
	c.local.close()
	return nil
}

// reads is the route of reads.
func (c *connection) reads() *route {
	if c.o.Reads == stale {
		return &c.local
	}
	return &c.primary
}

// at performs do at the end of a route. Its error says whether do may have had an effect.
func (c *connection) at(ctx context.Context, r *route, effect bool, do func(s *session) error) error {
	if err := r.connect(ctx, c.access, c.o); err != nil {
		return err
	}
	c.node = r.session.node
	err := do(r.session)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", c.node, err)
	if !effect || didNotHappen(err) {
		err = fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	var said *pgconn.PgError
	answered := errors.As(err, &said) && said.Code != readOnly || errors.Is(err, errOverdrawn)
	if !answered || r.session.IsClosed() {
		r.drop()
	}
	return err
}

// readOnly is what a replica says to writes.
const readOnly = "25006"

// certain are the SQLSTATEs that mean: the statement, or the transaction, was rolled back.
// Others may be said of a commit that happened, such as 57P01 of a server that shuts down.
var certain = []string{
	readOnly,
	"40001", // serialization_failure
	"40P01", // deadlock_detected
	"42P01", // undefined_table: a replica that is behind
}

// errRolledBack is said of transactions that ended before they were committed.
var errRolledBack = errors.New("the transaction was not committed")

// didNotHappen reports whether an error means that nothing has happened.
func didNotHappen(err error) bool {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return slices.Contains(certain, said.Code) || errors.Is(err, errRolledBack)
	}
	return errors.Is(err, errRolledBack) || pgconn.SafeToRetry(err)
}
