package systems

import (
	"coup/cluster/raftnode"
	"coup/cluster/trace"
)

var _ trace.Reader = Raft{}

// Conversation implements trace.Reader, for nodes on simulated machines.
func (Raft) Conversation(port int) trace.Conversation {
	switch port {
	case raftPeerPort:
		return raftnode.OverhearPeers()
	case raftClientPort:
		return raftnode.OverhearClients()
	}
	return nil
}

// Wrote implements trace.Reader, for nodes on simulated machines.
func (Raft) Wrote(path string, data []byte) string { return raftnode.TellWritten(path, data) }
