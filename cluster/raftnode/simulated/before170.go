//go:build raft_before_1.7.0

package simulated

// Instead of since170.go, for releases of hashicorp/raft before that, which know
// no pre-votes.

func newPreVotes() (req, resp any) { return nil, nil }

func (c *coder) preVote(any) { c.Bad = true }
