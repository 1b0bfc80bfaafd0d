package checker

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"coup/harness"
)

var allModels = []Model{RegisterModel(), SetModel(), QueueModel(), CounterModel(), ListModel(), StackModel(), PriorityQueueModel(), MutexModel(), LockModel(), KVModel()}

// judged is what all procedures say of one history. They must agree. It counts
// what each tier decided.
func judged(t *testing.T, m Model, s shape, ops []harness.Operation, decided []int) harness.Validity {
	t.Helper()
	keys := m.partition(ops)
	if len(keys) == 0 {
		return harness.Valid
	}
	view := keys[0].Ops
	reference, err := porcupineSearch(context.Background(), m, view)
	if err != nil {
		t.Fatal(err)
	}
	if s.ops <= 8 {
		if brute := bruteForce(m, view); brute != (reference == harness.Valid) {
			t.Fatalf("porcupine says %v, brute force %v:\n%s", reference, brute, describe(m, view))
		}
	}
	for i, tier := range tiers {
		d, ok, err := tier.decide(context.Background(), m, view)
		if err != nil {
			t.Fatalf("%s: %v\n%s", tier.name, err, describe(m, view))
		}
		if !ok {
			continue
		}
		decided[i]++
		if d.valid != reference {
			t.Fatalf("%s says %v, porcupine %v:\n%s", tier.name, d.valid, reference, describe(m, view))
		}
		if d.order != nil {
			if err := verify(m, view, d.order); err != nil {
				t.Fatalf("the order of %s: %v\n%v\n%s", tier.name, err, d.order, describe(m, view))
			}
		}
		if d.proof != nil {
			var proof []*harness.Operation
			for _, i := range d.proof {
				proof = append(proof, view[i])
			}
			if v, _ := porcupineSearch(context.Background(), m, proof); v != harness.Invalid {
				t.Fatalf("the proof of %s is %v:\n%s\nof\n%s", tier.name, v, describe(m, proof), describe(m, view))
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

func TestTiersAgree(t *testing.T) {
	for _, m := range allModels {
		for _, s := range []shape{
			{ops: 8, processes: 4, open: 0.2, fail: 0.05, faulty: 0.4},
			{ops: 8, processes: 3, open: 0.05, faulty: 0.3},
			{ops: 8, processes: 6, open: 0.3, faulty: 0.7},
			{ops: 8, processes: 4, open: 0.2, values: 3, faulty: 0.6},
			{ops: 13, processes: 4, open: 0.1, faulty: 0.2},
			{ops: 16, processes: 3, open: 0.1, values: 4, faulty: 0.25},
			{ops: 16, processes: 7, open: 0.1, values: 2, faulty: 0.15}, // many blind writes at once
			{ops: 12, processes: 7, open: 0.3, values: 3, faulty: 0.3},  // and many that are open
		} {
			if s.processes == 7 && m.kind != registerKind && m.kind != anyKind {
				continue // porcupine would take too long
			}
			t.Run(fmt.Sprintf("%s/%d ops %d processes %d values", m.Name, s.ops, s.processes, s.values), func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(*seed, uint64(s.ops)<<16|uint64(s.processes)<<8|uint64(s.values)))
				count := [3]int{}
				decided := make([]int, len(tiers))
				for total := 0; total < *histories; total++ {
					ops := generate(rng, m, s)
					v := judged(t, m, s, ops, decided)
					count[v]++
					for range 8 { // at least half of them should violate
						if count[harness.Invalid] >= count[harness.Valid] {
							break
						}
						swapAnswers(rng, ops)
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
