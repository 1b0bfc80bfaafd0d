//go:build raft_before_1.3.7

package raftnode

import (
	"reflect"

	"github.com/hashicorp/raft"
)

// Instead of since137.go, for releases of hashicorp/raft before that.

// knownLeader is the name of the node that raft takes for the leader, or "".
func (n *Node) knownLeader() string { return n.nameOf(n.raft.Leader()) }

// observedLeader is the name in an observation, or "". The only field of an
// observation is the address, which is exported in some releases only.
func (n *Node) observedLeader(o raft.LeaderObservation) string {
	return n.nameOf(raft.ServerAddress(reflect.ValueOf(o).Field(0).String()))
}

func (n *Node) nameOf(addr raft.ServerAddress) string {
	for _, p := range n.cfg.Peers {
		if p.Addr == string(addr) {
			return p.Name
		}
	}
	return ""
}
