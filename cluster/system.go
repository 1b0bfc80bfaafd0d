package cluster

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"coup/harness"
	"coup/images"
)

// System is a replicated system under test: what its nodes are, and how a client
// talks to one. A System is a value without state, safe for concurrent use.
//
// These four methods are all that a system must have. Whatever else it can do or tell,
// it shows by implementing the interfaces below. Checkers that need an interface that is
// missing do not judge, and the report says so.
type System interface {
	Name() string
	// Check says what is wrong with the options, before anything is started.
	Check(o Options) error
	// Pod describes node, one of all. The hosts of all are known when a pod is made;
	// ports, images and roles must not depend on them.
	Pod(node Node, all []Node, o Options) Pod
	// Open makes a client of node. What the client can do it shows by implementing
	// [Register], [Set], [Queue], [Messages], [Counter], [Lock], [Logs], [Bank],
	// [Jobs] or [Transactions]. Open is lazy: it talks to nobody, and the first operation connects. So
	// what a system can do is known before anything runs; see [Shown].
	Open(a Access, node string, o Options) (Conn, error)
}

// Options are what a run can ask of a system.
type Options struct {
	Version  string            // the release to run; "": the system's default
	Image    string            // the image that takes the place of the system's own, or ""
	Bug      string            // the planted bug to switch on, or ""
	Reads    string            // the mode of reads: linearizable (""), lease or stale
	Settings map[string]string // settings of the system's own, e.g. heartbeat=500ms
	// Client names the client of a connection, the same in every run of a plan and
	// unique within a run; "" for connections of the harness itself.
	Client string
	// Note takes a line that a client's own program writes about itself, for who looks for
	// a mistake in it; nil: nobody does. It is safe for concurrent use.
	Note func(line string)
	// Seed makes the secrets of a run: see Secret. It is not stored with the run.
	Seed []byte
	// Clock is what the nodes' clocks show when nothing is wrong with them; nil: what this
	// machine's does.
	Clock func() time.Time
}

