package nemesis

import (
	"context"
	"errors"
)

// powered is a cluster whose machines can lose power. Containers share the
// power of the machine they are on.
type powered interface {
	// Crash cuts a node's power: what was not synced is lost or torn.
	Crash(ctx context.Context, node string) (evidence string, err error)
}

// crash cuts the victims' power.
func crash(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	c, ok := n.Cluster.(powered)
	if !ok {
		return nil, errors.New("the machines of this backend can't lose power")
	}
	return n.onNodes(ctx, s, c.Crash, n.Cluster.Start)
}
