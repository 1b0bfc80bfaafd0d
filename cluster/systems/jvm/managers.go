package jvm

import (
	"context"
	"fmt"
	"slices"

	"coup/cluster"
	"coup/harness"
)

// Managers is how nodes are asked of which one leads, and others do the work.
type Managers struct {
	// Name is what one of them is called, such as master.
	Name string
	// State is what a manager says of itself.
	State func(ctx context.Context, a cluster.Access, node string) (string, error)
	// Leads and Waits are the states of a manager that leads, and of one that stands by.
	Leads, Waits string
	// Recovers are the states of one that is about to lead.
	Recovers []string
	// Worker fails if a worker does not answer.
	Worker func(ctx context.Context, a cluster.Access, node string) error
}

// Leader asks all managers at once, and returns the first that says that it leads; "" if
// none does. One that does not answer is not waited for if another one leads.
func (m Managers) Leader(ctx context.Context, a cluster.Access) string {
	all := Of(Manager, a.Nodes())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := make(chan string, len(all))
	for _, n := range all {
		go func() {
			if said, err := m.State(ctx, a, n.Name); err == nil && said == m.Leads {
				found <- n.Name
			} else {
				found <- ""
			}
		}()
	}
	for range all {
		if name := <-found; name != "" {
			return name
		}
	}
	return ""
}

// Status is what [cluster.Informer] returns. Managers have no terms, and one that stands by does
// not know who leads: a node that does not lead takes whoever says so for the leader.
func (m Managers) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	s := cluster.Status{Node: node, Role: "follower"}
	said, err := "", error(nil)
	if i := slices.IndexFunc(a.Nodes(), func(n cluster.Node) bool { return n.Name == node }); i >= 0 && a.Nodes()[i].Role == Worker {
		err = m.Worker(ctx, a, node)
	} else {
		said, err = m.State(ctx, a, node)
	}
	switch {
	case err != nil:
		return cluster.Status{}, fmt.Errorf("status of %s: %w", node, err)
	case said == m.Leads:
		s.Role, s.Leader = "leader", node
		return s, nil
	case slices.Contains(m.Recovers, said):
		s.Role = "candidate"
	}
	s.Leader = m.Leader(ctx, a)
	return s, nil
}

// Ready returns the manager that leads. It fails if there is none, or more than one, or if another
// one does not stand by.
func (m Managers) Ready(ctx context.Context, a cluster.Access) (leader string, err error) {
	for _, n := range Of(Manager, a.Nodes()) {
		said, err := m.State(ctx, a, n.Name)
		switch {
		case err != nil:
			return "", err
		case said == m.Leads && leader != "":
			return "", fmt.Errorf("%s and %s both lead", leader, n.Name)
		case said == m.Leads:
			leader = n.Name
		case said != m.Waits:
			return "", fmt.Errorf("%s is %s", n.Name, said)
		}
	}
	if leader == "" {
		return "", fmt.Errorf("no %s leads", m.Name)
	}
	return leader, nil
}

// Client is a client that knows all managers, and asks the one that leads. It is what the
// connections of systems have in common.
type Client struct {
	Access   cluster.Access
	Options  cluster.Options
	managers Managers
	node     string // that was asked last
}

// Client returns a client that has asked node last.
func (m Managers) Client(a cluster.Access, node string, o cluster.Options) Client {
	return Client{a, o, m, node}
}

// Close implements cluster.Conn.
func (c *Client) Close() error { return nil }

// Node implements cluster.Conn.
func (c *Client) Node() string { return c.node }

// Lead makes the manager that leads the node that is asked. If no manager says that it leads, nobody
// was asked for anything: the error wraps [harness.ErrFail].
func (c *Client) Lead(ctx context.Context) error {
	leader := c.managers.Leader(ctx, c.Access)
	if leader == "" {
		return fmt.Errorf("%w: no %s says that it leads", harness.ErrFail, c.managers.Name)
	}
	c.node = leader
	return nil
}
