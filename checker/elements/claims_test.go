package elements

import (
	"math/rand/v2"
	"testing"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

// Every anomaly that is told is true of the whole history. How claims are put into
// words is tested where the stories of checker/linearizable are read.
func TestClaimsAreTrue(t *testing.T) {
	for _, m := range []model.Model{model.Set(), model.Queue(), model.Counter()} {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(*testhistory.Seed, 29))
			told := 0
			for made := 0; told < *testhistory.Histories && made < 100**testhistory.Histories; made++ {
				shape := testhistory.Shape{Ops: 8 + made%30, Processes: 3 + made%3, Open: 0.1, Fail: 0.1, Faulty: 0.2, Values: []int{0, 4}[made%2]}
				ops := testhistory.Generate(rng, m, shape)
				h := &harness.History{Operations: ops}
				var found *anomalies
				view := view(ops)
				switch m.Kind {
				case model.SetKind:
					found = newAnomalies(h, m, "unexpected", "duplicated", "stale", "lost")
					Set{}.judge("", view, &SetDetails{}, found)
				case model.QueueKind:
					found = newAnomalies(h, m, "unexpected", "duplicated", "disordered", "hidden", "lost")
					judgeQueue("", view, &QueueDetails{}, found)
				default:
					found = newAnomalies(h, m, "high", "low", "backward")
					Counter{}.judge("", view, &CounterDetails{}, found)
				}
				for _, c := range found.claims {
					told++
					if !c.Holds(c.whole) {
						t.Fatalf("not true: %s\n%s", c.Text(found.teller), testhistory.Describe(m, c.whole))
					}
				}
			}
			if told < *testhistory.Histories {
				t.Errorf("only %d anomalies were told", told)
			}
		})
	}
}

// view is the operations of one object that did not fail.
func view(ops []harness.Operation) []*harness.Operation {
	_, groups := model.ByKey(ops)
	return groups[""]
}
