package raftnode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// MostShards is how many shards there may be.
const MostShards = 16

// ShardOf is the shard, from 1 on, that holds an object, if there are so many.
func ShardOf(key string, shards int) int {
	h := fnv.New32a()
	io.WriteString(h, key)
	return 1 + int(h.Sum32()%uint32(max(shards, 1)))
}

// ShardPath is the path of a shard's own API: the operations, what operators ask for, and
// its status.
func ShardPath(shard int) string { return "/shards/" + strconv.Itoa(shard) }

// shards are the parts of a node that holds several logs: one member of a raft group
// for each, with its own log, votes, snapshots and state. They share the process, the port for
// clients, and the events. Each operation goes to the shard that holds its object.
// A transaction may be about objects of several shards, and no log puts those in order: it
// is refused.
type shards struct {
	nodes   []*Node // by number, from 1 on
	server  server
	serving chan struct{}
	stop    context.CancelFunc
	disks   []*disk
}

// runShards is run for a node that holds several logs.
func runShards(f *flags, stop <-chan os.Signal, stdout, stderr io.Writer) (err error) {
	logger := hclog.New(&hclog.LoggerOptions{Name: f.id, Level: f.logLevel, Output: stderr})
	s := &shards{serving: make(chan struct{})}
	failed := make(chan error, f.Shards)
	defer func() {
		for _, d := range s.disks {
			err = errors.Join(err, d.close())
		}
	}()
	for shard := 1; shard <= f.Shards; shard++ {
		d, err := openDisk(filepath.Join(f.data, "shard-"+strconv.Itoa(shard)), f.bug, logger.Named("snapshot"))
		if err != nil {
			return err
		}
		s.disks = append(s.disks, d)
		go func() { failed <- <-d.failed }()
	}
	served := make(chan error, 1)
	go func() { served <- s.serve(f, stop, stdout, logger) }()
	select {
	case err := <-served:
		return err
	case err := <-failed:
		return fmt.Errorf("the disk failed, and a node that can't keep what it promises must not go on: %w", err)
	}
}

// serve runs the members of all groups until the node is asked to stop.
func (s *shards) serve(f *flags, stop <-chan os.Signal, stdout io.Writer, logger hclog.Logger) (err error) {
	listener, err := listenTCP(f.listenClient)
	if err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	life, end := context.WithCancel(context.Background())
	defer end()
	s.stop = end
	events := &oneWriter{w: stdout}
	for i, d := range s.disks {
		shard := i + 1
		peers, listen, err := shardPeers(f, shard)
		if err == nil {
			err = s.start(f, shard, peers, listen, d, events, logger)
		}
		if err != nil {
			listener.Close()
			return errors.Join(fmt.Errorf("shard %d: %w", shard, err), s.closeNodes())
		}
	}
	s.server = newServer(s.handler(life), nil)
	go func() {
		defer close(s.serving)
		_ = s.server.Serve(listener) // ends with close
	}()
	<-stop
	return s.close()
}

func (s *shards) start(f *flags, shard int, peers []Peer, listen string, d *disk, events io.Writer, logger hclog.Logger) error {
	self := f.self()
	for _, p := range peers {
		if p.Name == f.id {
			self = p
		}
	}
	name := "shard-" + strconv.Itoa(shard)
	trans, err := newTCP(listen, self.Addr, f.rpcTimeout, f.inFlight, logger.Named("net").Named(name), openWires())
	if err != nil {
		return fmt.Errorf("listen for peers: %w", err)
	}
	n, err := start(Config{
		ID: f.id, Peers: peers, Shard: shard,
		Transport: trans, Logs: d.logs, Stable: d.stable, Snapshots: d.snapshots,
		Dial: dialTCP, Events: events, Logger: logger.Named("raft").Named(name),
		Settings: f.Settings, Bug: f.bug,
	})
	if err != nil {
		return err
	}
	s.nodes = append(s.nodes, n)
	go n.spread()
	return nil
}

// shardPeers are the peers as a group has them, and where its member listens. Each group
// has a port: that of the first one is the one that was given, and the others follow.
func shardPeers(f *flags, shard int) (peers []Peer, listen string, err error) {
	if listen, err = portAfter(f.listenPeer, shard-1); err != nil {
		return nil, "", err
	}
	for _, p := range f.peers {
		if p.Addr, err = portAfter(p.Addr, shard-1); err != nil {
			return nil, "", err
		}
		peers = append(peers, p)
	}
	return peers, listen, nil
}

