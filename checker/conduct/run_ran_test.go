package conduct

import (
	"strings"
	"testing"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

func TestRan(t *testing.T) {
	m := model.Register()
	start := harness.Event{Kind: harness.FaultStart, ID: 1, Fault: "kill"}
	hold := harness.Event{Kind: harness.FaultHold, ID: 1, Time: 1}
	miss := harness.Event{Kind: harness.FaultMiss, ID: 1, Message: "there was no leader"}
	cases := []struct {
		name   string
		ran    Ran
		valid  harness.Validity
		says   string
		text   string
		events []harness.Event
	}{
		{"fine", Ran{Faults: []string{"kill"}}, harness.Valid, "1 of 1 fault bit", `[write 1]`, []harness.Event{start, hold}},
		{"no operations", Ran{}, harness.Unknown, "0 operations succeeded", ``, nil},
		{"too few operations", Ran{MinOK: 2}, harness.Unknown, "1 operation succeeded, and 2 must", `[write 1]`, nil},
		{"no read succeeded", Ran{}, harness.Unknown, "of 1 operations read 0 succeeded", `[write 1] [read>`, nil},
		{"fault missed", Ran{}, harness.Unknown, "there was no leader", `[write 1]`, []harness.Event{start, miss}},
		{"fault may miss", Ran{Misses: 1}, harness.Valid, "0 of 1 fault bit", `[write 1]`, []harness.Event{start, miss}},
		{"fault never held", Ran{}, harness.Unknown, "never seen to bite", `[write 1]`, []harness.Event{start}},
		{"nobody was there to do it", Ran{}, harness.Valid, "0 of 0 faults bit", `[write 1]`, []harness.Event{start, {Kind: harness.FaultSkip, ID: start.ID}}},
		{"what comes of healing is no load", Ran{}, harness.Unknown, "0 operations succeeded", `[write 1]`, []harness.Event{phase(0, "heal"), phase(9, "final")}},
		{"a needed function was never tried", Ran{Needs: []string{"cas", "write"}}, harness.Unknown, "of 0 operations cas 0 succeeded", `[write 1]`, nil},
		{"the last look is no load", Ran{}, harness.Unknown, "0 operations succeeded", `[write 1]`, []harness.Event{phase(0, "final")}},
		{"a release need not have succeeded", Ran{Conditional: []string{"read"}}, harness.Valid, "1 operation succeeded", `[write 1] [read>`, nil},
		{"unless it is needed", Ran{Conditional: []string{"read"}, Needs: []string{"read"}}, harness.Unknown, "of 1 operations read 0 succeeded", `[write 1] [read>`, nil},
		{"fault never tried", Ran{Faults: []string{"partition"}}, harness.Unknown, "the fault partition never bit", `[write 1]`, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := testhistory.Parse(t, m, c.text)
			h.Events = c.events
			if r := testhistory.Check(t, c.ran, h); r.Valid != c.valid || !strings.Contains(r.Summary, c.says) {
				t.Errorf("found %v: %s\nexpected %v: %s", r.Valid, r.Summary, c.valid, c.says)
			}
		})
	}
}
