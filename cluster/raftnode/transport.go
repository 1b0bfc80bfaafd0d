package raftnode

import (
	"context"
	"sync"

	"github.com/hashicorp/raft"
)

// transport wraps raft's transport and adds two things that a correct service
// needs.
//
// It keeps the heartbeat handler from the transport, so that heartbeats go
// through raft's main loop like every other message: handled beside it, they
// change the term under a leader that is about to append an entry
// (hashicorp/raft#695).
//
// It records which followers acknowledged the node as leader of a term, and when the
// acknowledged message was sent. Raft's VerifyLeader does not: it also counts answers to
// heartbeats that were sent, and perhaps answered, long before.
type transport struct {
	raft.Transport
	fastHeartbeat bool

	mu    sync.Mutex
	clock uint64                     // counts events; orders questions and messages
	acks  map[raft.ServerID]ackAt    // the newest of each follower
	heard map[raft.ServerID]followed // nil: nobody asks (see shards.go)
	fresh broadcast

	beats  *heartbeats   // hears heartbeats; nil: nobody does
	passed chan raft.RPC // what arrived, handed on by pass; nil: raft takes it from the transport
	closed chan struct{} // ends pass
	once   sync.Once

	voting func(term uint64) // is told of each vote that the node asks for; nil: nobody is
}

type ackAt struct {
	term uint64
	sent uint64 // by clock
}

func newTransport(t raft.Transport, fastHeartbeat bool) *transport {
	return &transport{Transport: t, fastHeartbeat: fastHeartbeat, acks: map[raft.ServerID]ackAt{}}
}

// SetHeartbeatHandler implements raft.Transport.
func (t *transport) SetHeartbeatHandler(cb func(rpc raft.RPC)) {
	if !t.fastHeartbeat {
		return
	}
	t.Transport.SetHeartbeatHandler(func(rpc raft.RPC) {
		if t.passed != nil { // else the transport has told of it
			t.beats.heard(rpc.Command)
		}
		cb(rpc)
	})
}

// AppendEntries implements raft.Transport.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	sent := t.now()
	err := t.Transport.AppendEntries(id, target, args, resp)
	if err == nil && resp.Term == args.Term {
		t.mu.Lock()
		if old := t.acks[id]; args.Term > old.term || args.Term == old.term && sent > old.sent {
			t.acks[id] = ackAt{args.Term, sent}
		}
		t.hear(id, resp)
		t.mu.Unlock()
		t.fresh.fire()
	}
	return err
}

// now is a moment; what is sent from now on is sent after it.
func (t *transport) now() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clock++
	return t.clock
}

// acknowledged waits until enough followers have acknowledged term, in answer to
// messages that were sent after since.
func (t *transport) acknowledged(ctx context.Context, term, since uint64, enough func(func(raft.ServerID) bool) bool) error {
	for {
		next := t.fresh.next()
		if enough(func(id raft.ServerID) bool {
			t.mu.Lock()
			defer t.mu.Unlock()
			a := t.acks[id]
			return a.term == term && a.sent > since
		}) {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close implements raft.WithClose.
func (t *transport) Close() error {
	t.deafen()
	if c, ok := t.Transport.(raft.WithClose); ok {
		return c.Close()
	}
	return nil
}
