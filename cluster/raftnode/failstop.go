package raftnode

import "github.com/hashicorp/raft"

// When a write of a store fails, nobody knows what is on the disk. But raft would go
// on, vote and acknowledge with what it has in memory. So the first error of a write
// goes to the function that runs the node, which ends the process. The write does not
// return, so raft says nothing that depends on it.

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
