//go:build raft_before_1.3.0

package simulated

import (
	"time"

	"github.com/hashicorp/raft"
)

// Instead of since130.go, for releases of hashicorp/raft before that.

// logExtras are fields that the entries of these releases don't have, or that
// nobody sets.
func logExtras(*raft.Log) (appended *time.Time, extensions *[]byte) {
	return new(time.Time), new([]byte)
}
