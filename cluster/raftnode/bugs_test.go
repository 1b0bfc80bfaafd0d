package raftnode

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// Each planted bug, at the place where it is: with it something happens that
// must not happen without it. That whole runs find them is tested elsewhere.

func withBug(b Bug) func(*testConfig) { return func(c *testConfig) { c.Bug = b } }

// bothWays runs fn with the bug and without it.
func bothWays(t *testing.T, bug Bug, fn func(t *testing.T, bug Bug)) {
	t.Helper()
	for name, b := range map[string]Bug{"correct": "", string(bug): bug} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) { fn(t, b) })
		})
	}
}

func TestParseBug(t *testing.T) {
	seen := map[Bug]bool{}
	for _, b := range Bugs {
		if got, err := ParseBug(string(b.Bug)); err != nil || got != b.Bug {
			t.Errorf("%s: %q, %v", b.Bug, got, err)
		}
		if seen[b.Bug] || b.Doc == "" {
			t.Errorf("%s is there twice or without a word", b.Bug)
		}
		seen[b.Bug] = true
	}
	if len(Bugs) < 13 {
		t.Errorf("%d bugs", len(Bugs))
	}
	if _, err := ParseBug("no-such-bug"); err == nil {
		t.Error("an unknown bug is known")
	}
}

func TestBugStaleLeaderRead(t *testing.T) {
	t.Parallel()
	bothWays(t, StaleLeaderRead, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, withBug(bug))
		c.must(PathRegisterWrite, Request{Key: "a", Value: 1, Client: "auto"})
		old := c.leader()
		c.isolate(old)
		c.must(PathRegisterWrite, Request{Key: "a", Value: 2, Client: "auto"})
		got, f := c.post(old, PathRegisterRead, Request{Key: "a", Timeout: 300})
		if stale := f == nil && equal(got.Value, num(1)); stale != (bug != "") {
			t.Errorf("the deposed leader answered %s, %v", show(got.Value), f)
		}
		c.join(old)
		c.agree()
		if old.believe.Load() && c.leader() != old {
			t.Error("it heard of its successor and still believes in itself")
		}
	})
}

func TestBugLeaseWallClock(t *testing.T) {
	t.Parallel()
	bothWays(t, LeaseWallClock, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, withBug(bug))
		c.must(PathRegisterWrite, Request{Key: "a", Value: 1, Client: "auto"})
		old := c.leader()
		if _, f := c.post(old, PathRegisterRead, Request{Key: "a", Timeout: 1000}); f != nil {
			t.Fatal(f)
		}
		if (old.lease.until.Load() > 0) != (bug != "") {
			t.Error("only with the bug a lease is kept")
		}
		c.isolate(old)
		c.must(PathRegisterWrite, Request{Key: "a", Value: 2, Client: "auto"})
		old.lease.extend(time.Now(), time.Hour) // as if the clock were set back
		got, f := c.post(old, PathRegisterRead, Request{Key: "a", Timeout: 300})
		if stale := f == nil && equal(got.Value, num(1)); stale != (bug != "") {
			t.Errorf("the deposed leader answered %s, %v", show(got.Value), f)
		}
	})
}

func TestBugFollowerRead(t *testing.T) {
	t.Parallel()
	bothWays(t, FollowerRead, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, withBug(bug))
		f := c.follower()
		c.isolate(f)
		c.must(PathRegisterWrite, Request{Key: "a", Value: 2, Client: "auto"})
		_, fail := c.post(f, PathRegisterRead, Request{Key: "a", Timeout: 300})
		if (fail == nil) != (bug != "") {
			t.Errorf("a follower that is cut off answered: %v", fail)
		}
	})
}

// gate delays the answers of followers to the leader it belongs to.
type gate struct {
	raft.Transport
	mu     sync.Mutex
	closed chan struct{} // nil: open
	held   int           // answers that wait
}

func (g *gate) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	err := g.Transport.AppendEntries(id, to, req, resp)
	g.mu.Lock()
	closed := g.closed
	if closed != nil && err == nil {
		g.held++
	}
	g.mu.Unlock()
	if closed != nil {
		<-closed
	}
	return err
}

func (g *gate) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return g.Transport.(raft.WithPreVote).RequestPreVote(id, to, req, resp)
}

