package docker

import (
	"context"
	"fmt"
	"time"

	"coup/cluster/sandbox"
)

// reachPatience is how long a published port may take to answer once its container
// does.
const reachPatience = 5 * time.Second

// reachable fails if the node's published ports lead nowhere. Clients would ask
// them in vain, until the run gives up for the lack of a leader.
func (c *Cluster) reachable(ctx context.Context, n *node) error {
	up := ctx
	ctx, cancel := context.WithTimeout(up, reachPatience)
	defer cancel()
	for {
		heard, err := c.probeFromOutside(ctx, n)
		if err != nil || heard == 1 {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			if up.Err() != nil {
				return up.Err()
			}
			return fmt.Errorf("the port that the engine at %s publishes at %s does not answer: that is an address of the engine's machine, "+
				"and coup runs on another one or in a container: run it on that machine (in a container: with --network host)",
				c.e.c.DaemonHost(), n.ports[sandbox.EchoPort])
		}
	}
}
