package raftnode

// Status is what a node says about itself, as JSON.
type Status struct {
	Node    string `json:"node"`
	Shard   int    `json:"shard,omitempty"` // that it is about, from 1 on; 0: there is one log
	Role    string `json:"role"`
	Term    uint64 `json:"term"`
	Leader  string `json:"leader"` // "" if none is known
	Last    uint64 `json:"last"`   // newest position in the log
	Commit  uint64 `json:"commit"`
	Applied uint64 `json:"applied"` // newest command in the state; entries of raft's own do not count
	Hash    string `json:"hash"`    // digest of the state at exactly Applied
}

// Status may be called at any time, as often as wanted: the digest is kept up
// to date by every command.
func (n *Node) Status() Status {
	s := Status{
		Node:   n.cfg.ID,
		Shard:  n.cfg.Shard,
		Role:   roleName(n.raft.State()),
		Term:   currentTerm(n.raft),
		Last:   n.raft.LastIndex(),
		Commit: commitIndex(n.raft),
	}
	if leader := n.knownLeader(); leader != n.cfg.ID || s.Role == "leader" {
		s.Leader = leader
	}
	n.fsm.view(func(st *state) { s.Applied, s.Hash = st.index, st.hash() })
	return s
}
