package raftnode

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"coup/cluster/raftnode/simulated"
)

// inFlight is how many messages to a follower may be in flight by default. With
// hashicorp/raft's own default, 2, replication to a follower can get stuck for good when the
// follower answers late once (hashicorp/raft#612): the goroutine that sends entries waits for
// room in a full channel whose reader has ended. With more room it does not block, and sees
// that it has to end. Releases before 1.5.0 allowed 130 (hashicorp/raft#541).
const inFlight = 64

// flags are the settings of a node's process.
type flags struct {
	Settings
	id           string
	peers        []Peer
	data         string
	listenPeer   string
	listenClient string
	rpcTimeout   time.Duration
	inFlight     int
	logLevel     hclog.Level
	bug          Bug
	tls          bool
}

// Main runs a node as a program: args are the arguments after the program's
// name, events go to stdout and log lines to stderr. It returns the exit
// status: 0 after SIGTERM or SIGINT, 2 for wrong usage, 1 for anything else.
func Main(args []string, stdout, stderr io.Writer) int {
	f, err := parseFlags(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "raftnode:", err)
		return 2
	}
	// From here on, so that a signal during the start is not lost.
	stop, ignore := asked()
	defer ignore()

	if err := run(f, stop, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "raftnode:", err)
		return 1
	}
	return 0
}

