package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"coup/cluster"
	"coup/harness"
)

var (
	_ cluster.Register     = (*connection)(nil)
	_ cluster.Set          = (*connection)(nil)
	_ cluster.Transactions = (*connection)(nil)
	_ cluster.Bank         = (*connection)(nil)
)

// tables are made before clients work.
const tables = `
create table if not exists registers (k text primary key, v bigint not null);
create table if not exists sets (k text, v bigint, primary key (k, v));
create table if not exists lists (k text primary key, v bigint[] not null);
create table if not exists accounts (id text primary key, balance bigint not null)`

// initialize makes the tables.
func initialize(ctx context.Context, s *session) error {
	if _, err := s.Exec(ctx, tables, pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	for _, account := range cluster.BankAccounts() {
		if _, err := s.Exec(ctx, "insert into accounts values ($1, $2) on conflict do nothing", account, cluster.BankBalance); err != nil {
			return err
		}
	}
	return nil
}

// confirm is a transaction that writes to the log, and changes nothing. If a commit waits
// for another node, then it does so only as long as that node follows this one: so the
// node was still the primary when the transaction read what it read.
const confirm = "select pg_logical_emit_message(true, 'coup', '')"

// confirms reports whether reads at the primary show that it is the primary.
func (c *connection) confirms() bool {
	return enabled(c.o, "synchronous") && (c.o.Reads == "" || c.o.Reads == linearizable)
}

// query reads at the end of a route.
func (c *connection) query(ctx context.Context, r *route, take func(rows pgx.Rows) error, statement string, args ...any) error {
	return c.at(ctx, r, false, func(s *session) error {
		b := new(pgx.Batch) // which is a transaction
		b.Queue(statement, args...).Query(take)
		if c.confirms() {
			b.Queue(confirm)
		}
		return s.SendBatch(ctx, b).Close()
	})
}

// read reads a register.
func (c *connection) read(ctx context.Context, r *route, key string) (got *int64, err error) {
	err = c.query(ctx, r, func(rows pgx.Rows) error {
		all, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if len(all) > 0 {
			got = &all[0]
		}
		return err
	}, "select v from registers where k = $1", key)
	return got, err
}

// Read implements cluster.Register.
func (c *connection) Read(ctx context.Context, key string) (*int64, error) {
	return c.read(ctx, c.reads(), key)
}

// write performs a statement at the primary, and returns how many rows it has changed.
func (c *connection) write(ctx context.Context, statement string, args ...any) (rows int64, err error) {
	err = c.at(ctx, &c.primary, true, func(s *session) error {
		tag, err := s.Exec(ctx, statement, args...)
		rows = tag.RowsAffected()
		return err
	})
	return rows, err
}

// Write implements cluster.Register.
func (c *connection) Write(ctx context.Context, key string, v int64) error {
	_, err := c.write(ctx, "insert into registers values ($1, $2) on conflict (k) do update set v = excluded.v", key, v)
	return err
}

// CAS implements cluster.Register. One that has changed nothing looks what there is; if
// that is what it was looking for, it came in the meantime, and is tried again.
func (c *connection) CAS(ctx context.Context, key string, from *int64, to int64) (saw *int64, err error) {
	for {
		var rows int64
		if from == nil {
			rows, err = c.write(ctx, "insert into registers values ($1, $2) on conflict do nothing", key, to)
		} else {
			rows, err = c.write(ctx, "update registers set v = $3 where k = $1 and v = $2", key, *from, to)
		}
		if err != nil || rows == 1 {
			return from, err
		}
		if saw, err = c.read(ctx, &c.primary, key); err != nil || (from == nil) != (saw == nil) || from != nil && *from != *saw {
			return saw, err
		}
	}
}

// SetAdd implements cluster.Set.
func (c *connection) SetAdd(ctx context.Context, key string, v int64) error {
	_, err := c.write(ctx, "insert into sets values ($1, $2) on conflict do nothing", key, v)
	return err
}

// SetRead implements cluster.Set.
func (c *connection) SetRead(ctx context.Context, key string) (all []int64, err error) {
	err = c.query(ctx, c.reads(), func(rows pgx.Rows) (err error) {
		all, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	}, "select v from sets where k = $1 order by v", key)
	return all, err
}

// transaction performs do in a transaction of the isolation level of the settings. If do
// fails, or the connection is lost before the server was asked to commit, nothing has
// happened.
func (c *connection) transaction(ctx context.Context, do func(s *session) error) error {
	return c.at(ctx, &c.primary, true, func(s *session) error {
		_, err := s.Exec(ctx, "begin isolation level "+levels[setting(c.o, "isolation")])
		if err == nil {
			err = do(s)
		}
		if err != nil {
			if !s.IsClosed() {
				if _, failed := s.Exec(ctx, "rollback"); failed != nil {
					s.end()
				}
			}
			return fmt.Errorf("%w: %w", errRolledBack, err)
		}
		tag, err := s.Exec(ctx, "commit")
		if err == nil && tag.String() != "COMMIT" {
			err = fmt.Errorf("%w: the server says %s", errRolledBack, tag)
		}
		return err
	})
}

// Txn implements cluster.Transactions.
func (c *connection) Txn(ctx context.Context, steps []cluster.Micro) (done []cluster.Micro, err error) {
	err = c.transaction(ctx, func(s *session) error {
		done = slices.Clone(steps)
		appends := false
		for i, m := range steps {
			if m.F == "append" {
				appends = true
				if _, err := s.Exec(ctx, "insert into lists values ($1, array[$2::bigint]) on conflict (k) do update set v = lists.v || excluded.v", m.Key, m.Value); err != nil {
					return err
				}
				continue
			}
			if err := s.QueryRow(ctx, "select v from lists where k = $1", m.Key).Scan(&done[i].List); err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
		}
		if !appends && c.confirms() {
			_, err := s.Exec(ctx, confirm)
			return err
		}
		return nil
	})
	return done, err
}

// errOverdrawn is why a transfer does not happen.
var errOverdrawn = errors.New("the account has not so much")

// Transfer implements cluster.Bank. What the accounts hold is read, and then written, as
// an application does it that trusts in the isolation of its transactions.
func (c *connection) Transfer(ctx context.Context, from, to string, amount int64) error {
	return c.transaction(ctx, func(s *session) error {
		accounts := []string{from, to}
		slices.Sort(accounts) // or two transfers wait for each other
		balance := map[string]int64{}
		for _, id := range accounts {
			var b int64
			if err := s.QueryRow(ctx, "select balance from accounts where id = $1", id).Scan(&b); err != nil {
				return err
			}
			balance[id] = b
		}
		if balance[from] < amount {
			return errOverdrawn
		}
		balance[from] -= amount
		balance[to] += amount
		for _, id := range accounts {
			if _, err := s.Exec(ctx, "update accounts set balance = $2 where id = $1", id, balance[id]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Balances implements cluster.Bank.
func (c *connection) Balances(ctx context.Context) (all map[string]int64, err error) {
	err = c.query(ctx, c.reads(), func(rows pgx.Rows) error {
		all = map[string]int64{}
		var id string
		var balance int64
		_, err := pgx.ForEachRow(rows, []any{&id, &balance}, func() error { all[id] = balance; return nil })
		return err
	}, "select id, balance from accounts")
	return all, err
}

// digest is a digest of what a node holds.
const digest = `select md5(concat(
	(select md5(string_agg(k || ':' || v, ',' order by k)) from registers),
	(select md5(string_agg(k || ':' || v, ',' order by k, v)) from sets),
	(select md5(string_agg(k || ':' || v::text, ',' order by k)) from lists),
	(select md5(string_agg(id || ':' || balance, ',' order by id)) from accounts)))`

// Digest implements cluster.Digester. The node's position in the log is not told: it
// moves without any client, and is not the same on nodes that hold the same.
func (System) Digest(ctx context.Context, a cluster.Access, node string, _ []string, o cluster.Options) (uint64, string, error) {
	s, err := dial(ctx, a, node, o)
	if err != nil {
		return 0, "", fmt.Errorf("digest of %s: %w", node, err)
	}
	defer s.end()
	var sum string
	if err := s.QueryRow(ctx, digest).Scan(&sum); err != nil {
		return 0, "", fmt.Errorf("digest of %s: %w", node, err)
	}
	return 0, sum, nil
}

// Init implements cluster.Initializer.
func (System) Init(ctx context.Context, a cluster.Access, o cluster.Options) error {
	why := errReplica
	for _, n := range a.Nodes() {
		if err := atPrimary(ctx, a, n.Name, o, initialize); err == nil {
			return nil
		} else if !errors.Is(err, errReplica) {
			why = err
		}
	}
	return fmt.Errorf("%w: %w", harness.ErrFail, why) // what was made can be made again
}

// atPrimary does something at a node if that is the primary.
func atPrimary(ctx context.Context, a cluster.Access, node string, o cluster.Options, do func(ctx context.Context, s *session) error) error {
	s, err := dial(ctx, a, node, o)
	if err != nil {
		return err
	}
	defer s.end()
	if err := s.isPrimary(ctx); err != nil {
		return err
	}
	return do(ctx, s)
}
