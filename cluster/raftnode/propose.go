package raftnode

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// outcome is the result of a proposal.
type outcome struct {
	result result
	err    error
	index  uint64
}

// propose puts c into the log and returns the result of applying it. If ctx ends before,
// it returns a failure that says whether c may still be applied.
//
// If the commit is slow, c is proposed once more: the first proposal may have been lost
// with a connection. The state machine applies only one of them.
func (n *Node) propose(ctx context.Context, c command) (result, *Failure) {
	outcomes := make(chan outcome, 2) // has room for both, so that no sender blocks
	if f := n.enqueue(ctx, c, outcomes); f != nil {
		return result{}, f
	}
	if n.answersAtOnce(c) {
		return result{}, nil
	}
	again := time.NewTimer(n.cfg.Retry)
	defer again.Stop()
	var early <-chan time.Time
	if n.cfg.Bug.is(EarlyAck) && c.Op != opCAS && c.Op != opDequeue && c.Op != opTxn && c.Op != opNoop && !timed(c.Op) ||
		n.cfg.Bug.is(AbortedAppend) && c.Op == opTxn {
		early = time.After(impatience)
	}
	open := 1
	var failed *Failure
	for {
		select {
		case o := <-outcomes:
			if o.err == nil {
				return o.result, o.result.Refused.failure()
			}
			if f := n.failureOf(o); failed == nil || f.Happened == Unknown {
				failed = f
			}
			if open--; open == 0 {
				return result{}, failed
			}
		case <-early:
			if n.cfg.Bug.is(AbortedAppend) {
				return result{}, &Failure{Reason: "the transaction took too long and was aborted", Happened: DidNotHappen, final: true}
			}
			return result{}, nil
		case <-again.C:
			if c.Client != "" {
				retry := c
				retry.Retry = true
				if n.enqueue(ctx, retry, outcomes) == nil {
					open++
				}
			}
		case <-ctx.Done():
			return result{}, mayHaveHappened("timed out waiting for the commit")
		}
	}
}

// How long early-ack waits for a commit before it acknowledges anyway, and
// aborted-append before it calls a transaction aborted.
const impatience = 100 * time.Millisecond

func (n *Node) failureOf(o outcome) *Failure {
	if rejected(o.err, o.index) {
		return didNotHappen(o.err.Error())
	}
	if n.cfg.Bug.is(FalseFail) && o.err == raft.ErrLeadershipLost {
		return &Failure{Reason: o.err.Error(), Happened: DidNotHappen, final: true}
	}
	return mayHaveHappened(o.err.Error())
}

// enqueue hands c to raft's main loop. If it fails, c certainly did not happen. The
// outcome is delivered later; if raft shuts down, perhaps never.
func (n *Node) enqueue(ctx context.Context, c command, outcomes chan<- outcome) *Failure {
	wait := untilDeadline(ctx)
	if wait <= 0 {
		return didNotHappen("timed out before it was proposed")
	}
	if n.cfg.Bug.is(LocalClockApply) {
		c.At = time.Now().UnixNano()
	}
	if timed(c.Op) {
		c.At, c.Term = n.clock.read(n.fsm, currentTerm(n.raft))
	}
	future := n.raft.Apply(c.encode(), wait)
	if n.cfg.Bug.is(DirtyRead) && c.Op == opWrite {
		n.dirty.note(c)
	}
	go func() {
		o := outcome{err: future.Error(), index: future.Index()}
		if o.err == nil {
			o.result, _ = future.Response().(result)
		}
		if n.cfg.Bug.is(DirtyRead) && c.Op == opWrite {
			n.dirty.forget(c)
		}
		outcomes <- o
	}()
	return nil
}

// untilDeadline is the time that ctx leaves.
func untilDeadline(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	if t, ok := ctx.Deadline(); ok {
		return time.Until(t)
	}
	return maxTimeout
}
