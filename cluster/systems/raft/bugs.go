package raft

import (
	"coup/cluster"
	"coup/cluster/raftnode"
)

// exposes says, for each planted bug, under which workload and faults it shows
// best.
var exposes = map[raftnode.Bug]struct {
	workload string
	nemesis  []string
}{
	raftnode.StaleLeaderRead:      {"register", []string{"partition:leader"}},
	raftnode.FollowerRead:         {"register", []string{"partition:follower"}},
	raftnode.EarlyLeaderRead:      {"register", []string{"kill:leader", "pause:leader"}},
	raftnode.DirtyRead:            {"register", []string{"partition:leader"}},
	raftnode.EarlyAck:             {"set", []string{"partition:leader"}},
	raftnode.FalseFail:            {"register", []string{"pause:leader", "oneway:leader"}},
	raftnode.CASOutsideLog:        {"register", []string{"kill:leader"}},
	raftnode.DequeueOutsideLog:    {"queue", []string{"kill:leader"}},
	raftnode.DoubleApply:          {"queue", []string{"pause:leader", "loss:majority"}},
	raftnode.LocalClockApply:      {"set", []string{"kill:follower", "kill:leader"}},
	raftnode.ForgottenVote:        {"register", []string{"kill:all"}},
	raftnode.LostLog:              {"set", []string{"kill:majority", "kill:all"}},
	raftnode.NoSync:               {"set", []string{"crash:all", "crash:majority"}},
	raftnode.TornWrite:            {"set", []string{"crash:follower", "crash:minority", "slow-disk:all"}},
	raftnode.IgnoredSyncError:     {"set", []string{"failing-disk:all", "crash:all"}},
	raftnode.LeaseWallClock:       {"register", []string{"partition:leader", "clock-jump:all"}},
	raftnode.ShortSnapshot:        {"set", []string{"kill:leader", "kill:follower"}},
	raftnode.StickyRestore:        {"set", []string{"partition:follower"}},
	raftnode.TornTransaction:      {"list-append", []string{"kill:leader"}},
	raftnode.FracturedRead:        {"list-append", []string{"kill:leader"}},
	raftnode.ReadsOutsideLog:      {"list-append", []string{"kill:leader"}},
	raftnode.AbortedAppend:        {"list-append", []string{"loss:majority", "pause:leader"}},
	raftnode.StuckTransfer:        {"register", []string{"transfer:random", "transfer:random", "pause:follower", "kill:follower"}},
	raftnode.ShutdownOnRemove:     {"register", []string{"membership:leader"}},
	raftnode.TornObject:           {"storage", []string{"kill:leader"}},
	raftnode.FracturedObject:      {"storage", []string{"kill:leader"}},
	raftnode.CopyRename:           {"storage", []string{"kill:leader"}},
	raftnode.StaleAppend:          {"storage", []string{"pause:follower", "kill:leader"}},
	raftnode.StaleList:            {"storage", []string{"partition:follower"}},
	raftnode.FillWithoutLease:     {"cache", []string{"kill:leader"}},
	raftnode.LateFill:             {"cache", []string{"kill:leader"}},
	raftnode.RestartedTTL:         {"cache", []string{"kill:leader", "partition:leader"}},
	raftnode.CacheFollower:        {"cache", []string{"partition:follower"}},
	raftnode.CacheWallClock:       {"cache", []string{"clock-jump:all"}},
	raftnode.UnfencedFinish:       {"tasks", []string{"kill:leader"}},
	raftnode.EarlyRequeue:         {"tasks", []string{"kill:leader"}},
	raftnode.FinishBeforeCommit:   {"tasks", []string{"partition:leader"}},
	raftnode.LeaseLocalClock:      {"tasks", []string{"kill:leader", "partition:follower"}},
	raftnode.DependencyOutsideLog: {"tasks", []string{"kill:leader"}},
	raftnode.AckBeforeCommit:      {"deliveries", []string{"partition:leader"}},
	raftnode.RedeliveryAtTail:     {"deliveries", []string{"kill:leader"}},
	raftnode.DroppedDeadLetter:    {"deliveries", []string{"kill:leader"}},
	raftnode.StaleAck:             {"deliveries", []string{"kill:leader"}},
	raftnode.FailOpen:             {"register,stranger", []string{"kill:leader"}},
	raftnode.OldTokens:            {"register,stranger", []string{"rotate:all"}},
	raftnode.AnyName:              {"register,stranger", []string{"kill:leader"}},
}

// Bugs implements cluster.System.
func (System) Bugs() []cluster.Bug {
	var out []cluster.Bug
	for _, b := range raftnode.Bugs {
		e := exposes[b.Bug]
		planted := cluster.Bug{Name: string(b.Bug), Doc: b.Doc, Workload: e.workload, Nemesis: e.nemesis}
		switch b.Bug {
		case raftnode.FailOpen, raftnode.OldTokens, raftnode.AnyName:
			planted.Settings = map[string]string{"tls": "true"}
		}
		out = append(out, planted)
	}
	return out
}
