package raftnode

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// lone is a node of primary-backup replication called n2, of which nobody hears: n1 is the
// primary of epoch 1.
func lone(t *testing.T, store *raft.InmemStore) *backup {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unreached := func(context.Context, Peer) (net.Conn, error) { return nil, io.ErrClosedPipe }
	b, err := startBackup(Config{
		ID: "n2", Peers: []Peer{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}}, Logs: store, Stable: store,
		Listener: listener, Dial: unreached, Settings: DefaultSettings(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func added(epoch uint64, v int64) entry {
	return entry{epoch, command{Op: opSetAdd, Key: "k", Value: v}.encode()}
}

func (b *backup) elements() (all []int64) {
	b.fsm.view(func(s *state) { all = s.set("k") })
	return all
}

func TestABackupTakesCopies(t *testing.T) {
	store := raft.NewInmemStore()
	b := lone(t, store)
	for _, c := range []struct {
		name string
		m    copies
		want copied
		has  []int64
	}{
		{"the first entries", copies{Epoch: 1, Primary: "n1", Entries: []entry{added(1, 1), added(1, 2)}}, copied{true, 1, "n1", 2}, []int64{1, 2}},
		{"some of them again", copies{Epoch: 1, Primary: "n1", Prev: 1, PrevEpoch: 1, Entries: []entry{added(1, 2), added(1, 3)}}, copied{true, 1, "n1", 3}, []int64{1, 2, 3}},
		{"none", copies{Epoch: 1, Primary: "n1", Prev: 3, PrevEpoch: 1}, copied{true, 1, "n1", 3}, []int64{1, 2, 3}},
		{"a gap", copies{Epoch: 1, Primary: "n1", Prev: 7, PrevEpoch: 1, Entries: []entry{added(1, 8)}}, copied{false, 1, "n1", 3}, []int64{1, 2, 3}},
		{"a new primary with another past", copies{Epoch: 2, Primary: "n3", Prev: 3, PrevEpoch: 2}, copied{false, 2, "n3", 2}, []int64{1, 2, 3}},
		{"what it has instead", copies{Epoch: 2, Primary: "n3", Prev: 1, PrevEpoch: 1, Entries: []entry{added(2, 20)}}, copied{true, 2, "n3", 2}, []int64{1, 20}},
		{"the old primary", copies{Epoch: 1, Primary: "n1", Prev: 3, PrevEpoch: 1, Entries: []entry{added(1, 4)}}, copied{false, 2, "n3", 2}, []int64{1, 20}},
		{"another primary of the same epoch", copies{Epoch: 2, Primary: "n1", Prev: 2, PrevEpoch: 2, Entries: []entry{added(2, 5)}}, copied{false, 2, "n3", 2}, []int64{1, 20}},
	} {
		got, err := b.receive(c.m)
		if err != nil || got != c.want || !slices.Equal(b.elements(), c.has) {
			t.Fatalf("%s: %+v, %v, and it holds %v; want %+v and %v", c.name, got, err, b.elements(), c.want, c.has)
		}
	}
	again := lone(t, store) // after a restart
	if s := again.Status(); !slices.Equal(again.elements(), []int64{1, 20}) || s.Term != 2 || s.Last != 2 || s.Commit != 2 || s.Leader != "" || s.Hash != b.Status().Hash {
		t.Errorf("after a restart it holds %v: %+v", again.elements(), s)
	}
}

func TestABackupIsPromoted(t *testing.T) {
	b := lone(t, raft.NewInmemStore())
	ask := func(path, reads string) (Response, *Failure) {
		i := slices.IndexFunc(operations, func(o operation) bool { return o.name == path })
		return b.do(t.Context(), Request{Key: "k", Value: 7, Reads: reads}, operations[i])
	}
	if _, f := ask(PathSetAdd, ""); f == nil || f.Happened != DidNotHappen {
		t.Errorf("a backup adds: %+v", f)
	}
	if _, f := ask(PathSetRead, Stale); f != nil {
		t.Errorf("a stale read at a backup: %+v", f)
	}
	if f := b.promote(Promotion{Epoch: 1}); f == nil || f.Happened != DidNotHappen {
		t.Errorf("promoted in the epoch of another: %+v", f)
	}
	if f := b.promote(Promotion{Epoch: 5}); f != nil {
		t.Fatalf("not promoted: %+v", f)
	}
	if _, f := ask(PathSetAdd, ""); f != nil {
		t.Errorf("the primary does not add: %+v", f)
	}
	if r, f := ask(PathSetRead, ""); f != nil || !slices.Equal(r.Values, []int64{7}) {
		t.Errorf("the primary reads %v, %+v", r.Values, f)
	}
	if s := b.Status(); s.Role != "leader" || s.Leader != "n2" || s.Term != 5 {
		t.Errorf("%+v", s)
	}
}

// With copies, a write that no backup has is not answered.
func TestAPrimaryWaitsForCopies(t *testing.T) {
	b := lone(t, raft.NewInmemStore())
	b.cfg.Copies = 1
	if f := b.promote(Promotion{Epoch: 2}); f != nil {
		t.Fatal(f)
	}
	write := operations[slices.IndexFunc(operations, func(o operation) bool { return o.name == PathSetAdd })]
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, f := b.do(ctx, Request{Key: "k", Value: 1}, write); f == nil || f.Happened != Unknown || !strings.Contains(f.Reason, "copy") {
		t.Errorf("without a backup: %+v", f)
	}
	answered := make(chan *Failure)
	go func() {
		_, f := b.do(t.Context(), Request{Key: "k", Value: 2}, write)
		answered <- f
	}()
	for b.Status().Last < 2 {
		time.Sleep(time.Millisecond)
	}
	b.mu.Lock()
	b.copied["n3"] = 2
	b.mu.Unlock()
	b.changed.fire()
	if f := <-answered; f != nil {
		t.Errorf("with a copy: %+v", f)
	}
}

func TestPrimaryBackupArguments(t *testing.T) {
	args := []string{"--id=n1", "--peers=n1=a:1,n2=b:1", "--data=/d", "--replication=primary-backup"}
	if err := CheckArgs(append(args, "--copies=1")); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"--copies=2", "--copies=-1", "--replication=chain"} {
		if CheckArgs(append(args, wrong)) == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}
