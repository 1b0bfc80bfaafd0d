package raftnode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// Peer is a member of the cluster as the others reach it.
type Peer struct {
	Name   string
	Addr   string // host:port of raft
	Client string // host:port of the API
}

// Config is what a node needs to run.
type Config struct {
	ID    string
	Peers []Peer // all members, this one included
	Shard int    // the log that it holds, from 1 on, beside others of the same process; 0: there is one

	Transport raft.Transport
	Logs      raft.LogStore
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore
	Listener  net.Listener // for clients
	// Dial reaches the API of another member.
	Dial   func(ctx context.Context, peer Peer) (net.Conn, error)
	Events io.Writer // gets the events as lines of JSON; nil: nobody does
	Logger hclog.Logger

	Settings
	Bug Bug
	// Server makes the server for clients out of what it answers; nil: it answers everybody.
	Server func(http.Handler) server
}

// Settings are the figures that a node can be tuned with; see DefaultSettings.
type Settings struct {
	Heartbeat time.Duration // without a word from the leader, until an election
	Election  time.Duration // without a winner, until the next; 0: Heartbeat
	Lease     time.Duration // without a majority, until a leader steps down; 0: half of Heartbeat
	Commit    time.Duration // until followers learn what is committed, when nothing else is sent

	SnapshotThreshold uint64        // entries until the next snapshot
	SnapshotInterval  time.Duration // how often that is looked at; up to twice this
	Trailing          uint64        // entries kept behind a snapshot

	Forward    bool          // ask the leader for the client instead of naming it
	Hold       time.Duration // how long a request is tried again when there is no leader, or none that can be reached
	Retry      time.Duration // without a commit, until a command is proposed again
	TaskLease  time.Duration // how long a task stays with a worker that is silent
	AckTimeout time.Duration // how long a delivery may take to be acknowledged
	StateEvery uint64        // announce the state's digest at every so-many-th position; 0: never

	Levers

	Replication string // ByRaft or ByPrimaryBackup
	Copies      int    // of primary-backup: backups that must have a write before it is answered

	// These switch on behaviour of hashicorp/raft that a correct service must not trust
	// (see the package's comment).
	TrustVerify   bool // take VerifyLeader's word
	FastHeartbeat bool // handle heartbeats beside the main loop
}

// DefaultSettings make failovers of about a second, and snapshots every second
// or two under load. Commit is hashicorp/raft's own default.
func DefaultSettings() Settings {
	return Settings{
		Heartbeat: 500 * time.Millisecond,
		Commit:    50 * time.Millisecond,

		SnapshotThreshold: 200,
		SnapshotInterval:  time.Second,
		Trailing:          100,

		Hold:       time.Second,
		Retry:      200 * time.Millisecond,
		TaskLease:  2 * time.Second,
		AckTimeout: time.Second,
		StateEvery: 100,

		Levers: defaultLevers(),

		Replication: ByRaft,
	}
}

// leaseFor is for how long an operation gives something to a client, in nanoseconds.
func (s Settings) leaseFor(op string) int64 {
	switch op {
	case opTaskTake, opBeat:
		return int64(s.TaskLease)
	case opDeliver:
		return int64(s.AckTimeout)
	}
	return 0
}

func (s Settings) lease() time.Duration { return cmp.Or(s.Lease, s.Heartbeat/2) }

// raft is what the settings mean to raft, for the node called id.
func (s Settings) raft(id string) (*raft.Config, error) {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(id)
	c.HeartbeatTimeout = s.Heartbeat
	c.ElectionTimeout = cmp.Or(s.Election, s.Heartbeat)
	c.LeaderLeaseTimeout = s.lease()
	c.CommitTimeout = s.Commit
	c.SnapshotThreshold = s.SnapshotThreshold
	c.SnapshotInterval = s.SnapshotInterval
	c.TrailingLogs = s.Trailing
	c.MaxAppendEntries = s.Batch
	plain(c)
	if err := raft.ValidateConfig(c); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return c, nil
}

// server is what a node needs of an http.Server.
type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}

// Node is a running member of the cluster.
type Node struct {
	cfg       Config
	raft      *raft.Raft
	transport *transport
	fsm       *fsm
	events    *emitter
	asker     asker
	server    server
	serving   chan struct{} // closed when the server has ended
	ctx       context.Context
	stop      context.CancelFunc

	started time.Time     // what this leader's clock counts from (see stamp)
	elected atomic.Int64  // when it was elected last, by that clock (restarted-ttl)
	changed broadcast     // fires when the role or the leader may have changed
	marking chan struct{} // held by the request that proposes the first entry of a term
	believe atomic.Bool   // was elected and has heard of no other leader since (stale-leader-read)
	recent  answers       // (with Levers.Cache)
	dirty   proposals     // (dirty-read)
	stuck   atomic.Bool   // a transfer has failed (stuck-transfer)
	clock   logClock
	lease   wallLease // (lease-wall-clock)
	begun   begun     // (dependency-outside-log)

	called atomic.Uint64 // the newest term in which it called for an election
}

