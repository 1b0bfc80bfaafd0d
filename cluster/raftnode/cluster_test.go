package raftnode

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// testCluster is a cluster in this process, for [virtually]: raft's in-memory
// transport between the nodes, and pipes in memory for clients.
type testCluster struct {
	t      *testing.T
	net    *memoryNet
	client *http.Client
	nodes  []*testNode
	peers  []Peer
	base   testConfig
	seq    uint64
}

type testConfig struct {
	Config
	// wrap puts something between a node and its transport; nil: nothing.
	wrap func(id string, t raft.Transport) raft.Transport
}

type testNode struct {
	*Node
	peer   Peer
	trans  *raft.InmemTransport
	logs   *raft.InmemStore
	snaps  raft.SnapshotStore
	events *lockedBuffer
	cut    atomic.Bool // by the test, while other nodes look
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) events() (out []Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range bytes.Split(b.buf.Bytes(), []byte("\n")) {
		if e, ok := ParseEvent(line); ok {
			out = append(out, e)
		}
	}
	return out
}

func (b *lockedBuffer) has(match func(Event) bool) bool {
	for _, e := range b.events() {
		if match(e) {
			return true
		}
	}
	return false
}

// quick are settings for tests: elections within a tenth of a second.
func quick() Settings {
	s := DefaultSettings()
	s.Heartbeat, s.Election, s.Lease, s.Commit = 100*time.Millisecond, 100*time.Millisecond, 60*time.Millisecond, 5*time.Millisecond
	s.SnapshotThreshold, s.SnapshotInterval, s.Trailing = 30, 20*time.Millisecond, 10
	s.StateEvery = 10
	return s
}

func startCluster(t *testing.T, n int, change func(*testConfig)) *testCluster {
	t.Helper()
	network := newMemoryNet()
	c := &testCluster{t: t, net: network, client: network.client(), base: testConfig{Config: Config{Settings: quick()}}}
	if change != nil {
		change(&c.base)
	}
	for i := range n {
		name := fmt.Sprint("n", i+1)
		c.peers = append(c.peers, Peer{Name: name, Addr: name + ":7000", Client: name + ":8000"})
	}
	for _, p := range c.peers {
		node := &testNode{peer: p, logs: raft.NewInmemStore(), snaps: raft.NewInmemSnapshotStore(), events: &lockedBuffer{}}
		c.nodes = append(c.nodes, node)
		c.start(node)
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			c.stop(n)
		}
	})
	return c
}

func (c *testCluster) start(n *testNode) {
	c.t.Helper()
	l, err := c.net.listen(n.peer.Client)
	if err != nil {
		c.t.Fatal(err)
	}
	_, n.trans = raft.NewInmemTransport(raft.ServerAddress(n.peer.Addr))
	cfg := c.base.Config
	cfg.ID, cfg.Peers, cfg.Transport, cfg.Listener = n.peer.Name, c.peers, n.trans, l
	if c.base.wrap != nil {
		cfg.Transport = c.base.wrap(n.peer.Name, n.trans)
	}
	cfg.Logs, cfg.Stable, cfg.Snapshots, cfg.Events = n.logs, n.logs, n.snaps, n.events
	cfg.Dial = func(ctx context.Context, p Peer) (net.Conn, error) {
		for _, m := range c.nodes {
			if m.peer == p && m.cut.Load() || m == n && m.cut.Load() {
				return nil, fmt.Errorf("cut off")
			}
		}
		return c.net.dial(ctx, p.Client)
	}
	if n.Node, err = Start(cfg); err != nil {
		c.t.Fatal(err)
	}
	c.join(n)
}

func (c *testCluster) join(n *testNode) {
	n.cut.Store(false)
	for _, m := range c.nodes {
		if m != n && m.Node != nil && !m.cut.Load() {
			m.trans.Connect(n.trans.LocalAddr(), n.trans)
			n.trans.Connect(m.trans.LocalAddr(), m.trans)
		}
	}
}

// isolate cuts a node off from the others; clients still reach it.
func (c *testCluster) isolate(n *testNode) {
	n.cut.Store(true)
	n.trans.DisconnectAll()
	for _, m := range c.nodes {
		if m != n {
			m.trans.Disconnect(n.trans.LocalAddr())
		}
	}
}