func portAfter(address string, n int) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return "", fmt.Errorf("%s: the port must be a number where there are several shards", address)
	}
	return net.JoinHostPort(host, strconv.Itoa(number+n)), nil
}

// shardsStatus is the status of a node that holds several logs.
type shardsStatus struct {
	Node   string   `json:"node"`
	Shards []Status `json:"shards"`
}

func (s *shards) handler(life context.Context) http.Handler {
	mux := operationsOf(life, s.do)
	for i, n := range s.nodes {
		under := ShardPath(i + 1)
		mux.Handle(under+"/", http.StripPrefix(under, n.handler()))
	}
	mux.HandleFunc("GET "+PathStatus, func(w http.ResponseWriter, r *http.Request) {
		all := shardsStatus{Node: s.nodes[0].cfg.ID}
		for _, n := range s.nodes {
			all.Shards = append(all.Shards, n.Status())
		}
		answer(w, http.StatusOK, all)
	})
	return mux
}

// do performs an operation in the shard of its object.
func (s *shards) do(ctx context.Context, req Request, op operation) (Response, *Failure) {
	if op.name == PathTxn || op.name == PathTxnRead {
		return Response{}, didNotHappen("a transaction needs one log, and there are " + strconv.Itoa(len(s.nodes)) + " shards")
	}
	return s.nodes[ShardOf(req.Key, len(s.nodes))-1].do(ctx, req, op)
}

func (s *shards) closeNodes() error {
	errs := make([]error, len(s.nodes))
	var all sync.WaitGroup
	for i, n := range s.nodes {
		all.Add(1)
		go func() {
			defer all.Done()
			errs[i] = n.Close()
		}()
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s *shards) close() error {
	s.stop()
	err := s.closeNodes()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		s.server.Close()
	}
	<-s.serving
	return err
}

// oneWriter lets one write after the other.
type oneWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (o *oneWriter) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(b)
}

const (
	spreadEvery = 250 * time.Millisecond // how often a leader looks whether another node should lead
	spreadAfter = 2 * time.Second        // so long the other one must have kept up
	spreadPause = 5 * time.Second        // after an attempt
)

// preferred is the peer that should lead the shard: each leads as many as any other, or one
// more.
func (c Config) preferred() Peer { return c.Peers[(max(c.Shard, 1)-1)%len(c.Peers)] }

// spread hands the lead of the shard to the node that should have it, whenever that one
// has followed closely for a while, so that the leaders of the shards are spread over the nodes
// again after a failover. It returns when the node closes.
func (n *Node) spread() {
	should := n.cfg.preferred()
	id := raft.ServerID(should.Name)
	look := time.NewTicker(spreadEvery)
	defer look.Stop()
	since := time.Time{} // since when it has kept up
	var last time.Time
	for {
		select {
		case <-look.C:
		case <-n.ctx.Done():
			return
		}
		now := time.Now()
		term := currentTerm(n.raft)
		switch {
		case should.Name == n.cfg.ID || n.raft.State() != raft.Leader,
			suffrage(n.configuration(), should.Name) != Voter,
			!n.transport.keepsUp(id, term, n.raft.LastIndex(), now.Add(-cmp.Or(n.cfg.Heartbeat, time.Second))):
			since = time.Time{}
		case since.IsZero():
			since = now
		case now.Sub(since) >= spreadAfter && now.Sub(last) >= spreadPause:
			last = now
			if err := n.raft.LeadershipTransferToServer(id, raft.ServerAddress(should.Addr)).Error(); err != nil {
				n.cfg.Logger.Info("the lead stays here", "not at", should.Name, "error", err)
			}
		}
	}
}

// mostBehind is by how many entries a follower may be behind that keeps up.
const mostBehind = 256

// keepsUp reports whether a follower has answered in this term since then, and was at most
// a little behind.
func (t *transport) keepsUp(id raft.ServerID, term, last uint64, then time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.heard[id]
	return h.term == term && h.at.After(then) && h.last+mostBehind >= last
}

// followed is what a follower answered last. It is kept where there are several shards.
type followed struct {
	term, last uint64
	at         time.Time
}

// hear notes an answer. The caller holds the lock.
func (t *transport) hear(id raft.ServerID, resp *raft.AppendEntriesResponse) {
	if t.heard != nil {
		t.heard[id] = followed{resp.Term, resp.LastLog, time.Now()}
	}
}