// Answers that followers gave before a read began say nothing about who leads
// now; VerifyLeader counts them.
func TestTrustVerify(t *testing.T) {
	t.Parallel()
	bothWays(t, "trust-verify", func(t *testing.T, bug Bug) {
		gates := map[string]*gate{}
		c := startCluster(t, 3, func(cfg *testConfig) {
			cfg.TrustVerify = bug != ""
			cfg.Heartbeat, cfg.Election, cfg.Lease = 500*time.Millisecond, 500*time.Millisecond, 400*time.Millisecond
			cfg.wrap = func(id string, tr raft.Transport) raft.Transport {
				gates[id] = &gate{Transport: tr}
				return gates[id]
			}
		})
		c.must(PathRegisterWrite, Request{Key: "a", Value: 1, Client: "auto"})
		l := c.leader()
		g := gates[l.peer.Name]
		open := make(chan struct{})
		g.mu.Lock()
		g.closed = open
		g.mu.Unlock()
		eventually(t, "both followers have answered a heartbeat", func() bool {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.held >= 2
		})
		c.isolate(l)
		// From here on the others may elect somebody at any time.
		done := make(chan *Failure, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		term := l.raft.CurrentTerm()
		asked := l.transport.now()
		go func() { done <- l.verify(ctx, term, asked) }()
		synctest.Wait() // until raft has taken the question
		close(open)
		f := <-done
		if (f == nil) != (bug != "") {
			t.Errorf("leadership confirmed by old answers: %v", f)
		}
	})
}

func TestBugEarlyLeaderRead(t *testing.T) {
	t.Parallel()
	bothWays(t, EarlyLeaderRead, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, withBug(bug))
		l := c.leader()
		index, before := l.fsm.position()
		if term := l.raft.CurrentTerm(); before >= term {
			t.Fatalf("an entry of term %d was applied already", term)
		}
		if _, f := c.post(l, PathRegisterRead, Request{Key: "a"}); f != nil {
			t.Fatal(f)
		}
		at, after := l.fsm.position()
		if marked := after == l.raft.CurrentTerm() && at > index; marked != (bug == "") {
			t.Errorf("the first read of term %d was answered with the state of term %d", l.raft.CurrentTerm(), after)
		}
	})
}

func TestBugDirtyRead(t *testing.T) {
	t.Parallel()
	bothWays(t, DirtyRead, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, withBug(bug))
		c.must(PathRegisterWrite, Request{Key: "a", Value: 1, Client: "auto"})
		l := c.leader()
		c.isolate(l)
		l.dirty.note(command{Op: opWrite, Key: "a", Value: 2, Client: "x", Seq: 1})
		got, f := c.post(l, PathRegisterRead, Request{Key: "a", Timeout: 300})
		if dirty := f == nil && equal(got.Value, num(2)); dirty && bug == "" {
			t.Errorf("read %s, %v", show(got.Value), f)
		}
		l.dirty.forget(command{Key: "a", Client: "x", Seq: 2})
		if _, ok := l.dirty.newest("a"); !ok {
			t.Error("another proposal than the newest was forgotten")
		}
		l.dirty.forget(command{Key: "a", Client: "x", Seq: 1})
		if _, ok := l.dirty.newest("a"); ok {
			t.Error("a proposal is not forgotten")
		}
	})
}

func TestBugEarlyAck(t *testing.T) {
	t.Parallel()
	bothWays(t, EarlyAck, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, func(cfg *testConfig) {
			cfg.Bug, cfg.Lease, cfg.Heartbeat, cfg.Election = bug, time.Second, time.Second, time.Second
		})
		l := c.leader()
		c.isolate(l)
		_, f := c.post(l, PathSetAdd, Request{Key: "a", Value: 1, Client: "auto", Timeout: 300})
		if (f == nil) != (bug != "") {
			t.Errorf("a write to an isolated leader: %v", f)
		}
	})
}

func TestBugFalseFail(t *testing.T) {
	n := &Node{cfg: Config{Bug: FalseFail}}
	lost := outcome{err: raft.ErrLeadershipLost, index: 7}
	if f := n.failureOf(lost); f.Happened != DidNotHappen || !f.final {
		t.Errorf("false-fail: %+v", f)
	}
	n.cfg.Bug = ""
	if f := n.failureOf(lost); f.Happened != Unknown {
		t.Errorf("correct: %+v", f)
	}
}

