package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-zookeeper/zk"

	"coup/cluster"
	"coup/harness"
)

var (
	_ cluster.Register = (*connection)(nil)
	_ cluster.Set      = (*connection)(nil)
	_ cluster.Queue    = (*connection)(nil)
	_ cluster.Lock     = (*connection)(nil)
)

// The znodes below which everything is. A write to barrier changes nothing that
// anybody reads.
const (
	registers = "/registers"
	sets      = "/sets"
	queues    = "/queues"
	locks     = "/locks"
	barrier   = "/barrier"
)

var anybody = zk.WorldACL(zk.PermAll)

// Init implements cluster.Initializer.
func (y System) Init(ctx context.Context, a cluster.Access, o cluster.Options) error {
	conn, err := y.Open(a, a.Nodes()[0].Name, o)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, path := range []string{registers, sets, queues, locks, barrier} {
		if err := conn.(*connection).create(ctx, path, nil); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return fmt.Errorf("create %s: %w", path, err)
		}
	}
	return nil
}

// text and parse are how values are stored.
func text(v int64) []byte { return strconv.AppendInt(nil, v, 10) }

func parse(b []byte) (*int64, error) {
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return &v, nil
}

func (c *connection) create(ctx context.Context, path string, data []byte) error {
	_, err := perform(ctx, c, true, func(z *zk.Conn) (string, error) { return z.Create(path, data, 0, anybody) })
	return err
}

func (c *connection) write(ctx context.Context, path string, data []byte, version int32) error {
	_, err := perform(ctx, c, true, func(z *zk.Conn) (*zk.Stat, error) { return z.Set(path, data, version) })
	return err
}

// fresh makes a read that follows over the same connection as new as the mode of reads
// says. If the node has seen a write of this client, it has seen all writes before it.
func (c *connection) fresh(ctx context.Context, mode string) (err error) {
	switch mode {
	case stale:
		return nil
	case lease:
		_, err = perform(ctx, c, false, func(z *zk.Conn) (string, error) { return z.Sync("/") })
	default:
		_, err = perform(ctx, c, false, func(z *zk.Conn) (*zk.Stat, error) { return z.Set(barrier, nil, -1) })
	}
	return err
}

// seen is a znode as it was read; both are nil if there was none.
type seen struct {
	value *int64
	stat  *zk.Stat
}

// look reads a znode. The reader must not be another session than that of fresh, which
// a lost connection would make: the link is used once.
func (c *connection) look(ctx context.Context, path, mode string) (s seen, err error) {
	if err := c.fresh(ctx, mode); err != nil {
		return s, err
	}
	type content struct {
		data []byte
		stat *zk.Stat
	}
	got, err := same(ctx, c, mode, func(z *zk.Conn) (content, error) {
		data, stat, err := z.Get(path)
		return content{data, stat}, err
	})
	if errors.Is(err, zk.ErrNoNode) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.stat = got.stat
	s.value, err = parse(got.data)
	return s, err
}

// same performs a read over the connection of fresh: a new one might be to a node that
// has been restarted, and has seen less.
func same[T any](ctx context.Context, c *connection, mode string, request func(z *zk.Conn) (T, error)) (v T, err error) {
	if c.link == nil && mode != stale {
		return v, fmt.Errorf("%w: %s: %w", harness.ErrFail, c.home, errOver)
	}
	return perform(ctx, c, false, request)
}

// children are the names below a znode, sorted; none if it is not there.
func (c *connection) children(ctx context.Context, path, mode string) ([]string, error) {
	if err := c.fresh(ctx, mode); err != nil {
		return nil, err
	}
	names, err := same(ctx, c, mode, func(z *zk.Conn) ([]string, error) {
		names, _, err := z.Children(path)
		return names, err
	})
	if errors.Is(err, zk.ErrNoNode) {
		return nil, nil
	}
	slices.Sort(names)
	return names, err
}

