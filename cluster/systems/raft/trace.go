package raft

import (
	"coup/cluster/raftnode"
	"coup/cluster/trace"
)

var _ trace.Reader = System{}

// Conversation implements trace.Reader, for nodes on simulated machines.
func (System) Conversation(port int) trace.Conversation {
	switch {
	case port >= peerPort && port < peerPort+raftnode.MostShards:
		return raftnode.OverhearPeers()
	case port == clientPort:
		return raftnode.OverhearClients()
	}
	return nil
}

// Wrote implements trace.Reader, for nodes on simulated machines.
func (System) Wrote(path string, data []byte) string { return raftnode.TellWritten(path, data) }
