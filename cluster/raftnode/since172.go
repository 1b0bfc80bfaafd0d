//go:build !raft_before_1.7.2

package raftnode

import "github.com/hashicorp/raft"

// What hashicorp/raft has had since 1.7.2, or some release shortly before.

func currentTerm(r *raft.Raft) uint64 { return r.CurrentTerm() }

func commitIndex(r *raft.Raft) uint64 { return r.CommitIndex() }

// plain switches off what the node has no use for.
func plain(c *raft.Config) { c.NoLegacyTelemetry = true }
