package cluster

import (
	"context"
	"errors"
)

// What an operator can do to a running cluster. A system that offers it implements
// these interfaces beside [System]; the faults that need them ask for them.
//
// An error wraps harness.ErrFail if certainly nothing was done, because the node that
// was asked does not lead or could not be reached. After any other error nobody knows.

// Transferer is a system whose leader can be told to transfer leadership.
type Transferer interface {
	// TransferLeader asks leader to transfer leadership to node to, and waits for the
	// result: refused is empty if leader has given up leadership, and otherwise says
	// why it has not.
	TransferLeader(ctx context.Context, a Access, leader, to string) (refused string, err error)
}

// Promoter is a system without elections, in which a person promotes a node when the leader
// is gone.
type Promoter interface {
	// Promote tells node that it leads from now on, in a term that is larger than that of
	// any leader before.
	Promote(ctx context.Context, a Access, node string, term uint64) error
}

// ErrPending is wrapped by errors that mean: the change has begun, and was not finished
// in time.
var ErrPending = errors.New("begun and not finished")

// Suffrage is what a node is in the configuration of its cluster.
type Suffrage string

// The suffrages.
const (
	Voter    Suffrage = "voter"
	Nonvoter Suffrage = "nonvoter" // it gets the log, and has no vote
	Absent   Suffrage = "absent"   // it is no member
)

// Members are the members of a cluster, sorted.
type Members struct {
	Voters    []string `json:"voters"`
	Nonvoters []string `json:"nonvoters,omitempty"`
}

// Membership is a system whose members can be changed while it runs.
type Membership interface {
	// CanSetMember returns why members can't be changed with these options; nil if they can.
	CanSetMember(o Options) error
	// SetMember asks leader to give node the suffrage as, waits until the change is
	// committed, and returns the members after it. If node has that suffrage already,
	// nothing is changed. An error that wraps ErrPending says that leader has begun the
	// change, which may still be committed.
	SetMember(ctx context.Context, a Access, leader, node string, as Suffrage) (Members, error)
}
