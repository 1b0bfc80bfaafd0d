package raft

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"coup/cluster"
	"coup/cluster/raftnode"
	"coup/harness"
)

var (
	_ cluster.Transferer = System{}
	_ cluster.Membership = System{}
)

// TransferLeader implements cluster.Transferer.
func (s System) TransferLeader(ctx context.Context, a cluster.Access, leader, to string) (refused string, err error) {
	var t raftnode.Transferred
	err = s.administer(ctx, a, leader, raftnode.PathTransfer,
		raftnode.TransferRequest{To: to, Timeout: nodeTimeout(ctx).Milliseconds()}, &t)
	return t.Refused, err
}

// CanSetMember implements cluster.Membership.
func (System) CanSetMember(o cluster.Options) error {
	if n := shardsOf(o); n > 1 {
		return fmt.Errorf("with %d shards a node is a member of as many groups, and no operator changes them all at once", n)
	}
	return nil
}

// SetMember implements cluster.Membership.
func (s System) SetMember(ctx context.Context, a cluster.Access, leader, node string, as cluster.Suffrage) (cluster.Members, error) {
	var m raftnode.Members
	err := s.administer(ctx, a, leader, raftnode.PathMember,
		raftnode.MemberRequest{Node: node, As: string(as), Timeout: nodeTimeout(ctx).Milliseconds()}, &m)
	return cluster.Members(m), err
}

// Administer posts a request of an operator to a path of a node, and reads its answer. An
// error wraps harness.ErrFail if nothing happened, and cluster.ErrPending if nobody knows.
func Administer(ctx context.Context, a cluster.Access, node, path string, req, resp any) error {
	return System{}.administer(ctx, a, node, path, req, resp)
}

func (s System) administer(ctx context.Context, a cluster.Access, node, path string, req, resp any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	c := newHTTPConn(port(a, clients), node, s.operator())
	c.greeting = raftnode.PathStatus
	defer c.Close()
	code, answer, err := c.do(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	if code == http.StatusOK {
		return json.Unmarshal(answer, resp)
	}
	_, f := raftnode.DecodeAnswer(code, bytes.NewReader(answer))
	if f.Happened == raftnode.DidNotHappen {
		return fmt.Errorf("%w: %s: %s", harness.ErrFail, node, f.Reason)
	}
	return fmt.Errorf("%w: %s: %s", cluster.ErrPending, node, f.Reason)
}
