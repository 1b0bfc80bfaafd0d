package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"coup/cluster"
	"coup/harness"
)

var _ cluster.Lock = (*connection)(nil)

var (
	errHeld    = errors.New("somebody holds the lock")
	errNotHeld = errors.New("this client does not hold the lock")
)

// Acquire implements cluster.Lock. Each holding has a lease of its own. The fencing
// token is the revision at which the lock was taken.
func (c *connection) Acquire(ctx context.Context, key string) (cluster.Grant, error) {
	k := lockKey(key)
	var g cluster.Grant
	// If the lock is held, no lease is needed.
	if now, err := c.newest(ctx, k); err != nil {
		return g, err
	} else if len(now.Kvs) > 0 {
		return g, fmt.Errorf("%w: %w", harness.ErrFail, errHeld)
	}
	var lease *clientv3.LeaseGrantResponse
	// A lease by itself is no lock: whatever goes wrong, nobody has got one.
	if err := c.read(ctx, false, func(ctx context.Context, l *link) (err error) {
		lease, err = l.Grant(ctx, c.ttl)
		return err
	}); err != nil {
		return g, err
	}
	took, err := c.commit(ctx, []clientv3.Cmp{absent(k)}, []clientv3.Op{clientv3.OpPut(k, c.name, clientv3.WithLease(lease.ID))})
	if err != nil {
		return g, err
	}
	if !took.Succeeded {
		c.write(ctx, func(ctx context.Context, l *link) error { // else it ends by itself
			_, err := l.Revoke(ctx, lease.ID)
			return err
		})
		return g, fmt.Errorf("%w: %w", harness.ErrFail, errHeld)
	}
	c.held[key] = lease.ID
	token := took.Header.Revision
	return cluster.Grant{Token: &token, Lease: time.Duration(lease.TTL) * time.Second}, nil
}

// Renew implements cluster.Lock.
func (c *connection) Renew(ctx context.Context, key string) (cluster.Grant, error) {
	lease, ok := c.held[key]
	if !ok {
		return cluster.Grant{}, fmt.Errorf("%w: %w", harness.ErrFail, errNotHeld)
	}
	var kept *pb.LeaseKeepAliveResponse
	err := c.with(ctx, true, func(ctx context.Context, l *link) (err error) {
		kept, err = keepAlive(ctx, l, lease)
		return err
	})
	switch {
	case err != nil:
		return cluster.Grant{}, err
	case kept.TTL <= 0:
		return cluster.Grant{}, fmt.Errorf("%w: %w: its lease is over", harness.ErrFail, errNotHeld)
	}
	return cluster.Grant{Lease: time.Duration(kept.TTL) * time.Second}, nil
}

// errRenewal keeps what etcd says of a renewal from being taken for certain: the node
// may have asked a leader before.
type errRenewal struct{ error }

// keepAlive asks once: the method of the client asks again and again.
func keepAlive(ctx context.Context, l *link, lease clientv3.LeaseID) (*pb.LeaseKeepAliveResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := pb.NewLeaseClient(l.ActiveConnection()).LeaseKeepAlive(ctx)
	if err != nil {
		return nil, errRenewal{err}
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(lease)}); err != nil {
		return nil, errRenewal{err}
	}
	answer, err := stream.Recv()
	if err != nil {
		return nil, errRenewal{err}
	}
	return answer, nil
}

// Release implements cluster.Lock. With the lease goes its key.
func (c *connection) Release(ctx context.Context, key string) error {
	lease, ok := c.held[key]
	if !ok {
		return fmt.Errorf("%w: %w", harness.ErrFail, errNotHeld)
	}
	delete(c.held, key)
	return c.write(ctx, func(ctx context.Context, l *link) error {
		_, err := l.Revoke(ctx, lease)
		return err
	})
}
