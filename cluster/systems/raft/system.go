// Package raft is the bundled node (package raftnode) as a system under test: what its
// nodes are, a client over HTTP, and what its nodes tell. Start with [System].
package raft

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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"coup/cluster"
	"coup/cluster/raftnode"
	"coup/cluster/raftnode/keys"
	"coup/harness"
)

// System is the bundled system: package raftnode.
//
// Its settings are flags of the node (see settings). A write carries the name of its
// client, so that the nodes can recognise a write that is sent twice. Connections without a
// name are numbered, which is unique within this process.
type System struct {
	ring *ring // the keys of the run, with the setting tls; nil: there are none
}

const (
	clients    = "clients" // the name of the client port
	peerPort   = 7000
	clientPort = 8000
	dataDir    = "/data"
)

// settings are the settings that become flags of the node.
var settings = []string{
	"heartbeat", "election", "lease", "commit", "rpc-timeout",
	"snapshot-threshold", "snapshot-interval", "trailing",
	"forward", "hold", "retry", "task-lease", "ack-timeout", "state-every", "log-level",
	"follower-reads", "acknowledge", "cache", "batch", "shards",
	"trust-verify", "fast-heartbeat", "in-flight",
	"tls",
}

// Tunings implements cluster.Tunable. Those that bring known defects of hashicorp/raft
// about (fast-heartbeat, in-flight) are left out.
func (System) Tunings() map[string][]string {
	return map[string][]string{
		"batch":              {"1"},
		"follower-reads":     {"true"},
		"forward":            {"true"},
		"heartbeat":          {"250ms", "1s"},
		"retry":              {"50ms", "500ms"},
		"snapshot-interval":  {"100ms", "1s"},
		"snapshot-threshold": {"10", "50"},
		"trailing":           {"0", "10"},
	}
}

// Name implements cluster.System.
func (System) Name() string { return "raft" }

// Check says what is wrong with the options, before anything is started.
func (System) Check(o cluster.Options) error {
	if o.Version != "" {
		return fmt.Errorf("system raft runs the release of hashicorp/raft that is built in, not one of your choice (%s): make node RAFT=%s builds one for simulated machines, which --node runs", o.Version, o.Version)
	}
	if _, err := raftnode.ParseBug(o.Bug); err != nil {
		return err
	}
	switch o.Reads {
	case "", raftnode.Linearizable, raftnode.Lease, raftnode.Stale:
	default:
		return fmt.Errorf("unknown mode of reads %q; known are linearizable, lease, stale", o.Reads)
	}
	if err := o.CheckSettings("raft", settings...); err != nil {
		return err
	}
	return CheckArguments(alone(o))
}

// CheckArguments says in plain words what is wrong with the arguments of a node.
func CheckArguments(args []string) error {
	err := raftnode.CheckArgs(args)
	if err == nil {
		return nil
	}
	// The node's own words of a value that can't be read are those of a parser.
	if m := unreadable.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s is %s, not %s", m[2], cmp.Or(kinds[m[2]], "a duration such as 500ms"), m[1])
	}
	return err
}

