package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"coup/cluster"
	"coup/harness"
)

var (
	_ cluster.Register     = (*connection)(nil)
	_ cluster.Set          = (*connection)(nil)
	_ cluster.Queue        = (*connection)(nil)
	_ cluster.Counter      = (*connection)(nil)
	_ cluster.Transactions = (*connection)(nil)
)

// mode are the options of a read in the mode of the connection.
func (c *connection) mode(more ...clientv3.OpOption) []clientv3.OpOption {
	if c.reads == stale {
		more = append(more, clientv3.WithSerializable())
	}
	return more
}

// get reads what a read operation is to read, in the mode of the connection.
func (c *connection) get(ctx context.Context, key string, o ...clientv3.OpOption) (resp *clientv3.GetResponse, err error) {
	err = c.read(ctx, c.reads == stale, func(ctx context.Context, l *link) error {
		resp, err = l.Get(ctx, key, c.mode(o...)...)
		return err
	})
	return resp, err
}

// newest reads what a write operation rests on, always linearizable.
func (c *connection) newest(ctx context.Context, key string, o ...clientv3.OpOption) (resp *clientv3.GetResponse, err error) {
	err = c.read(ctx, false, func(ctx context.Context, l *link) error {
		resp, err = l.Get(ctx, key, o...)
		return err
	})
	return resp, err
}

// commit performs a transaction of etcd that may write.
func (c *connection) commit(ctx context.Context, ifs []clientv3.Cmp, then []clientv3.Op, otherwise ...clientv3.Op) (resp *clientv3.TxnResponse, err error) {
	err = c.write(ctx, func(ctx context.Context, l *link) error {
		resp, err = l.Txn(ctx).If(ifs...).Then(then...).Else(otherwise...).Commit()
		return err
	})
	return resp, err
}

// The keys of the objects.
func registerKey(key string) string  { return "register/" + key }
func setPrefix(key string) string    { return "set/" + key + "/" }
func queuePrefix(key string) string  { return "queue/" + key + "/" }
func counterKey(key string) string   { return "counter/" + key }
func listKey(key string) string      { return "list/" + key }
func lockKey(key string) string      { return "lock/" + key }
func text(v int64) string            { return strconv.FormatInt(v, 10) }
func parse(b []byte) (int64, error)  { return strconv.ParseInt(string(b), 10, 64) }
func absent(key string) clientv3.Cmp { return clientv3.Compare(clientv3.CreateRevision(key), "=", 0) }

// unchanged compares true if key was written last at a revision; 0: never.
func unchanged(key string, revision int64) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(key), "=", revision)
}

// only is the value of the one key that was read; nil if there is none.
func only(resp *clientv3.GetResponse) (*int64, error) {
	if len(resp.Kvs) == 0 {
		return nil, nil
	}
	v, err := parse(resp.Kvs[0].Value)
	return &v, err
}

// Read implements cluster.Register.
func (c *connection) Read(ctx context.Context, key string) (*int64, error) {
	resp, err := c.get(ctx, registerKey(key))
	if err != nil {
		return nil, err
	}
	return only(resp)
}

// Write implements cluster.Register.
func (c *connection) Write(ctx context.Context, key string, v int64) error {
	return c.write(ctx, func(ctx context.Context, l *link) error {
		_, err := l.Put(ctx, registerKey(key), text(v))
		return err
	})
}

// CAS implements cluster.Register.
func (c *connection) CAS(ctx context.Context, key string, from *int64, to int64) (*int64, error) {
	k := registerKey(key)
	is := absent(k)
	if from != nil {
		is = clientv3.Compare(clientv3.Value(k), "=", text(*from))
	}
	resp, err := c.commit(ctx, []clientv3.Cmp{is}, []clientv3.Op{clientv3.OpPut(k, text(to))}, clientv3.OpGet(k))
	if err != nil {
		return nil, err
	}
	if resp.Succeeded {
		return from, nil
	}
	return only((*clientv3.GetResponse)(resp.Responses[0].GetResponseRange()))
}

// SetAdd implements cluster.Set.
func (c *connection) SetAdd(ctx context.Context, key string, v int64) error {
	return c.write(ctx, func(ctx context.Context, l *link) error {
		_, err := l.Put(ctx, setPrefix(key)+text(v), "")
		return err
	})
}

// SetRead implements cluster.Set.
func (c *connection) SetRead(ctx context.Context, key string) ([]int64, error) {
	prefix := setPrefix(key)
	resp, err := c.get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, err
	}
	all := make([]int64, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		if all[i], err = parse(kv.Key[len(prefix):]); err != nil {
			return nil, err
		}
	}
	slices.Sort(all)
	return all, nil
}

