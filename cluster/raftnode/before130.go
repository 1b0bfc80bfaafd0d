//go:build raft_before_1.3.0

package raftnode

import (
	"fmt"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// Instead of since130.go, for releases of hashicorp/raft before that.

// encodeConfiguration encodes members as raft itself would for an empty log.
func encodeConfiguration(c raft.Configuration) ([]byte, error) {
	store := raft.NewInmemStore()
	_, trans := raft.NewInmemTransport("")
	conf := raft.DefaultConfig()
	conf.LocalID = "nobody"
	conf.Logger = hclog.NewNullLogger()
	if err := raft.BootstrapCluster(conf, store, store, raft.NewDiscardSnapshotStore(), trans, c); err != nil {
		return nil, err
	}
	var l raft.Log
	if err := store.GetLog(1, &l); err != nil {
		return nil, fmt.Errorf("the configuration that was just stored: %w", err)
	}
	return l.Data, nil
}

func openSnapshots(dir string, logger hclog.Logger) (raft.SnapshotStore, error) {
	return raft.NewFileSnapshotStore(dir, snapshotsKept, logger.StandardWriter(&hclog.StandardLoggerOptions{}))
}
