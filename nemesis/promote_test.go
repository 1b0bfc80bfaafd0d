package nemesis

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"coup/cluster"
	"coup/harness"
)

// byHand is a system without elections: who leads is told by a person.
type byHand struct {
	fakeSystem
	hears    func(node string) string // whom a follower hears of, asked each time
	promoted *[]string
}

func (s byHand) Status(_ context.Context, _ cluster.Access, node string) (cluster.Status, error) {
	role := "follower"
	if node == "n1" {
		role = "leader"
	}
	// n2 has a long log of an older leader.
	term := map[string]uint64{"n1": 4, "n2": 3, "n3": 4, "n4": 4}
	commit := map[string]uint64{"n1": 99, "n2": 50, "n3": 8, "n4": 8}
	return cluster.Status{Node: node, Role: role, Term: term[node], Commit: commit[node], Last: 99, Leader: s.hears(node)}, nil
}

func (s byHand) Promote(_ context.Context, _ cluster.Access, node string, term uint64) error {
	if term != 5 {
		return cluster.ErrPending
	}
	*s.promoted = append(*s.promoted, node)
	return nil
}

// promoting carries out a strike of a person who takes 3 s.
func promoting(hears func(node string, asked time.Duration) string) (promoted []string, events []harness.Event) {
	f := newFake(4)
	begun := time.Now()
	sys := byHand{fakeSystem: fakeSystem{f}, promoted: &promoted, hears: func(node string) string { return hears(node, time.Since(begun)) }}
	n := &Nemesis{Cluster: f, System: sys, Runtime: harness.NewRuntime(), Record: func(e harness.Event) { events = append(events, e) }}
	n.Run(context.Background(), []Entry{{For: 3 * time.Second, Fault: "promote", Target: Follower}, {At: 10 * time.Second, For: time.Second, Fault: "promote", Target: Follower}})
	return promoted, events
}

func TestAPersonPromotesTheFurthestFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		promoted, events := promoting(func(_ string, at time.Duration) string {
			if at < 5*time.Second {
				return "n1"
			}
			return ""
		})
		if len(promoted) == 0 || promoted[0] != "n3" {
			t.Errorf("%v were promoted, want n3, the first of the furthest", promoted)
		}
		i := slices.IndexFunc(events, func(e harness.Event) bool { return e.Kind == harness.FaultHold })
		if i < 0 || events[i].Time < 8*time.Second || !strings.Contains(events[i].Message, "n3 was promoted (term 5, position 8)") {
			t.Errorf("%+v", events)
		}
	})
}

func TestNobodyIsPromotedBesideALeader(t *testing.T) {
	for name, hears := range map[string]func(string, time.Duration) string{
		"all hear of it": func(string, time.Duration) string { return "n1" },
		"one hears of it": func(node string, _ time.Duration) string {
			if node == "n4" {
				return "n1"
			}
			return ""
		},
		"it is back before the person acts": func(_ string, at time.Duration) string {
			if at > time.Second && at < 3*time.Second {
				return ""
			}
			return "n1"
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				promoted, events := promoting(hears)
				if len(promoted) > 0 || slices.ContainsFunc(events, func(e harness.Event) bool { return e.Kind != harness.FaultSkip }) {
					t.Errorf("%v were promoted: %+v", promoted, events)
				}
			})
		})
	}
}
