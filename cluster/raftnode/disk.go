//go:build !wasip1

package raftnode

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// openDisk opens the data directory: one bbolt file for the log, the term and
// the vote, and a directory of snapshots. Everything is synced before raft goes
// on.
func openDisk(dir string, bug Bug, logger hclog.Logger) (*disk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	bolt, err := raftboltdb.New(raftboltdb.Options{
		Path:        filepath.Join(dir, "raft.db"),
		BoltOptions: &bbolt.Options{Timeout: time.Second},
		NoSync:      bug.is(NoSync),
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("data directory %s: another process uses it", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	snapshots, err := openSnapshots(dir, logger)
	if err != nil {
		bolt.Close()
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	if err := intact(snapshots); err != nil {
		bolt.Close()
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	return newDisk(bolt, bolt, snapshots, bolt.Close), nil
}
