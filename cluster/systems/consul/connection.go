package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"coup/cluster"
	"coup/cluster/systems/rest"
	"coup/harness"
)

// connection is a client that talks to its own node. It implements the operations of
// package cluster.
type connection struct {
	http  *rest.Client
	home  string
	o     cluster.Options
	held  map[string]string // the session that holds a lock, by key
	spare string            // a session that holds nothing
}

// Open implements cluster.System. The connection is made when it is used.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	return &connection{http: rest.New(a, node, "http"), home: node, o: o, held: map[string]string{}}, nil
}

// Node implements cluster.Conn. A node asks the leader for its clients.
func (c *connection) Node() string { return c.home }

// Close implements cluster.Conn. Locks that are held pass to others when their sessions
// are over.
func (c *connection) Close() error { return c.http.Close() }

var (
	_ cluster.Register = (*connection)(nil)
	_ cluster.Set      = (*connection)(nil)
	_ cluster.Lock     = (*connection)(nil)
)

// with says of an error whether the request may have had an effect. That there is no
// leader is said before anything is done: Consul's servers send a request once more
// after it, writes too (canRetry in its agent/consul/rpc.go).
func with(effect bool, err error) error {
	var said *rest.StatusError
	if err != nil && (!effect || errors.As(err, &said) && said.Code == http.StatusInternalServerError && strings.HasSuffix(strings.TrimSpace(said.Body), "No cluster leader")) {
		return fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return err
}

// status reports whether a node has answered with a status.
func status(err error, code int) bool {
	var said *rest.StatusError
	return errors.As(err, &said) && said.Code == code
}

// path is that of a key of coup, which may have any characters.
func path(kind, key string) string {
	return "/v1/kv/" + kind + "/" + url.PathEscape(url.PathEscape(key))
}

// versioned is the value of a register, nil if there is none, and where it was written
// in Consul's log; 0: never.
type versioned struct {
	value *int64
	index uint64
}

// get reads a register.
func (c *connection) get(ctx context.Context, key, query string) (versioned, error) {
	var found []struct {
		ModifyIndex uint64
		Value       []byte
	}
	err := c.http.Do(ctx, http.MethodGet, path("register", key)+query, nil, &found)
	switch {
	case status(err, http.StatusNotFound):
		return versioned{}, nil
	case err != nil:
		return versioned{}, with(false, err)
	case len(found) != 1:
		return versioned{}, fmt.Errorf("%w: %d values of one key", harness.ErrFail, len(found))
	}
	v, err := strconv.ParseInt(string(found[0].Value), 10, 64)
	return versioned{&v, found[0].ModifyIndex}, err
}

// put writes a key; done is what Consul answers.
func (c *connection) put(ctx context.Context, to string, v int64) (done bool, err error) {
	err = c.http.Do(ctx, http.MethodPut, to, []byte(strconv.FormatInt(v, 10)), &done)
	return done, with(true, err)
}

// must makes an error of a write that Consul has not done and does not say why.
func must(done bool, err error) error {
	if err == nil && !done {
		return errors.New("consul says that it was not done, and not why")
	}
	return err
}

// Read implements cluster.Register.
func (c *connection) Read(ctx context.Context, key string) (*int64, error) {
	r, err := c.get(ctx, key, queries[c.o.Reads])
	return r.value, err
}

// Write implements cluster.Register.
func (c *connection) Write(ctx context.Context, key string, v int64) error {
	return must(c.put(ctx, path("register", key), v))
}

// CAS implements cluster.Register. It looks again if another client was faster: nothing
// has happened then. What it saw is linearizable in every mode of reads.
func (c *connection) CAS(ctx context.Context, key string, from *int64, to int64) (*int64, error) {
	for {
		r, err := c.get(ctx, key, queries["linearizable"])
		if err != nil {
			return nil, err
		}
		if (r.value == nil) != (from == nil) || from != nil && *r.value != *from {
			return r.value, nil
		}
		done, err := c.put(ctx, fmt.Sprintf("%s?cas=%d", path("register", key), r.index), to)
		if err != nil {
			return nil, err
		}
		if done {
			return from, nil
		}
	}
}

// SetAdd implements cluster.Set.
func (c *connection) SetAdd(ctx context.Context, key string, v int64) error {
	return must(c.put(ctx, fmt.Sprintf("%s/%d", path("set", key), v), v))
}

// SetRead implements cluster.Set.
func (c *connection) SetRead(ctx context.Context, key string) (all []int64, err error) {
	var keys []string
	query := "?keys"
	if mode := queries[c.o.Reads]; mode != "" {
		query += "&" + mode[1:]
	}
	err = c.http.Do(ctx, http.MethodGet, path("set", key)+"/"+query, nil, &keys)
	switch {
	case status(err, http.StatusNotFound):
		return nil, nil
	case err != nil:
		return nil, with(false, err)
	}
	for _, k := range keys {
		v, err := strconv.ParseInt(k[strings.LastIndex(k, "/")+1:], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
		}
		all = append(all, v)
	}
	slices.Sort(all)
	return all, nil
}

var (
	errHeld    = fmt.Errorf("%w: somebody holds the lock", harness.ErrFail)
	errNotHeld = fmt.Errorf("%w: this client does not hold the lock", harness.ErrFail)
)

// session begins a session, or the time of a spare one anew. It has no effect on any lock.
// It depends on no health check, as sessions do otherwise: they end when gossip takes
// their node for dead, which may be before the time is over.
func (c *connection) session(ctx context.Context) (id string, err error) {
	if id, c.spare = c.spare, ""; id != "" {
		if err := c.renew(ctx, id); !errors.Is(err, errNotHeld) {
			return id, with(false, err)
		}
	}
	var made struct{ ID string }
	err = c.http.Do(ctx, http.MethodPut, "/v1/session/create", map[string]any{
		"TTL": ttl(c.o).String(), "LockDelay": "0s", "Behavior": "release", "NodeChecks": []string{},
	}, &made)
	return made.ID, with(false, err)
}

// renew begins the time of a session anew. If it is over, the error is errNotHeld.
func (c *connection) renew(ctx context.Context, id string) error {
	err := c.http.Do(ctx, http.MethodPut, "/v1/session/renew/"+id, nil, nil)
	if status(err, http.StatusNotFound) {
		return errNotHeld
	}
	return err
}

// locking performs a step of a lock, lock or unlock; refused says that the key was not as
// that asks for, so that nothing was done. index counts who has held the lock.
func (c *connection) locking(ctx context.Context, verb, key, id string) (index int64, refused bool, err error) {
	kv := map[string]any{"Verb": verb, "Key": "lock/" + url.PathEscape(key), "Value": []byte(id), "Session": id}
	var done struct {
		Results []struct {
			KV struct{ LockIndex int64 }
		}
	}
	err = c.http.Do(ctx, http.MethodPut, "/v1/txn", []any{map[string]any{"KV": kv}}, &done)
	switch {
	case status(err, http.StatusConflict):
		return 0, true, nil
	case err == nil && len(done.Results) != 1:
		err = fmt.Errorf("%d results of one step", len(done.Results))
	}
	if err != nil {
		return 0, false, with(true, err)
	}
	return done.Results[0].KV.LockIndex, false, nil
}

// Acquire implements cluster.Lock.
func (c *connection) Acquire(ctx context.Context, key string) (cluster.Grant, error) {
	id, err := c.session(ctx)
	if err != nil {
		return cluster.Grant{}, err
	}
	index, refused, err := c.locking(ctx, "lock", key, id)
	if refused {
		c.spare = id
		err = errHeld
	}
	if err != nil {
		return cluster.Grant{}, err
	}
	c.held[key] = id
	return cluster.Grant{Token: &index, Lease: ttl(c.o)}, nil
}

// Renew implements cluster.Lock.
func (c *connection) Renew(ctx context.Context, key string) (cluster.Grant, error) {
	id, ok := c.held[key]
	if !ok {
		return cluster.Grant{}, errNotHeld
	}
	if err := c.renew(ctx, id); err != nil {
		if errors.Is(err, errNotHeld) {
			delete(c.held, key)
		}
		return cluster.Grant{}, err
	}
	return cluster.Grant{Lease: ttl(c.o)}, nil
}

// Release implements cluster.Lock.
func (c *connection) Release(ctx context.Context, key string) error {
	id, ok := c.held[key]
	if !ok {
		return errNotHeld
	}
	delete(c.held, key)
	_, refused, err := c.locking(ctx, "unlock", key, id)
	if refused {
		return errNotHeld
	}
	if err == nil {
		c.spare = id
	}
	return err
}
