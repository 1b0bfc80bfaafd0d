//go:build raft_before_1.7.2

package raftnode

import (
	"reflect"
	"sync/atomic"
	"unsafe"

	"github.com/hashicorp/raft"
)

// Instead of since172.go, for releases of hashicorp/raft before that. They export no
// current term and commit index. Stats has them, but in the oldest releases a call of
// Stats on raft's own main loop would wait for itself. So the numbers are read from
// raft's unexported fields.

func currentTerm(r *raft.Raft) uint64 { return counter(r, "currentTerm") }

func commitIndex(r *raft.Raft) uint64 { return counter(r, "commitIndex") }

// counter reads a number that raft itself reads and writes atomically.
func counter(r *raft.Raft, name string) uint64 {
	field := reflect.ValueOf(r).Elem().FieldByName(name)
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(field.UnsafeAddr())))
}

func plain(*raft.Config) {}
