//go:build !raft_before_1.7.0

package raftnode

import "github.com/hashicorp/raft"

// What hashicorp/raft has had since 1.7.0: pre-votes.

// RequestPreVote implements raft.WithPreVote.
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.Transport.(raft.WithPreVote).RequestPreVote(id, target, args, resp)
}