// Read implements cluster.Register.
func (c *connection) Read(ctx context.Context, key string) (*int64, error) {
	s, err := c.look(ctx, registers+"/"+key, c.reads)
	return s.value, err
}

// Write implements cluster.Register. Registers are never deleted.
func (c *connection) Write(ctx context.Context, key string, v int64) error {
	path := registers + "/" + key
	err := c.write(ctx, path, text(v), -1)
	if errors.Is(err, zk.ErrNoNode) {
		err = c.create(ctx, path, text(v))
	}
	if errors.Is(err, zk.ErrNodeExists) { // by now
		err = c.write(ctx, path, text(v), -1)
	}
	return err
}

// CAS implements cluster.Register. It fails if another client is faster.
func (c *connection) CAS(ctx context.Context, key string, from *int64, to int64) (*int64, error) {
	path := registers + "/" + key
	// What it saw counts, whatever the mode of reads is.
	s, err := c.look(ctx, path, linearizable)
	switch {
	case err != nil:
		return nil, err
	case (s.value == nil) != (from == nil) || from != nil && *s.value != *from:
		return s.value, nil
	case s.value == nil:
		err = c.create(ctx, path, text(to))
	default:
		err = c.write(ctx, path, text(to), s.stat.Version)
	}
	return s.value, err
}

// below creates a znode below a parent, which is created first where there is none.
func (c *connection) below(ctx context.Context, parent, name string, data []byte, flags int32) error {
	add := func() error {
		_, err := perform(ctx, c, true, func(z *zk.Conn) (string, error) { return z.Create(parent+"/"+name, data, flags, anybody) })
		return err
	}
	err := add()
	if errors.Is(err, zk.ErrNoNode) {
		if err = c.create(ctx, parent, nil); err == nil || errors.Is(err, zk.ErrNodeExists) {
			err = add()
		} else {
			err = fmt.Errorf("%w: create %s: %w", harness.ErrFail, parent, err) // which alone changes nothing
		}
	}
	return err
}

// SetAdd implements cluster.Set.
func (c *connection) SetAdd(ctx context.Context, key string, v int64) error {
	err := c.below(ctx, sets+"/"+key, string(text(v)), nil, 0)
	if errors.Is(err, zk.ErrNodeExists) {
		err = nil
	}
	return err
}

// SetRead implements cluster.Set.
func (c *connection) SetRead(ctx context.Context, key string) ([]int64, error) {
	names, err := c.children(ctx, sets+"/"+key, c.reads)
	var all []int64
	for _, name := range names {
		v, err := parse([]byte(name))
		if err != nil {
			return nil, err
		}
		all = append(all, *v)
	}
	slices.Sort(all)
	return all, err
}

// Enqueue implements cluster.Queue.
func (c *connection) Enqueue(ctx context.Context, key string, v int64) error {
	return c.below(ctx, queues+"/"+key, "e-", text(v), zk.FlagSequence)
}

// Dequeue implements cluster.Queue. An old list of elements will do: what is the oldest
// one there is still the oldest, or gone. Only an empty one has to be looked at again.
func (c *connection) Dequeue(ctx context.Context, key string) (*int64, error) {
	path := queues + "/" + key
	mode := stale
	for {
		names, err := c.children(ctx, path, mode)
		if err != nil {
			return nil, err
		}
		if len(names) == 0 && mode != stale {
			return nil, nil
		}
		mode = linearizable // if another client is faster
		if len(names) == 0 {
			continue
		}
		oldest := path + "/" + names[0]
		got, err := perform(ctx, c, false, func(z *zk.Conn) ([]byte, error) { data, _, err := z.Get(oldest); return data, err })
		if err == nil {
			_, err = perform(ctx, c, true, func(z *zk.Conn) (any, error) { return nil, z.Delete(oldest, -1) })
		}
		switch {
		case errors.Is(err, zk.ErrNoNode):
			continue
		case err != nil:
			return nil, err
		}
		return parse(got)
	}
}

