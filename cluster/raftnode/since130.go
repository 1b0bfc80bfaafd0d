//go:build !raft_before_1.3.0

package raftnode

import (
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// What hashicorp/raft has had since 1.3.0, or some release shortly before.

func encodeConfiguration(c raft.Configuration) ([]byte, error) {
	return raft.EncodeConfiguration(c), nil
}

func openSnapshots(dir string, logger hclog.Logger) (raft.SnapshotStore, error) {
	return raft.NewFileSnapshotStoreWithLogger(dir, snapshotsKept, logger)
}
