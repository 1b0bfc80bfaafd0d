package raftnode

import "context"

// write proposes an operation's command on the leader.
func (n *Node) write(ctx context.Context, req Request, op operation) (Response, *Failure) {
	c := command{
		Op: op.command, Key: req.Key, Value: req.Value, From: req.From,
		Client: req.Client, Seq: req.Seq, Retry: req.Retry,
	}
	var decided *int64
	switch {
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
	}
	r, f := n.propose(ctx, c)
	if f != nil {
		return Response{}, f
	}
	if decided != nil {
		return Response{Value: decided}, nil
	}
	return Response{Value: r.Value}, nil
}
