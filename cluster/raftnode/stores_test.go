package raftnode

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

func TestIntact(t *testing.T) {
	dir := t.TempDir()
	store, err := raft.NewFileSnapshotStore(dir, snapshotsKept, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := intact(store); err != nil {
		t.Errorf("without a snapshot: %v", err)
	}
	_, trans := raft.NewInmemTransport("")
	ids := make([]string, 2)
	for i := range ids {
		sink, err := store.Create(1, uint64(10+i), 1, raft.Configuration{}, 1, trans)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sink.Write([]byte("a state")); err != nil {
			t.Fatal(err)
		}
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
		ids[i] = sink.ID()
	}
	flip := func(id string) {
		name := filepath.Join(dir, "snapshots", id, "state.bin")
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[3] ^= 4
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	flip(ids[0])
	if err := intact(store); err != nil {
		t.Errorf("the newest is whole: %v", err)
	}
	flip(ids[1])
	if err := intact(store); err == nil || !strings.Contains(err.Error(), ids[1]) {
		t.Errorf("the newest is damaged: %v", err)
	}
}