// Start runs a node until Close. It takes over the config's transport and
// listener and closes them in the end, also when it fails; the stores stay the
// caller's.
func Start(cfg Config) (*Node, error) {
	n, err := start(cfg)
	if err != nil {
		cfg.Listener.Close()
		return nil, err
	}
	if cfg.Server != nil {
		n.server = cfg.Server(n.handler())
	} else {
		n.server = newServer(n.handler(), nil)
	}
	go func() {
		defer close(n.serving)
		_ = n.server.Serve(cfg.Listener) // ends with Close
	}()
	return n, nil
}

// path is where another member has the API of the shard.
func (c Config) path() string {
	if c.Shard == 0 {
		return ""
	}
	return ShardPath(c.Shard)
}

// start runs a node that serves nobody yet.
func start(cfg Config) (*Node, error) {
	n := &Node{
		cfg:       cfg,
		started:   time.Now(),
		transport: newTransport(cfg.Transport, cfg.FastHeartbeat),
		serving:   make(chan struct{}),
		marking:   make(chan struct{}, 1),
	}
	if n.cfg.Events == nil {
		n.cfg.Events = io.Discard
	}
	if n.cfg.Logger == nil {
		n.cfg.Logger = hclog.NewNullLogger()
	}
	if cfg.Shard > 0 {
		n.transport.heard = map[raft.ServerID]followed{}
	}
	n.events = newEmitter(cfg.ID, n.cfg.Events)
	n.events.shard = cfg.Shard
	n.fsm = newFSM(cfg.Bug, n.events, cfg.StateEvery)
	n.ctx, n.stop = context.WithCancel(context.Background())
	n.asker = newAsker(cfg.dial)
	n.transport.listen(n.hearHeartbeats())
	n.transport.voting = n.callsForElection

	if err := n.startRaft(); err != nil {
		n.stop()
		n.transport.Close()
		n.events.close()
		return nil, err
	}
	return n, nil
}

func (n *Node) startRaft() error {
	if n.cfg.Bug.is(ForgottenVote) {
		n.cfg.Stable = raft.NewInmemStore()
	}
	if n.cfg.Bug.is(LostLog) {
		n.cfg.Logs = raft.NewInmemStore()
	}
	conf, err := n.cfg.Settings.raft(n.cfg.ID)
	if err != nil {
		return err
	}
	conf.Logger = n.cfg.Logger
	conf.ShutdownOnRemove = n.cfg.Bug.is(ShutdownOnRemove) // a node that was removed may be taken back
	if err := n.bootstrap(); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	n.events.emit(Event{Kind: EventBoot, Raft: raftRelease()})
	r, err := raft.NewRaft(conf, n.fsm, n.cfg.Logs, n.cfg.Stable, n.cfg.Snapshots, n.transport)
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	n.raft = r
	n.events.emit(Event{Kind: EventRole, Role: roleName(raft.Follower), Term: currentTerm(r)})
	n.observe(r)
	// What happened before the observer was there. In which term it was can't
	// be told from here: raft's main loop may be in a later one by now.
	if leader := n.knownLeader(); leader != "" {
		n.events.emit(Event{Kind: EventLeader, Leader: leader})
	}
	return nil
}

// bootstrap gives a node without a log its first entry, the members of the
// cluster. All members write the same entry, so it does not matter which of them
// does. A node that was killed in the middle of this has a term and no log; raft's own
// BootstrapCluster would refuse such a node forever.
func (n *Node) bootstrap() error {
	key := []byte("CurrentTerm") // raft's
	if term, err := n.cfg.Stable.GetUint64(key); err != nil || term == 0 {
		if err := n.cfg.Stable.SetUint64(key, 1); err != nil {
			return err
		}
	}
	last, err := n.cfg.Logs.LastIndex()
	if err != nil {
		return err
	}
	snapshots, err := n.cfg.Snapshots.List()
	if err != nil {
		return err
	}
	if last > 0 || len(snapshots) > 0 {
		return nil
	}
	var members raft.Configuration
	for _, p := range n.cfg.Peers {
		members.Servers = append(members.Servers, raft.Server{
			ID: raft.ServerID(p.Name), Address: raft.ServerAddress(p.Addr),
		})
	}
	data, err := encodeConfiguration(members)
	if err != nil {
		return err
	}
	return n.cfg.Logs.StoreLog(&raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: data})
}

func (c Config) dial(ctx context.Context, name string) (net.Conn, error) {
	for _, p := range c.Peers {
		if p.Name == name {
			return c.Dial(ctx, p)
		}
	}
	return nil, fmt.Errorf("no peer is called %q", name)
}

func (n *Node) closing() bool { return n.ctx.Err() != nil }

// Close stops the node: requests that are open are answered as far as that is
// known, raft ends, and the last events are written.
func (n *Node) Close() error {
	n.transport.beats.flush()
	n.events.emit(Event{Kind: EventShutdown})
	n.stop()
	n.changed.fire()
	ended := make(chan error, 1)
	go func() { ended <- n.raft.Shutdown().Error() }()
	var err error
	select {
	case err = <-ended:
	case <-time.After(closeTimeout):
		err = errors.New("raft did not end in time")
	}
	n.transport.deafen() // raft closes no transport when it has ended by itself
	if n.server != nil { // nil: it is a part of a larger one
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if n.server.Shutdown(ctx) != nil {
			n.server.Close()
		}
		<-n.serving
	}
	n.asker.close()
	n.events.close()
	return err
}

// Longer than a message to a peer that is gone may take.
const closeTimeout = 5 * time.Second
