package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"coup/cluster"
	"coup/harness"
)

// Tells implements cluster.Informer. Redis has no terms.
func (System) Tells() harness.Facts { return harness.Facts{harness.Leader} }

// Status implements cluster.Informer: the role is what the node takes itself for, the
// leader the one that its sentinel names. Several nodes can be master at once.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	c, s := server(a, node), sentinel(a, node)
	defer c.Close()
	defer s.Close()
	is, _, err := role(ctx, c)
	if err != nil {
		return cluster.Status{}, fmt.Errorf("status of %s: %w", node, err)
	}
	address, err := masterOf(ctx, s)
	if err != nil {
		return cluster.Status{}, fmt.Errorf("status of %s: its sentinel: %w", node, err)
	}
	status := cluster.Status{Node: node, Role: "follower", Leader: nameOf(a, address)}
	if is == "master" {
		status.Role = "leader"
	}
	return status, nil
}

// Ready implements cluster.Readiness: all sentinels know each other and the replicas,
// so that they can fail over, and name the one master that all replicas follow.
func (y System) Ready(ctx context.Context, a cluster.Access, _ cluster.Options) error {
	leader := ""
	for _, n := range a.Nodes() {
		now, err := y.Status(ctx, a, n.Name)
		switch {
		case err != nil:
			return err
		case leader != "" && now.Leader != leader:
			return fmt.Errorf("the sentinels name %s and %s as the master", leader, now.Leader)
		case (now.Role == "leader") != (now.Leader == n.Name):
			return fmt.Errorf("%s is a %s, and %s is to be the master", n.Name, now.Role, now.Leader)
		}
		leader = now.Leader
		if err := knows(ctx, a, n.Name); err != nil {
			return err
		}
	}
	return nil
}

// knows returns an error if a sentinel does not know all others and all replicas, or a
// replica is not connected to its master.
func knows(ctx context.Context, a cluster.Access, node string) error {
	c, s := server(a, node), sentinel(a, node)
	defer c.Close()
	defer s.Close()
	others := len(a.Nodes()) - 1
	told, err := s.Master(ctx, master).Result()
	if err != nil {
		return fmt.Errorf("the sentinel of %s: %w", node, err)
	}
	for _, what := range []string{"num-other-sentinels", "num-slaves"} {
		if n, err := strconv.Atoi(told[what]); err != nil || n < others {
			return fmt.Errorf("the sentinel of %s knows of %s %s, not %d", node, told[what], what[4:], others)
		}
	}
	if flags := told["flags"]; flags != "master" {
		return fmt.Errorf("the sentinel of %s says of the master: %s", node, flags)
	}
	if is, link, err := role(ctx, c); err != nil || is != "master" && link != "connected" {
		return fmt.Errorf("%s is a %s whose connection to the master is %q (%v)", node, is, link, err)
	}
	return nil
}

// prefer makes a node the one that a sentinel chooses in a failover. Sentinels ask
// for priorities every 10 s.
func prefer(ctx context.Context, a cluster.Access, s *redis.SentinelClient, node string) error {
	priority := map[string]string{}
	for _, n := range a.Nodes() {
		priority[n.Name] = "100"
		if n.Name == node {
			priority[n.Name] = "1"
		}
		c := server(a, n.Name)
		err := c.ConfigSet(ctx, "replica-priority", priority[n.Name]).Err()
		c.Close()
		if err != nil && n.Name == node {
			return err
		}
	}
	for {
		replicas, err := s.Replicas(ctx, master).Result()
		if err != nil {
			return err
		}
		known := 0
		for _, r := range replicas {
			if priority[nameOf(a, net.JoinHostPort(r["ip"], r["port"]))] == r["slave-priority"] {
				known++
			}
		}
		if known > 0 && known == len(replicas) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the sentinel does not know yet that %s is preferred: %w", node, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// TransferLeader implements cluster.Transferer. It returns when all sentinels that
// answer know of a new master.
func (y System) TransferLeader(ctx context.Context, a cluster.Access, leader, to string) (refused string, err error) {
	s := sentinel(a, leader)
	defer s.Close()
	if address, err := masterOf(ctx, s); err != nil || nameOf(a, address) != leader {
		return "", fmt.Errorf("%w: the sentinel of %s does not name it as the master (%v)", harness.ErrFail, leader, err)
	}
	if err := prefer(ctx, a, s, to); err != nil {
		return "", fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	if err := s.Failover(ctx, master).Err(); err != nil {
		var said redis.Error
		if errors.As(err, &said) {
			return said.Error(), nil
		}
		return "", err
	}
	for ctx.Err() == nil {
		moved, known := 0, 0
		for _, n := range a.Nodes() {
			if now, err := y.Status(ctx, a, n.Name); err == nil {
				known++
				if now.Leader != "" && now.Leader != leader {
					moved++
				}
			}
		}
		if known > 0 && moved == known {
			return "", nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return "", fmt.Errorf("%w: the sentinels were told to fail over from %s", cluster.ErrPending, leader)
}