// Secret returns a password, key or cookie of the run: 32 hexadecimal digits, the
// same for the same name, and different in every run.
func (o Options) Secret(name string) string {
	mac := hmac.New(sha256.New, o.Seed)
	mac.Write([]byte(name))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// Conn is one client's connection to a system. It is used by one goroutine at a
// time. On simulated machines it must start no goroutine of its own.
type Conn interface {
	Close() error
	// Node is the node that was asked last.
	Node() string
}

// Status is what a node says about itself. Fields that it can't tell are zero.
type Status struct {
	Node    string `json:"node"`
	Role    string `json:"role"` // leader, follower, candidate, shutdown
	Term    uint64 `json:"term"`
	Leader  string `json:"leader"` // the name of the node it takes for the leader, or ""
	Last    uint64 `json:"last"`   // newest position in its log
	Commit  uint64 `json:"commit"`
	Applied uint64 `json:"applied"`
	Shard   int    `json:"shard,omitempty"` // the log that it is about, from 1 on; 0: there is one
	Hash    string `json:"hash"`            // digest of its state at Applied
}

// Informer is a System whose nodes say how they are when they are asked.
type Informer interface {
	// Status asks node how it is; it fails when the node does not answer.
	Status(ctx context.Context, a Access, node string) (Status, error)
	// Tells says what Status tells.
	Tells() harness.Facts
}

// Sharded is an Informer whose nodes may hold several logs, each with a leader, terms and
// positions of its own. Its events say which one they are about ([harness.Event.Shard]).
type Sharded interface {
	Informer
	// Shards is how many logs there are; 1: none of this applies.
	Shards(o Options) int
	// ShardOf is the log, from 1 on, that holds an object.
	ShardOf(key string, o Options) int
	// Statuses is Status for each log of a node, in order.
	Statuses(ctx context.Context, a Access, node string) ([]Status, error)
}

// ShardsOf is how many logs the nodes of a system hold.
func ShardsOf(sys System, o Options) int {
	if s, ok := sys.(Sharded); ok {
		return max(1, s.Shards(o))
	}
	return 1
}

// EventReader is a System whose nodes write what happens to them, as it happens.
type EventReader interface {
	// Event reads a line of a node's output or log files; ok is false where it
	// tells no event. Event.Time is left zero: wall is when the node says it happened.
	Event(node string, line []byte) (e harness.Event, wall time.Time, ok bool)
}

// Readiness is a System with a probe of its own for "it serves". For other systems, the
// harness waits for a leader that a majority follows, if they are an [Informer], and
// otherwise for an open port of every node.
type Readiness interface {
	// Ready returns nil when clients can work, and otherwise why they can't yet.
	Ready(ctx context.Context, a Access, o Options) error
}

// Initializer is a System that needs something done once, when it serves and before
// clients work: a table, a stream, a queue.
type Initializer interface {
	// Init is idempotent: it is tried again until it works.
	Init(ctx context.Context, a Access, o Options) error
}

// Digester is a System whose nodes can each tell a digest of what they hold, without
// asking their peers. At the end of a run all nodes are asked, and compared.
type Digester interface {
	// Digest returns a digest of what node holds, equal on nodes that hold the same, and
	// the node's position in the log, or 0 if it knows of none. keys are the objects that
	// the load has used.
	Digest(ctx context.Context, a Access, node string, keys []string, o Options) (position uint64, digest string, err error)
}

// Lossy is a System that may lose what it has acknowledged, by design.
type Lossy interface {
	// Loses says in one line what a system with these options does not promise, and
	// why; "" if it loses nothing.
	Loses(o Options) string
}

// Isolated is a System whose transactions may promise less than to be strictly
// serializable, or whose [Jobs] less than to be run exactly once.
type Isolated interface {
	// Isolation is the level that transactions promise with these options, by its name in
	// package transactions, or jobs, by its name in the workload jobs; "": the strictest one.
	Isolation(o Options) string
}

// IsolationOf is the level that the transactions or the jobs of a system promise; "": the
// strictest one.
func IsolationOf(sys System, o Options) string {
	if i, ok := sys.(Isolated); ok {
		return i.Isolation(o)
	}
	return ""
}

// LosesOf is what a system does not promise; "" if it promises all.
func LosesOf(sys System, o Options) string {
	if l, ok := sys.(Lossy); ok {
		return l.Loses(o)
	}
	return ""
}

// Tunable is a System that names settings that are worth trying, for searches that draw
// plans.
type Tunable interface {
	// Tunings are values by setting. With any of them, together with any others, the
	// system promises what it promises by default.
	Tunings() map[string][]string
}

// Timed is a System that knows how long its starts, failovers and elections take.
type Timed interface {
	Timing(o Options) Timing
}

// Timing says how long a system takes, on a busy machine. A field that is 0 stands for
// the harness's own default, which suits systems that do everything within seconds.
type Timing struct {
	Start    time.Duration // at most, from nothing until the nodes serve, including Init
	Restart  time.Duration // usually, from the start of a node until it is of use again
	Failover time.Duration // usually, from the death of the leader until clients are served again
	Election time.Duration // until a leader is elected when nothing is broken; much more than usual
	// Lease is how long a leader may go on leading that hears from no majority.
	// 0: nothing is promised.
	Lease time.Duration
}

// TimingOf is the timing of a system; zero if it knows none.
func TimingOf(sys System, o Options) Timing {
	if t, ok := sys.(Timed); ok {
		return t.Timing(o)
	}
	return Timing{}
}

// Grouped is a System whose nodes are not all alike, e.g. brokers and controllers.
type Grouped interface {
	// Roles are the roles of a cluster of n nodes, in the order in which they start:
	// the nodes of a role are started when those of the roles before it run. Their
	// numbers add up to n.
	Roles(n int, o Options) []Role
}

// RolesOf are the roles of a cluster of n nodes; one without a name if all are alike.
func RolesOf(sys System, n int, o Options) []Role {
	if g, ok := sys.(Grouped); ok {
		return g.Roles(n, o)
	}
	return []Role{{Nodes: n}}
}

// Named is a System whose nodes have names of their own. Those of others are called n1,
// n2, ...
type Named interface {
	// Names are the names of the n nodes, in the order of [Grouped].
	Names(n int, o Options) []string
}

// NodesOf are the names and roles of the nodes of a cluster of n.
func NodesOf(sys System, n int, o Options) (all []Node) {
	for _, role := range RolesOf(sys, n, o) {
		for range role.Nodes {
			all = append(all, Node{Name: fmt.Sprintf("n%d", len(all)+1), Role: role.Name})
		}
	}
	if named, ok := sys.(Named); ok {
		for i, name := range named.Names(n, o) {
			all[i].Name = name
		}
	}
	return all
}

// Role is what some nodes of a cluster are for.
type Role struct {
	Name  string
	Nodes int
}

// Imaged is a System whose containers run images other than coup's own.
type Imaged interface {
	// Images are the images that its containers name, for the release that o asks for
	// or else the default one.
	Images(o Options) ([]images.Recipe, error)
}

// Local is a System whose containers run images that are on the engine already, or built
// from directories of this machine.
type Local interface {
	Local() []LocalImage
}

// LocalImage is an image that containers name by its reference.
type LocalImage struct {
	Reference string
	// Recipe makes the image, if the engine has none of that name; nil: nothing does.
	Recipe *images.Recipe
	// Context is the directory that the image is built from before each run; "": it is
	// not built.
	Context, Dockerfile, Target string
	Args                        []string // NAME=value
}

// Planted is a System with deliberate mistakes that can be switched on.
type Planted interface {
	Bugs() []Bug
}

// Bug is a deliberate mistake of a system under test.
type Bug struct {
	Name     string
	Doc      string   // what it does, one line
	Workload string   // the workload that shows it
	Nemesis  []string // the faults that expose it, e.g. kill:leader
	// Settings are those without which there is nothing that it could do wrong; usually nil.
	Settings map[string]string
}

// BugsOf are the planted bugs of a system; nil if it has none.
func BugsOf(sys System) []Bug {
	if p, ok := sys.(Planted); ok {
		return p.Bugs()
	}
	return nil
}

// FactsOf are what a system's nodes tell about themselves.
func FactsOf(sys System) harness.Facts {
	var all harness.Facts
	if i, ok := sys.(Informer); ok {
		all = append(all, i.Tells()...)
	}
	if _, ok := sys.(EventReader); ok {
		all = append(all, harness.Events)
	}
	if _, ok := sys.(Digester); ok && !all.Has(harness.Digest) {
		all = append(all, harness.Digest)
	}
	return all
}