// What a compare-and-set or a dequeue decides outside the log does not depend
// on what the log brings before it.
func TestBugsOutsideLog(t *testing.T) {
	t.Parallel()
	bothWays(t, CASOutsideLog, func(t *testing.T, bug Bug) {
		c := startCluster(t, 1, withBug(bug))
		c.must(PathRegisterWrite, Request{Key: "a", Value: 1, Client: "auto"})
		first, err := c.nodes[0].logs.LastIndex()
		if err != nil {
			t.Fatal(err)
		}
		if got := c.must(PathRegisterCAS, Request{Key: "a", From: num(1), Value: 2, Client: "auto"}).Value; !equal(got, num(1)) {
			t.Errorf("cas saw %s", show(got))
		}
		if op := commandAt(t, c.nodes[0], first+1).Op; (op == opCAS) != (bug == "") {
			t.Errorf("the log has a %s", op)
		}
	})
	bothWays(t, DequeueOutsideLog, func(t *testing.T, bug Bug) {
		c := startCluster(t, 1, withBug(bug))
		c.must(PathQueueEnqueue, Request{Key: "a", Value: 7, Client: "auto"})
		first, err := c.nodes[0].logs.LastIndex()
		if err != nil {
			t.Fatal(err)
		}
		if got := c.must(PathQueueDequeue, Request{Key: "a", Client: "auto"}).Value; !equal(got, num(7)) {
			t.Errorf("dequeued %s", show(got))
		}
		if op := commandAt(t, c.nodes[0], first+1).Op; (op == opDequeue) != (bug == "") {
			t.Errorf("the log has a %s", op)
		}
		if got := c.must(PathQueueDequeue, Request{Key: "a", Client: "auto"}).Value; got != nil {
			t.Errorf("dequeued %s from an empty queue", show(got))
		}
	})
}

// A transaction is one entry of the log, and what it answers is what that entry did.
func TestBugsOfTransactions(t *testing.T) {
	t.Parallel()
	steps := []Micro{{F: MicroAppend, Key: "a", Value: 1}, {F: MicroRead, Key: "a"}}
	bothWays(t, TornTransaction, func(t *testing.T, bug Bug) {
		c := startCluster(t, 1, withBug(bug))
		c.must(PathCounterAdd, Request{Key: "a", Client: "auto"})
		first, err := c.nodes[0].logs.LastIndex()
		if err != nil {
			t.Fatal(err)
		}
		if got := c.must(PathTxn, Request{Txn: steps, Client: "auto"}).Txn; len(got) != 2 || !slices.Equal(got[1].List, []int64{1}) {
			t.Errorf("answered %+v", got)
		}
		last, err := c.nodes[0].logs.LastIndex()
		if err != nil {
			t.Fatal(err)
		}
		if torn := last-first == 2; torn != (bug != "") {
			t.Errorf("the transaction is %d entries", last-first)
		}
	})
	bothWays(t, ReadsOutsideLog, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, func(cfg *testConfig) {
			cfg.Bug, cfg.Heartbeat, cfg.Election, cfg.Lease = bug, 2*time.Second, 2*time.Second, 2*time.Second
		})
		c.must(PathTxn, Request{Txn: steps, Client: "auto"})
		l := c.leader()
		c.isolate(l) // so that two transactions are under way at a time
		last := l.Status().Last
		answers := make(chan Response, 2)
		for i := range 2 {
			go func() {
				r, _ := c.post(l, PathTxn, Request{Txn: []Micro{{F: MicroRead, Key: "a"}, {F: MicroAppend, Key: "a", Value: int64(2 + i)}}, Client: fmt.Sprint("x", i), Seq: 1, Timeout: 10_000})
				answers <- r
			}()
		}
		eventually(t, "both are proposed", func() bool { return l.Status().Last >= last+2 })
		c.join(l)
		same := true
		for range 2 {
			r := <-answers
			same = same && len(r.Txn) == 2 && slices.Equal(r.Txn[0].List, []int64{1})
		}
		if same != (bug != "") {
			t.Errorf("both read the list before either appended to it: %v", same)
		}
	})
	bothWays(t, AbortedAppend, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, func(cfg *testConfig) {
			cfg.Bug, cfg.Heartbeat, cfg.Election, cfg.Lease = bug, 2*time.Second, 2*time.Second, 2*time.Second
		})
		c.must(PathTxn, Request{Txn: steps, Client: "auto"})
		l := c.leader()
		c.isolate(l)
		_, f := c.post(l, PathTxn, Request{Txn: []Micro{{F: MicroAppend, Key: "a", Value: 2}}, Client: "x", Seq: 1, Timeout: 500})
		if f == nil || (f.Happened == DidNotHappen) != (bug != "") {
			t.Errorf("a transaction that cannot commit: %+v", f)
		}
		c.join(l)
		eventually(t, "it is there all the same", func() bool {
			return len(c.must(PathTxnRead, Request{Txn: []Micro{{F: MicroRead, Key: "a"}}}).Txn[0].List) == 2
		})
	})
}

