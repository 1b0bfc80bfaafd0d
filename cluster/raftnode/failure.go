package raftnode

import (
	"errors"

	"github.com/hashicorp/raft"
)

// What a failure says about the operation's effect.
const (
	DidNotHappen = "no"      // it certainly did not take effect and never will
	Unknown      = "unknown" // nobody knows whether it did or still will
)

// Failure is why an operation was not answered with a result.
type Failure struct {
	Reason   string `json:"error"`
	Happened string `json:"happened"`         // DidNotHappen or Unknown
	Leader   string `json:"leader,omitempty"` // the node to ask instead
	final    bool   // a retry would fail as well
}

func (f *Failure) Error() string {
	if f.Happened == DidNotHappen {
		return f.Reason + " (the operation did not happen)"
	}
	return f.Reason + " (the operation may have happened)"
}

func didNotHappen(reason string) *Failure {
	return &Failure{Reason: reason, Happened: DidNotHappen}
}

func mayHaveHappened(reason string) *Failure {
	return &Failure{Reason: reason, Happened: Unknown}
}

// rejected reports whether raft's answer to a proposal means that the command never
// entered the log. index is the index that raft gave the entry, or 0.
//
// Raft answers ErrNotLeader and ErrLeadershipTransferInProgress before it
// dispatches a command, and ErrEnqueueTimeout when its main loop did not take
// it. ErrRaftShutdown has two meanings: not taken at all (no index), or already
// committed and not applied here. All others leave the entry in this node's
// log, from where it may reach a majority.
func rejected(err error, index uint64) bool {
	switch {
	case errors.Is(err, raft.ErrNotLeader),
		errors.Is(err, raft.ErrLeadershipTransferInProgress),
		errors.Is(err, raft.ErrEnqueueTimeout):
		return true
	case errors.Is(err, raft.ErrRaftShutdown):
		return index == 0
	}
	return false
}
