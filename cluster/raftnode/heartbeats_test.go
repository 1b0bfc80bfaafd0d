package raftnode

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func beat(term uint64) *raft.AppendEntriesRequest {
	h := raft.RPCHeader{ProtocolVersion: 3, ID: []byte("n1"), Addr: []byte("n1:7000")}
	return &raft.AppendEntriesRequest{RPCHeader: h, Term: term}
}

func TestHeartbeatsSumUp(t *testing.T) {
	virtually(t, func(t *testing.T) {
		var told []string
		h := &heartbeats{due: 100 * time.Millisecond, name: func(addr string) string { return strings.TrimSuffix(addr, ":7000") }}
		h.emit = func(e Event) {
			b := e.Heartbeats
			told = append(told, fmt.Sprintf("%s term %d from %v last %v silent %v intervals %v longest %v recent %v", e.Leader, e.Term, b.From, b.Last, b.Silent, b.Intervals, b.Longest, b.Recent))
		}
		after := func(d time.Duration, message any) {
			time.Sleep(d)
			h.heard(message)
		}
		h.heard(beat(3)) // the first one is told of at once
		after(80700*time.Microsecond, beat(3))
		entries := beat(3)
		entries.PrevLogEntry, entries.PrevLogTerm = 7, 3
		after(10*time.Millisecond, entries) // is no heartbeat
		after(70*time.Millisecond, beat(3))
		after(10*time.Millisecond, beat(2)) // of a deposed leader
		after(340*time.Millisecond, beat(3))
		h.flush()
		time.Sleep(time.Second)
		h.flush() // nothing new
		after(0, beat(5))
		for range 30 {
			after(90*time.Millisecond, beat(5))
		}
		h.flush()
		want := []string{
			"n1 term 3 from 0s last 0s silent 0s intervals map[] longest 0s recent []",
			"n1 term 3 from 510.7ms last 0s silent 0s intervals map[80ms:1 80.5ms:1 350ms:1] longest 350ms recent [80.7ms 80ms 350ms]",
			"n1 term 5 from 1.08s last 0s silent 1s intervals map[90ms:12] longest 90ms recent [90ms 90ms 90ms 90ms 90ms]",
			"n1 term 5 from 1.62s last 0s silent 0s intervals map[90ms:18] longest 90ms recent [90ms 90ms 90ms 90ms 90ms]",
		}
		if !slices.Equal(told, want) {
			t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
	})
}

// intervals are all that a node told, in parts that follow each other.
func (n *testNode) intervals() (all map[time.Duration]int, longest time.Duration) {
	all = map[time.Duration]int{}
	for _, e := range n.events.events() {
		if e.Kind == EventHeartbeats {
			for took, times := range e.Heartbeats.Intervals {
				all[took] += times
			}
			longest = max(longest, e.Heartbeats.Longest)
		}
	}
	return all, longest
}

// slow is a transport whose heartbeats to a node take long.
type slow struct {
	raft.Transport
	to   raft.ServerID
	took time.Duration
}

func (s *slow) AppendEntries(id raft.ServerID, to raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if id == s.to {
		time.Sleep(s.took)
	}
	return s.Transport.AppendEntries(id, to, args, resp)
}

func (s *slow) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return s.Transport.(raft.WithPreVote).RequestPreVote(id, to, req, resp)
}

func TestHeartbeatsOfACluster(t *testing.T) {
	for _, delay := range []time.Duration{0, 45 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				c := startCluster(t, 3, func(cfg *testConfig) {
					cfg.wrap = func(_ string, tr raft.Transport) raft.Transport { return &slow{tr, "n3", delay} }
				})
				leader := c.leader()
				for leader.peer.Name == "n3" { // it is the follower whose link is slow
					c.isolate(leader)
					time.Sleep(time.Second)
					next := c.leader()
					c.join(leader)
					leader = next
				}
				time.Sleep(10 * time.Second)
				if c.leader() != leader {
					t.Fatal("the leader changed")
				}
				due := quick().Heartbeat / 5
				for _, n := range c.nodes {
					if n == leader {
						continue
					}
					all, longest := n.intervals()
					count, missed := 0, 0
					for took, times := range all {
						count += times
						if took >= 2*due {
							missed += times
						}
					}
					late := delay > 0 && n.peer.Name == "n3"
					if count < 100 || late != (missed > count/2) || !late && n.peer.Name != "n3" && (missed > 0 || longest >= 2*due) {
						t.Errorf("delay %v, %s: %d intervals, %d longer than %v, the longest %v", delay, n.peer.Name, count, missed, 2*due, longest)
					}
				}
			})
		})
	}
}