func (c *testCluster) stop(n *testNode) {
	if n.Node == nil {
		return
	}
	for _, m := range c.nodes {
		if m.trans != nil {
			m.trans.Disconnect(n.trans.LocalAddr())
		}
	}
	if err := n.Close(); err != nil {
		c.t.Errorf("close %s: %v", n.peer.Name, err)
	}
	n.Node = nil
}

// eventually polls until ok. A minute is for what does not run virtually.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// leader waits until a majority follows one of the running nodes.
func (c *testCluster) leader() (found *testNode) {
	c.t.Helper()
	eventually(c.t, "a leader", func() bool {
		votes := map[string]int{}
		for _, n := range c.nodes {
			if n.Node != nil && !n.cut.Load() {
				votes[n.Status().Leader]++
			}
		}
		for _, n := range c.nodes {
			if n.Node != nil && !n.cut.Load() && n.Status().Role == "leader" && votes[n.peer.Name] > len(c.nodes)/2 {
				found = n
				return true
			}
		}
		return false
	})
	return found
}

func (c *testCluster) follower() *testNode {
	l := c.leader()
	for _, n := range c.nodes {
		if n != l && n.Node != nil && !n.cut.Load() {
			return n
		}
	}
	c.t.Fatal("no follower")
	return nil
}

// post asks a node as a client does.
func (c *testCluster) post(n *testNode, path string, req Request) (Response, *Failure) {
	c.t.Helper()
	if req.Client == "auto" {
		c.seq++
		req.Seq = c.seq
	}
	if req.Timeout == 0 {
		req.Timeout = 3000
	}
	body, err := json.Marshal(req)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := c.client.Post("http://"+n.peer.Client+path, "application/json", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	return DecodeAnswer(r.StatusCode, r.Body)
}

// must asks the leader until it answers.
func (c *testCluster) must(path string, req Request) Response {
	c.t.Helper()
	if req.Client == "auto" {
		c.seq++
		req.Seq, req.Client = c.seq, "must"
	}
	var resp Response
	eventually(c.t, path, func() bool {
		var f *Failure
		resp, f = c.post(c.leader(), path, req)
		return f == nil
	})
	return resp
}

// agree waits until all running nodes have applied the same, and demands that
// they are in the same state.
func (c *testCluster) agree() {
	c.t.Helper()
	c.converge()
	want := c.nodes[0].Status()
	for _, n := range c.nodes[1:] {
		if s := n.Status(); s.Hash != want.Hash {
			c.t.Errorf("%s is in state %s at %d, %s in %s", s.Node, s.Hash, s.Applied, want.Node, want.Hash)
		}
	}
}

func (c *testCluster) converge() {
	c.t.Helper()
	eventually(c.t, "equal positions", func() bool {
		first := c.nodes[0].Status().Applied
		for _, n := range c.nodes {
			if n.Status().Applied != first {
				return false
			}
		}
		return first >= c.leader().Status().Applied
	})
}

func TestAPI(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		want := func(path string, req Request, want *int64) {
			t.Helper()
			if got := c.must(path, req).Value; !equal(got, want) {
				t.Errorf("%s %+v: %s, want %s", path, req, show(got), show(want))
			}
		}
		want(PathRegisterRead, Request{Key: "a"}, nil)
		want(PathRegisterCAS, Request{Key: "a", Value: 3, Client: "auto"}, nil)
		want(PathRegisterRead, Request{Key: "a"}, num(3))
		want(PathRegisterWrite, Request{Key: "a", Value: 4, Client: "auto"}, nil)
		want(PathRegisterCAS, Request{Key: "a", From: num(3), Value: 5, Client: "auto"}, num(4))
		want(PathRegisterCAS, Request{Key: "a", From: num(4), Value: 5, Client: "auto"}, num(4))
		want(PathRegisterRead, Request{Key: "a", Reads: Lease}, num(5))
		want(PathRegisterRead, Request{Key: "b"}, nil)
		want(PathQueueDequeue, Request{Key: "a", Client: "auto"}, nil)
		want(PathQueueEnqueue, Request{Key: "a", Value: 8, Client: "auto"}, nil)
		want(PathQueueEnqueue, Request{Key: "a", Value: 0, Client: "auto"}, nil)
		want(PathQueueDequeue, Request{Key: "a", Client: "auto"}, num(8))
		want(PathQueueDequeue, Request{Key: "a", Client: "auto"}, num(0))
		want(PathCounterRead, Request{Key: "a"}, num(0))
		want(PathCounterAdd, Request{Key: "a", Value: 2, Client: "auto"}, nil)
		want(PathCounterAdd, Request{Key: "a", Value: -5, Client: "auto"}, nil)
		want(PathCounterRead, Request{Key: "a"}, num(-3))
		want(PathSetAdd, Request{Key: "a", Value: 7, Client: "auto"}, nil)
		want(PathSetAdd, Request{Key: "a", Value: -7, Client: "auto"}, nil)
		if got := c.must(PathSetRead, Request{Key: "a"}).Values; len(got) != 2 || got[0] != -7 || got[1] != 7 {
			t.Errorf("set: %v", got)
		}
		txn := []Micro{
			{F: MicroRead, Key: "a"}, {F: MicroAppend, Key: "a", Value: 5}, {F: MicroAppend, Key: "b", Value: 6},
			{F: MicroAppend, Key: "a", Value: 7}, {F: MicroRead, Key: "a"},
		}
		saw := c.must(PathTxn, Request{Txn: txn, Client: "auto"}).Txn
		if len(saw) != 5 || len(saw[0].List) != 0 || !slices.Equal(saw[4].List, []int64{5, 7}) {
			t.Errorf("transaction: %+v", saw)
		}
		saw = c.must(PathTxnRead, Request{Txn: []Micro{{F: MicroRead, Key: "b"}, {F: MicroRead, Key: "c"}, {F: MicroRead, Key: "a"}}}).Txn
		if len(saw) != 3 || !slices.Equal(saw[0].List, []int64{6}) || len(saw[1].List) != 0 || !slices.Equal(saw[2].List, []int64{5, 7}) {
			t.Errorf("transaction that reads: %+v", saw)
		}
		c.agree()

		// The followers serve stale reads, and nothing else.
		f := c.follower()
		if got, fail := c.post(f, PathRegisterRead, Request{Key: "a", Reads: Stale}); fail != nil || !equal(got.Value, num(5)) {
			t.Errorf("stale read: %s, %v", show(got.Value), fail)
		}
		for _, req := range []struct {
			path string
			Request
		}{
			{PathRegisterRead, Request{Key: "a"}},
			{PathRegisterRead, Request{Key: "a", Reads: Lease}},
			{PathRegisterWrite, Request{Key: "a", Client: "auto"}},
			{PathTxnRead, Request{Txn: []Micro{{F: MicroRead, Key: "a"}}}},
			{PathTxn, Request{Txn: []Micro{{F: MicroRead, Key: "a"}}, Client: "auto"}},
		} {
			_, fail := c.post(f, req.path, req.Request)
			if fail == nil || fail.Happened != DidNotHappen || fail.Leader != c.leader().peer.Name {
				t.Errorf("follower's answer to %s %s: %+v", req.path, req.Reads, fail)
			}
		}
	})
}

