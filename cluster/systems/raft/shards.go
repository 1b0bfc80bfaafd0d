package raft

import (
	"fmt"
	"strconv"

	"coup/cluster"
	"coup/cluster/raftnode"
)

var _ cluster.Sharded = System{}

// shardsOf is the setting shards; 1 if it is not set or makes no sense.
func shardsOf(o cluster.Options) int {
	n, err := strconv.Atoi(o.Settings["shards"])
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// Shards implements cluster.Sharded.
func (System) Shards(o cluster.Options) int { return shardsOf(o) }

// ShardOf implements cluster.Sharded.
func (System) ShardOf(key string, o cluster.Options) int { return raftnode.ShardOf(key, shardsOf(o)) }

// byKey is a client of nodes with several shards. It has no transactions: those are about
// objects of several shards, and no log puts them in order.
type byKey struct {
	cluster.Conn
	cluster.Register
	cluster.Set
	cluster.Queue
	cluster.Counter
	cluster.Tasks
	cluster.Deliveries
	cluster.Storage
	cluster.Cache
}

// sharded adds what a pod needs for its shards: a port for each group, and a directory of
// each below that of the data.
func sharded(o cluster.Options, pod cluster.Pod) cluster.Pod {
	n := shardsOf(o)
	if n == 1 {
		return pod
	}
	for shard := 2; shard <= n; shard++ {
		pod.Ports = append(pod.Ports, cluster.Port{Name: fmt.Sprintf("peers-%d", shard), Number: peerPort + shard - 1, Peers: true})
	}
	for i, pattern := range pod.Sealed {
		pod.Sealed[i] = "shard-*/" + pattern
	}
	return pod
}

var (
	_ cluster.Register   = byKey{}
	_ cluster.Set        = byKey{}
	_ cluster.Queue      = byKey{}
	_ cluster.Counter    = byKey{}
	_ cluster.Tasks      = byKey{}
	_ cluster.Deliveries = byKey{}
	_ cluster.Storage    = byKey{}
	_ cluster.Cache      = byKey{}
)