// What a transaction reads it reads at one moment.
func TestBugFracturedRead(t *testing.T) {
	t.Parallel()
	bothWays(t, FracturedRead, func(t *testing.T, bug Bug) {
		c := startCluster(t, 1, withBug(bug))
		c.must(PathTxnRead, Request{Txn: []Micro{{F: MicroRead, Key: "a"}}}) // from here on nothing has to wait
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for i := int64(1); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				c.post(c.nodes[0], PathTxn, Request{Txn: []Micro{{F: MicroAppend, Key: "a", Value: i}, {F: MicroAppend, Key: "b", Value: i}}, Client: "w", Seq: uint64(i)})
			}
		}()
		defer func() {
			close(stop)
			<-stopped
		}()
		apart := func() bool {
			got := c.must(PathTxnRead, Request{Txn: []Micro{{F: MicroRead, Key: "a"}, {F: MicroRead, Key: "b"}}}).Txn
			return !slices.Equal(got[0].List, got[1].List)
		}
		// The clock stands still while the writer is at work, so tries are counted.
		tries := 200
		if bug != "" {
			tries = 10_000
		}
		fractured := false
		for i := 0; i < tries && !fractured; i++ {
			fractured = apart()
		}
		if fractured != (bug != "") {
			t.Errorf("it read two lists at two moments: %v", fractured)
		}
	})
}

func commandAt(t *testing.T, n *testNode, index uint64) command {
	t.Helper()
	var l raft.Log
	if err := n.logs.GetLog(index, &l); err != nil {
		t.Fatal(err)
	}
	c, err := decodeCommand(l.Data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Retry is longer than a commit and shorter than the lease: a leader that is
// cut off for a moment proposes twice and commits both.
func TestBugDoubleApply(t *testing.T) {
	t.Parallel()
	bothWays(t, DoubleApply, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, func(cfg *testConfig) {
			cfg.Bug, cfg.Retry = bug, 20*time.Millisecond
			cfg.Heartbeat, cfg.Election, cfg.Lease = 2*time.Second, 2*time.Second, 2*time.Second
		})
		c.must(PathCounterAdd, Request{Key: "a", Value: 0, Client: "auto"})
		l := c.leader()
		c.isolate(l)
		last := l.Status().Last
		done := make(chan *Failure, 1)
		go func() {
			_, f := c.post(l, PathCounterAdd, Request{Key: "a", Value: 1, Client: "auto"})
			done <- f
		}()
		eventually(t, "proposed twice", func() bool { return l.Status().Last >= last+2 })
		c.join(l)
		if f := <-done; f != nil {
			t.Fatal(f)
		}
		want := int64(1)
		if bug != "" {
			want = 2
		}
		eventually(t, "the counter is as it should be", func() bool {
			return equal(c.must(PathCounterRead, Request{Key: "a"}).Value, &want)
		})
	})
}

func TestBugsOfRestart(t *testing.T) {
	t.Parallel()
	for _, bug := range []Bug{"", ForgottenVote, LostLog} {
		t.Run(string(bug), func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				c := startCluster(t, 3, func(cfg *testConfig) { cfg.Bug, cfg.SnapshotThreshold = bug, 1000 })
				for i := range 5 {
					c.must(PathSetAdd, Request{Key: "s", Value: int64(i), Client: "auto"})
				}
				c.agree()
				n := c.follower()
				before := n.Status()
				c.stop(n)
				// Started alone, it has only what it kept.
				others := c.nodes
				c.nodes = []*testNode{n}
				c.start(n)
				after := n.Status()
				if forgot := after.Term < before.Term; forgot != (bug == ForgottenVote) {
					t.Errorf("term %d after %d", after.Term, before.Term)
				}
				if lost := after.Last < before.Last; lost != (bug == LostLog) {
					t.Errorf("log up to %d after %d", after.Last, before.Last)
				}
				c.nodes = others
				c.join(n)
				c.agree()
			})
		})
	}
}

// hooked is a transport that shows whether raft gave it the handler that
// takes heartbeats past the main loop.
type hooked struct {
	raft.Transport
	handler func(raft.RPC)
}

func (h *hooked) SetHeartbeatHandler(fn func(raft.RPC)) { h.handler = fn }

func (h *hooked) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return h.Transport.(raft.WithPreVote).RequestPreVote(id, to, req, resp)
}

