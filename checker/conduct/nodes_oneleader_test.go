package conduct

import (
	"strings"
	"testing"

	"coup/checker/internal/testhistory"
	"coup/harness"
)

func TestOneLeader(t *testing.T) {
	cases := []struct {
		name   string
		valid  harness.Validity
		events []harness.Event
	}{
		{"nobody", harness.Unknown, nil},
		{"one after the other", harness.Valid, []harness.Event{leads(1, "n1", 2), leads(2, "n2", 3), leads(3, "n1", 4)}},
		{"said twice", harness.Valid, []harness.Event{leads(1, "n1", 2), leads(2, "n1", 2)}},
		{"two in a term", harness.Invalid, []harness.Event{leads(1, "n1", 2), leads(2, "n2", 3), leads(3, "n3", 3)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := testhistory.Check(t, OneLeader{}, &harness.History{Events: c.events})
			if r.Valid != c.valid {
				t.Errorf("found %v: %s", r.Valid, r.Summary)
			}
			if c.valid == harness.Invalid && !strings.Contains(strings.Join(r.Counterexample.Story, " "), "n3 became the leader in the same term") {
				t.Errorf("story: %q", r.Counterexample.Story)
			}
		})
	}
}
