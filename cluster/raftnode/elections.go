package raftnode

import (
	"time"

	"github.com/hashicorp/raft"
)

// callsForElection tells of an election that the node calls for, each once. Raft tells only
// when a node becomes a candidate, and not when the same candidate tries again in a later term: then
// the first vote that it asks for tells.
func (n *Node) callsForElection(term uint64) {
	for before := n.called.Load(); ; before = n.called.Load() {
		if term <= before {
			return
		}
		if n.called.CompareAndSwap(before, term) {
			break
		}
	}
	n.transport.beats.flush()
	e := Event{Kind: EventElection, Term: term}
	if heard := n.transport.beats.contact(); !heard.IsZero() {
		e.Heard = int64(time.Since(heard))
	}
	n.events.emit(e)
}

// RequestVote implements raft.Transport.
func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if t.voting != nil {
		t.voting(args.Term)
	}
	return t.Transport.RequestVote(id, target, args, resp)
}

// termOfLeader is the term of a message that only a leader sends.
func termOfLeader(message any) (term uint64, ok bool) {
	switch m := message.(type) {
	case *raft.AppendEntriesRequest:
		return m.Term, true
	case *raft.InstallSnapshotRequest:
		return m.Term, true
	}
	return 0, false
}
