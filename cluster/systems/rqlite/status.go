package rqlite

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"coup/cluster"
	"coup/cluster/systems/rest"
	"coup/harness"
)

// Tells implements cluster.Informer.
func (System) Tells() harness.Facts {
	return harness.Facts{harness.Leader, harness.Term, harness.Position}
}

// Status implements cluster.Informer.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	c := rest.New(a, node, "http")
	defer c.Close()
	var status struct {
		Store struct {
			Raft struct {
				State   string `json:"state"`
				Term    uint64 `json:"term"`
				Last    uint64 `json:"last_log_index"`
				Commit  uint64 `json:"commit_index"`
				Applied uint64 `json:"applied_index"`
			} `json:"raft"`
			Leader struct {
				Node string `json:"node_id"`
			} `json:"leader"`
		} `json:"store"`
	}
	if err := c.Do(ctx, http.MethodGet, "/status", nil, &status); err != nil {
		return cluster.Status{}, fmt.Errorf("status: %w", err)
	}
	r := status.Store.Raft
	if r.State == "" {
		return cluster.Status{}, fmt.Errorf("status of %s: its store is not open yet", node)
	}
	return cluster.Status{
		Node: node, Role: strings.ToLower(r.State), Term: r.Term, Leader: status.Store.Leader.Node,
		Last: r.Last, Commit: r.Commit, Applied: r.Applied,
	}, nil
}

// Init implements cluster.Initializer: it makes the tables.
func (System) Init(ctx context.Context, a cluster.Access, _ cluster.Options) error {
	c := rest.New(a, a.Nodes()[0].Name, "http")
	defer c.Close()
	_, err := ask(ctx, c, "/db/request", "strong", tables...)
	return err
}

// Digest implements cluster.Digester: a hash of all rows, which the node reads from its own
// database.
func (System) Digest(ctx context.Context, a cluster.Access, node string, _ []string, _ cluster.Options) (uint64, string, error) {
	c := rest.New(a, node, "http")
	defer c.Close()
	rows, err := ask(ctx, c, "/db/query", "none",
		statement{"SELECT * FROM register ORDER BY k"}, statement{"SELECT * FROM elements ORDER BY k, v"},
		statement{"SELECT * FROM queue ORDER BY id"}, statement{"SELECT * FROM counter ORDER BY k"}, statement{"SELECT * FROM list ORDER BY id"})
	if err != nil {
		return 0, "", fmt.Errorf("rows of %s: %w", node, err)
	}
	sum := sha256.Sum256([]byte(fmt.Sprint(rows)))
	return 0, hex.EncodeToString(sum[:8]), nil
}
