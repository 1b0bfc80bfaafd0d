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
		return &perhapsSealed{Conversation: raftnode.OverhearPeers()}
	case port == clientPort:
		return &perhapsSealed{Conversation: raftnode.OverhearClients()}
	}
	return nil
}

// Wrote implements trace.Reader, for nodes on simulated machines.
func (System) Wrote(path string, data []byte) string { return raftnode.TellWritten(path, data) }

// perhapsSealed follows a conversation that may be one in TLS, of which nobody can tell
// what is said.
type perhapsSealed struct {
	trace.Conversation
	begun, sealed bool
}

// Said implements trace.Conversation.
func (p *perhapsSealed) Said(dialler bool, b []byte) []trace.Message {
	if !p.begun && len(b) > 0 {
		p.begun, p.sealed = true, b[0] == handshake
	}
	if p.sealed {
		return []trace.Message{{Kind: "TLS", Text: "sealed", Idle: true}}
	}
	return p.Conversation.Said(dialler, b)
}

// handshake is the kind of the record that a conversation in TLS begins with. No message of
// raft's has the same, and no request.
const handshake = 22
