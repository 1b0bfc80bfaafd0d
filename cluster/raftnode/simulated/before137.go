//go:build raft_before_1.3.7

package simulated

import "github.com/hashicorp/raft"

// Instead of since137.go, for releases of hashicorp/raft before that.

// sender codes who sent a message, which these releases tell in the messages
// themselves.
func (c *coder) sender(*raft.RPCHeader) {}

// senderAddr is where a leader's message came from.
func senderAddr(m *raft.AppendEntriesRequest) []byte { return m.Leader }
