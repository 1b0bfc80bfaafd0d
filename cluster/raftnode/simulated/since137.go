//go:build !raft_before_1.3.7

package simulated

import "github.com/hashicorp/raft"

// What hashicorp/raft has had since 1.3.7: messages say by themselves who sent them.

// sender codes who sent a message.
func (c *coder) sender(h *raft.RPCHeader) {
	if c.unnamed {
		return
	}
	c.Bytes(&h.ID)
	c.Bytes(&h.Addr)
}

// senderAddr is where a leader's message came from.
func senderAddr(m *raft.AppendEntriesRequest) []byte { return m.Addr }
