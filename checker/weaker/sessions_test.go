package weaker

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

func TestSessions(t *testing.T) {
	m := model.Register()
	cases := []struct{ name, broken, text string }{
		{"fine", "", `[write 1] [read -> 1] [write 2] [read -> 2]`},
		{"stale reads of others are fine", "", `
			[write 1] [write 2]
			                    [read -> nil] [read -> 1] [read -> 2]`},
		{"own write is missing", "read your writes", `[write 1] [read -> nil]`},
		{"older than the own write", "read your writes", `
			[write 1]           [read -> 1]
			          [write 2] [read -> 1]`},
		{"own write was replaced", "", `
			[write 1]
			   [write 2]  [read -> 1]`},
		{"reads go back", "monotonic reads", `
			[write 1] [write 2]
			                    [read -> 2] [read -> 1]`},
		{"reads go back to nothing", "monotonic reads", `
			[write 1>
			          [read -> 1] [read -> nil]`},
		{"reads of concurrent writes", "", `
			[write 1]
			[write 2]
			          [read -> 2] [read -> 1]`},
		{"two processes disagree", "monotonic reads", `
			[write 1]
			[write 2]
			          [read -> 2] [read -> 1]
			          [read -> 1] [read -> 2]`},
		// Writes that are out of order show in what a compare-and-set saw.
		{"writes are turned round", "monotonic writes", `[cas 2 1 -> 2] [write 2]`},
		{"a write before what was read", "writes follow reads", `
			[read -> 1] [write 2]
			    [cas 2 1 -> 2           ]`},
		{"a write after what was read", "", `
			[read -> 1] [write 2]
			    [cas 3 1 -> 3           ]
			[write 3                    ]`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := testhistory.Check(t, Sessions{}, testhistory.Parse(t, m, c.text))
			if got := strings.Join(r.Details.(SessionDetails).Broken, ", "); got != c.broken {
				t.Errorf("broken: %q, expected %q", got, c.broken)
			}
			if r.Valid == harness.Invalid && len(r.Counterexample.Witness) == 0 {
				t.Errorf("story: %q", r.Counterexample.Story)
			}
		})
	}
}

// A register that is linearizable keeps every promise of sessions, and none of
// its reads is stale.
func TestSessionsOfLinearizableRegisters(t *testing.T) {
	m := model.Register()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 5))
		h := &harness.History{Operations: testhistory.Generate(rng, m, testhistory.Shape{Ops: 60, Processes: 5, Open: 0.1, Fail: 0.05})}
		if r := testhistory.Check(t, Sessions{}, h); r.Valid != harness.Valid {
			t.Fatalf("seed %d: %s\n%s", seed, r.Summary, strings.Join(r.Counterexample.Story, "\n"))
		}
		if d := testhistory.Check(t, Staleness{}, h).Details.(StalenessDetails); d.Stale > 0 || d.Reads == 0 {
			t.Fatalf("seed %d: %+v", seed, d)
		}
	}
}

func TestStaleness(t *testing.T) {
	m := model.Register()
	h := testhistory.Parse(t, m, `
		[write 1] [write 2] [write 3]
		                               [read -> 1] [read -> 3] [read -> nil]`)
	r := testhistory.Check(t, Staleness{}, h)
	// 2 was acknowledged at 18 time.Millisecond and 1 at 8 time.Millisecond; the reads began at 31 and 55 time.Millisecond.
	want := StalenessDetails{Reads: 3, Stale: 2, Half: 13 * time.Millisecond, P99: 13 * time.Millisecond, MaxTime: 47 * time.Millisecond, MaxVersions: 3}
	if d := r.Details.(StalenessDetails); d != want || r.Valid != harness.Valid {
		t.Errorf("%v %+v, expected %+v", r.Valid, d, want)
	}
	for _, c := range []struct {
		s     Staleness
		valid harness.Validity
	}{
		{Staleness{MaxVersions: 3}, harness.Valid}, {Staleness{MaxVersions: 2}, harness.Invalid},
		{Staleness{MaxTime: time.Second}, harness.Valid}, {Staleness{MaxTime: 20 * time.Millisecond}, harness.Invalid},
	} {
		if r := testhistory.Check(t, c.s, h); r.Valid != c.valid || (r.Counterexample != nil) != (c.valid == harness.Invalid) {
			t.Errorf("%+v: %v: %s", c.s, r.Valid, r.Summary)
		}
	}
	if want := "2 of 3 reads showed an old value, at most 0.047 s and 3 versions old."; r.Summary != want {
		t.Errorf("told %q, expected %q", r.Summary, want)
	}
	for i := range h.Operations { // of a history that tells no times nobody knows how long ago anything was
		op := &h.Operations[i]
		op.Start, op.End = time.Duration(op.Call), time.Duration(op.Return)
	}
	if r, want := testhistory.Check(t, Staleness{}, h), "2 of 3 reads showed an old value, at most 3 versions old."; r.Summary != want {
		t.Errorf("told %q, expected %q", r.Summary, want)
	}
}
