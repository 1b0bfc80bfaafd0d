package raftnode

import (
	"context"

	"github.com/hashicorp/raft"
)

// commandOf is the command of an operation that a client asks for.
func commandOf(req Request, op operation) command {
	o := req.object()
	return command{
		Op: op.command, Key: req.Key, Value: req.Value, From: req.From, Txn: req.Txn,
		Object: objectCommand{o.Name, o.To, o.Content}, Cache: cacheOf(req),
		Client: req.Client, Seq: req.Seq, Retry: req.Retry,
	}
}

// write proposes an operation's command on the leader.
func (n *Node) write(ctx context.Context, req Request, op operation) (Response, *Failure) {
	c := commandOf(req, op)
	c.Lease = n.cfg.leaseFor(c.Op)
	if n.stuck.Load() {
		return Response{}, didNotHappen(raft.ErrLeadershipTransferInProgress.Error())
	}
	var decided *int64
	switch {
	case onCache(c.Op):
		return n.cacheWrite(ctx, c)
	case c.Op == opCAS && n.cfg.Bug.is(CASOutsideLog):
		n.fsm.view(func(s *state) { decided = s.register(c.Key) })
		if !equal(decided, c.From) {
			return Response{Value: decided}, nil
		}
		c.Op, c.From = opWrite, nil
	case c.Op == opDequeue && n.cfg.Bug.is(DequeueOutsideLog):
		n.fsm.view(func(s *state) { decided = s.oldest(c.Key) })
		if decided == nil {
			return Response{}, nil
		}
		c.Op, c.Value = opTake, *decided
	case c.Op == opObjectPut && len(c.Object.Content) > partSize:
		return Response{}, n.writeObject(ctx, c)
	case c.Op == opObjectRename && n.cfg.Bug.is(CopyRename):
		return Response{}, n.copyRename(ctx, c)
	case c.Op == opObjectAppend && n.cfg.Bug.is(StaleAppend):
		var have []byte
		n.fsm.view(func(s *state) { have, _ = s.objects.read(c.Key, c.Object.Name) })
		at := int64(len(have))
		c.From = &at
	case c.Op == opTxn && n.cfg.Bug.is(TornTransaction):
		r, f := n.torn(ctx, c)
		return Response{Txn: r.Txn}, f
	case c.Op == opTxn && n.cfg.Bug.is(ReadsOutsideLog):
		var seen []Micro
		n.fsm.view(func(s *state) { seen = s.glance(c.Txn) })
		_, f := n.propose(ctx, c)
		return Response{Txn: seen}, f
	}
	if n.cfg.Bug.is(FinishBeforeCommit) && c.Op == opFinish && n.finishable(c) {
		go n.propose(context.WithoutCancel(ctx), c)
		return Response{}, nil
	}
	if n.cfg.Bug.is(AckBeforeCommit) && c.Op == opAck && n.acknowledgeable(c) {
		go n.propose(context.WithoutCancel(ctx), c)
		return Response{}, nil
	}
	if n.cfg.Bug.is(DependencyOutsideLog) {
		c = n.lookUp(c)
	}
	r, f := n.propose(ctx, c)
	if f != nil {
		return Response{}, f
	}
	if decided != nil {
		return Response{Value: decided}, nil
	}
	return r.response(), nil
}
