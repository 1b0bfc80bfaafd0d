package cluster

import (
	"context"
	"errors"
)

// What an operator can do to a cluster that runs. A system that offers it
// implements these beside [System]; faults that need it ask for it.
//
// Their errors wrap harness.ErrFail where certainly nothing was done, because the
// node that was asked does not lead or could not be reached; after any other
// error nobody knows.

// Transferer is a system whose leader can be told to hand the lead over.
type Transferer interface {
	// TransferLeader asks leader to hand the lead to node to, and waits for what
	// comes of it: refused is empty if leader has given the lead away, and
	// otherwise says why it has not.
	TransferLeader(ctx context.Context, a Access, leader, to string) (refused string, err error)
}

// ErrPending is wrapped by errors that mean: it was begun, and was not finished
// in time.
var ErrPending = errors.New("begun and not finished")

// Suffrage is what a node is in the configuration of its cluster.
type Suffrage string

// The suffrages.
const (
	Voter    Suffrage = "voter"
	Nonvoter Suffrage = "nonvoter" // it is sent everything, and has no say
	Absent   Suffrage = "absent"   // it is no member
)

// Members are the members of a cluster, sorted.
type Members struct {
	Voters    []string `json:"voters"`
	Nonvoters []string `json:"nonvoters,omitempty"`
}

// Membership is a system whose members can be changed while it runs.
type Membership interface {
	// SetMember asks leader to make node what as says, waits until that is
	// committed, and returns the members then. Where it is so already, nothing is
	// changed. An error that wraps ErrPending says that leader has begun it: it
	// may still be committed.
	SetMember(ctx context.Context, a Access, leader, node string, as Suffrage) (Members, error)
}
