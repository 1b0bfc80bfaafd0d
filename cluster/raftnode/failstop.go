package raftnode

import "github.com/hashicorp/raft"

// A store that could not write leaves nobody knowing what is on the disk: raft
// would go on, vote and acknowledge with what it has in memory. So the first
// error of a write is handed to who runs the node, which ends the process; the
// write does not return, and nothing that raft would have said after it is said.

func failStop(failed chan<- error, err error) error {
	if err == nil {
		return nil
	}
	select {
	case failed <- err:
	default: // it is ending already
	}
	select {}
}

// failStopLogs is a store of the log whose writes succeed, or end the node.
type failStopLogs struct {
	raft.LogStore
	failed chan<- error
}

// StoreLog implements raft.LogStore.
func (s failStopLogs) StoreLog(l *raft.Log) error { return failStop(s.failed, s.LogStore.StoreLog(l)) }

// StoreLogs implements raft.LogStore.
func (s failStopLogs) StoreLogs(all []*raft.Log) error {
	return failStop(s.failed, s.LogStore.StoreLogs(all))
}

// DeleteRange implements raft.LogStore.
func (s failStopLogs) DeleteRange(lo, hi uint64) error {
	return failStop(s.failed, s.LogStore.DeleteRange(lo, hi))
}

// failStopStable is a store of term and vote whose writes succeed, or end the node.
type failStopStable struct {
	raft.StableStore
	failed chan<- error
}

// Set implements raft.StableStore.
func (s failStopStable) Set(key, v []byte) error {
	return failStop(s.failed, s.StableStore.Set(key, v))
}

// SetUint64 implements raft.StableStore.
func (s failStopStable) SetUint64(key []byte, v uint64) error {
	return failStop(s.failed, s.StableStore.SetUint64(key, v))
}
