package nemesis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"coup/cluster"
)

// Faults of parts of a machine: clocks, processors, disks. Containers share these
// with the machine that they run on, so only simulated machines have these faults.

// clockJump moves the victims' wall clocks by up to ten seconds, either way.
func clockJump(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	jump := time.Duration((2*s.rand.Float64() - 1) * float64(10*time.Second)).Round(time.Millisecond)
	return n.clocks(ctx, s, jump, 0)
}

// clockDrift makes the victims' clocks run up to a tenth faster or slower.
func clockDrift(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	return n.clocks(ctx, s, 0, s.rand.Int64N(200_001)-100_000)
}

// slowCPU makes the victims' processors 20 to 200 times as slow.
func slowCPU(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	c, ok := n.Cluster.(cluster.Processors)
	if !ok {
		return nil, errLacking
	}
	slow := 20 + s.rand.IntN(181)
	return n.parts(s,
		func(node string) (string, error) { return c.SetCPU(ctx, node, slow) },
		func(ctx context.Context, node string) error { _, err := c.SetCPU(ctx, node, 1); return err })
}

func (n *Nemesis) clocks(ctx context.Context, s *strike, jump time.Duration, drift int64) (func(context.Context) error, error) {
	c, ok := n.Cluster.(cluster.Clocks)
	if !ok {
		return nil, errLacking
	}
	return n.parts(s,
		func(node string) (string, error) { return c.SetClock(ctx, node, jump, drift) },
		func(ctx context.Context, node string) error { _, err := c.SetClock(ctx, node, 0, 0); return err })
}

// parts applies hurt to a part of each victim's machine, unless another strike
// holds that part, and heals it with mend. Other strikes may hit the processes of
// the same machine at the same time.
func (n *Nemesis) parts(s *strike, hurt func(node string) (string, error), mend func(context.Context, string) error) (func(context.Context) error, error) {
	var keys []string
	for _, node := range s.nodes {
		keys = append(keys, partOf(s.part, node))
	}
	s.nodes = nil
	for _, key := range n.claim(s.id, keys) {
		s.nodes = append(s.nodes, strings.TrimPrefix(key, partOf(s.part, "")))
	}
	if len(s.nodes) == 0 {
		return nil, errNobody
	}
	s.begin()
	var evidence []string
	var errs []error
	for _, node := range s.nodes {
		e, err := hurt(node)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", node, err))
		}
		evidence = append(evidence, e)
	}
	s.evidence = strings.Join(evidence, "; ")
	return func(ctx context.Context) error {
		defer n.release(s.id)
		var errs []error
		for _, node := range s.nodes {
			errs = append(errs, mend(ctx, node))
		}
		return errors.Join(errs...)
	}, errors.Join(errs...)
}

// partOf is the name under which a strike claims a part of a node's machine; "" is
// the node's processes.
func partOf(part, node string) string {
	if part == "" {
		return node
	}
	return part + " " + node
}

// healParts heals a node's clock, processor and disk, on clusters that can break them.
func (n *Nemesis) healParts(ctx context.Context, node string) (err error) {
	if c, ok := n.Cluster.(cluster.Clocks); ok {
		_, err = c.SetClock(ctx, node, 0, 0)
	}
	if c, ok := n.Cluster.(cluster.Processors); ok && err == nil {
		_, err = c.SetCPU(ctx, node, 1)
	}
	if c, ok := n.Cluster.(cluster.Rot); ok && err == nil {
		err = c.Unrot(ctx, node)
	}
	if c, ok := n.Cluster.(cluster.Disks); ok && err == nil {
		_, err = c.SetDisk(ctx, node, cluster.DiskFault{})
	}
	return err
}
