package raftnode

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// The modes of reads.
const (
	Linearizable = "linearizable" // what every completed write has written
	Lease        = "lease"        // the state of a node that believes that it leads
	Stale        = "stale"        // the state of the node that was asked
)

// read answers an operation that changes nothing.
func (n *Node) read(ctx context.Context, req Request, op operation) (Response, *Failure) {
	if req.Reads == Stale || n.cfg.Bug.is(FollowerRead) || n.cfg.Bug.is(StaleLeaderRead) && n.believe.Load() {
		return n.look(req, op), nil
	}
	if n.cfg.Bug.is(LeaseWallClock) && n.lease.holds() {
		return n.look(req, op), nil
	}
	if n.cfg.Bug.is(StaleList) && op.name == PathObjectList {
		return n.look(req, op), nil
	}
	if n.cfg.Cache == 0 || req.Forwarded || !cached(op) {
		return n.readNow(ctx, req, op)
	}
	if resp, ok := n.recent.fresh(op.name, req.Key, n.cfg.Cache); ok {
		return resp, nil
	}
	asked := time.Now()
	resp, f := n.readNow(ctx, req, op)
	if f == nil {
		n.recent.keep(op.name, req.Key, resp, asked)
	}
	return resp, f
}

// readNow asks for the newest state.
func (n *Node) readNow(ctx context.Context, req Request, op operation) (Response, *Failure) {
	if resp, ok := n.readHere(ctx, req, op); ok {
		return resp, nil
	}
	return n.route(ctx, req, op, func(ctx context.Context) (Response, *Failure) {
		if n.cfg.Bug.is(DirtyRead) {
			if v, ok := n.dirty.newest(req.Key); ok && op.name == PathRegisterRead {
				return Response{Value: &v}, nil
			}
		}
		if n.cfg.Bug.is(FracturedRead) && op.name == PathTxnRead {
			return n.fractured(ctx, req, op)
		}
		if n.cfg.Bug.is(FracturedObject) && op.name == PathObjectRead {
			return n.fracturedObject(ctx, req, op)
		}
		if f := n.confirm(ctx, req.Reads != Lease); f != nil {
			return Response{}, f
		}
		return n.look(req, op), nil
	})
}

// look reads the node's own state.
func (n *Node) look(req Request, op operation) (resp Response) {
	n.fsm.view(func(s *state) { resp = op.look(s, req) })
	return resp
}

// confirm returns when the node's state holds everything that was committed
// when it was called (the ReadIndex protocol, section 6.4 of Ongaro's thesis):
// an entry of this term was applied, so that the commit index is right; a
// majority has acknowledged the node as leader since; and the state has caught up.
// Without verify, the acknowledgement of a majority is assumed.
func (n *Node) confirm(ctx context.Context, verify bool) *Failure {
	if n.raft.State() != raft.Leader {
		return didNotHappen("not the leader")
	}
	term := currentTerm(n.raft)
	if n.cfg.Bug.is(EarlyLeaderRead) {
		if _, at := n.fsm.position(); at < term {
			return nil // elected a moment ago, so no other node is expected to lead
		}
	}
	if f := n.markTerm(ctx, term); f != nil {
		return f
	}
	asked, since := n.transport.now(), time.Now()
	index := commitIndex(n.raft)
	if verify {
		if f := n.verify(ctx, term, asked); f != nil {
			return f
		}
		// The node may have lost and won an election meanwhile; index would
		// then be of a term that is over.
		if currentTerm(n.raft) != term {
			return didNotHappen("no longer the leader of that term")
		}
	}
	if err := n.fsm.wait(ctx, index); err != nil {
		return didNotHappen("timed out applying the log")
	}
	if verify && n.cfg.Bug.is(LeaseWallClock) {
		n.lease.extend(since, n.cfg.Heartbeat/2)
	}
	return nil
}

// verify returns nil if a majority has acknowledged the node as leader of term after the
// moment asked.
func (n *Node) verify(ctx context.Context, term, asked uint64) *Failure {
	// This makes raft send a heartbeat to everybody at once.
	verified := n.raft.VerifyLeader()
	done := make(chan error, 1)
	go func() { done <- verified.Error() }()
	select {
	case err := <-done:
		if err != nil {
			return didNotHappen("leadership not confirmed: " + err.Error())
		}
	case <-ctx.Done():
		return didNotHappen("timed out confirming leadership")
	}
	if n.cfg.TrustVerify {
		return nil
	}
	if err := n.transport.acknowledged(ctx, term, asked, n.majority); err != nil {
		return didNotHappen("timed out confirming leadership")
	}
	return nil
}

// markTerm returns when an entry of term was applied, after proposing one if
// there is none. Only one request at a time does.
func (n *Node) markTerm(ctx context.Context, term uint64) *Failure {
	if _, at := n.fsm.position(); at >= term {
		return nil
	}
	select {
	case n.marking <- struct{}{}:
		defer func() { <-n.marking }()
	case <-ctx.Done():
		return didNotHappen("timed out waiting for the new leader to be ready")
	}
	if _, at := n.fsm.position(); at >= term {
		return nil
	}
	if _, f := n.propose(ctx, command{Op: opNoop}); f != nil {
		return didNotHappen("new leader is not ready: " + f.Reason)
	}
	if _, at := n.fsm.position(); at < term {
		return didNotHappen("no longer the leader of that term")
	}
	return nil
}
