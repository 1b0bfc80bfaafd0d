//go:build !raft_before_1.7.0

package raftnode

import "github.com/hashicorp/raft"

// What hashicorp/raft has had since 1.7.0: pre-votes.

// RequestPreVote implements raft.WithPreVote.
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.Transport.(raft.WithPreVote).RequestPreVote(id, target, args, resp)
}

// RequestPreVote implements raft.WithPreVote.
func (w *wire) RequestPreVote(_ raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return w.call(to, wirePreVote, req, resp, nil, w.timeout)
}

// newPreVotes returns an empty request and response.
func newPreVotes() (req, resp any) {
	return &raft.RequestPreVoteRequest{}, &raft.RequestPreVoteResponse{}
}

// preVote codes the messages of a pre-vote. What is none of them is bad.
func (c *coder) preVote(m any) {
	switch m := m.(type) {
	case *raft.RequestPreVoteRequest:
		c.header(&m.RPCHeader)
		c.uint(&m.Term)
		c.uint(&m.LastLogIndex)
		c.uint(&m.LastLogTerm)
	case *raft.RequestPreVoteResponse:
		c.header(&m.RPCHeader)
		c.uint(&m.Term)
		c.bool(&m.Granted)
	default:
		c.bad = true
	}
}

var _ raft.WithPreVote = (*wire)(nil)
