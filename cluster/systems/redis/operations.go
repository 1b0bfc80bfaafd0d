package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"coup/cluster"
	"coup/harness"
)

var (
	_ cluster.Register = (*connection)(nil)
	_ cluster.Set      = (*connection)(nil)
	_ cluster.Queue    = (*connection)(nil)
	_ cluster.Counter  = (*connection)(nil)
	_ cluster.Lock     = (*connection)(nil)
)

// maybe makes nil of redis.Nil.
func maybe(v string, err error) (*int64, error) {
	if err != nil {
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		return nil, err
	}
	n, err := strconv.ParseInt(v, 10, 64)
	return &n, err
}

// Read implements cluster.Register.
func (c *connection) Read(ctx context.Context, key string) (*int64, error) {
	return maybe(perform(ctx, c, false, func(r redis.Cmdable) result[string] { return r.Get(ctx, "register:"+key) }))
}

// Write implements cluster.Register.
func (c *connection) Write(ctx context.Context, key string, v int64) error {
	_, err := perform(ctx, c, true, func(r redis.Cmdable) result[string] { return r.Set(ctx, "register:"+key, v, 0) })
	return err
}

// script performs a script with an effect on one key.
func (c *connection) script(ctx context.Context, text, key string, args ...any) (any, error) {
	return perform(ctx, c, true, func(r redis.Cmdable) result[any] { return r.Eval(ctx, text, []string{key}, args...) })
}

// CAS implements cluster.Register.
func (c *connection) CAS(ctx context.Context, key string, from *int64, to int64) (*int64, error) {
	is := ""
	if from != nil {
		is = strconv.FormatInt(*from, 10)
	}
	saw, err := c.script(ctx, `local saw = redis.call('GET', KEYS[1])
if (saw or '') == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
return saw`, "register:"+key, is, to)
	return maybe(fmt.Sprint(saw), err)
}

// SetAdd implements cluster.Set.
func (c *connection) SetAdd(ctx context.Context, key string, v int64) error {
	_, err := perform(ctx, c, true, func(r redis.Cmdable) result[int64] { return r.SAdd(ctx, "set:"+key, v) })
	return err
}

// SetRead implements cluster.Set.
func (c *connection) SetRead(ctx context.Context, key string) (all []int64, err error) {
	members, err := perform(ctx, c, false, func(r redis.Cmdable) result[[]string] { return r.SMembers(ctx, "set:"+key) })
	for _, m := range members {
		v, err := strconv.ParseInt(m, 10, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	slices.Sort(all)
	return all, err
}

// Enqueue implements cluster.Queue.
func (c *connection) Enqueue(ctx context.Context, key string, v int64) error {
	_, err := perform(ctx, c, true, func(r redis.Cmdable) result[int64] { return r.RPush(ctx, "queue:"+key, v) })
	return err
}

// Dequeue implements cluster.Queue.
func (c *connection) Dequeue(ctx context.Context, key string) (*int64, error) {
	return maybe(perform(ctx, c, true, func(r redis.Cmdable) result[string] { return r.LPop(ctx, "queue:"+key) }))
}

// CounterAdd implements cluster.Counter.
func (c *connection) CounterAdd(ctx context.Context, key string, delta int64) error {
	_, err := perform(ctx, c, true, func(r redis.Cmdable) result[int64] { return r.IncrBy(ctx, "counter:"+key, delta) })
	return err
}

// CounterRead implements cluster.Counter.
func (c *connection) CounterRead(ctx context.Context, key string) (int64, error) {
	v, err := maybe(perform(ctx, c, false, func(r redis.Cmdable) result[string] { return r.Get(ctx, "counter:"+key) }))
	if v == nil {
		return 0, err
	}
	return *v, err
}

var (
	errHeld    = fmt.Errorf("%w: somebody holds the lock", harness.ErrFail)
	errNotHeld = fmt.Errorf("%w: this client does not hold the lock", harness.ErrFail)
)

// Acquire implements cluster.Lock. Each holding has a random value of its own.
func (c *connection) Acquire(ctx context.Context, key string) (cluster.Grant, error) {
	value, lease := rand.Text(), duration(c.o, "lock-ttl")
	taken, err := perform(ctx, c, true, func(r redis.Cmdable) result[bool] { return r.SetNX(ctx, "lock:"+key, value, lease) })
	if err == nil && !taken {
		err = errHeld
	}
	if err != nil {
		return cluster.Grant{}, err
	}
	c.held[key] = value
	return cluster.Grant{Lease: lease}, nil
}

// ifHeld performs a command on a lock if it still has the value of the holding.
func (c *connection) ifHeld(ctx context.Context, key, command string, args ...any) error {
	value, ok := c.held[key]
	if !ok {
		return errNotHeld
	}
	done, err := c.script(ctx, `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('`+command+`', KEYS[1], unpack(ARGV, 2))`, "lock:"+key, append([]any{value}, args...)...)
	if err == nil && done != int64(1) {
		delete(c.held, key)
		err = errNotHeld
	}
	return err
}

// Renew implements cluster.Lock.
func (c *connection) Renew(ctx context.Context, key string) (cluster.Grant, error) {
	lease := duration(c.o, "lock-ttl")
	if err := c.ifHeld(ctx, key, "PEXPIRE", lease.Milliseconds()); err != nil {
		return cluster.Grant{}, err
	}
	return cluster.Grant{Lease: lease}, nil
}

// Release implements cluster.Lock.
func (c *connection) Release(ctx context.Context, key string) error {
	defer delete(c.held, key)
	return c.ifHeld(ctx, key, "DEL")
}
