package weaker

import (
	"math/rand/v2"
	"strings"
	"testing"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

func TestSequential(t *testing.T) {
	m := model.Register()
	cases := []struct {
		name, text string
		valid      harness.Validity
	}{
		{"a stale read of another", `
			[write 1] [write 2]
			                    [read -> nil] [read -> 1]`, harness.Valid},
		{"own write is missing", `[write 1] [read -> nil]`, harness.Invalid},
		{"going back", `
			[write 1]
			[write 2]
			          [read -> 1] [read -> 2] [read -> 1]`, harness.Invalid},
		{"two processes disagree", `
			[write 1]
			[write 2]
			          [read -> 1] [read -> 2]
			          [read -> 2] [read -> 1]`, harness.Invalid},
		{"two processes agree", `
			[write 1]
			[write 2]
			          [read -> 2] [read -> 1]
			          [read -> 2] [read -> 1]`, harness.Valid},
		{"from nowhere", `[read -> 1]`, harness.Invalid},
		{"compare-and-set", `
			[write 1] [cas 1 2 -> 1]
			                         [read -> 1] [read -> 2]`, harness.Valid},
		{"compare-and-set and back", `
			[write 1] [cas 1 2 -> 1]
			                         [read -> 2] [read -> 1]`, harness.Invalid},
		{"twice replaced", `
			[write 1] [cas 1 2 -> 1]
			          [cas 1 3 -> 1]`, harness.Invalid},
		{"cannot tell", `[write 1] [write 1]`, harness.Unknown},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := testhistory.Check(t, Sequential{}, testhistory.Parse(t, m, c.text))
			if r.Valid != c.valid || (r.Counterexample != nil) != (c.valid == harness.Invalid) {
				t.Errorf("%v: %s", r.Valid, r.Summary)
			}
		})
	}
}

// bruteSequence tries every order that agrees with that of each process.
func bruteSequence(m model.Model, ops []*harness.Operation) bool {
	done := make([]bool, len(ops))
	var try func(state any) bool
	try = func(state any) bool {
		left := false
		for i, op := range ops {
			left = left || !done[i] && op.Type == harness.OK
		}
		if !left {
			return true
		}
		began := map[int]bool{} // processes of which something is left to do before
		for i, op := range ops {
			if done[i] || began[op.Process] {
				continue
			}
			began[op.Process] = true
			if next, ok := m.Step(state, op); ok {
				done[i] = true
				if try(next) {
					return true
				}
				done[i] = false
			}
		}
		return false
	}
	return try(m.Init)
}

func TestSequentialAgrees(t *testing.T) {
	m := model.Register()
	count := [3]int{}
	for n := range *testhistory.Histories * 5 {
		rng := rand.New(rand.NewPCG(*testhistory.Seed, uint64(n)))
		ops := testhistory.Generate(rng, m, testhistory.Shape{Ops: 7, Processes: 3, Open: 0.15, Fail: 0.05, Faulty: 0.5})
		for range n % 3 {
			testhistory.SwapAnswers(rng, ops)
		}
		r := testhistory.Check(t, Sequential{}, &harness.History{Operations: ops})
		count[r.Valid]++
		for _, k := range m.Partition(ops) {
			if brute := bruteSequence(m, k.Ops); r.Valid == harness.Unknown || brute != (r.Valid == harness.Valid) {
				t.Fatalf("%v, brute force says %v:\n%s", r.Valid, brute, testhistory.Describe(m, k.Ops))
			}
			if r.Counterexample == nil {
				continue
			}
			// The proof fails by itself.
			var proof []*harness.Operation
			for _, w := range r.Counterexample.Witness {
				for _, op := range k.Ops {
					if int64(op.Start) == w.Start {
						proof = append(proof, op)
					}
				}
			}
			if len(proof) != len(r.Counterexample.Witness) || bruteSequence(m, proof) {
				t.Fatalf("the proof is none:\n%s\n%s", strings.Join(r.Counterexample.Story, "\n"), testhistory.Describe(m, k.Ops))
			}
		}
	}
	t.Logf("%d violate, %d do not", count[harness.Invalid], count[harness.Valid])
	if count[harness.Invalid]*3 < count[harness.Valid] {
		t.Errorf("too few violate: %v", count)
	}
}
