package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"coup/cluster"
	"coup/harness"
)

// ask sends a request to a port of a node, and decodes its answer, whatever its status.
func ask(ctx context.Context, a cluster.Access, node, port, method, path string, body, answer any) (code int, err error) {
	h := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return a.Dial(ctx, node, port) },
	}}
	defer h.CloseIdleConnections()
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+node+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	resp, err := h.Do(req)
	if err != nil {
		return 0, fmt.Errorf("%s of %s: %w", port, node, err)
	}
	defer resp.Body.Close()
	if text, err = io.ReadAll(resp.Body); err == nil && answer != nil {
		if said, ok := answer.(*string); ok {
			*said = string(text)
		} else {
			err = json.Unmarshal(text, answer)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%s of %s: %w", port, node, err)
	}
	return resp.StatusCode, nil
}

// told is what a Patroni says of its node.
type told struct {
	Role, State string
	Timeline    uint64
	Xlog        struct {
		Location         uint64 // of a primary
		ReplayedLocation uint64 `json:"replayed_location"` // of a replica
	}
	Replication []struct {
		State     string
		SyncState string `json:"sync_state"`
	}
}

// primary says whether the node is the primary. One that is about to end, or starts, is none.
func (t told) primary() bool {
	return (t.Role == "primary" || t.Role == "master") && t.State == "running" // up to 3 it is called master
}

// stored is what the etcd of a node has under a key of Patroni's; "" if there is nothing.
func stored(ctx context.Context, a cluster.Access, node, key string) (string, error) {
	var answer struct{ Kvs []struct{ Value []byte } }
	// Serializable: it answers from what it has.
	_, err := ask(ctx, a, node, "etcd", http.MethodPost, "/v3/kv/range", object{"key": []byte("/service/" + scope + "/" + key), "serializable": true}, &answer)
	if err != nil || len(answer.Kvs) == 0 {
		return "", err
	}
	return string(answer.Kvs[0].Value), nil
}

// Tells implements cluster.Informer. A timeline is not quite a term: two primaries that
// follow each other quickly can begin the same one, if nobody has followed the first.
func (System) Tells() harness.Facts { return harness.Facts{harness.Leader} }

// Status implements cluster.Informer: the role is what Patroni says, the leader is who
// holds the lock in etcd, as the node's own etcd knows it.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	now, _, err := status(ctx, a, node)
	return now, err
}

func status(ctx context.Context, a cluster.Access, node string) (cluster.Status, told, error) {
	var t told
	if _, err := ask(ctx, a, node, "patroni", http.MethodGet, "/patroni", nil, &t); err != nil {
		return cluster.Status{}, t, err
	}
	leader, err := stored(ctx, a, node, "leader")
	if err != nil {
		return cluster.Status{}, t, err
	}
	s := cluster.Status{Node: node, Role: "follower", Term: t.Timeline, Leader: leader, Applied: t.Xlog.ReplayedLocation}
	if t.primary() {
		s.Role, s.Applied = "leader", t.Xlog.Location
	}
	return s, t, nil
}

// Ready implements cluster.Readiness: all nodes name one primary, to which all others are
// connected; and if commits wait for another node, there is one.
func (System) Ready(ctx context.Context, a cluster.Access, o cluster.Options) error {
	leader := ""
	for _, n := range a.Nodes() {
		s, t, err := status(ctx, a, n.Name)
		switch {
		case err != nil:
			return err
		case s.Leader == "" || leader != "" && s.Leader != leader:
			return fmt.Errorf("%s names %q as the primary, and another node %q", n.Name, s.Leader, leader)
		case (s.Role == "leader") != (s.Leader == n.Name):
			return fmt.Errorf("%s is a %s that is %s, and %s is to be the primary", n.Name, t.Role, t.State, s.Leader)
		}
		leader = s.Leader
		if s.Role != "leader" {
			continue
		}
		streaming, waitedFor := 0, 0
		for _, r := range t.Replication {
			if r.State == "streaming" {
				streaming++
			}
			if r.SyncState == "sync" {
				waitedFor++
			}
		}
		if streaming < len(a.Nodes())-1 {
			return fmt.Errorf("%d of %d replicas follow %s", streaming, len(a.Nodes())-1, n.Name)
		}
		if waitedFor == 0 && enabled(o, "synchronous") && len(a.Nodes()) > 1 {
			return fmt.Errorf("%s waits for no other node yet", n.Name)
		}
	}
	return nil
}

// TransferLeader implements cluster.Transferer. It returns when the other node is the
// primary.
func (y System) TransferLeader(ctx context.Context, a cluster.Access, leader, to string) (refused string, err error) {
	if s, err := y.Status(ctx, a, leader); err != nil || s.Role != "leader" {
		return "", fmt.Errorf("%w: %s is not the primary (%v)", harness.ErrFail, leader, err)
	}
	var said string
	code, err := ask(ctx, a, leader, "patroni", http.MethodPost, "/switchover", object{"leader": leader, "candidate": to}, &said)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w", cluster.ErrPending, err)
	case slices.Contains([]int{http.StatusBadRequest, http.StatusPreconditionFailed}, code):
		return said, nil
	}
	for {
		if s, err := y.Status(ctx, a, to); err == nil && s.Role == "leader" && s.Leader == to {
			return "", nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%w: %s was told to give way to %s, and says %q", cluster.ErrPending, leader, to, said)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
