package kafka

import (
	"context"
	"slices"
	"strconv"

	"coup/cluster"
)

var (
	_ cluster.Set  = (*connection)(nil)
	_ cluster.Logs = (*connection)(nil)
)

// SetAdd implements cluster.Set.
func (c *connection) SetAdd(ctx context.Context, key string, v int64) error {
	_, err := c.produce(ctx, "set:"+key, strconv.FormatInt(v, 10))
	return err
}

// SetRead implements cluster.Set: the records of the set from the first one on.
func (c *connection) SetRead(ctx context.Context, key string) ([]int64, error) {
	messages, _, err := c.read(ctx, "set:"+key, 0)
	var all []int64
	for _, m := range messages {
		all = append(all, m.Value)
	}
	slices.Sort(all)
	return slices.Compact(all), err
}

// Send implements cluster.Logs.
func (c *connection) Send(ctx context.Context, key string, v int64) (*int64, error) {
	offset, err := c.produce(ctx, "log:"+key, strconv.FormatInt(v, 10))
	return &offset, err
}

// Poll implements cluster.Logs. Clients are in no group: each says where it goes on.
func (c *connection) Poll(ctx context.Context, key string, from int64) ([]cluster.Message, int64, error) {
	return c.read(ctx, "log:"+key, from)
}