// Enqueue implements cluster.Queue.
func (c *connection) Enqueue(ctx context.Context, key string, v int64) error {
	c.seq++
	return c.write(ctx, func(ctx context.Context, l *link) error {
		_, err := l.Put(ctx, fmt.Sprintf("%s%s-%d", queuePrefix(key), c.name, c.seq), text(v))
		return err
	})
}

// Dequeue implements cluster.Queue. It deletes the oldest element if it is still there,
// and looks again if another client was faster: nothing has happened then. Whatever the
// mode of reads, what it takes for the oldest one, or for an empty queue, is so.
func (c *connection) Dequeue(ctx context.Context, key string) (*int64, error) {
	for {
		resp, err := c.newest(ctx, queuePrefix(key), clientv3.WithFirstCreate()...)
		if err != nil {
			return nil, err
		}
		if len(resp.Kvs) == 0 {
			return nil, nil
		}
		kv := resp.Kvs[0]
		v, err := parse(kv.Value)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
		}
		took, err := c.commit(ctx, []clientv3.Cmp{unchanged(string(kv.Key), kv.ModRevision)}, []clientv3.Op{clientv3.OpDelete(string(kv.Key))})
		if err != nil {
			return nil, err
		}
		if took.Succeeded {
			return &v, nil
		}
	}
}

// CounterAdd implements cluster.Counter. It tries again if another client was faster:
// nothing has happened then.
func (c *connection) CounterAdd(ctx context.Context, key string, delta int64) error {
	k := counterKey(key)
	for {
		resp, err := c.newest(ctx, k)
		if err != nil {
			return err
		}
		v, revision := int64(0), int64(0)
		if len(resp.Kvs) > 0 {
			revision = resp.Kvs[0].ModRevision
			if v, err = parse(resp.Kvs[0].Value); err != nil {
				return fmt.Errorf("%w: %w", harness.ErrFail, err)
			}
		}
		added, err := c.commit(ctx, []clientv3.Cmp{unchanged(k, revision)}, []clientv3.Op{clientv3.OpPut(k, text(v+delta))})
		if err != nil || added.Succeeded {
			return err
		}
	}
}

// CounterRead implements cluster.Counter.
func (c *connection) CounterRead(ctx context.Context, key string) (int64, error) {
	resp, err := c.get(ctx, counterKey(key))
	if err != nil || len(resp.Kvs) == 0 {
		return 0, err
	}
	return parse(resp.Kvs[0].Value)
}

// errConflict is why a transaction was aborted.
var errConflict = errors.New("another transaction has written one of the lists meanwhile")

// Txn implements cluster.Transactions. All lists are read at one revision; if the
// transaction appends, it is committed if none of them was written since. Else it is
// aborted, and fails.
func (c *connection) Txn(ctx context.Context, steps []cluster.Micro) ([]cluster.Micro, error) {
	var keys []string
	appends := false
	for _, m := range steps {
		if !slices.Contains(keys, m.Key) {
			keys = append(keys, m.Key)
		}
		appends = appends || m.F == "append"
	}
	if len(keys) == 0 {
		return nil, nil
	}
	var gets []clientv3.Op
	for _, k := range keys {
		gets = append(gets, clientv3.OpGet(listKey(k), c.mode()...))
	}
	var resp *clientv3.TxnResponse
	if err := c.read(ctx, c.reads == stale, func(ctx context.Context, l *link) (err error) {
		resp, err = l.Txn(ctx).Then(gets...).Commit()
		return err
	}); err != nil {
		return nil, err
	}
	lists, written := map[string][]int64{}, map[string]bool{}
	var same []clientv3.Cmp
	for i, k := range keys {
		revision := int64(0)
		for _, kv := range resp.Responses[i].GetResponseRange().GetKvs() {
			revision = kv.ModRevision
			for word := range strings.FieldsSeq(string(kv.Value)) {
				v, err := parse([]byte(word))
				if err != nil {
					return nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
				}
				lists[k] = append(lists[k], v)
			}
		}
		same = append(same, unchanged(listKey(k), revision))
	}
	done := slices.Clone(steps)
	for i, m := range done {
		if m.F == "append" {
			lists[m.Key] = append(lists[m.Key], m.Value)
			written[m.Key] = true
		} else {
			done[i].List = slices.Clone(lists[m.Key])
		}
	}
	if !appends {
		return done, nil
	}
	var puts []clientv3.Op
	for _, k := range keys {
		if written[k] {
			puts = append(puts, clientv3.OpPut(listKey(k), strings.Trim(fmt.Sprint(lists[k]), "[]")))
		}
	}
	committed, err := c.commit(ctx, same, puts)
	if err == nil && !committed.Succeeded {
		err = fmt.Errorf("%w: %s: %w", harness.ErrFail, c.home, errConflict)
	}
	if err != nil {
		return nil, err
	}
	return done, nil
}
