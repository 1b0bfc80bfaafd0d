package raftnode

import (
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"

	"coup/cluster/raftnode/simulated"
	"coup/cluster/sim/guest"
)

// openDisk opens the data directory: one file for the log, the term and the
// vote, and a directory of snapshots.
func openDisk(dir string, bug Bug, logger hclog.Logger) (*disk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	w, err := simulated.OpenWAL(dir, guest.Sync, simulated.Flaws{
		TornWrite: bug.is(TornWrite), NoSync: bug.is(NoSync), IgnoredSyncError: bug.is(IgnoredSyncError),
	})
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	snapshots, err := openSnapshots(dir, logger)
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	if err := intact(snapshots); err != nil {
		w.Close()
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	return newDisk(w, w, snapshots, w.Close), nil
}
