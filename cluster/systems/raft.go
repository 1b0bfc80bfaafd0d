package systems

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"coup/cluster"
	"coup/cluster/raftnode"
	"coup/harness"
)

// Raft is the bundled system: package raftnode.
//
// Its settings are flags of the node (see raftSettings), and "client", the
// name of the client of a connection: unique over the run, so that writes that
// are sent twice are known as one. Without it connections are numbered as they
// are opened, which is unique within this process.
type Raft struct{}

const (
	raftPeerPort   = 7000
	raftClientPort = 8000
	raftDataDir    = "/data"
)

// raftSettings are the settings that become flags of the node.
var raftSettings = []string{
	"heartbeat", "election", "lease", "commit", "rpc-timeout",
	"snapshot-threshold", "snapshot-interval", "trailing",
	"forward", "hold", "retry", "state-every", "log-level",
	"trust-verify", "fast-heartbeat", "in-flight",
}

// Name implements cluster.System.
func (Raft) Name() string { return "raft" }

// Check says what is wrong with the options, before anything is started.
func (Raft) Check(o cluster.Options) error {
	if _, err := raftnode.ParseBug(o.Bug); err != nil {
		return err
	}
	switch o.Reads {
	case "", raftnode.Linearizable, raftnode.Lease, raftnode.Stale:
	default:
		return fmt.Errorf("unknown mode of reads %q; known are linearizable, lease, stale", o.Reads)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		if name != "client" && !slices.Contains(raftSettings, name) {
			return fmt.Errorf("system raft has no setting %q; known are %s", name, strings.Join(raftSettings, ", "))
		}
	}
	return raftnode.CheckArgs(raftAlone(o))
}

// raftAlone are the arguments of a node that is the only one.
func raftAlone(o cluster.Options) []string {
	n1 := cluster.Node{Name: "n1", Host: "n1"}
	return raftArgs(n1, []cluster.Node{n1}, o)
}

// Spec implements cluster.System.
func (Raft) Spec(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Spec {
	return cluster.Spec{
		Args:       raftArgs(node, all, o),
		DataDir:    raftDataDir,
		PeerPort:   raftPeerPort,
		ClientPort: raftClientPort,
		Sealed:     []string{"raft.wal", "snapshots/*/state.bin"},
	}
}

func raftArgs(node cluster.Node, all []cluster.Node, o cluster.Options) []string {
	var peers []string
	for _, n := range all {
		peers = append(peers, n.Name+"="+net.JoinHostPort(n.Host, strconv.Itoa(raftPeerPort)))
	}
	args := []string{
		"--id=" + node.Name,
		"--peers=" + strings.Join(peers, ","),
		"--data=" + raftDataDir,
		fmt.Sprintf("--listen-peer=:%d", raftPeerPort),
		fmt.Sprintf("--listen-client=:%d", raftClientPort),
	}
	for _, name := range raftSettings {
		if v, ok := o.Settings[name]; ok {
			args = append(args, "--"+name+"="+v)
		}
	}
	if o.Bug != "" {
		args = append(args, "--bug="+o.Bug)
	}
	return args
}

// Lease implements cluster.Leased.
func (Raft) Lease(o cluster.Options) time.Duration { return raftnode.LeaseOf(raftAlone(o)) }

// Status implements cluster.System.
func (Raft) Status(ctx context.Context, dial cluster.Dial, node string) (cluster.Status, error) {
	c := newHTTPConn(dial, node)
	defer c.Close()
	code, body, err := c.do(ctx, http.MethodGet, raftnode.PathStatus, nil)
	if err != nil {
		return cluster.Status{}, fmt.Errorf("status: %w", err)
	}
	if code != http.StatusOK {
		return cluster.Status{}, fmt.Errorf("status of %s: HTTP status %d", node, code)
	}
	var s raftnode.Status
	if err := json.Unmarshal(body, &s); err != nil {
		return cluster.Status{}, fmt.Errorf("status of %s: %w", node, err)
	}
	return cluster.Status(s), nil
}

// Event implements cluster.System.
func (Raft) Event(node string, line []byte) (harness.Event, time.Time, bool) {
	e, ok := raftnode.ParseEvent(line)
	if !ok || e.Node != node {
		return harness.Event{}, time.Time{}, false
	}
	kinds := map[string]string{
		raftnode.EventBoot:     harness.BootEvent,
		raftnode.EventRole:     harness.RoleEvent,
		raftnode.EventElection: harness.ElectionEvent,
		raftnode.EventLeader:   harness.LeaderEvent,
		raftnode.EventSnapshot: harness.SnapshotEvent,
		raftnode.EventRestore:  harness.RestoreEvent,
		raftnode.EventState:    harness.StateEvent,
	}
	kind, ok := kinds[e.Kind]
	if !ok {
		return harness.Event{}, time.Time{}, false // a shutdown is told by the role
	}
	return harness.Event{
		Kind: kind, Node: e.Node, Role: e.Role, Term: e.Term, Leader: e.Leader,
		Applied: e.Index, Hash: e.Hash, Message: cmp.Or(e.Message, e.Raft),
	}, time.Unix(0, e.Time), true
}

// Open implements cluster.System. The connection is made when it is used.
func (r Raft) Open(dial cluster.Dial, node string, o cluster.Options) (cluster.Conn, error) {
	client := o.Settings["client"]
	if client == "" {
		client = fmt.Sprintf("c%d", opened.Add(1))
	}
	return &raftConn{dial: dial, home: node, asked: node, client: client, reads: o.Reads, conns: map[string]*httpConn{}}, nil
}

// opened counts the connections, to tell their writes apart.
var opened atomic.Uint64

// raftConn is a client that talks to its own node, and to the leader when that
// node names one.
type raftConn struct {
	dial   cluster.Dial
	home   string
	asked  string // the node that was asked last
	client string
	seq    uint64
	reads  string
	conns  map[string]*httpConn
}

// Close implements cluster.Conn.
func (c *raftConn) Close() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.conns)) {
		errs = append(errs, c.conns[name].Close())
	}
	return errors.Join(errs...)
}

