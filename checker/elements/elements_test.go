package elements_test

import (
	"strings"
	"testing"

	"coup/checker/elements"
	"coup/checker/internal/testhistory"
	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/harness"
)

// elementCase is a history and the anomalies that must be found in it, in the
// words of the summary; none: it is valid.
type elementCase struct {
	name  string
	found string
	text  string
}

func runElementCases(t *testing.T, c harness.Checker, m model.Model, cases []elementCase) {
	for _, ec := range cases {
		t.Run(ec.name, func(t *testing.T) {
			h := testhistory.Parse(t, m, ec.text)
			r := testhistory.Check(t, c, h)
			want := harness.Valid
			if ec.found != "" {
				want = harness.Invalid
			}
			if r.Valid != want || !strings.Contains(r.Summary, ec.found) {
				t.Fatalf("found %v: %s\nexpected %v: %s", r.Valid, r.Summary, want, ec.found)
			}
			if want == harness.Invalid && (r.Counterexample == nil || len(r.Counterexample.Story) < 2 || len(r.Counterexample.Witness) == 0) {
				t.Errorf("no story: %+v", r.Counterexample)
			}
			// What the element checkers call a violation is one.
			if lin := testhistory.Check(t, linearizable.Checker{Model: m}, h); want == harness.Invalid && lin.Valid != harness.Invalid {
				t.Errorf("a linearizable history was called invalid: %s", r.Summary)
			}
		})
	}
}

func TestSetChecker(t *testing.T) {
	runElementCases(t, elements.Set{}, model.Set(), []elementCase{
		{"fine", "", `[add 1] [add 2] [read -> {1 2}]`},
		{"concurrent add need not be seen", "", `
			[add 1          ]
			 [read -> {}]       [read -> {1}]`},
		{"open add need not be seen", "", `[add 1>  [read -> {}]`},
		{"failed add", "1 unexpected", `[add 1!  [read -> {1}]`},
		{"lost", "1 lost", `[add 1] [add 2] [read -> {2}]`},
		{"lost after it was seen", "1 lost", `
			[add 1>
			        [read -> {1}]  [read -> {}]`},
		{"stale", "1 stale", `[add 1] [read -> {}] [read -> {1}]`},
		{"unexpected", "1 unexpected", `[add 1] [read -> {1 3}]`},
		{"seen before it was added", "1 unexpected", `[read -> {1}] [add 1]`},
		{"duplicated", "1 duplicated", `[add 1] [read -> {1 1}]`},
	})
	r := testhistory.Check(t, elements.Set{AllowStale: true}, testhistory.Parse(t, model.Set(), `[add 1] [read -> {}] [read -> {1}]`))
	if r.Valid != harness.Valid {
		t.Errorf("stale reads were not allowed: %s", r.Summary)
	}
	if r := testhistory.Check(t, elements.Set{}, testhistory.Parse(t, model.Set(), `[add 1]`)); r.Valid != harness.Unknown {
		t.Errorf("a set that nobody read is %v", r.Valid)
	}
}

func TestQueueChecker(t *testing.T) {
	runElementCases(t, elements.Queue{}, model.Queue(), []elementCase{
		{"fine", "", `[enqueue 1] [enqueue 2] [dequeue -> 1] [dequeue -> 2] [dequeue -> nil]`},
		{"not drained", "", `[enqueue 1] [enqueue 2] [dequeue -> 1]`},
		{"lost", "1 lost", `[enqueue 1] [enqueue 2] [dequeue -> 1] [dequeue -> nil]`},
		{"open dequeue may have it", "", `[enqueue 1] [dequeue>  [dequeue -> nil]`},
		{"more than the open dequeue can have", "2 lost", `[enqueue 1] [enqueue 2] [dequeue>  [dequeue -> nil]`},
		{"open enqueue need not be seen", "", `[enqueue 1>  [dequeue -> nil]`},
		{"twice", "1 duplicated", `[enqueue 1] [dequeue -> 1] [dequeue -> 1]`},
		{"from nowhere", "1 unexpected", `[enqueue 1] [dequeue -> 4]`},
		{"failed enqueue", "1 unexpected", `[enqueue 1! [dequeue -> 1]`},
		{"order", "1 disordered", `[enqueue 1] [enqueue 2] [dequeue -> 2] [dequeue -> 1]`},
		{"overtaken", "1 disordered", `[enqueue 1] [enqueue 2] [dequeue -> 2]`},
		{"concurrent enqueues have no order", "", `
			[enqueue 1 ]
			[enqueue 2 ] [dequeue -> 2] [dequeue -> 1]`},
		{"concurrent dequeues have no order", "", `
			[enqueue 1] [enqueue 2] [dequeue -> 2 ]
			                        [dequeue -> 1 ]`},
		{"hidden", "1 hidden", `[enqueue 1] [dequeue -> nil] [dequeue -> 1]`},
		{"empty while it was going out", "", `
			[enqueue 1] [dequeue -> nil ]
			             [dequeue -> 1]`},
	})
}

func TestCounterChecker(t *testing.T) {
	runElementCases(t, elements.Counter{}, model.Counter(), []elementCase{
		{"fine", "", `[add 1] [add 2] [read -> 3]`},
		{"concurrent", "", `
			[add 1] [add 2                    ]
			          [read -> 1] [read -> 3]`},
		{"low", "Reads went wrong: 1 low", `[add 1] [add 2] [read -> 2]`},
		{"high", "1 high", `[add 1] [read -> 2]`},
		{"failed adds do not count", "1 high", `[add 1! [read -> 1]`},
		{"open adds may count", "", `[add 1> [read -> 0] [read -> 1]`},
		{"backward", "1 backward", `
			[add 1                            ]
			       [read -> 1] [read -> 0]`},
		{"subtracting", "", `[add 3] [add -2] [read -> 1]`},
		{"subtracting too little", "1 high", `[add 3] [add -2] [read -> 3]`},
	})
	h := testhistory.Parse(t, model.Counter(), `
			[add 1                            ]
			       [read -> 1] [read -> 0]`)
	if r := testhistory.Check(t, elements.Counter{AllowBackward: true}, h); r.Valid != harness.Valid {
		t.Errorf("going back was not allowed: %s", r.Summary)
	}
}
