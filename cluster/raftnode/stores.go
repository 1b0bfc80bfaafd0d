package raftnode

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// disk is what openDisk makes of the data directory of a node.
type disk struct {
	logs      raft.LogStore
	stable    raft.StableStore
	snapshots raft.SnapshotStore
	close     func() error
	failed    <-chan error // receives the first error of a write
}

func newDisk(logs raft.LogStore, stable raft.StableStore, snapshots raft.SnapshotStore, close func() error) *disk {
	failed := make(chan error, 1)
	return &disk{failStopLogs{logs, failed}, failStopStable{stable, failed}, snapshots, close, failed}
}

const snapshotsKept = 2

// intact returns what is wrong with the newest snapshot. Raft would silently use the
// snapshot before, and lack the entries between that one and its log.
func intact(s raft.SnapshotStore) error {
	all, err := s.List()
	if err != nil || len(all) == 0 {
		return err
	}
	_, r, err := s.Open(all[0].ID)
	if err != nil {
		return fmt.Errorf("the newest snapshot, %s, is damaged: %w", all[0].ID, err)
	}
	return r.Close()
}
