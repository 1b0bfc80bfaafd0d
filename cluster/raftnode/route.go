package raftnode

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// leader is the node that leads, as far as this node knows: itself, another one, or ""
// if there is none.
func (n *Node) leader() (name string, self bool) {
	if n.raft.State() == raft.Leader {
		return n.cfg.ID, true
	}
	if name := n.knownLeader(); name != n.cfg.ID {
		return name, false
	}
	return "", false
}

// Between two attempts of one request, if nothing changed meanwhile.
const pause = 10 * time.Millisecond

// route performs a request that only the leader can answer: here, by local, if
// this node leads; otherwise it names the leader, or asks it if the node
// forwards. If there is no leader, or it can't be reached, the request is held and tried
// again for a while.
//
// After an attempt whose outcome is unknown, the request may no longer be called failed.
// It then goes to whichever node leads: the command carries its identity, so it is
// applied only once.
func (n *Node) route(ctx context.Context, req Request, op operation, local func(context.Context) (Response, *Failure)) (Response, *Failure) {
	var doubt *Failure
	hold := time.Now().Add(n.cfg.Hold)
	for {
		next := n.changed.next()
		resp, f := Response{}, didNotHappen("no leader is known")
		leader, self := n.leader()
		switch {
		case n.closing():
			f = didNotHappen("the node is shutting down")
		case self:
			resp, f = local(ctx)
		case req.Forwarded:
			f = &Failure{Reason: "not the leader", Happened: DidNotHappen, Leader: leader, final: true}
		case leader != "" && (n.cfg.Forward || doubt != nil):
			resp, f = n.forward(ctx, leader, req, op)
		case leader != "":
			return Response{}, &Failure{Reason: "not the leader", Happened: DidNotHappen, Leader: leader}
		}
		if f == nil {
			return resp, nil
		}
		if f.Happened == Unknown && !op.read {
			if doubt = f; req.Client == "" {
				return Response{}, doubt // without an identity it could be applied twice
			}
			req.Retry = true
		}
		if f.final || n.closing() {
			return Response{}, worse(doubt, f)
		}

		// Wait for a better moment.
		left := time.Until(hold)
		if left <= 0 {
			return Response{}, worse(doubt, f)
		}
		if leader != "" {
			left = min(left, pause)
		}
		timer := time.NewTimer(left)
		select {
		case <-next:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return Response{}, worse(doubt, f)
		}
	}
}

// worse is the failure of a request whose last attempt failed with f, and an earlier one
// with doubt if that is not nil.
func worse(doubt, f *Failure) *Failure {
	if doubt != nil {
		return doubt
	}
	return f
}
