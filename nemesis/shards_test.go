package nemesis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coup/cluster"
	"coup/harness"
)

// shardedFake is a system of which the first node leads the first shard, the second the
// second, and so on.
type shardedFake struct{ fakeSystem }

func (shardedFake) Shards(cluster.Options) int                { return 3 }
func (shardedFake) ShardOf(key string, _ cluster.Options) int { return 1 }
func (s shardedFake) Statuses(ctx context.Context, a cluster.Access, node string) (all []cluster.Status, err error) {
	for shard := 1; shard <= 3; shard++ {
		one := cluster.Status{Role: "follower", Term: uint64(10 - shard), Leader: fmt.Sprint("n", shard), Shard: shard}
		if one.Leader == node {
			one.Role = "leader"
		}
		all = append(all, one)
	}
	return all, nil
}

func TestTheLeaderOfAShardIsStruck(t *testing.T) {
	f := newFake(4)
	var mu sync.Mutex
	var events []harness.Event
	n := &Nemesis{Cluster: f, System: shardedFake{fakeSystem{f}}, Shards: 3, Runtime: harness.NewRuntime(), Record: func(e harness.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}}
	hit := map[int]bool{}
	for seed := range uint64(12) {
		for _, target := range []string{Leader, Follower} {
			events = nil
			n.Run(context.Background(), []Entry{{For: time.Millisecond, Fault: "kill", Target: target, Seed: seed}})
			e := events[1]
			leader := fmt.Sprint("n", e.Shard)
			if e.Kind != harness.FaultHold || e.Shard == 0 || len(e.Nodes) != 1 || (e.Nodes[0] == leader) != (target == Leader) {
				t.Fatalf("%+v", e)
			}
			if want := fmt.Sprintf("the %s of shard %d: ", target, e.Shard); !strings.HasPrefix(e.Message, want) {
				t.Errorf("it says %q, want %q first", e.Message, want)
			}
			hit[e.Shard] = true
		}
	}
	if len(hit) != 3 {
		t.Errorf("only shards %v were struck", hit)
	}
	parts := ByShard(Statuses(context.Background(), n.Runtime, n.System, f))
	if len(parts) != 3 || !slices.IsSortedFunc(parts, func(a, b []cluster.Status) int { return a[0].Shard - b[0].Shard }) || len(parts[0]) != 4 {
		t.Errorf("parts %v", parts)
	}
	if err := needsTransfer(n.System, 3, cluster.Options{}); err == nil {
		t.Error("the lead of a shard is handed over by an operator")
	}
}
