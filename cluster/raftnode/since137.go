//go:build !raft_before_1.3.7

package raftnode

import "github.com/hashicorp/raft"

// What hashicorp/raft has had since 1.3.7: nodes know a leader by its name, and
// not only by its address.

// knownLeader is the name of the node that raft takes for the leader, or "".
func (n *Node) knownLeader() string {
	_, id := n.raft.LeaderWithID()
	return string(id)
}

// observedLeader is the name in an observation, or "".
func (n *Node) observedLeader(o raft.LeaderObservation) string { return string(o.LeaderID) }
