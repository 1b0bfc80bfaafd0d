package nemesis

import (
	"context"
	"errors"
	"time"

	"coup/cluster"
)

// slowDisk makes an fsync of the victims take 20 to 300 ms longer.
func slowDisk(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	delay := 20*time.Millisecond + time.Duration(s.rand.Int64N(int64(280*time.Millisecond)))
	return n.disks(ctx, s, cluster.DiskFault{Delay: delay})
}

// stalledDisk lets no fsync of the victims end.
func stalledDisk(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	return n.disks(ctx, s, cluster.DiskFault{Hang: true})
}

// failingDisk makes every fsync of the victims fail.
func failingDisk(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	return n.disks(ctx, s, cluster.DiskFault{Fail: true})
}

// fullDisk leaves the victims no room for anything new.
func fullDisk(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	return n.disks(ctx, s, cluster.DiskFault{Full: true})
}

func (n *Nemesis) disks(ctx context.Context, s *strike, f cluster.DiskFault) (func(context.Context) error, error) {
	c, ok := n.Cluster.(cluster.Disks)
	if !ok {
		return nil, errLacking
	}
	return n.parts(s,
		func(node string) (string, error) { return c.SetDisk(ctx, node, f) },
		func(ctx context.Context, node string) error {
			_, err := c.SetDisk(ctx, node, cluster.DiskFault{})
			return err
		})
}

// bitRot flips a bit on the victims' disks and has them read it: they are
// killed before it and started after it.
func bitRot(ctx context.Context, n *Nemesis, s *strike) (func(context.Context) error, error) {
	c, ok := n.Cluster.(cluster.Rot)
	if !ok {
		return nil, errLacking
	}
	return n.onNodes(ctx, s, func(ctx context.Context, node string) (string, error) {
		if _, err := n.Cluster.Kill(ctx, node); err != nil {
			return "", err
		}
		evidence, err := c.Rot(ctx, node)
		return evidence, errors.Join(err, n.Cluster.Start(ctx, node))
	}, func(ctx context.Context, node string) error {
		return errors.Join(c.Unrot(ctx, node), n.Cluster.Start(ctx, node))
	})
}
