package consul

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"coup/cluster"
	"coup/cluster/systems/rest"
	"coup/harness"
)

// Tells implements cluster.Informer.
func (System) Tells() harness.Facts {
	return harness.Facts{harness.Leader, harness.Term, harness.Position}
}

// Status implements cluster.Informer: what a node says of itself without asking others.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	c := rest.New(a, node, "http")
	defer c.Close()
	var self struct {
		Stats struct {
			Consul struct {
				Leader string `json:"leader_addr"`
			} `json:"consul"`
			Raft map[string]string `json:"raft"`
		}
	}
	if err := c.Do(ctx, http.MethodGet, "/v1/agent/self", nil, &self); err != nil {
		return cluster.Status{}, fmt.Errorf("status: %w", err)
	}
	raft := self.Stats.Raft
	s := cluster.Status{Node: node, Role: strings.ToLower(raft["state"])}
	for name, to := range map[string]*uint64{"term": &s.Term, "last_log_index": &s.Last, "commit_index": &s.Commit, "applied_index": &s.Applied} {
		var err error
		if *to, err = strconv.ParseUint(raft[name], 10, 64); err != nil {
			return cluster.Status{}, fmt.Errorf("status of %s: %s: %w", node, name, err)
		}
	}
	host, _, _ := net.SplitHostPort(self.Stats.Consul.Leader)
	for _, n := range a.Nodes() {
		if n.Host == host {
			s.Leader = n.Name
		}
	}
	return s, nil
}

// Ready implements cluster.Readiness: every node serves a read that is confirmed by a
// majority, and knows of as many voters as there are nodes.
func (System) Ready(ctx context.Context, a cluster.Access, _ cluster.Options) error {
	for _, n := range a.Nodes() {
		c := rest.New(a, n.Name, "http")
		defer c.Close()
		if err := c.Do(ctx, http.MethodGet, "/v1/kv/?keys&consistent", nil, nil); err != nil && !status(err, http.StatusNotFound) {
			return err
		}
		var raft struct{ Servers []struct{ Voter bool } }
		if err := c.Do(ctx, http.MethodGet, "/v1/operator/raft/configuration", nil, &raft); err != nil {
			return err
		}
		voters := 0
		for _, s := range raft.Servers {
			if s.Voter {
				voters++
			}
		}
		if voters < len(a.Nodes()) {
			return fmt.Errorf("%s knows of %d voters, not %d", n.Name, voters, len(a.Nodes()))
		}
	}
	return nil
}