var (
	errHeld    = fmt.Errorf("%w: somebody holds the lock", harness.ErrFail)
	errNotHeld = fmt.Errorf("%w: this client does not hold the lock", harness.ErrFail)
)

// Acquire implements cluster.Lock. Each holding has a session of its own, which goes on at
// another node where its own does not answer. If the lease is not renewed, the client
// says no more that it lives, and the session ends in the time that it has. The fencing
// token is the transaction that created the znode.
//
// The lease is a third of the session's time: the leader may have heard of the session
// earlier than its own node did, and counts from there.
func (c *connection) Acquire(ctx context.Context, key string) (cluster.Grant, error) {
	var g cluster.Grant
	path := locks + "/" + key
	there, err := perform(ctx, c, false, func(z *zk.Conn) (bool, error) { there, _, err := z.Exists(path); return there, err })
	switch {
	case err != nil:
		return g, err
	case there || c.held[key] != nil: // an old answer will do: somebody held it
		c.lost(key)
		return g, errHeld
	}
	nodes := []string{c.home}
	for _, n := range c.access.Nodes() {
		if n.Name != c.home {
			nodes = append(nodes, n.Name)
		}
	}
	l, err := dial(c.access, c.session, false, nodes...)
	if err != nil {
		return g, err
	}
	_, err = ask(ctx, l, true, func() (string, error) { return l.Create(path, nil, zk.FlagEphemeral, anybody) })
	if err == nil {
		var stat *zk.Stat
		stat, err = ask(ctx, l, true, func() (*zk.Stat, error) { _, stat, err := l.Exists(path); return stat, err })
		if err == nil && (stat == nil || stat.EphemeralOwner != l.SessionID()) {
			err = errors.New("the lock is lost already") // and others may have seen it
		}
		if err == nil {
			c.held[key] = l
			l.lease = time.AfterFunc(c.session/3, l.leave)
			return cluster.Grant{Token: &stat.Czxid, Lease: c.session / 3}, nil
		}
		err = fmt.Errorf("the lock was taken, and then: %v", err) // nothing certain
	}
	l.end()
	if errors.Is(err, zk.ErrNodeExists) {
		err = errHeld
	}
	return g, err
}

// lost forgets a lock whose session is over.
func (c *connection) lost(key string) {
	if l := c.held[key]; l != nil {
		l.mu.Lock()
		over := l.over
		l.mu.Unlock()
		if over {
			l.leave()
			delete(c.held, key)
		}
	}
}

// ifHeld performs a request in the session that holds the lock. There the znode can't be
// that of another holder.
func (c *connection) ifHeld(ctx context.Context, key string, request func(z *zk.Conn) error) error {
	l := c.held[key]
	if l == nil {
		return errNotHeld
	}
	_, err := ask(ctx, l, true, func() (any, error) { return nil, request(l.Conn) })
	if errors.Is(err, zk.ErrNoNode) {
		err = errNotHeld
	}
	if err != nil {
		c.lost(key)
	}
	return err
}

// Renew implements cluster.Lock: a write to the znode, which makes sure that it is there.
func (c *connection) Renew(ctx context.Context, key string) (cluster.Grant, error) {
	path := locks + "/" + key
	err := c.ifHeld(ctx, key, func(z *zk.Conn) error { _, err := z.Set(path, nil, -1); return err })
	if err != nil {
		return cluster.Grant{}, err
	}
	c.held[key].lease.Reset(c.session / 3)
	return cluster.Grant{Lease: c.session / 3}, nil
}

// Release implements cluster.Lock.
func (c *connection) Release(ctx context.Context, key string) error {
	path := locks + "/" + key
	err := c.ifHeld(ctx, key, func(z *zk.Conn) error { return z.Delete(path, -1) })
	if l := c.held[key]; l != nil {
		l.lease.Stop()
		l.end()
		delete(c.held, key)
	}
	return err
}
