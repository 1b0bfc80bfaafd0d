package raftnode

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func testFSM(t *testing.T, bug Bug) *fsm {
	t.Helper()
	em := newEmitter("n1", io.Discard)
	t.Cleanup(em.close)
	return newFSM(bug, em, 0)
}

func applyN(f *fsm, from, to uint64) {
	for i := from; i <= to; i++ {
		f.Apply(&raft.Log{Index: i, Term: 1, Data: command{Op: opSetAdd, Key: "s", Value: int64(i)}.encode()})
	}
}

type sink struct{ bytes.Buffer }

func (*sink) ID() string    { return "test" }
func (*sink) Cancel() error { return nil }
func (*sink) Close() error  { return nil }

func snapshot(t *testing.T, f *fsm) []byte {
	t.Helper()
	snap, err := f.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var s sink
	if err := snap.Persist(&s); err != nil {
		t.Fatal(err)
	}
	return s.Bytes()
}

func restore(t *testing.T, f *fsm, image []byte) {
	t.Helper()
	if err := f.Restore(io.NopCloser(bytes.NewReader(image))); err != nil {
		t.Fatal(err)
	}
}

func hashOf(f *fsm) (index uint64, hash string) {
	f.view(func(s *state) { index, hash = s.index, s.hash() })
	return index, hash
}

func TestSnapshotAndRestore(t *testing.T) {
	a, b := testFSM(t, ""), testFSM(t, "")
	applyN(a, 1, 100)
	snap, err := a.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	_, before := hashOf(a)
	applyN(a, 101, 120) // must not reach the snapshot that was taken before
	var s sink
	if err := snap.Persist(&s); err != nil {
		t.Fatal(err)
	}
	applyN(b, 1, 7) // replaced by the restore
	restore(t, b, s.Bytes())
	if index, hash := hashOf(b); index != 100 || hash != before {
		t.Errorf("restored to %d %s, want 100 %s", index, hash, before)
	}
	applyN(b, 101, 120)
	_, want := hashOf(a)
	if _, got := hashOf(b); got != want {
		t.Errorf("after the same log: %s, want %s", got, want)
	}
	if err := b.Restore(io.NopCloser(bytes.NewReader([]byte("{")))); err == nil {
		t.Error("restored from garbage")
	}
	if _, got := hashOf(b); got != want {
		t.Error("a restore that failed changed the state")
	}
}

func TestShortSnapshot(t *testing.T) {
	f, g := testFSM(t, ShortSnapshot), testFSM(t, "")
	applyN(f, 1, 100)
	restore(t, g, snapshot(t, f))
	_, full := hashOf(f)
	if index, hash := hashOf(g); index != 100 || hash == full {
		t.Errorf("restored to %d %s from a snapshot that should be short of %s", index, hash, full)
	}
	g.view(func(s *state) {
		if n := len(s.sets["s"]); n != 96 {
			t.Errorf("the snapshot holds %d elements, want 96", n)
		}
	})
}

func TestStickyRestore(t *testing.T) {
	leader, f, fresh := testFSM(t, ""), testFSM(t, StickyRestore), testFSM(t, StickyRestore)
	applyN(leader, 1, 100)
	applyN(f, 1, 50)
	image := snapshot(t, leader)
	restore(t, f, image)
	restore(t, fresh, image)
	_, want := hashOf(leader)
	if index, got := hashOf(f); index != 100 || got == want {
		t.Errorf("a running node took the snapshot at %d whole", index)
	}
	if _, got := hashOf(fresh); got != want {
		t.Error("a node that starts did not take the snapshot whole")
	}
}

func TestLocalClockApply(t *testing.T) {
	old := command{Op: opWrite, Key: "r", Value: 1, At: time.Now().Add(-time.Minute).UnixNano()}
	for _, bug := range []Bug{"", LocalClockApply} {
		f := testFSM(t, bug)
		r := f.Apply(&raft.Log{Index: 1, Term: 1, Data: old.encode()}).(result)
		if skipped := r.Refused == refusedExpired; skipped != (bug == LocalClockApply) {
			t.Errorf("bug %q: %+v", bug, r)
		}
		fresh := old
		fresh.At = time.Now().UnixNano()
		if r := f.Apply(&raft.Log{Index: 2, Term: 1, Data: fresh.encode()}).(result); r.Refused != "" {
			t.Errorf("bug %q: a fresh command was refused", bug)
		}
	}
}

func TestGarbageInTheLog(t *testing.T) {
	f := testFSM(t, "")
	if r := f.Apply(&raft.Log{Index: 3, Term: 1, Data: []byte("{")}).(result); r.Refused != refusedOp {
		t.Errorf("garbage gave %+v", r)
	}
	if index, _ := hashOf(f); index != 3 {
		t.Errorf("position %d after garbage at 3", index)
	}
}

func TestWaitForIndex(t *testing.T) {
	f := testFSM(t, "")
	done := make(chan error, 1)
	go func() { done <- f.wait(context.Background(), 5) }()
	applyN(f, 1, 5)
	if err := <-done; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.wait(ctx, 6); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for ever ended with %v", err)
	}
}

func TestRejected(t *testing.T) {
	for _, c := range []struct {
		err   error
		index uint64
		want  bool
	}{
		{raft.ErrNotLeader, 0, true},
		{raft.ErrLeadershipTransferInProgress, 0, true},
		{raft.ErrEnqueueTimeout, 0, true},
		{raft.ErrRaftShutdown, 0, true},
		{raft.ErrRaftShutdown, 7, false}, // it was committed
		{raft.ErrLeadershipLost, 7, false},
		{raft.ErrAbortedByRestore, 7, false},
		{errors.New("disk full"), 7, false},
	} {
		if got := rejected(c.err, c.index); got != c.want {
			t.Errorf("%v at %d: rejected %v, want %v", c.err, c.index, got, c.want)
		}
	}
}

// What a node postpones is applied by an entry of a term that it leads, by a
// full batch, and before a snapshot.
func TestEarlyLeaderReadPostpones(t *testing.T) {
	f := testFSM(t, EarlyLeaderRead)
	at := func(want uint64) {
		t.Helper()
		if got, _ := f.position(); got != want {
			t.Errorf("applied up to %d, want %d", got, want)
		}
	}
	applyN(f, 1, 10)
	at(0)
	f.led.Store(1)
	applyN(f, 11, 12)
	at(12)
	f.led.Store(0)
	applyN(f, 13, 13+lazyBatch)
	at(13 + lazyBatch)
	applyN(f, 14+lazyBatch, 20+lazyBatch)
	at(13 + lazyBatch)
	image := snapshot(t, f)
	at(20 + lazyBatch)
	g := testFSM(t, "")
	restore(t, g, image)
	all := testFSM(t, "")
	applyN(all, 1, 20+lazyBatch)
	_, want := hashOf(all)
	if _, got := hashOf(g); got != want {
		t.Error("a snapshot misses what was postponed")
	}
	applyN(f, 21+lazyBatch, 22+lazyBatch)
	restore(t, f, image)
	f.mu.Lock()
	f.catchUp()
	f.mu.Unlock()
	at(20 + lazyBatch)
}
