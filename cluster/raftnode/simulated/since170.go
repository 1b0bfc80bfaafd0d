//go:build !raft_before_1.7.0

package simulated

import "github.com/hashicorp/raft"

// What hashicorp/raft has had since 1.7.0: pre-votes.

// RequestPreVote implements raft.WithPreVote.
func (w *Transport) RequestPreVote(_ raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
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
		c.Uint(&m.Term)
		c.Uint(&m.LastLogIndex)
		c.Uint(&m.LastLogTerm)
	case *raft.RequestPreVoteResponse:
		c.header(&m.RPCHeader)
		c.Uint(&m.Term)
		c.Bool(&m.Granted)
	default:
		c.Bad = true
	}
}

var _ raft.WithPreVote = (*Transport)(nil)
