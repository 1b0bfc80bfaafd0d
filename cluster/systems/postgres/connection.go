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

// connection is a client that looks for the primary among its nodes. It implements the
// operations of package cluster.
type connection struct {
	access         cluster.Access
	home, node     string
	o              cluster.Options
	nodes          []string // in which the primary is looked for, in this order
	primary, local *session // nil: not connected
}

// Open implements cluster.System. The connection is made when it is used.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	c := &connection{access: a, home: node, node: node, o: o, nodes: []string{node}}
	for _, n := range a.Nodes() {
		if n.Name != node {
			c.nodes = append(c.nodes, n.Name)
		}
	}
	return c, nil
}

// Node implements cluster.Conn.
func (c *connection) Node() string { return c.node }

// Close implements cluster.Conn.
func (c *connection) Close() error {
	drop(&c.primary)
	drop(&c.local)
	return nil
}

func drop(s **session) {
	if *s != nil {
		(*s).end()
		*s = nil
	}
}

// lookAgain is the pause after all nodes were asked in vain who is the primary.
const lookAgain = 200 * time.Millisecond

// find connects to the primary. A node that was asked in vain is asked last the next time.
func (c *connection) find(ctx context.Context) (*session, error) {
	var why error
	for {
		for range c.nodes {
			c.node = c.nodes[0]
			limit := 10 * time.Second
			if left, ok := harness.Left(ctx); ok {
				limit = left / 2
			}
			asked, cancel := context.WithTimeout(ctx, limit)
			s, err := dial(asked, c.access, c.node, c.o)
			if err == nil {
				if err = s.isPrimary(asked); err == nil {
					cancel()
					return s, nil
				}
				s.end()
			}
			cancel()
			why = fmt.Errorf("%w: %s is not to be had as the primary: %w", harness.ErrFail, c.node, err)
			c.nodes = append(c.nodes[1:], c.nodes[0])
		}
		select {
		case <-ctx.Done():
			return nil, why
		case <-time.After(lookAgain):
		}
	}
}

// at performs do at the primary, or at the client's own node. Its error says whether
// do may have had an effect.
func (c *connection) at(ctx context.Context, local, effect bool, do func(s *session) error) (err error) {
	s := &c.primary
	if local {
		s = &c.local
	}
	if *s == nil {
		if local {
			c.node = c.home
			*s, err = dial(ctx, c.access, c.home, c.o)
			if err != nil {
				*s, err = nil, fmt.Errorf("%w: connect to %s: %w", harness.ErrFail, c.home, err)
			}
		} else {
			*s, err = c.find(ctx)
		}
		if err != nil {
			return err
		}
	}
	c.node = (*s).node
	if err = do(*s); err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", c.node, err)
	if !effect || didNotHappen(err) {
		err = fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	var said *pgconn.PgError
	answered := errors.As(err, &said) && said.Code != readOnly || errors.Is(err, errOverdrawn)
	if !answered || (*s).IsClosed() {
		drop(s)
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
