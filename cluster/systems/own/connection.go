package own

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"coup/cluster"
	"coup/cluster/systems/own/line"
	"coup/harness"
)

const (
	// openTime is for a program to start and to answer its first request.
	openTime = 15 * time.Second
	// A program is given this share of the time that there is, so that its own timeout
	// comes first.
	share = 0.8
)

// connection is one client: a program of its own, for one process of the load. It
// implements cluster.Universal.
type connection struct {
	sys        *System
	o          cluster.Options
	node, home string
	address    string
	nodes      map[string]map[string]string
	program    *line.Program // nil: it does not run
}

// Open implements cluster.System: it starts a program. A client whose node has no port for
// clients asks another one.
func (s *System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	at, ok := a.(cluster.Addressed)
	if !ok {
		return nil, fmt.Errorf("%w: programs can't reach the nodes of this backend", harness.ErrBroken)
	}
	c := &connection{sys: s, o: o, nodes: map[string]map[string]string{}}
	var serving []cluster.Node
	which := 0
	for i, n := range a.Nodes() {
		if n.Name == node {
			which = i
		}
		pod := s.of(n.Role).pod
		for _, p := range pod.Ports {
			if p.Peers {
				continue
			}
			address, err := at.Address(n.Name, p.Name)
			if err != nil {
				return nil, err
			}
			if c.nodes[n.Name] == nil {
				c.nodes[n.Name] = map[string]string{}
				serving = append(serving, n)
			}
			c.nodes[n.Name][p.Name] = address
		}
	}
	home := serving[which%len(serving)]
	if i := slices.IndexFunc(serving, func(n cluster.Node) bool { return n.Name == node }); i >= 0 {
		home = serving[i]
	}
	c.home, c.node = home.Name, home.Name
	c.address = c.nodes[c.home][clientPort(s.of(home.Role).pod)]
	return c, c.start()
}

// start starts the program and waits until it answers.
func (c *connection) start() error {
	note := func(text string) {
		if c.o.Note != nil {
			c.o.Note(c.o.Client + ": " + text)
		}
	}
	program, err := line.Start(c.sys.client.Command, note)
	if err != nil {
		return fmt.Errorf("%w: %w", harness.ErrBroken, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	r := c.request(line.Open, "", nil, openTime*2/3)
	if _, err = program.Ask(ctx, r); errors.Is(err, line.ErrLate) {
		err = fmt.Errorf("the client has not answered its first request (open) within %v: does it flush its standard output after each line? coup client-check tells more", openTime)
	}
	if err != nil {
		program.Close()
		return fmt.Errorf("%w: %w", harness.ErrBroken, err)
	}
	c.program = program
	return nil
}

func (c *connection) request(f, key string, value any, timeout time.Duration) line.Request {
	return line.Request{F: f, Key: key, Value: value, Node: c.home, Address: c.address, Nodes: c.nodes, TimeoutMS: max(1, timeout.Milliseconds())}
}

// Do implements cluster.Universal.
func (c *connection) Do(ctx context.Context, workload string, op harness.Op) (json.RawMessage, error) {
	left, ok := harness.Left(ctx)
	if !ok {
		left = time.Minute
	}
	if c.program == nil {
		return nil, fmt.Errorf("%w: the client's program was ended", harness.ErrFail)
	}
	r := c.request(op.F, op.Key, op.Value, time.Duration(share*float64(left)))
	r.Workload = workload
	a, err := c.program.Ask(ctx, r)
	var wrong *line.Mistake
	switch {
	case errors.As(err, &wrong) && ctx.Err() == nil:
		err = fmt.Errorf("%w: %w", harness.ErrBroken, err)
	case err == nil && a.Node != "" && c.nodes[a.Node] == nil:
		err = fmt.Errorf("%w: it says that %q answered, which is no node for clients", harness.ErrBroken, a.Node)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	if c.node = c.home; a.Node != "" {
		c.node = a.Node
	}
	return a.Outcome()
}

// Node implements cluster.Conn.
func (c *connection) Node() string { return c.node }

// Close implements cluster.Conn. It ends the program.
func (c *connection) Close() error {
	if c.program != nil {
		c.program.Close()
		c.program = nil
	}
	return nil
}