func run(f *flags, stop <-chan os.Signal, stdout, stderr io.Writer) (err error) {
	if f.Shards > 1 {
		return runShards(f, stop, stdout, stderr)
	}
	logger := hclog.New(&hclog.LoggerOptions{Name: f.id, Level: f.logLevel, Output: stderr})
	d, err := openDisk(f.data, f.bug, logger.Named("snapshot"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	served := make(chan error, 1)
	go func() { served <- serve(f, d, stop, stdout, logger) }()
	select {
	case err := <-served:
		return err
	case err := <-d.failed:
		return fmt.Errorf("the disk failed, and a node that can't keep what it promises must not go on: %w", err)
	}
}

// serve runs a node until it is asked to stop.
func serve(f *flags, d *disk, stop <-chan os.Signal, stdout io.Writer, logger hclog.Logger) error {
	listener, err := listenTCP(f.listenClient)
	if err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	if f.Replication == ByPrimaryBackup {
		b, err := startBackup(Config{
			ID: f.id, Peers: f.peers, Logs: d.logs, Stable: d.stable,
			Listener: listener, Dial: dialTCP, Events: stdout, Logger: logger.Named("backup"), Settings: f.Settings,
		})
		if err != nil {
			return err
		}
		<-stop
		return b.Close()
	}
	self := f.self()
	w := openWires()
	if f.tls {
		if w, err = f.secured(logger.Named("keys")); err != nil {
			listener.Close()
			return err
		}
	}
	listener = w.clients(listener)
	trans, err := newTCP(f.listenPeer, self.Addr, f.rpcTimeout, f.inFlight, logger.Named("net"), w)
	if err != nil {
		listener.Close()
		return fmt.Errorf("listen for peers: %w", err)
	}
	n, err := Start(Config{
		ID: f.id, Peers: f.peers,
		Transport: trans, Logs: d.logs, Stable: d.stable, Snapshots: d.snapshots,
		Listener: listener, Dial: w.dialClients, Events: stdout, Logger: logger.Named("raft"),
		Settings: f.Settings, Bug: f.bug, Server: w.server,
	})
	if err != nil {
		return err
	}
	<-stop
	return n.Close()
}

func (f *flags) self() Peer {
	for _, p := range f.peers {
		if p.Name == f.id {
			return p
		}
	}
	return Peer{} // parseFlags has made sure that it is there
}

// CheckArgs says what is wrong with the arguments of a node, as Main would.
func CheckArgs(args []string) error {
	_, err := parseFlags(args, io.Discard)
	return err
}

// LeaseOf is how long a leader with these arguments goes on without a majority.
func LeaseOf(args []string) time.Duration {
	f, err := parseFlags(args, io.Discard)
	if err != nil {
		return 0 // such a node does not start
	}
	return f.lease()
}

func parseFlags(args []string, help io.Writer) (*flags, error) {
	f := &flags{Settings: DefaultSettings(), logLevel: hclog.Info}
	fs := flag.NewFlagSet("raftnode", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&f.id, "id", "", "name of this node, one of the peers")
	peers := fs.String("peers", "", "all members: n1=host:port,n2=host:port/clientport,...")
	fs.StringVar(&f.data, "data", "", "directory for log, votes and snapshots")
	fs.StringVar(&f.listenPeer, "listen-peer", ":7000", "address to listen on for peers")
	fs.StringVar(&f.listenClient, "listen-client", ":8000", "address to listen on for clients; its port is also that of peers that name none")
	fs.DurationVar(&f.Heartbeat, "heartbeat", f.Heartbeat, "without a word from the leader, until an election")
	fs.DurationVar(&f.Election, "election", f.Election, "without a winner, until the next election; 0s: as heartbeat")
	fs.DurationVar(&f.Lease, "lease", f.Lease, "without a majority, until a leader steps down; 0s: half of heartbeat")
	fs.DurationVar(&f.Commit, "commit", f.Commit, "until followers learn what is committed, when nothing else is sent")
	fs.DurationVar(&f.rpcTimeout, "rpc-timeout", time.Second, "until a message to a peer is given up")
	fs.Uint64Var(&f.SnapshotThreshold, "snapshot-threshold", f.SnapshotThreshold, "entries until the next snapshot")
	fs.DurationVar(&f.SnapshotInterval, "snapshot-interval", f.SnapshotInterval, "how often the threshold is looked at, up to twice this")
	fs.Uint64Var(&f.Trailing, "trailing", f.Trailing, "entries kept behind a snapshot")
	fs.BoolVar(&f.Forward, "forward", false, "ask the leader for the client instead of naming it")
	fs.DurationVar(&f.Hold, "hold", f.Hold, "how long a request is tried again when there is no leader, or none that can be reached")
	fs.DurationVar(&f.Retry, "retry", f.Retry, "without a commit, until a command is proposed again")
	fs.DurationVar(&f.TaskLease, "task-lease", f.TaskLease, "how long a task stays with a worker that is silent")
	fs.DurationVar(&f.AckTimeout, "ack-timeout", f.AckTimeout, "how long a delivery may take to be acknowledged")
	fs.Uint64Var(&f.StateEvery, "state-every", f.StateEvery, "announce the state's digest at every so-many-th position; 0: never")
	fs.BoolVar(&f.FollowerReads, "follower-reads", false, "a follower answers linearizable reads, once it has all that the leader says is committed")
	fs.StringVar(&f.Acknowledge, "acknowledge", f.Acknowledge, "a write is answered when a majority has it, or, unsafe, when the leader has")
	fs.DurationVar(&f.Cache, "cache", 0, "unsafe: how long a node answers a read with what it answered before; 0s: never")
	fs.IntVar(&f.Batch, "batch", f.Batch, "entries of the log in one message, at most")
	fs.IntVar(&f.Shards, "shards", f.Shards, "logs, each a raft group of its own on these nodes, whose leaders are spread over them; the key of an operation says which one it goes to")
	fs.BoolVar(&f.TrustVerify, "trust-verify", false, "unsafe: take hashicorp/raft's VerifyLeader at its word, which counts old answers")
	fs.IntVar(&f.inFlight, "in-flight", inFlight, "so many messages to a follower may be under way, as raft's MaxRPCsInFlight; with few, 2 at least, replication can get stuck for good (hashicorp/raft#612)")
	fs.BoolVar(&f.FastHeartbeat, "fast-heartbeat", false, "unsafe: handle heartbeats beside raft's main loop (hashicorp/raft#695)")
	fs.StringVar(&f.Replication, "replication", f.Replication, "raft, or primary-backup: no election, and copies after the answer")
	fs.IntVar(&f.Copies, "copies", 0, "of primary-backup: so many backups must have a write before it is answered")
	fs.BoolVar(&f.tls, "tls", false, "nodes and clients show each other certificates, and clients a token, as "+KeysFile+" in the data directory says (go doc coup/cluster/raftnode/keys)")
	bug := fs.String("bug", "", "switch on a planted bug: "+bugNames())
	level := fs.String("log-level", "info", "trace, debug, info, warn or error")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fs.SetOutput(help)
			fmt.Fprintln(help, "raftnode runs one member of a small replicated service.\n\nExample:\n  raftnode --id n1 --peers n1=10.0.0.1:7000,n2=10.0.0.2:7000,n3=10.0.0.3:7000 --data /data\n\nFlags:")
			fs.PrintDefaults()
		}
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if f.data == "" {
		return nil, errors.New("--data is missing")
	}
	_, clientPort, err := net.SplitHostPort(f.listenClient)
	if err != nil {
		return nil, fmt.Errorf("--listen-client: %w", err)
	}
	if f.peers, err = parsePeers(*peers, clientPort); err != nil {
		return nil, fmt.Errorf("--peers: %w", err)
	}
	if f.self().Name == "" {
		return nil, fmt.Errorf("--id %q is none of the peers", f.id)
	}
	if f.bug, err = ParseBug(*bug); err != nil {
		return nil, fmt.Errorf("--bug: %w", err)
	}
	if f.logLevel = hclog.LevelFromString(*level); f.logLevel == hclog.NoLevel {
		return nil, fmt.Errorf("--log-level: %q is none of trace, debug, info, warn, error", *level)
	}
	for name, d := range map[string]time.Duration{"hold": f.Hold, "retry": f.Retry, "rpc-timeout": f.rpcTimeout, "task-lease": f.TaskLease, "ack-timeout": f.AckTimeout} {
		if d < 0 || d == 0 && name != "hold" {
			return nil, fmt.Errorf("--%s must be positive", name)
		}
	}
	if f.Replication != ByRaft && f.Replication != ByPrimaryBackup {
		return nil, fmt.Errorf("--replication: %q is neither %s nor %s", f.Replication, ByRaft, ByPrimaryBackup)
	}
	if f.tls && f.Replication != ByRaft {
		return nil, fmt.Errorf("--tls goes with --replication %s", ByRaft)
	}
	if f.tls && f.Shards > 1 {
		return nil, errors.New("tls goes with one shard only: leave tls or shards out")
	}
	if f.Copies < 0 || f.Copies >= len(f.peers) {
		return nil, fmt.Errorf("--copies must be 0 to %d, as many as there are backups", len(f.peers)-1)
	}
	if f.Acknowledge != ByMajority && f.Acknowledge != ByLeader {
		return nil, fmt.Errorf("--acknowledge: %q is neither %s nor %s", f.Acknowledge, ByMajority, ByLeader)
	}
	if f.Batch < 1 || f.Batch > mostBatch {
		return nil, fmt.Errorf("--batch must be 1 to %d", mostBatch)
	}
	if f.Shards < 1 || f.Shards > MostShards {
		return nil, fmt.Errorf("--shards must be 1 to %d", MostShards)
	}
	if f.Shards > 1 && f.Replication == ByPrimaryBackup {
		return nil, errors.New("--shards: with primary-backup there is one log")
	}
	if f.Cache < 0 {
		return nil, errors.New("--cache must not be negative")
	}
	if f.inFlight < simulated.LeastInFlight {
		return nil, fmt.Errorf("--in-flight must be %d or more", simulated.LeastInFlight)
	}
	if _, err := f.Settings.raft(f.id); err != nil {
		return nil, err
	}
	return f, nil
}

func bugNames() string {
	var names []string
	for _, b := range Bugs {
		names = append(names, string(b.Bug))
	}
	return strings.Join(names, ", ")
}

// parsePeers reads n1=host:port,n2=host:port/clientport,...
func parsePeers(s, clientPort string) ([]Peer, error) {
	if s == "" {
		return nil, errors.New("there are none")
	}
	var peers []Peer
	seen := map[string]bool{}
	for _, part := range strings.Split(s, ",") {
		name, addr, ok := strings.Cut(part, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not name=host:port", part)
		}
		addr, port, ok := strings.Cut(addr, "/")
		if !ok {
			port = clientPort
		}
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		if host == "" {
			return nil, fmt.Errorf("%q has no host", part)
		}
		if seen[name] || seen[addr] {
			return nil, fmt.Errorf("%q is there twice", part)
		}
		seen[name], seen[addr] = true, true
		peers = append(peers, Peer{Name: name, Addr: addr, Client: net.JoinHostPort(host, port)})
	}
	return peers, nil
}
