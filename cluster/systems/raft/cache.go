package raft

import (
	"context"
	"time"

	"coup/cluster"
	"coup/cluster/raftnode"
)

var _ cluster.Cache = (*connection)(nil)

// CacheGet implements cluster.Cache. A get may take the lease, so it has an identity as a write has.
func (c *connection) CacheGet(ctx context.Context, key string, lease time.Duration) (cluster.Cached, error) {
	resp, err := c.write(ctx, raftnode.PathCacheGet, raftnode.Request{Key: key, Cached: &raftnode.Cached{Lease: int64(lease)}})
	if err != nil {
		return cluster.Cached{}, err
	}
	got := cluster.Cached{Value: resp.Value}
	if resp.Cached != nil {
		got.Token = resp.Cached.Token
	}
	return got, nil
}

// CacheFill implements cluster.Cache.
func (c *connection) CacheFill(ctx context.Context, key string, token, v int64, ttl time.Duration) error {
	_, err := c.write(ctx, raftnode.PathCacheFill, raftnode.Request{Key: key, Value: v, Cached: &raftnode.Cached{Token: &token, TTL: int64(ttl)}})
	return err
}

// CacheInvalidate implements cluster.Cache.
func (c *connection) CacheInvalidate(ctx context.Context, key string) error {
	_, err := c.write(ctx, raftnode.PathCacheInvalidate, raftnode.Request{Key: key})
	return err
}
