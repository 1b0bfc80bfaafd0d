package raftnode

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// ballot is a transport on which votes are lost while it is told so; pre-votes are not.
type ballot struct {
	raft.Transport
	node string
	box  *ballots
}

// ballots are the terms in which votes were asked for meanwhile.
type ballots struct {
	lost  atomic.Bool
	mu    sync.Mutex
	asked map[string]map[uint64]bool // by node
}

func (b *ballot) RequestVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if b.box.lost.Load() {
		b.box.mu.Lock()
		defer b.box.mu.Unlock()
		if b.box.asked[b.node] == nil {
			b.box.asked[b.node] = map[uint64]bool{}
		}
		b.box.asked[b.node][req.Term] = true
		return errors.New("lost")
	}
	return b.Transport.RequestVote(id, to, req, resp)
}

func (b *ballot) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return b.Transport.(raft.WithPreVote).RequestPreVote(id, to, req, resp)
}

// Nodes whose leader is gone, and whose votes are lost, call for one election after the other.
// Each is told once, and how long before the node had last heard of its leader: that it gave
// its vote to another one counts for nothing.
func TestEachElectionIsTold(t *testing.T) {
	virtually(t, func(t *testing.T) {
		box := &ballots{asked: map[string]map[uint64]bool{}}
		c := startCluster(t, 3, func(cfg *testConfig) {
			cfg.wrap = func(node string, tr raft.Transport) raft.Transport { return &ballot{tr, node, box} }
		})
		leader := c.leader()
		time.Sleep(time.Second)
		known := map[*testNode]int{}
		for _, n := range c.nodes {
			known[n] = len(n.events.events())
		}
		box.lost.Store(true)
		c.isolate(leader)
		cut := time.Now()
		time.Sleep(5 * time.Second)
		elections := 0
		for _, n := range c.nodes {
			if n == leader {
				continue
			}
			var before uint64
			told := map[uint64]bool{}
			for _, e := range n.events.events()[known[n]:] {
				if e.Kind != EventElection {
					continue
				}
				told[e.Term] = true
				heard := time.Unix(0, e.Time-e.Heard)
				if e.Term <= before || e.Heard <= 0 || heard.After(cut) || heard.Before(cut.Add(-quick().Heartbeat)) {
					t.Errorf("%s: term %d after %d: heard of its leader at %v, which was cut off at %v", n.peer.Name, e.Term, before, heard, cut)
				}
				before = e.Term
			}
			box.mu.Lock()
			for term := range box.asked[n.peer.Name] {
				if elections++; !told[term] {
					t.Errorf("%s asked for votes in term %d and told of elections in %v", n.peer.Name, term, told)
				}
			}
			box.mu.Unlock()
		}
		if elections < 10 {
			t.Errorf("%d elections in %v", elections, time.Since(cut))
		}
		box.lost.Store(false)
		if next := c.leader(); next == leader {
			t.Error("the leader that was cut off leads")
		}
	})
}
