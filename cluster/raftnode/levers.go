package raftnode

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Levers are what makes a service with one leader faster. Some keep its promises, some do not.
type Levers struct {
	// FollowerReads lets a follower answer a linearizable read: it asks the leader which
	// position a read has to see, waits until its own state is there, and answers (section
	// 6.4.1 of Ongaro's thesis). The leader is asked for a number in place of an answer.
	FollowerReads bool
	// Acknowledge is when a write is answered: ByMajority, or ByLeader, whose copies are
	// asynchronous. What needs a result of the state machine waits for the majority.
	Acknowledge string
	// Cache is how long a node answers a read of a register, set or counter with what it
	// answered before; 0: never. A write by way of the same node ends it.
	Cache time.Duration
	// Batch bounds the entries of the log in one message.
	Batch int
	// Shards is how many logs there are, each with a leader of its own: see shards.go.
	Shards int
}

// When a write is acknowledged.
const (
	ByMajority = "majority" // a majority has stored it
	ByLeader   = "leader"   // the leader has taken it
)

// mostBatch is the largest number that hashicorp/raft takes.
const mostBatch = 1024

func defaultLevers() Levers {
	return Levers{Acknowledge: ByMajority, Batch: raft.DefaultConfig().MaxAppendEntries, Shards: 1}
}

// readIndex is how a follower asks its leader.
var readIndex = operation{name: PathReadIndex, read: true}

// PathReadIndex answers the leader's peers with the position that a read has to see.
const PathReadIndex = "/read-index"

// tellIndex answers a follower.
func (n *Node) tellIndex(ctx context.Context) (Response, *Failure) {
	if f := n.confirm(ctx, true); f != nil {
		return Response{}, f
	}
	index, _ := n.fsm.position() // confirm waited until it holds all that is committed
	at := int64(index)
	return Response{Value: &at}, nil
}

// readHere answers a linearizable read from the state of a follower. ok is false if the
// read has to go to the leader.
func (n *Node) readHere(ctx context.Context, req Request, op operation) (resp Response, ok bool) {
	leader, self := n.leader()
	if !n.cfg.FollowerReads || req.Reads == Lease || req.Forwarded || self || leader == "" {
		return Response{}, false
	}
	at, f := n.forward(ctx, leader, Request{}, readIndex)
	if f != nil || at.Value == nil || n.fsm.wait(ctx, uint64(*at.Value)) != nil {
		return Response{}, false
	}
	return n.look(req, op), true
}

// answersAtOnce reports whether a command is answered when the leader has taken it.
func (n *Node) answersAtOnce(c command) bool {
	if n.cfg.Acknowledge != ByLeader {
		return false
	}
	switch c.Op {
	case opWrite, opSetAdd, opEnqueue, opCounterAdd:
		return true
	}
	return false
}

// cached reports whether answers to op are kept: the key alone says what is asked for.
func cached(op operation) bool {
	return op.name == PathRegisterRead || op.name == PathSetRead || op.name == PathCounterRead
}

// answers are what a node answered lately. Safe for concurrent use.
type answers struct {
	mu  sync.Mutex
	all map[answered]kept
}

type answered struct{ path, key string }

type kept struct {
	resp Response
	at   time.Time
}

// mostAnswers bounds the memory of answers.
const mostAnswers = 10_000

// fresh is an answer that is no older than within.
func (a *answers) fresh(path, key string, within time.Duration) (Response, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k, ok := a.all[answered{path, key}]
	return k.resp, ok && time.Since(k.at) < within
}

// keep remembers an answer to a question that was asked at a moment.
func (a *answers) keep(path, key string, resp Response, asked time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.all) >= mostAnswers || a.all == nil {
		a.all = map[answered]kept{}
	}
	a.all[answered{path, key}] = kept{resp, asked}
}

// forget drops what was answered about an object.
func (a *answers) forget(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, op := range operations {
		delete(a.all, answered{op.name, key})
	}
}
