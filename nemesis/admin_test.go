package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"coup/cluster"
	"coup/harness"
)

// plain is a system that offers nothing beside what every system does.
type plain struct{ cluster.System }

func TestFaultsThatASystemCannotHave(t *testing.T) {
	able := fakeSystem{newFake(3)}
	for _, c := range []struct {
		fault string
		sys   cluster.System
		nodes int
		want  string
	}{
		{"transfer", able, 2, ""},
		{"transfer", able, 1, "it needs 2 nodes"},
		{"transfer", plain{able}, 3, "the leader of fake can't be told"},
		{"promote", able, 3, "nobody is promoted by hand in fake"},
		{"promote", byHand{fakeSystem: able}, 2, ""},
		{"promote", byHand{fakeSystem: able}, 1, "it needs 2 nodes"},
		{"membership", able, 3, ""},
		{"membership", able, 2, "it needs 3"},
		{"membership", plain{able}, 3, "the members of fake can't be changed"},
	} {
		err := Faults[c.fault].Needs(c.sys, c.nodes, cluster.Options{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s with %d nodes: %v, want %q", c.fault, c.nodes, err, c.want)
		}
	}
	membership := Spec{"membership", Random}
	if err := Faults["membership"].Available(membership, able, nil, 3, cluster.Options{Image: "other"}); err == nil || err.Error() != "not in this image" {
		t.Errorf("membership in an image in which it is impossible: %v", err)
	}
}

// holds is the evidence of the strikes that bit.
func holds(events []harness.Event) (said []string) {
	for _, e := range events {
		if e.Kind == harness.FaultHold {
			said = append(said, e.Message)
		}
	}
	return said
}

// told is what comes of a transfer while another strike has the dead.
func told(f *fake, target string, seed uint64, dead ...string) (events []harness.Event) {
	n := &Nemesis{Cluster: f, System: fakeSystem{f}, Runtime: harness.NewRuntime(), Record: func(e harness.Event) { events = append(events, e) }}
	n.claim(99, dead)
	for _, node := range dead {
		f.dead[node] = true
	}
	n.Run(context.Background(), []Entry{{For: 100 * time.Millisecond, Fault: "transfer", Target: target, Seed: seed}})
	return events
}

func TestTransferToAFollowerThatLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(10) {
			f := newFake(4)
			said := holds(told(f, Follower, seed, "n3"))
			want := fmt.Sprintf("n1 (term 1) has given the lead away to %s; %[1]s leads after that (term 2)", f.leader)
			if f.leader == "n1" || f.leader == "n3" || !slices.Equal(said, []string{want}) {
				t.Errorf("seed %d: %q, want %q", seed, said, want)
			}
		}
		if events := told(newFake(3), Follower, 1, "n2", member("n3")); kinds(events) != "skip" {
			t.Errorf("%v, want a skip: one follower is dead and one has no vote", events)
		}
	})
}

func TestTransferToAnyoneMeetsTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused, given := 0, 0
		for seed := range uint64(20) {
			said := holds(told(newFake(3), Random, seed, "n3"))
			switch {
			case slices.Equal(said, []string{"n1 (term 1) was told to hand the lead to n3 and has not: n3 does not answer; n1 leads after that (term 1)"}):
				refused++
			case slices.Equal(said, []string{"n1 (term 1) has given the lead away to n2; n2 leads after that (term 2)"}):
				given++
			default:
				t.Errorf("seed %d: %q", seed, said)
			}
		}
		if refused == 0 || given == 0 {
			t.Errorf("%d transfers to the dead and %d to the living, want some of each", refused, given)
		}
	})
}

func TestMembershipByMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for mode, want := range map[string]string{
			Leave:  "n1 is no member by the word of n1 (voters n2 n3)",
			Demote: "n1 is a non-voter by the word of n1 (voters n2 n3, non-voters n1)",
			Rejoin: "n1 is no member by the word of n1 (voters n2 n3); n1 is a non-voter by the word of n1 (voters n2 n3, non-voters n1)",
		} {
			events := carryOut(t, newFake(3), Entry{For: time.Millisecond, Fault: "membership", Target: Leader, Mode: mode})
			if said := holds(events); !slices.Equal(said, []string{want}) {
				t.Errorf("%s: %q, want %q", mode, said, want)
			}
		}
	})
}

