package raftnode

import "github.com/hashicorp/raft"

// disk is what openDisk makes of the data directory of a node.
type disk struct {
	logs      raft.LogStore
	stable    raft.StableStore
	snapshots raft.SnapshotStore
	close     func() error
}

const snapshotsKept = 2
