//go:build !raft_before_1.3.0

package simulated

import (
	"time"

	"github.com/hashicorp/raft"
)

// What hashicorp/raft has had since 1.3.0, or some release shortly before.

// logExtras are the fields of an entry that not every release has.
func logExtras(l *raft.Log) (appended *time.Time, extensions *[]byte) {
	return &l.AppendedAt, &l.Extensions
}
