package weaker

import (
	"slices"
	"strings"
	"testing"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

// What reads showed is told, and nothing is judged by it.
func TestHeld(t *testing.T) {
	m := model.Register()
	cases := []struct {
		name, text        string
		valid             harness.Validity
		stale             int
		broken, undecided string
	}{
		{"nothing is old", `[write 1] [read -> 1]`, harness.Valid, 0, "", ""},
		{"others read what is old", `
			[write 1] [write 2]
			                    [read -> nil] [read -> 1]`, harness.Valid, 2, "", ""},
		{"own write is missing", `[write 1] [read -> nil]`, harness.Valid, 1, "sequential consistency, read your writes", ""},
		{"reads go back", `
			[write 1] [write 2]
			                    [read -> 2] [read -> 1]`, harness.Valid, 1, "sequential consistency, monotonic reads", ""},
		{"a value twice", `[write 1] [write 1] [read -> 1]`, harness.Valid, 0, "",
			"sequential consistency, read your writes, monotonic reads, monotonic writes, writes follow reads"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := testhistory.Check(t, Held{}, testhistory.Parse(t, m, c.text))
			d := r.Details.(HeldDetails)
			if r.Valid != c.valid || r.Counterexample != nil || d.Staleness.Stale != c.stale {
				t.Errorf("%v, %d stale: %s", r.Valid, d.Staleness.Stale, r.Summary)
			}
			if got := strings.Join(d.Broken, ", "); got != c.broken {
				t.Errorf("broken: %q, want %q", got, c.broken)
			}
			if got := strings.Join(d.Undecided, ", "); got != c.undecided {
				t.Errorf("undecided: %q, want %q", got, c.undecided)
			}
			if all := len(slices.Concat(d.Kept, d.Broken, d.Undecided)); all != 5 {
				t.Errorf("%d promises are told of", all)
			}
		})
	}
}
