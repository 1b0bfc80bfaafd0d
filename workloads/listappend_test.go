package workloads

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"coup/checker/model"
	"coup/harness"
)

func TestTransactionsAreDrawn(t *testing.T) {
	const lists, most = 3, 20
	g := listAppend.Generator(Options{Keys: lists, OpsPerKey: most})
	m := harness.Moment{Rand: rand.New(rand.NewPCG(1, 1))}
	appended, steps, lengths := map[string]bool{}, map[string]int{}, map[int]int{}
	last := map[string]int{} // when a list was last used
	for i := range 2000 {
		var op harness.Op
		op, g = g.Next(m)
		txn := op.Value.(model.Txn)
		lengths[len(txn)]++
		for at, k := range listAppend.Objects(op) {
			if k != txn[at].Key {
				t.Fatalf("transaction %v has the keys %v", txn, listAppend.Objects(op))
			}
		}
		for _, m := range txn {
			steps[m.Key]++
			last[m.Key] = i
			if m.F == "append" {
				v := fmt.Sprint(m.Key, " ", m.Value)
				if appended[v] {
					t.Errorf("%s is appended twice", v)
				}
				appended[v] = true
			}
		}
	}
	active := 0
	for k, n := range steps {
		if n > most {
			t.Errorf("%d steps on %s, which is to be retired after %d", n, k, most)
		}
		if last[k] > 1900 && n < most {
			active++
		}
	}
	if active > lists || len(steps) < 100 {
		t.Errorf("%d lists in use in the end, %d in all", active, len(steps))
	}
	for n := 1; n <= mostSteps; n++ {
		if lengths[n] < 300 {
			t.Errorf("%d transactions of %d steps", lengths[n], n)
		}
	}
	if len(lengths) != mostSteps {
		t.Errorf("lengths %v", lengths)
	}
}

func TestFinalReadsCoverEveryList(t *testing.T) {
	var keys []string
	for i := range 25 {
		keys = append(keys, fmt.Sprint("k", i))
	}
	g := listAppend.Final(keys)
	seen := map[string]bool{}
	for range 3 {
		var op harness.Op
		op, g = g.Next(harness.Moment{})
		for _, m := range op.Value.(model.Txn) {
			if m.F != "r" || seen[m.Key] {
				t.Errorf("step %v", m)
			}
			seen[m.Key] = true
		}
		op.Type = harness.OK
		g = g.Update(harness.Moment{}, op)
	}
	if _, rest := g.Next(harness.Moment{}); rest != nil || len(seen) != len(keys) {
		t.Errorf("%d of %d lists are read in the end", len(seen), len(keys))
	}
}
