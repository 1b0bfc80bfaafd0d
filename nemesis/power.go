package nemesis

import (
	"context"

	"coup/cluster"
)

// crash cuts the victims' power.
func crash(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	c, ok := n.Cluster.(cluster.Power)
	if !ok {
		return nil, errLacking
	}
	return n.onNodes(ctx, s, c.Crash, n.Cluster.Start)
}
