package rqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"coup/cluster"
	"coup/cluster/systems/rest"
	"coup/harness"
)

// statement is a statement of SQL, followed by its parameters.
type statement []any

// result is what came of a statement.
type result struct {
	Values [][]json.RawMessage `json:"values"`
	Error  string              `json:"error"`
}

// one is the number in the first row, nil if there is none.
func (r result) one() (v *int64, err error) {
	if len(r.Values) > 0 && len(r.Values[0]) > 0 {
		err = json.Unmarshal(r.Values[0][0], &v) // null makes nil
	}
	return v, err
}

// all are the numbers of the first column.
func (r result) all() (list []int64, err error) {
	for _, row := range r.Values {
		var v int64
		if err := json.Unmarshal(row[0], &v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// ask sends statements to a node as one transaction.
func ask(ctx context.Context, c *rest.Client, path, level string, statements ...statement) ([]result, error) {
	left, ok := harness.Left(ctx)
	if !ok {
		left = 10 * time.Second
	}
	q := url.Values{"transaction": {""}, "level": {level}, "timeout": {left.String()}, "linearizable_timeout": {left.String()}}
	var answer struct {
		Results []result `json:"results"`
		Error   string   `json:"error"`
	}
	if err := c.Do(ctx, http.MethodPost, path+"?"+q.Encode(), statements, &answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, errors.New(answer.Error)
	}
	for _, r := range answer.Results {
		if r.Error != "" {
			return nil, errors.New(r.Error)
		}
	}
	if len(answer.Results) != len(statements) {
		return nil, fmt.Errorf("%d results of %d statements", len(answer.Results), len(statements))
	}
	return answer.Results, nil
}

// connection is a client that talks to its own node. It implements the operations of
// package cluster.
type connection struct {
	http  *rest.Client
	home  string
	level string
}

// Open implements cluster.System. The connection is made when it is used.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	return &connection{http: rest.New(a, node, "http"), home: node, level: levelOf(o)}, nil
}

// Node implements cluster.Conn. A node asks the leader for its clients.
func (c *connection) Node() string { return c.home }

// Close implements cluster.Conn.
func (c *connection) Close() error { return c.http.Close() }

// read performs queries at the level of the connection.
func (c *connection) read(ctx context.Context, queries ...statement) ([]result, error) {
	results, err := ask(ctx, c.http, "/db/query", c.level, queries...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return results, nil
}

// write performs statements, of which one at least writes. Only if nothing was asked it
// is known that they did not happen: what nodes say of a write that failed, they say of
// one, too, that is under way.
func (c *connection) write(ctx context.Context, statements ...statement) ([]result, error) {
	return ask(ctx, c.http, "/db/request", "strong", statements...)
}

var (
	_ cluster.Register     = (*connection)(nil)
	_ cluster.Set          = (*connection)(nil)
	_ cluster.Queue        = (*connection)(nil)
	_ cluster.Counter      = (*connection)(nil)
	_ cluster.Transactions = (*connection)(nil)
)

// tables are the tables of the objects.
var tables = []statement{
	{"CREATE TABLE IF NOT EXISTS register (k TEXT PRIMARY KEY, v INTEGER NOT NULL)"},
	{"CREATE TABLE IF NOT EXISTS elements (k TEXT, v INTEGER, PRIMARY KEY (k, v))"},
	{"CREATE TABLE IF NOT EXISTS queue (id INTEGER PRIMARY KEY AUTOINCREMENT, k TEXT NOT NULL, v INTEGER NOT NULL)"},
	{"CREATE TABLE IF NOT EXISTS counter (k TEXT PRIMARY KEY, v INTEGER NOT NULL)"},
	{"CREATE TABLE IF NOT EXISTS list (id INTEGER PRIMARY KEY AUTOINCREMENT, k TEXT NOT NULL, v INTEGER NOT NULL)"},
	{"CREATE INDEX IF NOT EXISTS queues ON queue (k)"},
	{"CREATE INDEX IF NOT EXISTS lists ON list (k)"},
}

// Read implements cluster.Register.
func (c *connection) Read(ctx context.Context, key string) (*int64, error) {
	r, err := c.read(ctx, statement{"SELECT v FROM register WHERE k = ?", key})
	if err != nil {
		return nil, err
	}
	return r[0].one()
}

// Write implements cluster.Register.
func (c *connection) Write(ctx context.Context, key string, v int64) error {
	_, err := c.write(ctx, statement{"INSERT INTO register VALUES (?, ?) ON CONFLICT DO UPDATE SET v = excluded.v", key, v})
	return err
}

// CAS implements cluster.Register.
func (c *connection) CAS(ctx context.Context, key string, from *int64, to int64) (*int64, error) {
	set := statement{"INSERT INTO register VALUES (?, ?) ON CONFLICT DO NOTHING", key, to}
	if from != nil {
		set = statement{"UPDATE register SET v = ? WHERE k = ? AND v = ?", to, key, *from}
	}
	r, err := c.write(ctx, statement{"SELECT v FROM register WHERE k = ?", key}, set)
	if err != nil {
		return nil, err
	}
	return r[0].one()
}

// SetAdd implements cluster.Set.
func (c *connection) SetAdd(ctx context.Context, key string, v int64) error {
	_, err := c.write(ctx, statement{"INSERT INTO elements VALUES (?, ?) ON CONFLICT DO NOTHING", key, v})
	return err
}

// SetRead implements cluster.Set.
func (c *connection) SetRead(ctx context.Context, key string) ([]int64, error) {
	r, err := c.read(ctx, statement{"SELECT v FROM elements WHERE k = ? ORDER BY v", key})
	if err != nil {
		return nil, err
	}
	return r[0].all()
}

// Enqueue implements cluster.Queue.
func (c *connection) Enqueue(ctx context.Context, key string, v int64) error {
	_, err := c.write(ctx, statement{"INSERT INTO queue (k, v) VALUES (?, ?)", key, v})
	return err
}

// Dequeue implements cluster.Queue.
func (c *connection) Dequeue(ctx context.Context, key string) (*int64, error) {
	r, err := c.write(ctx, statement{"SELECT v FROM queue WHERE k = ? ORDER BY id LIMIT 1", key},
		statement{"DELETE FROM queue WHERE id = (SELECT min(id) FROM queue WHERE k = ?)", key})
	if err != nil {
		return nil, err
	}
	return r[0].one()
}

// CounterAdd implements cluster.Counter.
func (c *connection) CounterAdd(ctx context.Context, key string, delta int64) error {
	_, err := c.write(ctx, statement{"INSERT INTO counter VALUES (?, ?) ON CONFLICT DO UPDATE SET v = v + excluded.v", key, delta})
	return err
}

// CounterRead implements cluster.Counter.
func (c *connection) CounterRead(ctx context.Context, key string) (int64, error) {
	r, err := c.read(ctx, statement{"SELECT coalesce(sum(v), 0) FROM counter WHERE k = ?", key})
	if err != nil {
		return 0, err
	}
	v, err := r[0].one()
	if v == nil {
		return 0, err
	}
	return *v, err
}

// Txn implements cluster.Transactions. One that only reads reads at the level of the
// connection.
func (c *connection) Txn(ctx context.Context, steps []cluster.Micro) ([]cluster.Micro, error) {
	var statements []statement
	perform := c.read
	for _, m := range steps {
		if m.F == "append" {
			perform = c.write
			statements = append(statements, statement{"INSERT INTO list (k, v) VALUES (?, ?)", m.Key, m.Value})
		} else {
			statements = append(statements, statement{"SELECT v FROM list WHERE k = ? ORDER BY id", m.Key})
		}
	}
	results, err := perform(ctx, statements...)
	if err != nil {
		return nil, err
	}
	done := slices.Clone(steps)
	for i, m := range done {
		if m.F != "append" {
			if done[i].List, err = results[i].all(); err != nil {
				return nil, err
			}
		}
	}
	return done, nil
}
