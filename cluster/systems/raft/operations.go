package raft

import (
	"context"
	"fmt"
	"time"

	"coup/cluster"
	"coup/cluster/raftnode"
	"coup/harness"
)

var (
	_ cluster.Register     = (*connection)(nil)
	_ cluster.Set          = (*connection)(nil)
	_ cluster.Queue        = (*connection)(nil)
	_ cluster.Counter      = (*connection)(nil)
	_ cluster.Transactions = (*connection)(nil)
	_ cluster.Tasks        = (*connection)(nil)
	_ cluster.Deliveries   = (*connection)(nil)
)

// Read implements cluster.Register.
func (c *connection) Read(ctx context.Context, key string) (*int64, error) {
	resp, err := c.read(ctx, raftnode.PathRegisterRead, raftnode.Request{Key: key})
	return resp.Value, err
}

// Write implements cluster.Register.
func (c *connection) Write(ctx context.Context, key string, v int64) error {
	_, err := c.write(ctx, raftnode.PathRegisterWrite, raftnode.Request{Key: key, Value: v})
	return err
}

// CAS implements cluster.Register.
func (c *connection) CAS(ctx context.Context, key string, from *int64, to int64) (*int64, error) {
	resp, err := c.write(ctx, raftnode.PathRegisterCAS, raftnode.Request{Key: key, From: from, Value: to})
	return resp.Value, err
}

// SetAdd implements cluster.Set.
func (c *connection) SetAdd(ctx context.Context, key string, v int64) error {
	_, err := c.write(ctx, raftnode.PathSetAdd, raftnode.Request{Key: key, Value: v})
	return err
}

// SetRead implements cluster.Set.
func (c *connection) SetRead(ctx context.Context, key string) ([]int64, error) {
	resp, err := c.read(ctx, raftnode.PathSetRead, raftnode.Request{Key: key})
	return resp.Values, err
}

// Enqueue implements cluster.Queue.
func (c *connection) Enqueue(ctx context.Context, key string, v int64) error {
	_, err := c.write(ctx, raftnode.PathQueueEnqueue, raftnode.Request{Key: key, Value: v})
	return err
}

// Dequeue implements cluster.Queue.
func (c *connection) Dequeue(ctx context.Context, key string) (*int64, error) {
	resp, err := c.write(ctx, raftnode.PathQueueDequeue, raftnode.Request{Key: key})
	return resp.Value, err
}

// CounterAdd implements cluster.Counter.
func (c *connection) CounterAdd(ctx context.Context, key string, delta int64) error {
	_, err := c.write(ctx, raftnode.PathCounterAdd, raftnode.Request{Key: key, Value: delta})
	return err
}

// CounterRead implements cluster.Counter.
func (c *connection) CounterRead(ctx context.Context, key string) (int64, error) {
	resp, err := c.read(ctx, raftnode.PathCounterRead, raftnode.Request{Key: key})
	if err == nil && resp.Value == nil {
		err = fmt.Errorf("%w: %s answered a counter without a value", harness.ErrFail, c.asked)
	}
	if err != nil {
		return 0, err
	}
	return *resp.Value, nil
}

// Txn implements cluster.Transactions. A transaction that only reads is answered
// like a read, in the mode that reads have; any other goes through the log.
func (c *connection) Txn(ctx context.Context, steps []cluster.Micro) ([]cluster.Micro, error) {
	req := raftnode.Request{Txn: make([]raftnode.Micro, len(steps))}
	perform, path := c.read, raftnode.PathTxnRead
	for i, m := range steps {
		req.Txn[i] = raftnode.Micro{F: m.F, Key: m.Key, Value: m.Value}
		if m.F != raftnode.MicroRead {
			perform, path = c.write, raftnode.PathTxn
		}
	}
	resp, err := perform(ctx, path, req)
	if err != nil {
		return nil, err
	}
	if len(resp.Txn) != len(steps) {
		return nil, fmt.Errorf("%s answered a transaction of %d steps with %d", c.asked, len(steps), len(resp.Txn))
	}
	out := make([]cluster.Micro, len(steps))
	for i, m := range resp.Txn {
		if m.F != steps[i].F || m.Key != steps[i].Key || m.Value != steps[i].Value {
			return nil, fmt.Errorf("%s answered step %d of a transaction with another one, %s %s", c.asked, i+1, m.F, m.Key)
		}
		out[i] = cluster.Micro(m)
	}
	return out, nil
}

// Submit implements cluster.Tasks.
func (c *connection) Submit(ctx context.Context, key string, task int64, after *int64) error {
	_, err := c.write(ctx, raftnode.PathTaskSubmit, raftnode.Request{Key: key, Value: task, From: after})
	return err
}

// Take implements cluster.Tasks.
func (c *connection) Take(ctx context.Context, key string) (*cluster.Assignment, error) {
	resp, err := c.write(ctx, raftnode.PathTaskTake, raftnode.Request{Key: key})
	if err != nil || resp.Value == nil {
		return nil, err
	}
	return &cluster.Assignment{Task: *resp.Value, Token: resp.Token, Lease: time.Duration(resp.Lease)}, nil
}

// Beat implements cluster.Tasks.
func (c *connection) Beat(ctx context.Context, key string, task, token int64) (time.Duration, error) {
	resp, err := c.write(ctx, raftnode.PathTaskBeat, raftnode.Request{Key: key, Value: task, From: &token})
	return time.Duration(resp.Lease), err
}

// Finish implements cluster.Tasks.
func (c *connection) Finish(ctx context.Context, key string, task, token int64) error {
	_, err := c.write(ctx, raftnode.PathTaskFinish, raftnode.Request{Key: key, Value: task, From: &token})
	return err
}

// Unfinished implements cluster.Tasks.
func (c *connection) Unfinished(ctx context.Context, key string) ([]int64, error) {
	resp, err := c.read(ctx, raftnode.PathTaskRead, raftnode.Request{Key: key})
	return resp.Values, err
}

// Put implements cluster.Deliveries.
func (c *connection) Put(ctx context.Context, key string, message, producer int64) error {
	_, err := c.write(ctx, raftnode.PathLetterPut, raftnode.Request{Key: key, Value: message, From: &producer})
	return err
}

// Deliver implements cluster.Deliveries.
func (c *connection) Deliver(ctx context.Context, key string) (*cluster.Delivery, error) {
	resp, err := c.write(ctx, raftnode.PathLetterDeliver, raftnode.Request{Key: key})
	if err != nil || resp.Value == nil {
		return nil, err
	}
	return &cluster.Delivery{Message: *resp.Value, Token: resp.Token, Within: time.Duration(resp.Lease)}, nil
}

// Ack implements cluster.Deliveries.
func (c *connection) Ack(ctx context.Context, key string, message, token int64) error {
	_, err := c.write(ctx, raftnode.PathLetterAck, raftnode.Request{Key: key, Value: message, From: &token})
	return err
}

// Waiting implements cluster.Deliveries.
func (c *connection) Waiting(ctx context.Context, key string) ([]int64, error) {
	resp, err := c.read(ctx, raftnode.PathLetterWaiting, raftnode.Request{Key: key})
	return resp.Values, err
}

// DeadLetters implements cluster.Deliveries.
func (c *connection) DeadLetters(ctx context.Context, key string) ([]int64, error) {
	resp, err := c.read(ctx, raftnode.PathLetterDead, raftnode.Request{Key: key})
	return resp.Values, err
}
