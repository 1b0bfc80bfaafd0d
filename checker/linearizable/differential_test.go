package linearizable

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

var allModels = []model.Model{model.Register(), model.Set(), model.Queue(), model.Counter(), model.List(), model.Stack(), model.PriorityQueue(), model.Mutex(), model.Lock(), model.KV()}

// judged is what all procedures say of one history. They must agree. It counts
// what each tier decided.
func judged(t *testing.T, m model.Model, s testhistory.Shape, ops []harness.Operation, decided []int) harness.Validity {
	t.Helper()
	keys := m.Partition(ops)
	if len(keys) == 0 {
		return harness.Valid
	}
	return judgedView(t, m, s.Ops <= 8, keys[0].Ops, decided)
}

// judgedView is the same for the operations of one object.
func judgedView(t *testing.T, m model.Model, brute bool, view []*harness.Operation, decided []int) harness.Validity {
	t.Helper()
	reference, err := porcupineSearch(context.Background(), m, view)
	if err != nil {
		t.Fatal(err)
	}
	if brute {
		if brute := testhistory.BruteForce(m, view); brute != (reference == harness.Valid) {
			t.Fatalf("porcupine says %v, brute force %v:\n%s", reference, brute, testhistory.Describe(m, view))
		}
	}
	for i, tier := range tiers {
		d, ok, err := tier.decide(context.Background(), m, view)
		if err != nil {
			t.Fatalf("%s: %v\n%s", tier.name, err, testhistory.Describe(m, view))
		}
		if !ok {
			continue
		}
		decided[i]++
		if d.valid != reference {
			t.Fatalf("%s says %v, porcupine %v:\n%s", tier.name, d.valid, reference, testhistory.Describe(m, view))
		}
		if d.order != nil {
			if err := verify(m, view, d.order); err != nil {
				t.Fatalf("the order of %s: %v\n%v\n%s", tier.name, err, d.order, testhistory.Describe(m, view))
			}
		}
		if d.proof != nil {
			var proof []*harness.Operation
			for _, i := range d.proof {
				proof = append(proof, view[i])
			}
			if v, _ := porcupineSearch(context.Background(), m, proof); v != harness.Invalid {
				t.Fatalf("the proof of %s is %v:\n%s\nof\n%s", tier.name, v, testhistory.Describe(m, proof), testhistory.Describe(m, view))
			}
		}
	}
	return reference
}

// hurry lets some completed operations return as soon as they are called,
// which leaves fewer orders.
func hurry(rng *rand.Rand, ops []harness.Operation) {
	type mark struct{ op, at int }
	var marks []mark
	for i := range ops {
		marks = append(marks, mark{i, 2 * ops[i].Call})
		if ops[i].Return == harness.Open {
			continue
		}
		if rng.IntN(3) == 0 {
			marks = append(marks, mark{i, 2*ops[i].Call + 1})
		} else {
			marks = append(marks, mark{i, 2 * ops[i].Return})
		}
	}
	slices.SortFunc(marks, func(a, b mark) int { return cmp.Compare(a.at, b.at) })
	called := make([]bool, len(ops))
	for pos, m := range marks {
		if !called[m.op] {
			called[m.op], ops[m.op].Call = true, pos
			ops[m.op].Start = time.Duration(pos) * time.Millisecond
		} else {
			ops[m.op].Return = pos
			ops[m.op].End = time.Duration(pos) * time.Millisecond
		}
	}
}

// prefixOf is what was known of a history at a moment, with the ends of leases.
func prefixOf(rng *rand.Rand, m model.Model, ops []harness.Operation) []*harness.Operation {
	var whole []harness.Operation
	for _, op := range m.Partition(ops)[0].Ops {
		whole = append(whole, *op)
	}
	return model.Pointers(model.Prefix(whole, rng.IntN(2*len(whole)+1)))
}

func TestTiersAgree(t *testing.T) {
	for _, m := range allModels {
		for _, s := range []testhistory.Shape{
			{Ops: 8, Processes: 4, Open: 0.2, Fail: 0.05, Faulty: 0.4},
			{Ops: 8, Processes: 3, Open: 0.05, Faulty: 0.3},
			{Ops: 8, Processes: 6, Open: 0.3, Faulty: 0.7},
			{Ops: 8, Processes: 4, Open: 0.2, Values: 3, Faulty: 0.6},
			{Ops: 13, Processes: 4, Open: 0.1, Faulty: 0.2},
			{Ops: 16, Processes: 3, Open: 0.1, Values: 4, Faulty: 0.25},
			{Ops: 16, Processes: 7, Open: 0.1, Values: 2, Faulty: 0.15}, // many blind writes at once
			{Ops: 12, Processes: 7, Open: 0.3, Values: 3, Faulty: 0.3},  // and many that are open
		} {
			if s.Processes == 7 && m.Kind != model.RegisterKind && m.Kind != model.KVKind {
				continue // porcupine would take too long
			}
			t.Run(fmt.Sprintf("%s/%d ops %d processes %d values", m.Name, s.Ops, s.Processes, s.Values), func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(*testhistory.Seed, uint64(s.Ops)<<16|uint64(s.Processes)<<8|uint64(s.Values)))
				cuts := rand.New(rand.NewPCG(*testhistory.Seed, 43))
				count := [3]int{}
				decided := make([]int, len(tiers))
				for total := 0; total < *testhistory.Histories; total++ {
					ops := testhistory.Generate(rng, m, s)
					v := judged(t, m, s, ops, decided)
					count[v]++
					if total%4 == 0 { // of a prefix it may be known when a lease ends that has not been granted yet
						judgedView(t, m, s.Ops <= 8, prefixOf(cuts, m, ops), decided)
					}
					for range 8 { // at least half of them should violate
						if count[harness.Invalid] >= count[harness.Valid] {
							break
						}
						testhistory.SwapAnswers(rng, ops)
						hurry(rng, ops)
						count[judged(t, m, s, ops, decided)]++
						total++
					}
				}
				t.Logf("%d violate, %d do not", count[harness.Invalid], count[harness.Valid])
				for i, n := range decided {
					if n > 0 {
						t.Logf("%s decided %d", tiers[i].name, n)
					}
				}
				if count[harness.Invalid]*10 < count[harness.Valid]*9 {
					t.Errorf("too few violate: %v", count)
				}
			})
		}
	}
}