func TestBadRequests(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 1, nil)
		url := "http://" + c.nodes[0].peer.Client
		for _, body := range []string{"", "{", "[]", `{"kex":"a"}`, `{"key":5}`, `{"reads":"maybe"}`, `{"timeout_ms":-1}`, `{"value":1e99}`} {
			r, err := c.client.Post(url+PathRegisterWrite, "application/json", bytes.NewReader([]byte(body)))
			if err != nil {
				t.Fatal(err)
			}
			_, f := DecodeAnswer(r.StatusCode, r.Body)
			r.Body.Close()
			if r.StatusCode != http.StatusBadRequest || f == nil || f.Happened != DidNotHappen {
				t.Errorf("%q: status %d, %+v", body, r.StatusCode, f)
			}
		}
		for path, bodies := range map[string][]string{
			PathTxn:     {"{}", `{"txn":[]}`, `{"txn":[{"f":"w","k":"a"}]}`, `{"txn":[{"f":"r","key":"a"}]}`},
			PathTxnRead: {"{}", `{"txn":[{"f":"r","k":"a"},{"f":"append","k":"a","v":1}]}`},
		} {
			for _, body := range bodies {
				r, err := c.client.Post(url+path, "application/json", bytes.NewReader([]byte(body)))
				if err != nil {
					t.Fatal(err)
				}
				_, f := DecodeAnswer(r.StatusCode, r.Body)
				r.Body.Close()
				if r.StatusCode != http.StatusBadRequest || f == nil || f.Happened != DidNotHappen {
					t.Errorf("%s %q: status %d, %+v", path, body, r.StatusCode, f)
				}
			}
		}
		for path, want := range map[string]int{"/": 404, "/register/erase": 404, PathRegisterRead: 405} {
			r, err := c.client.Get(url + path)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if r.StatusCode != want {
				t.Errorf("GET %s: %d, want %d", path, r.StatusCode, want)
			}
		}
	})
}

