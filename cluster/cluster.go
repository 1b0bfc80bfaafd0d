// Package cluster says what a system under test and a cluster of it are.
//
// A [System] describes its nodes as data and knows how to talk to one; a
// [Cluster] runs nodes so described, in containers or in a simulator, and
// breaks them when the nemesis asks. Neither knows the other: N systems and M
// backends are N+M pieces.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"coup/harness"
)

// ErrUnavailable is wrapped by errors that mean: this backend cannot run here
// at all (no engine, no permission, no kernel support).
var ErrUnavailable = errors.New("backend unavailable")

// Node is one member of a cluster, as its peers see it.
type Node struct {
	Name string // n1, n2, ...
	Host string // the name or address that reaches it from the other nodes
}

// Spec describes a node so that any backend can run it.
type Spec struct {
	Args       []string // the program's arguments, after coup's own name for it
	Image      string   // the image to run; empty: coup's own binary
	DataDir    string   // the directory that must survive the process
	PeerPort   int      // where the other nodes reach it
	ClientPort int      // where clients reach it
	// Sealed are the files in DataDir, as patterns of package path, in which the
	// program notices a flipped bit when it starts, and then ends.
	Sealed []string
}

// Dial connects to a node's client port from outside the cluster. ctx bounds
// the dialling; the connection keeps the deadlines set on it.
type Dial func(ctx context.Context, node string) (net.Conn, error)

// Status is what a node says about itself.
type Status struct {
	Node    string `json:"node"`
	Role    string `json:"role"` // leader, follower, candidate, shutdown
	Term    uint64 `json:"term"`
	Leader  string `json:"leader"` // the name of the node it takes for the leader, or ""
	Last    uint64 `json:"last"`   // newest position in its log
	Commit  uint64 `json:"commit"`
	Applied uint64 `json:"applied"`
	Hash    string `json:"hash"` // digest of its state at Applied
}

// Options are what a run can ask of a system.
type Options struct {
	Bug      string            // the planted bug to switch on, or ""
	Reads    string            // the mode of reads: linearizable (""), lease or stale
	Settings map[string]string // settings of the system's own, e.g. heartbeat=500ms
}

// System is a replicated system with one leader. A System is a value without
// state: safe for concurrent use.
type System interface {
	Name() string
	// Spec describes node, one of all.
	Spec(node Node, all []Node, o Options) Spec
	// Open connects a client to node. What the connection can do it shows by
	// implementing Register, Set, Queue, Counter or Transactions. Open itself may be lazy.
	Open(dial Dial, node string, o Options) (Conn, error)
	// Status asks node how it is; it fails when the node does not answer.
	Status(ctx context.Context, dial Dial, node string) (Status, error)
	// Event reads a line of a node's output; ok is false where it tells no
	// event. Event.Time is left zero: wall is when the node says it happened.
	Event(node string, line []byte) (e harness.Event, wall time.Time, ok bool)
	// Check says whether the system understands the options.
	Check(o Options) error
	// Bugs are the planted bugs of the system, by name, with what each does.
	Bugs() []Bug
}

// Leased is a System whose leader steps down by itself when it hears nothing of
// a majority.
type Leased interface {
	// Lease is how long such a leader may go on.
	Lease(o Options) time.Duration
}

// Bug is a deliberate mistake of a system under test.
type Bug struct {
	Name     string
	Doc      string   // what it does, one line
	Workload string   // the workload that shows it
	Nemesis  []string // the faults that expose it, e.g. kill:leader
}

// Conn is one client's connection to a system. It is used by one goroutine at
// a time and starts none of its own.
type Conn interface {
	Close() error
	// Node is the node that was asked last.
	Node() string
}

// Errors of the operations below wrap harness.ErrFail where the operation
// certainly did not happen; any other error means that nobody knows.
// All values of one object are integers; a missing value is nil.