func TestMembershipLeavesAMajority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, size := range []int{3, 4, 5, 7} {
			f := newFake(size)
			var schedule []Entry
			for seed := range uint64(6) {
				schedule = append(schedule, Entry{At: time.Duration(seed) * 5 * time.Millisecond, For: 40 * time.Millisecond,
					Fault: "membership", Target: []string{Minority, Random, Leader}[seed%3], Mode: Leave, Seed: seed})
			}
			carryOut(t, f, schedule...)
			if voters := size - f.mostOut; voters <= size/2 || f.mostOut == 0 {
				t.Errorf("of %d nodes %d were out at a time", size, f.mostOut)
			}
		}
	})
}

// Neither a leader that is gone nor one that loses its lead keeps a node out.
func TestMembershipIsHealedAgainstOdds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3)
		tries := 0
		f.refuse = func() error {
			if tries++; tries == 3 { // the removal was done with the second; this is the healing
				f.leader = "n2"
				return fmt.Errorf("%w: leadership lost", cluster.ErrPending)
			}
			if tries == 1 {
				return fmt.Errorf("%w: a transfer is in progress", harness.ErrFail)
			}
			return nil
		}
		events := carryOut(t, f, Entry{For: 5 * time.Millisecond, Fault: "membership", Target: Follower, Mode: Leave})
		if kinds(events) != "start hold end" || events[2].Message != "" || tries != 7 { // three of them reinstate
			t.Errorf("%v after %d tries", events, tries)
		}
	})
}

// A leader that others keep from doing as it is told costs no strike its turn, and
// keeps none out for good: both are tried again while the schedule goes on.
func TestMembershipPersists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3)
		tries := 0
		f.refuse = func() error {
			if tries++; tries == 10 || tries >= 20 { // the removal; the healing
				return nil
			}
			return fmt.Errorf("%w: overloaded", harness.ErrFail)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var events []harness.Event
		var mu sync.Mutex
		n := &Nemesis{Cluster: f, System: fakeSystem{f}, Runtime: harness.NewRuntime(), patience: 120 * time.Millisecond, // two or three tries
			Record: func(e harness.Event) {
				mu.Lock()
				defer mu.Unlock()
				if e.Fault != "membership" {
					return
				}
				if events = append(events, e); e.Kind == harness.FaultEnd {
					cancel()
				}
			}}
		n.Run(ctx, []Entry{
			{For: time.Millisecond, Fault: "membership", Target: Follower, Mode: Leave},
			{For: time.Minute, Fault: "isolate-clients", Target: Leader}, // as long as that, it may try
		})
		if kinds(events) != "start hold end" || events[2].Message != "" || len(f.out) != 0 || tries != 20 {
			t.Errorf("%v after %d tries, out %v", events, tries, f.out)
		}
	})
}

// What keeps one node out may be that another one has no vote yet.
func TestReinstateGivesEachItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(5)
		f.one, f.out = true, map[string]cluster.Suffrage{"n2": cluster.Absent, "n4": cluster.Nonvoter}
		n := &Nemesis{Cluster: f, System: fakeSystem{f}, Runtime: harness.NewRuntime(), unseated: true, Record: func(harness.Event) {}}
		if err := n.Reinstate(t.Context()); err != nil || len(f.out) > 0 {
			t.Errorf("%v, out %v", err, f.out)
		}
		f.out, f.stubborn = map[string]cluster.Suffrage{"n2": cluster.Absent}, true
		if err := n.Reinstate(t.Context()); err == nil || !strings.Contains(err.Error(), "n") {
			t.Errorf("nobody obeys, and all is well: %v", err)
		}
	})
}

// A strike that has begun and then finds no leader any more is none.
func TestALeaderThatGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, e := range []Entry{{For: time.Millisecond, Fault: "membership", Target: Random, Mode: Leave}, {For: time.Millisecond, Fault: "transfer", Target: Random}} {
			f := newFake(3)
			gone := func() error {
				f.leader = ""
				return errors.New("unexpected EOF")
			}
			f.refuse = gone
			var events []harness.Event
			n := &Nemesis{Cluster: f, System: fakeSystem{f}, Runtime: harness.NewRuntime(), patience: 300 * time.Millisecond,
				Record: func(e harness.Event) { events = append(events, e) }}
			n.Run(t.Context(), []Entry{e})
			if kinds(events) != "start skip end" || !strings.Contains(events[1].Message, "unexpected EOF, and then no node led") {
				t.Errorf("%s: %v", e.Fault, events)
			}
		}
	})
}

