package sim

import (
	"context"
	"fmt"
	"time"

	"coup/cluster"
	"coup/cluster/sim/machine"
	"coup/cluster/trace"
)

// SetDisk gives a node's disk exactly this fault. The evidence is what happened to a
// probe: a file that was written and synced, or could not be.
func (c *Cluster) SetDisk(_ context.Context, node string, f cluster.DiskFault) (evidence string, err error) {
	m, err := c.machine(node)
	if err != nil {
		return "", err
	}
	m.SetDisk(f)
	if f == (cluster.DiskFault{}) {
		c.trace.Node(trace.Machine, node, 0, "nothing is wrong with the disk")
		return "", nil
	}
	took, errno, ended := m.ProbeDisk()
	saw := ""
	switch {
	case !ended && f.Hang:
		saw = "the fsync of a probe does not end"
	case errno == machine.NoSpace:
		saw = "a probe could not be stored: no space left on device"
	case errno != 0 && f.Fail:
		saw = fmt.Sprintf("a probe could not be stored: %v", errno)
	case ended && took >= f.Delay && f.Delay > 0:
		saw = fmt.Sprintf("the fsync of a probe took %v", took.Round(time.Millisecond))
	default:
		return "", fmt.Errorf("%s: a probe was stored as if nothing were wrong with the disk", node)
	}
	c.trace.Node(trace.Machine, node, 0, saw)
	return node + ": " + saw, nil
}

// Ping sends a packet of size bytes from one node to another, and returns how long it
// took. Such a packet is never lost.
func (c *Cluster) Ping(_ context.Context, from, to string, size int) (time.Duration, error) {
	if _, err := c.machine(to); err != nil {
		return 0, err
	}
	d := c.net.Travel(from, to, size)
	c.w.SleepFor(d)
	return d, nil
}

// Connections says how many connections are open between two nodes, and whether
// another one would be refused on the way.
func (c *Cluster) Connections(_ context.Context, from, to string) (open int, refused bool, err error) {
	if _, err := c.machine(to); err != nil {
		return 0, false, err
	}
	return c.net.Connections(from, to), c.net.Resets(from, to), nil
}