// hashicorp/raft#695: a heartbeat of a later term that is handled beside the
// main loop lets the deposed leader append an entry of that term, which
// another node leads.
func TestFastHeartbeat(t *testing.T) {
	virtually(t, func(t *testing.T) {
		hooks := map[string]*hooked{}
		c := startCluster(t, 3, func(cfg *testConfig) {
			cfg.FastHeartbeat, cfg.Lease, cfg.Heartbeat, cfg.Election = true, time.Second, time.Second, time.Second
			cfg.wrap = func(id string, tr raft.Transport) raft.Transport {
				hooks[id] = &hooked{Transport: tr}
				return hooks[id]
			}
		})
		c.must(PathRegisterWrite, Request{Key: "a", Value: 1, Client: "auto"})
		l, other := c.leader(), c.follower()
		c.isolate(l)
		term := l.Status().Term + 7
		synctest.Wait() // the main loop is in its select, and stays there until the proposal
		answer := make(chan raft.RPCResponse, 1)
		hooks[l.peer.Name].handler(raft.RPC{RespChan: answer, Command: &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte(other.peer.Name), Addr: []byte(other.peer.Addr)},
			Term:      term,
		}})
		<-answer
		l.raft.Apply(command{Op: opWrite, Key: "a", Value: 2}.encode(), time.Second)
		eventually(t, "the deposed leader appends an entry of a term that another node leads", func() bool {
			last, err := l.logs.LastIndex()
			if err != nil {
				t.Fatal(err)
			}
			var e raft.Log
			return l.logs.GetLog(last, &e) == nil && e.Term == term
		})
	})
}

// Otherwise raft's handler never reaches the transport.
func TestHeartbeatsTakeTheMainLoop(t *testing.T) {
	_, inmem := raft.NewInmemTransport("n1:7000")
	for _, fast := range []bool{false, true} {
		h := &hooked{Transport: inmem}
		newTransport(h, fast).SetHeartbeatHandler(func(raft.RPC) {})
		if (h.handler != nil) != fast {
			t.Errorf("fast %v: handler set: %v", fast, h.handler != nil)
		}
	}
}

func TestAcknowledged(t *testing.T) {
	virtually(t, testAcknowledged)
}

func testAcknowledged(t *testing.T) {
	tr := newTransport(nil, false)
	note := func(id raft.ServerID, term, sent uint64) {
		tr.mu.Lock()
		tr.acks[id] = ackAt{term, sent}
		tr.mu.Unlock()
		tr.fresh.fire()
	}
	asked := tr.now()
	note("n2", 5, asked-1) // before the question
	note("n3", 4, asked+9) // another term
	note("n4", 5, asked+9)
	two := func(has func(raft.ServerID) bool) bool {
		n := 0
		for _, id := range []raft.ServerID{"n2", "n3", "n4"} {
			if has(id) {
				n++
			}
		}
		return n >= 2
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if tr.acknowledged(ctx, 5, asked, two) == nil {
		t.Error("one fresh acknowledgement is taken for two")
	}
	done := make(chan error, 1)
	go func() { done <- tr.acknowledged(t.Context(), 5, asked, two) }()
	synctest.Wait() // it waits
	note("n2", 5, asked+10)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBugStuckTransfer(t *testing.T) {
	t.Parallel()
	bothWays(t, StuckTransfer, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, func(cfg *testConfig) { cfg.Bug = bug })
		c.write(1)
		l := c.leader()
		var tr Transferred
		if f := c.admin(l, PathTransfer, TransferRequest{To: l.peer.Name}, &tr); f != nil || tr.Refused == "" {
			t.Fatalf("%+v, %+v, want a refusal", tr, f)
		}
		_, f := c.post(l, PathCounterAdd, Request{Key: "a", Value: 1, Client: "x", Seq: 1})
		if stuck := f != nil && f.Reason == raft.ErrLeadershipTransferInProgress.Error(); stuck != (bug != "") {
			t.Errorf("a write after a transfer that failed: %+v", f)
		}
	})
}

func TestBugShutdownOnRemove(t *testing.T) {
	t.Parallel()
	bothWays(t, ShutdownOnRemove, func(t *testing.T, bug Bug) {
		c := startCluster(t, 3, func(cfg *testConfig) { cfg.Bug = bug })
		c.write(1)
		old := c.leader()
		c.member(old, Absent)
		eventually(t, "another leader", func() bool { return c.leader() != old })
		want := "follower"
		if bug != "" {
			want = "shutdown"
		}
		if role := old.Status().Role; role != want {
			t.Errorf("the leader that was removed is a %s, want %s", role, want)
		}
	})
}