// A change that the leader has begun is a fault, though it has no majority to
// finish it; one that no leader is known to have begun is none.
func TestMembershipThatIsNotConfirmed(t *testing.T) {
	for err, want := range map[error]string{cluster.ErrPending: "start hold end", harness.ErrFail: "start skip end"} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(3)
				var events []harness.Event
				f.refuse = func() error { return err }
				n := &Nemesis{Cluster: f, System: fakeSystem{f}, Runtime: harness.NewRuntime(), patience: time.Second,
					Record: func(e harness.Event) { events = append(events, e) }}
				n.Run(t.Context(), []Entry{{For: time.Millisecond, Fault: "membership", Target: Follower, Mode: Leave}})
				if kinds(events) != want || !strings.Contains(events[2].Message, "not healed") {
					t.Errorf("%v", events)
				}
				if e := events[1].Message; err == cluster.ErrPending && !strings.Contains(e, "n1 has begun to make ") {
					t.Errorf("evidence %q", e)
				}
				// The strike could not heal it. Reinstate says so, and then does it.
				if got := n.Reinstate(t.Context()); got == nil || !strings.Contains(got.Error(), "could not be made a voter") {
					t.Errorf("reinstate: %v", got)
				}
				f.refuse, f.out["n3"] = nil, cluster.Absent
				if got := n.Reinstate(t.Context()); got != nil || len(f.out) != 0 {
					t.Errorf("reinstate: %v, out %v", got, f.out)
				}
			})
		})
	}
}

func TestReinstateLeavesAloneWhatNobodyTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3)
		n := &Nemesis{Cluster: f, System: plain{fakeSystem{f}}, Runtime: harness.NewRuntime(), Record: func(harness.Event) {}}
		n.Run(context.Background(), []Entry{{For: time.Millisecond, Fault: "kill", Target: Random}})
		if err := n.Reinstate(context.Background()); err != nil || f.asked != 0 {
			t.Errorf("%v, asked %d times", err, f.asked)
		}
	})
}

// A strike at a system that can't say who leads ends, instead of asking forever.
func TestNobodyTellsWhoLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3)
		var missed []string
		n := &Nemesis{Cluster: f, System: plain{fakeSystem{f}}, Runtime: harness.NewRuntime(), Record: func(e harness.Event) {
			if e.Kind == harness.FaultMiss {
				missed = append(missed, e.Message)
			}
		}}
		spec := Spec{"kill", Leader}
		n.Run(context.Background(), []Entry{{For: time.Millisecond, Fault: spec.Fault, Target: spec.Target}})
		if len(missed) != 1 || !strings.Contains(missed[0], "can't be asked who leads") {
			t.Errorf("missed: %v", missed)
		}
		if err := Faults["kill"].Available(spec, n.System, nil, 3, cluster.Options{}); err == nil || !strings.Contains(err.Error(), "can't be asked who leads") {
			t.Errorf("available: %v", err)
		}
		if err := Faults["kill"].Available(Spec{"kill", Random}, n.System, nil, 3, cluster.Options{}); err != nil {
			t.Error(err)
		}
		if err := Faults["crash"].Available(Spec{"crash", Random}, n.System, nil, 3, cluster.Options{}); err == nil {
			t.Error("a fault of power is available where no machine has power of its own")
		}
	})
}

func TestModes(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range Schedule([]Spec{{"membership", Random}, {"kill", Random}}, 1, time.Second, time.Minute, Pace{}) {
		if c, err := e.Complete(); err != nil || c != e {
			t.Errorf("%+v becomes %+v (%v)", e, c, err)
		}
		if e.Fault == "membership" {
			seen[e.Mode] = true
			bare := e
			bare.Mode = ""
			if c, _ := bare.Complete(); c != e {
				t.Errorf("%+v is completed to %+v", bare, c)
			}
		} else if e.Mode != "" {
			t.Errorf("%+v has a mode", e)
		}
	}
	if len(seen) != 3 {
		t.Errorf("of the modes of membership these were drawn: %v", seen)
	}
	for e, want := range map[Entry]string{
		{Fault: "membership", Mode: "go"}: `membership has no mode "go" (it has leave, demote, rejoin)`,
		{Fault: "kill", Mode: "leave"}:    `kill has no mode "leave" (it has none)`,
	} {
		if _, err := e.Complete(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
