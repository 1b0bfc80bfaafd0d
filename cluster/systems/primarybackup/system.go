// Package primarybackup is the bundled node with the replication that many home-made
// services have: a primary that copies its log to backups after it has answered, no
// election, and a person who promotes a backup when the primary is gone. It is there to
// be compared with consensus: the same API, the same client, the same faults. Start with
// [System].
package primarybackup

import (
	"context"
	"fmt"
	"slices"
	"time"

	"coup/cluster"
	"coup/cluster/raftnode"
	"coup/cluster/systems/raft"
	"coup/harness"
)

// System is primary and backups. All but the replication is [raft.System].
type System struct{}

// settings become flags of the node.
var settings = []string{"copies", "heartbeat", "retry", "task-lease", "ack-timeout", "state-every", "log-level"}

// Name implements cluster.System.
func (System) Name() string { return "primary-backup" }

// Check implements cluster.System.
func (s System) Check(o cluster.Options) error {
	if o.Bug != "" {
		return fmt.Errorf("system primary-backup has no planted bugs: it needs none")
	}
	if err := o.CheckSettings("primary-backup", settings...); err != nil {
		return err
	}
	if err := (raft.System{}).Check(cluster.Options{Version: o.Version, Reads: o.Reads}); err != nil {
		return err
	}
	three := []cluster.Node{{Name: "n1", Host: "n1"}, {Name: "n2", Host: "n2"}, {Name: "n3", Host: "n3"}}
	return raft.CheckArguments(s.Pod(three[0], three, o).Containers[0].Args)
}

// Pod implements cluster.System.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	pod := raft.System{}.Pod(node, all, o)
	args := append(pod.Containers[0].Args, "--replication="+raftnode.ByPrimaryBackup)
	if copies := o.Settings["copies"]; copies != "" {
		args = append(args, "--copies="+copies)
	}
	pod.Containers[0].Name, pod.Containers[0].Args = "backup", args
	pod.Sealed = nil
	return pod
}

// Open implements cluster.System.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	return raft.System{}.Open(a, node, o)
}

// Tells implements cluster.Informer.
func (System) Tells() harness.Facts {
	return slices.DeleteFunc(raft.System{}.Tells(), func(f harness.Fact) bool { return f == harness.HeartbeatFact })
}

// Status implements cluster.Informer.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	return raft.System{}.Status(ctx, a, node)
}

// Event implements cluster.EventReader.
func (System) Event(node string, line []byte) (harness.Event, time.Time, bool) {
	return raft.System{}.Event(node, line)
}

// Timing implements cluster.Timed. A failover takes as long as a person does.
func (System) Timing(cluster.Options) cluster.Timing {
	return cluster.Timing{Failover: 6 * time.Second}
}

// Loses implements cluster.Lossy.
func (System) Loses(o cluster.Options) string {
	if o.Settings["copies"] != "" && o.Settings["copies"] != "0" {
		return "a primary that was cut off goes on answering until it hears of the one that was promoted, and a promotion may pass over the backup that has the copy"
	}
	return "the primary answers before it copies: what only it has is lost when a backup is promoted; until it hears of that there are two primaries"
}

// Promote implements cluster.Promoter.
func (System) Promote(ctx context.Context, a cluster.Access, node string, term uint64) error {
	return raft.Administer(ctx, a, node, raftnode.PathPromote, raftnode.Promotion{Epoch: term}, &raftnode.Status{})
}
