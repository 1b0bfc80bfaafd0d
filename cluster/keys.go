package cluster

import (
	"context"
	"fmt"

	"coup/harness"
)

// Rotator is a System whose nodes and clients have keys that are replaced while they work.
// New keys are brought in before old ones are withdrawn, so that nobody is left without.
type Rotator interface {
	// CanRotate says why the nodes have no keys with these options; nil: they have.
	CanRotate(o Options) error
	// Rotate puts new keys in the folder of every node, and sees which nodes show them.
	// Clients use them from then on. What was there before stays good.
	Rotate(ctx context.Context, c Cluster) (evidence string, err error)
	// Withdraw ends that what was there before the last Rotate is good. A node that does
	// not run at the time learns of it before it answers anybody.
	Withdraw(ctx context.Context, c Cluster) error
}

// Files is a cluster that can put files into the directories of nodes ([Pod.Data]) at any
// time, whether or not a node runs, is frozen, or can be reached.
type Files interface {
	PutFiles(ctx context.Context, node string, files []File) error
}

// Bound is a System that has something of its own in each run, such as keys.
type Bound interface {
	// Bind returns the system of a run with these options: it takes the place of the other
	// one as long as the run lasts.
	Bind(o Options) System
}

// Bind is the system of a run.
func Bind(sys System, o Options) System {
	if b, ok := sys.(Bound); ok {
		return b.Bind(o)
	}
	return sys
}

// Stranger is a connection that also tries, as somebody else, what nobody but a client may
// do. What it tries is harmless to a system that lets no stranger in.
type Stranger interface {
	Register
	// Intrude tries to read a register, or to write write to it, in one of the [Ways]. It
	// returns what it was answered if it was let in. Its error wraps [ErrRefused] if it was
	// not: then it changed nothing.
	Intrude(ctx context.Context, way, key string, write *int64) (answer string, err error)
}

// The ways in which a stranger tries to be let in.
const (
	NoCertificate      = "no-certificate"
	ExpiredCertificate = "expired-certificate" // of a client, by the authority of the run, that was valid until an hour ago
	WrongName          = "wrong-name"          // a certificate by the authority of the run, for something else
	ForeignAuthority   = "foreign-authority"   // the right name, by another authority
	WrongToken         = "wrong-token"         // the certificate of a client, with a token of another one
	OldToken           = "old-token"           // the certificate of a client, with a token that was withdrawn
	Garbage            = "garbage"             // bytes that are no handshake
	SlowHandshake      = "slow-handshake"      // one that does not go on
	Flood              = "flood"               // more handshakes at once than a node allows, and one more without a certificate
)

// Ways are the ways in which a stranger tries to be let in.
func Ways() []string {
	return []string{NoCertificate, ExpiredCertificate, WrongName, ForeignAuthority, WrongToken, OldToken, Garbage, SlowHandshake, Flood}
}

// ErrRefused is wrapped by the errors of [Stranger]: nobody was let in, and nothing happened.
var ErrRefused = fmt.Errorf("%w: refused", harness.ErrFail)