func TestForward(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 3, func(cfg *testConfig) { cfg.Forward = true })
		f := c.follower()
		if _, fail := c.post(f, PathRegisterWrite, Request{Key: "a", Value: 1, Client: "auto"}); fail != nil {
			t.Fatal(fail)
		}
		for _, mode := range []string{Linearizable, Lease} {
			if got, fail := c.post(f, PathRegisterRead, Request{Key: "a", Reads: mode}); fail != nil || !equal(got.Value, num(1)) {
				t.Errorf("%s read through a follower: %s, %v", mode, show(got.Value), fail)
			}
		}
		// What was passed on is not passed on again.
		_, fail := c.post(f, PathRegisterWrite, Request{Key: "a", Value: 2, Client: "auto", Forwarded: true})
		if fail == nil || fail.Happened != DidNotHappen {
			t.Errorf("a forwarded request to a follower: %+v", fail)
		}
		if got := c.must(PathRegisterRead, Request{Key: "a"}).Value; !equal(got, num(1)) {
			t.Errorf("register is %s", show(got))
		}
	})
}

func TestFailover(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		c.must(PathRegisterWrite, Request{Key: "a", Value: 1, Client: "auto"})
		old := c.leader()
		term := old.Status().Term
		c.isolate(old)
		// Nothing is certain about a write that the old leader took.
		_, fail := c.post(old, PathRegisterWrite, Request{Key: "a", Value: 2, Client: "old", Seq: 1, Timeout: 400})
		if fail == nil || fail.Happened != Unknown {
			t.Errorf("a write to an isolated leader: %+v", fail)
		}
		c.must(PathRegisterWrite, Request{Key: "a", Value: 3, Client: "auto"})
		// It answers no reads but stale ones.
		for mode, ok := range map[string]bool{Linearizable: false, Lease: false, Stale: true} {
			_, fail := c.post(old, PathRegisterRead, Request{Key: "a", Reads: mode, Timeout: 400})
			if (fail == nil) != ok {
				t.Errorf("%s read of an isolated leader: %v", mode, fail)
			}
			if fail != nil && fail.Happened != DidNotHappen {
				t.Errorf("a read is not certain: %+v", fail)
			}
		}
		c.join(old)
		if got := c.must(PathRegisterRead, Request{Key: "a"}).Value; !equal(got, num(3)) {
			t.Errorf("after the failover: %s", show(got))
		}
		c.agree()
		next := c.leader()
		if next.Status().Term <= term {
			t.Errorf("term %d after term %d", next.Status().Term, term)
		}
		leads := func(e Event) bool {
			return e.Kind == EventRole && e.Role == "leader" && e.Term == next.Status().Term
		}
		eventually(t, "the new leader says so", func() bool { return next.events.has(leads) })
		eventually(t, "the old leader hears of it", func() bool {
			return old.events.has(func(e Event) bool {
				return e.Kind == EventLeader && e.Leader == next.peer.Name && e.Term == next.Status().Term
			})
		})
		// One leader a term, in what all nodes said.
		byTerm := map[uint64]string{}
		for _, n := range c.nodes {
			for _, e := range n.events.events() {
				if e.Kind == EventRole && e.Role == "leader" {
					if other, ok := byTerm[e.Term]; ok && other != e.Node {
						t.Errorf("%s and %s led in term %d", other, e.Node, e.Term)
					}
					byTerm[e.Term] = e.Node
				}
			}
		}
	})
}

