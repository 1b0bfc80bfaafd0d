package conduct

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/harness"
)

// behind is the end of a run: n1 leads at position 9, and n3 does not come there.
func behind() *harness.History {
	h := &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: []harness.Event{phase(0, "load"), phase(9*time.Second, "agree")}}
	for s := 10 * time.Second; s <= 41*time.Second; s += time.Second {
		for i, n := range h.Nodes {
			role := "follower"
			if i == 0 {
				role = "leader"
			}
			applied := uint64(9)
			if i == 2 {
				applied = 7
			}
			h.Events = append(h.Events, harness.Event{Time: s, Kind: harness.StateEvent, Node: n, Role: role, Leader: "n1", Term: 4, Applied: applied, Hash: "a"})
		}
	}
	return h
}

func TestCatchUp(t *testing.T) {
	each := func(do func(e *harness.Event)) *harness.History {
		h := behind()
		for i := range h.Events {
			if e := &h.Events[i]; e.Kind == harness.StateEvent {
				do(e)
			}
		}
		return h
	}
	without := func(drop func(e harness.Event) bool) *harness.History {
		h := behind()
		h.Events = slices.DeleteFunc(h.Events, drop)
		return h
	}
	for _, c := range []struct {
		name  string
		h     *harness.History
		valid harness.Validity
		says  string
	}{
		{"one stays behind", behind(), harness.Invalid, "n3 did not catch up with the leader in 31.000 s"},
		{"and goes on, but not to where the leader was", each(func(e *harness.Event) {
			if e.Node == "n3" && e.Time > 30*time.Second {
				e.Applied = 8
			}
		}), harness.Invalid, "n3 did not catch up"},
		{"another one says by itself how far it is", func() *harness.History {
			h := behind()
			h.Events = append(h.Events, harness.Event{Time: 40500 * time.Millisecond, Kind: harness.StateEvent, Node: "n2", Term: 4, Applied: 9})
			slices.SortStableFunc(h.Events, func(a, b harness.Event) int { return cmp.Compare(a.Time, b.Time) })
			return h
		}(), harness.Invalid, "n3 did not catch up with the leader in 31.000 s"},
		{"it knows of no leader", each(func(e *harness.Event) {
			if e.Node == "n3" {
				e.Leader = ""
			}
		}), harness.Invalid, "n3 did not catch up"},
		{"it comes at last", each(func(e *harness.Event) {
			if e.Time > 40*time.Second {
				e.Applied = 9
			}
		}), harness.Valid, "Every node was at position 9 in the end"},
		{"and nobody leads any more", each(func(e *harness.Event) {
			if e.Time > 40*time.Second {
				e.Applied, e.Role, e.Leader = 9, "follower", ""
			}
		}), harness.Valid, "Every node was at position 9 in the end"},
		{"the leader is ahead by what is new", each(func(e *harness.Event) {
			if e.Node == "n1" && e.Time > 10*time.Second {
				e.Applied = 12
			}
			if e.Node != "n1" && e.Time > 20*time.Second {
				e.Applied = 9
			}
		}), harness.Valid, "came to where"},
		{"too short to prove anything", without(func(e harness.Event) bool { return e.Time > 39*time.Second }), harness.Valid, "n3 was behind n1"},
		{"another one led meanwhile", each(func(e *harness.Event) {
			if e.Time == 20*time.Second {
				e.Role = "follower"
				if e.Node == "n2" {
					e.Role, e.Term = "leader", 5
				}
			}
		}), harness.Valid, "n3 was behind n1"},
		{"another term meanwhile", each(func(e *harness.Event) {
			if e.Time < 20*time.Second {
				e.Term = 3
			}
		}), harness.Valid, "n3 was behind n1"},
		{"it did not always answer", without(func(e harness.Event) bool { return e.Node == "n3" && e.Time == 20*time.Second }), harness.Valid, "n3 was behind n1"},
		{"nobody leads", each(func(e *harness.Event) { e.Role = "follower" }), harness.Valid, "No node led when they were looked at last, at 41.000 s"},
		{"nobody looked", without(func(e harness.Event) bool { return e.Message == "agree" }), harness.Valid, "Nobody looked"},
		{"it may be no member", func() *harness.History {
			h := behind()
			h.Events = append([]harness.Event{{Kind: harness.UnhealedEvent, Message: "n3 is no voter"}}, h.Events...)
			return h
		}(), harness.Valid, "Not everything was healed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := testhistory.Check(t, CatchUp{}, c.h)
			if r.Valid != c.valid || !strings.Contains(r.Summary, c.says) {
				t.Errorf("%v: %s\nexpected %v: %s", r.Valid, r.Summary, c.valid, c.says)
			}
			if (r.Counterexample != nil) != (c.valid == harness.Invalid) {
				t.Errorf("counterexample %+v", r.Counterexample)
			}
		})
	}
	if r := testhistory.Check(t, CatchUp{Within: time.Minute}, behind()); r.Valid != harness.Valid {
		t.Errorf("within a minute: %v: %s", r.Valid, r.Summary)
	}
}