// Node implements cluster.Conn.
func (c *raftConn) Node() string { return c.asked }

// read performs an operation without effect: whatever goes wrong, it did not
// happen.
func (c *raftConn) read(ctx context.Context, path string, req raftnode.Request) (raftnode.Response, error) {
	req.Reads = c.reads
	resp, err := c.perform(ctx, path, req)
	if err != nil && !errors.Is(err, harness.ErrFail) {
		err = fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return resp, err
}

// write performs an operation with an effect, under an identity of its own.
func (c *raftConn) write(ctx context.Context, path string, req raftnode.Request) (raftnode.Response, error) {
	c.seq++
	req.Client, req.Seq = c.client, c.seq
	return c.perform(ctx, path, req)
}

// perform asks the client's own node and, when that says that it certainly did
// nothing because another node leads, that one.
func (c *raftConn) perform(ctx context.Context, path string, req raftnode.Request) (raftnode.Response, error) {
	resp, leader, err := c.ask(ctx, c.home, path, req)
	if err != nil && errors.Is(err, harness.ErrFail) && leader != "" && leader != c.home {
		resp, _, err = c.ask(ctx, leader, path, req)
	}
	return resp, err
}

// ask gives node's answer, and the leader that it names instead.
func (c *raftConn) ask(ctx context.Context, node, path string, req raftnode.Request) (resp raftnode.Response, leader string, err error) {
	c.asked = node
	conn := c.conns[node]
	if conn == nil {
		conn = newHTTPConn(c.dial, node)
		conn.greeting = raftnode.PathStatus
		c.conns[node] = conn
	}
	req.Timeout = nodeTimeout(ctx).Milliseconds()
	if req.Timeout <= 0 {
		return resp, "", fmt.Errorf("%w: no time left to ask %s", harness.ErrFail, node)
	}
	body, err := json.Marshal(req)
	if err != nil {
		return resp, "", fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	code, answer, err := conn.do(ctx, http.MethodPost, path, body)
	if err != nil {
		return resp, "", err
	}
	resp, f := raftnode.DecodeAnswer(code, bytes.NewReader(answer))
	switch {
	case f == nil:
		return resp, "", nil
	case f.Happened == raftnode.DidNotHappen:
		return resp, f.Leader, fmt.Errorf("%w: %s: %s", harness.ErrFail, node, f.Reason)
	default:
		return resp, "", fmt.Errorf("%s: %s", node, f.Reason)
	}
}

// nodeTimeout is the time that the node gets: a tenth less than is left, so
// that its answer is still read.
func nodeTimeout(ctx context.Context) time.Duration {
	left, ok := harness.Left(ctx)
	if !ok {
		left = defaultTimeout
	}
	return left * 9 / 10
}