// A client that repeats a write, at another node and after a failover, has it
// applied once and gets the first answer.
func TestRetryAppliesOnce(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		req := Request{Key: "q", Value: 5, Client: "me", Seq: 1}
		c.must(PathCounterAdd, req)
		old := c.leader()
		c.isolate(old)
		c.must(PathCounterAdd, req)
		c.join(old)
		c.must(PathCounterAdd, req)
		if got := c.must(PathCounterRead, Request{Key: "q"}).Value; !equal(got, num(5)) {
			t.Errorf("counter is %s, want 5", show(got))
		}
		c.agree()
	})
}

// A write whose leader is cut off in the middle is finished by the node itself
// once it finds the successor, under the same identity.
func TestNodeResolvesDoubt(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 3, func(cfg *testConfig) { cfg.Hold = 8 * time.Second })
		c.must(PathCounterAdd, Request{Key: "k", Value: 1, Client: "auto"})
		old := c.leader()
		c.isolate(old)
		done := make(chan *Failure, 1)
		go func() {
			_, f := c.post(old, PathCounterAdd, Request{Key: "k", Value: 10, Client: "me", Seq: 1, Timeout: 8000})
			done <- f
		}()
		eventually(t, "the old leader steps down", func() bool { return old.Status().Role != "leader" })
		c.must(PathCounterAdd, Request{Key: "k", Value: 100, Client: "auto"})
		c.join(old)
		if f := <-done; f != nil {
			t.Fatalf("not resolved: %v", f)
		}
		if got := c.must(PathCounterRead, Request{Key: "k"}).Value; !equal(got, num(111)) {
			t.Errorf("counter is %s, want 111", show(got))
		}
		c.agree()
	})
}

func TestSnapshotsReachEverybody(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		lag := c.follower()
		c.must(PathSetAdd, Request{Key: "s", Value: -1, Client: "auto"})
		c.isolate(lag)
		for i := range 120 {
			c.must(PathSetAdd, Request{Key: "s", Value: int64(i), Client: "auto"})
		}
		eventually(t, "snapshot and compaction", func() bool {
			first, err := c.leader().logs.FirstIndex()
			return err == nil && first > lag.Status().Last+1
		})
		c.join(lag)
		eventually(t, "a snapshot is installed", func() bool {
			return lag.events.has(func(e Event) bool { return e.Kind == EventRestore && e.Index > 30 && e.Hash != "" })
		})
		c.agree()

		// A restart begins with the snapshot and ends in the same state.
		c.stop(lag)
		lag.events = &lockedBuffer{}
		c.start(lag)
		c.agree()
		eventually(t, "a restore after a restart", func() bool {
			return lag.events.has(func(e Event) bool { return e.Kind == EventRestore })
		})
		if n := len(c.must(PathSetRead, Request{Key: "s"}).Values); n != 121 {
			t.Errorf("%d elements, want 121", n)
		}

		// At any position, all that was said of the state is the same.
		states, compared := map[uint64]Event{}, 0
		for _, n := range c.nodes {
			for _, e := range n.events.events() {
				if e.Hash == "" {
					continue
				}
				if old, ok := states[e.Index]; !ok {
					states[e.Index] = e
				} else if compared++; old.Hash != e.Hash {
					t.Errorf("at %d: %+v and %+v", e.Index, old, e)
				}
			}
		}
		if compared < 10 {
			t.Errorf("only %d reports of states can be compared", compared)
		}
	})
}

func TestHold(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 3, func(cfg *testConfig) { cfg.Hold = 50 * time.Millisecond })
		c.leader()
		for _, n := range c.nodes[1:] {
			c.isolate(n)
		}
		c.isolate(c.nodes[0])
		n := c.nodes[0]
		eventually(t, "nobody leads", func() bool { return n.Status().Leader == "" })
		start := time.Now()
		_, f := c.post(n, PathRegisterWrite, Request{Key: "a", Client: "auto"})
		if f == nil || f.Happened != DidNotHappen || f.Leader != "" {
			t.Errorf("without a leader: %+v", f)
		}
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("held for %v, want 50ms", took)
		}
	})
}

func TestClosedNodeFailsCertainly(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := startCluster(t, 1, nil)
		n := c.leader()
		n.stop()
		_, f := n.do(t.Context(), Request{Key: "a", Client: "x", Seq: 1}, operations[1])
		if f == nil || f.Happened != DidNotHappen {
			t.Errorf("a node that shuts down: %+v", f)
		}
	})
}