var unreadable = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-([a-z-]+): `)

// kinds are what the settings are that are no durations.
var kinds = map[string]string{
	"snapshot-threshold": whole, "trailing": whole, "state-every": whole, "in-flight": whole, "copies": whole, "batch": whole, "shards": whole,
	"follower-reads": "true or false", "tls": "true or false",
	"forward": "true or false", "trust-verify": "true or false", "fast-heartbeat": "true or false",
}

const whole = "a whole number, 0 or more"

// alone are the arguments of a node that is the only one.
func alone(o cluster.Options) []string {
	n1 := cluster.Node{Name: "n1", Host: "n1"}
	return arguments(n1, []cluster.Node{n1}, o)
}

// Pod implements cluster.System.
func (s System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	variant := ""
	if withTLS(o) {
		variant = cluster.TLS
	}
	return sharded(o, cluster.Pod{
		Containers: []cluster.Container{{Name: "raft", Args: arguments(node, all, o), Variant: variant}},
		Ports:      []cluster.Port{{Name: clients, Number: clientPort}, {Name: "peers", Number: peerPort, Peers: true}},
		Data:       []cluster.Dir{{Path: dataDir}},
		Files:      s.keysOf(o).files(node.Name),
		Sealed:     []string{"raft.wal", "snapshots/*/state.bin"},
	})
}

func arguments(node cluster.Node, all []cluster.Node, o cluster.Options) []string {
	var peers []string
	for _, n := range all {
		peers = append(peers, n.Name+"="+net.JoinHostPort(n.Host, strconv.Itoa(peerPort)))
	}
	args := []string{
		"--id=" + node.Name,
		"--peers=" + strings.Join(peers, ","),
		"--data=" + dataDir,
		fmt.Sprintf("--listen-peer=:%d", peerPort),
		fmt.Sprintf("--listen-client=:%d", clientPort),
	}
	for _, name := range settings {
		if v, ok := o.Settings[name]; ok {
			args = append(args, "--"+name+"="+v)
		}
	}
	if o.Bug != "" {
		args = append(args, "--bug="+o.Bug)
	}
	return args
}

// Timing implements cluster.Timed. hashicorp/raft calls an election after ten times
// the lease at most, which is the time without a word from the leader.
func (System) Timing(o cluster.Options) cluster.Timing {
	lease := raftnode.LeaseOf(alone(o))
	return cluster.Timing{Lease: lease, Election: 20 * lease}
}

// Tells implements cluster.Informer.
func (System) Tells() harness.Facts {
	return harness.Facts{harness.Leader, harness.Term, harness.Position, harness.Digest, harness.HeartbeatFact}
}

// Status implements cluster.Informer.
func (s System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	all, err := s.Statuses(ctx, a, node)
	if err != nil {
		return cluster.Status{}, err
	}
	return all[0], nil
}

// Statuses implements cluster.Sharded.
func (s System) Statuses(ctx context.Context, a cluster.Access, node string) ([]cluster.Status, error) {
	c := newHTTPConn(port(a, clients), node, s.operator())
	defer c.Close()
	code, body, err := c.do(ctx, http.MethodGet, raftnode.PathStatus, nil)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	if code != http.StatusOK {
		return nil, fmt.Errorf("status of %s: HTTP status %d", node, code)
	}
	var said struct {
		raftnode.Status
		Shards []raftnode.Status `json:"shards"` // of a node that holds several logs
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, fmt.Errorf("status of %s: %w", node, err)
	}
	if said.Shards == nil {
		said.Shards = []raftnode.Status{said.Status}
	}
	var all []cluster.Status
	for _, one := range said.Shards {
		all = append(all, cluster.Status{
			Node: one.Node, Role: one.Role, Term: one.Term, Leader: one.Leader,
			Last: one.Last, Commit: one.Commit, Applied: one.Applied, Hash: one.Hash, Shard: one.Shard,
		})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("status of %s: it tells of no log", node)
	}
	return all, nil
}

// Event implements cluster.EventReader.
func (System) Event(node string, line []byte) (harness.Event, time.Time, bool) {
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

		raftnode.EventHeartbeats: harness.HeartbeatsEvent,
	}
	kind, ok := kinds[e.Kind]
	if !ok {
		return harness.Event{}, time.Time{}, false // a shutdown is told by the role
	}
	var beats *harness.Heartbeats
	if e.Heartbeats != nil {
		its := harness.Heartbeats(*e.Heartbeats)
		beats = &its
	}
	return harness.Event{
		Kind: kind, Node: e.Node, Role: e.Role, Term: e.Term, Leader: e.Leader,
		Applied: e.Index, Hash: e.Hash, Shard: e.Shard, Heard: time.Duration(e.Heard), Heartbeats: beats, Message: cmp.Or(e.Message, e.Raft),
	}, time.Unix(0, e.Time), true
}

// Open implements cluster.System. The connection is made when it is used.
func (s System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	client := o.Client
	if client == "" {
		client = fmt.Sprintf("c%d", opened.Add(1))
	}
	keyring := s.keysOf(o)
	c := &connection{access: a, home: node, asked: node, client: client, reads: o.Reads, conns: map[string]*httpConn{}, who: keyring.credentials(keys.Client, client)}
	if shardsOf(o) > 1 {
		return byKey{c, c, c, c, c, c, c, c, c}, nil
	}
	if keyring != nil {
		return &guarded{c}, keyring.err
	}
	return c, nil
}

// opened counts the connections, to tell their writes apart.
var opened atomic.Uint64

// connection is a client that talks to its own node, and to the leader when that
// node names one.
type connection struct {
	access cluster.Access
	home   string
	asked  string // the node that was asked last
	client string
	seq    uint64
	reads  string
	conns  map[string]*httpConn
	who    *credentials
}

// Close implements cluster.Conn.
func (c *connection) Close() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.conns)) {
		errs = append(errs, c.conns[name].Close())
	}
	return errors.Join(errs...)
}

// Node implements cluster.Conn.
func (c *connection) Node() string { return c.asked }

// read performs an operation without effect: whatever goes wrong, it did not
// happen.
func (c *connection) read(ctx context.Context, path string, req raftnode.Request) (raftnode.Response, error) {
	req.Reads = c.reads
	resp, err := c.perform(ctx, path, req)
	if err != nil && !errors.Is(err, harness.ErrFail) {
		err = fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return resp, err
}

// write performs an operation with an effect, under an identity of its own.
func (c *connection) write(ctx context.Context, path string, req raftnode.Request) (raftnode.Response, error) {
	c.seq++
	req.Client, req.Seq = c.client, c.seq
	return c.perform(ctx, path, req)
}

// perform asks the client's own node. If that node says that it did nothing because
// another node leads, it asks the leader.
func (c *connection) perform(ctx context.Context, path string, req raftnode.Request) (raftnode.Response, error) {
	resp, leader, err := c.ask(ctx, c.home, path, req)
	if err != nil && errors.Is(err, harness.ErrFail) && leader != "" && leader != c.home {
		resp, _, err = c.ask(ctx, leader, path, req)
	}
	return resp, err
}

// ask returns node's answer, or the leader that it names instead.
func (c *connection) ask(ctx context.Context, node, path string, req raftnode.Request) (resp raftnode.Response, leader string, err error) {
	c.asked = node
	conn := c.conns[node]
	if conn == nil {
		conn = newHTTPConn(port(c.access, clients), node, c.who)
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