// Register is a set of registers by key.
type Register interface {
	Read(ctx context.Context, key string) (*int64, error)
	Write(ctx context.Context, key string, v int64) error
	// CAS sets key to "to" if it is "from", and returns what it saw before:
	// it succeeded if that is "from".
	CAS(ctx context.Context, key string, from *int64, to int64) (saw *int64, err error)
}

// Set is a set that only grows.
type Set interface {
	SetAdd(ctx context.Context, key string, v int64) error
	SetRead(ctx context.Context, key string) ([]int64, error)
}

// Queue is a first-in first-out queue.
type Queue interface {
	Enqueue(ctx context.Context, key string, v int64) error
	// Dequeue takes the oldest element; nil if the queue was empty.
	Dequeue(ctx context.Context, key string) (*int64, error)
}

// Counter is a number that is added to.
type Counter interface {
	CounterAdd(ctx context.Context, key string, delta int64) error
	CounterRead(ctx context.Context, key string) (int64, error)
}

// Transactions is a set of lists by key, on which several steps are performed as
// one: all of them happen at one moment, or none.
type Transactions interface {
	// Txn performs the steps in their order and returns them with what the reads
	// saw: what others had appended before, and what the transaction itself had.
	Txn(ctx context.Context, steps []Micro) ([]Micro, error)
}

// Micro is one step of a transaction.
type Micro struct {
	F     string  // append or r
	Key   string  // the list
	Value int64   // append: what is appended
	List  []int64 // r, once performed: what the list held
}

// Cut is a one-way impairment of the network: packets from From to To are
// dropped with probability Loss (1: all of them). From "" is every client.
//
// The rest is for simulated machines alone: other backends do not know it.
type Cut struct {
	From, To string
	Loss     float64
	Delay    time.Duration // every packet takes this much longer
	Jitter   time.Duration // and this much more on average, some far more
	Rate     int           // bytes that pass in a second; 0: there is no limit
	Reset    bool          // connections are reset, and new ones refused
}

func (c Cut) String() string {
	s := fmt.Sprintf("%s->%s %.0f%%", c.From, c.To, c.Loss*100)
	if c.Delay > 0 || c.Jitter > 0 {
		s += fmt.Sprintf(" +%v~%v", c.Delay, c.Jitter)
	}
	if c.Rate > 0 {
		s += fmt.Sprintf(" %d B/s", c.Rate)
	}
	if c.Reset {
		s += " reset"
	}
	return s
}

// DiskFault is what is wrong with a node's disk; the zero value is nothing.
type DiskFault struct {
	Delay time.Duration // every fsync takes this much longer
	Hang  bool          // no fsync ends
	Fail  bool          // every fsync fails (EIO), and some of what it should have written never will be
	Full  bool          // nothing more can be stored: files do not grow, and there are no new ones
}

// Cluster is a running cluster. All methods are safe for concurrent use.
// The methods that break something return evidence, in words, that it broke:
// an error means that it did not, or that nobody could see it.
type Cluster interface {
	Nodes() []Node
	Dial(ctx context.Context, node string) (net.Conn, error)

	// Kill ends the node's processes at once (SIGKILL).
	Kill(ctx context.Context, node string) (evidence string, err error)
	// Stop asks the node to end (SIGTERM) and waits until it has.
	Stop(ctx context.Context, node string) (evidence string, err error)
	// Start starts a node that was killed or stopped, with its disk as it is.
	Start(ctx context.Context, node string) error
	// Pause freezes the node's processes; Resume thaws them.
	Pause(ctx context.Context, node string) (evidence string, err error)
	Resume(ctx context.Context, node string) error

	// SetCuts makes the network have exactly these cuts.
	SetCuts(ctx context.Context, cuts []Cut) error
	// Probe sends packets from one node to another and returns the share that
	// arrived, 0 to 1. From "" probes from the clients' side.
	Probe(ctx context.Context, from, to string) (float64, error)

	// Close ends the cluster and removes everything that was made for it.
	// It waits until all output of the nodes was delivered.
	Close(ctx context.Context) error
}
