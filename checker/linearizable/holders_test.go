package linearizable

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

// timeline makes a history of operations that overlap at random: up to processes at
// once, some open. answer fills in what each gets, in an order that may be wrong.
func timeline(rng *rand.Rand, n, processes int, invent func(op *harness.Operation)) []harness.Operation {
	var ops []harness.Operation
	busy := map[int]int{} // process -> its operation
	names := map[int]int{}
	pos := 0
	for len(ops) < n || len(busy) > 0 {
		p := rng.IntN(processes)
		at, under := busy[p]
		if !under {
			if len(ops) == n {
				continue
			}
			op := harness.Operation{Process: p + processes*names[p], Type: harness.OK, Call: pos, Return: harness.Open, Start: time.Duration(pos) * time.Millisecond}
			invent(&op)
			busy[p] = len(ops)
			ops = append(ops, op)
		} else {
			op := &ops[at]
			if delete(busy, p); rng.IntN(6) == 0 {
				op.Type, op.Output = harness.Info, nil
				names[p]++
			} else {
				op.Return, op.End = pos, time.Duration(pos)*time.Millisecond
			}
		}
		pos++
	}
	return ops
}

// guessed is a model and how an operation of it is made up, with an answer that is
// guessed.
type guessed struct {
	m      model.Model
	invent func(rng *rand.Rand, op *harness.Operation)
}

// holders are the models of locks, semaphores and several registers at once.
func holders() []guessed {
	txn := func(rng *rand.Rand, answered bool) model.Txn {
		var steps model.Txn
		for range 1 + rng.IntN(2) {
			m := model.Micro{F: "r", Key: string(rune('x' + rng.IntN(2)))}
			if rng.IntN(2) == 0 {
				m.F, m.Value = "w", int64(rng.IntN(2))
			} else if answered {
				m.Seen = model.Maybe{Int: int64(rng.IntN(2)), Set: true}
				if rng.IntN(4) == 0 {
					m.Seen = model.Maybe{}
				}
			}
			steps = append(steps, m)
		}
		return steps
	}
	return []guessed{
		{model.ReentrantMutex(2), func(rng *rand.Rand, op *harness.Operation) {
			op.F = []string{"acquire", "release"}[rng.IntN(2)]
			if op.F == "acquire" {
				op.Output = model.Grant{Token: model.Maybe{Int: int64(rng.IntN(3)), Set: rng.IntN(4) == 0}}
			}
		}},
		{model.FencedMutex(), func(rng *rand.Rand, op *harness.Operation) {
			op.F = []string{"acquire", "release"}[rng.IntN(2)]
			if op.F == "acquire" {
				op.Output = model.Grant{Token: model.Just(int64(rng.IntN(9)))}
			}
		}},
		{model.Semaphore(2), func(rng *rand.Rand, op *harness.Operation) {
			op.F, op.Input = []string{"acquire", "release"}[rng.IntN(2)], int64(1+rng.IntN(2))
		}},
		{model.MultiRegister(), func(rng *rand.Rand, op *harness.Operation) {
			op.F, op.Input = "txn", txn(rng, false)
			out := slices.Clone(op.Input.(model.Txn))
			for i := range out {
				if out[i].F == "r" && rng.IntN(3) > 0 {
					out[i].Seen = model.Just(int64(rng.IntN(2)))
				}
			}
			op.Output = out
		}},
	}
}

// All procedures agree with brute force.
func TestHoldersAgreeWithBruteForce(t *testing.T) {
	for _, c := range holders() {
		t.Run(c.m.Name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(*testhistory.Seed, 31))
			count := [3]int{}
			for range *testhistory.Histories {
				ops := timeline(rng, 2+rng.IntN(6), 3, func(op *harness.Operation) { c.invent(rng, op) })
				count[judged(t, c.m, testhistory.Shape{Ops: 8}, ops, make([]int, len(tiers)))]++
				r, err := Checker{Model: c.m}.Check(context.Background(), &harness.History{Operations: ops})
				if err != nil {
					t.Fatal(err)
				}
				count[r.Valid]++
			}
			if count[harness.Valid] < *testhistory.Histories/20 || count[harness.Invalid] < *testhistory.Histories/20 {
				t.Errorf("too few of a kind: %v", count)
			}
		})
	}
}

// bagBruteForce tries every order, every fate of open operations, and every element
// that an open dequeue may have taken.
func bagBruteForce(ops []*harness.Operation) bool {
	done := make([]bool, len(ops))
	var try func(bag []int64) bool
	try = func(bag []int64) bool {
		left, first := false, harness.Open
		for i, op := range ops {
			if !done[i] && op.Type == harness.OK {
				left, first = true, min(first, op.Return)
			}
		}
		if !left {
			return true
		}
		for i, op := range ops {
			if done[i] || op.Call > first {
				continue
			}
			var after [][]int64
			got, answered := op.Output.(model.Maybe)
			switch at := slices.Index(bag, got.Int); {
			case op.F == "enqueue":
				after = append(after, append(slices.Clone(bag), op.Input.(int64)))
			case answered && !got.Set && len(bag) == 0:
				after = append(after, bag)
			case answered && got.Set && at >= 0:
				after = append(after, slices.Delete(slices.Clone(bag), at, at+1))
			case !answered:
				for n := range bag {
					after = append(after, slices.Delete(slices.Clone(bag), n, n+1))
				}
			}
			done[i] = true
			for _, b := range after {
				if try(b) {
					return true
				}
			}
			done[i] = false
		}
		return false
	}
	return try(nil)
}

func TestBagAgreesWithBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(*testhistory.Seed, 37))
	m := model.Bag()
	count := [3]int{}
	for n := range *testhistory.Histories {
		last := int64(0)
		ops := timeline(rng, 2+rng.IntN(6), 3, func(op *harness.Operation) {
			if rng.IntN(2) == 0 {
				last++
				op.F, op.Input = "enqueue", last
				if n%2 == 0 {
					op.Input = last % 2
				}
				return
			}
			op.F, op.Output = "dequeue", model.Just(int64(rng.IntN(int(last)+1)))
			if rng.IntN(3) == 0 {
				op.Output = model.Maybe{}
			}
		})
		view := model.Pointers(ops)
		want := harness.Invalid
		if bagBruteForce(view) {
			want = harness.Valid
		}
		r, err := Checker{Model: m}.Check(context.Background(), &harness.History{Operations: ops})
		if err != nil || r.Valid != want {
			t.Fatalf("%v, %v; brute force says %v:\n%s", r.Valid, err, want, testhistory.Describe(m, view))
		}
		if r.Valid == harness.Invalid {
			if wrong := (&reader{m: m, ops: view}).read(r.Counterexample.Story); wrong != "" {
				t.Fatalf("not true: %s\nof\n%s", wrong, testhistory.Describe(m, view))
			}
		}
		count[want]++
	}
	if count[harness.Valid] < *testhistory.Histories/20 || count[harness.Invalid] < *testhistory.Histories/20 {
		t.Errorf("too few of a kind: %v", count)
	}
}

func TestHolders(t *testing.T) {
	held := func(f string, process, call int, token int64) harness.Operation {
		op := harness.Operation{Process: process, F: f, Type: harness.OK, Call: call, Return: call + 1}
		if f == "acquire" {
			op.Output = model.Grant{}
			if token > 0 {
				op.Output = model.Grant{Token: model.Just(token)}
			}
		}
		return op
	}
	permits := func(f string, process, call int, n int64) harness.Operation {
		return harness.Operation{Process: process, F: f, Input: n, Type: harness.OK, Call: call, Return: call + 1}
	}
	for name, c := range map[string]struct {
		m    model.Model
		ops  []harness.Operation
		want harness.Validity
	}{
		"a mutex is acquired again by its holder":     {model.ReentrantMutex(0), []harness.Operation{held("acquire", 0, 0, 0), held("acquire", 0, 2, 0), held("release", 0, 4, 0), held("release", 0, 6, 0), held("acquire", 1, 8, 0)}, harness.Valid},
		"it must be released as often":                {model.ReentrantMutex(0), []harness.Operation{held("acquire", 0, 0, 0), held("acquire", 0, 2, 0), held("release", 0, 4, 0), held("acquire", 1, 8, 0)}, harness.Invalid},
		"no more often than it may be":                {model.ReentrantMutex(2), []harness.Operation{held("acquire", 0, 0, 0), held("acquire", 0, 2, 0), held("acquire", 0, 4, 0)}, harness.Invalid},
		"the holder keeps its token":                  {model.ReentrantMutex(0), []harness.Operation{held("acquire", 0, 0, 3), held("acquire", 0, 2, 4)}, harness.Invalid},
		"the next one has a larger token":             {model.ReentrantMutex(0), []harness.Operation{held("acquire", 0, 0, 3), held("release", 0, 2, 0), held("acquire", 1, 4, 3)}, harness.Invalid},
		"a fenced mutex is not acquired again":        {model.FencedMutex(), []harness.Operation{held("acquire", 0, 0, 3), held("acquire", 0, 2, 4)}, harness.Invalid},
		"a semaphore has permits for both":            {model.Semaphore(2), []harness.Operation{permits("acquire", 0, 0, 1), permits("acquire", 1, 2, 1), permits("release", 0, 4, 1), permits("acquire", 2, 6, 1)}, harness.Valid},
		"but not for three":                           {model.Semaphore(2), []harness.Operation{permits("acquire", 0, 0, 1), permits("acquire", 1, 2, 1), permits("acquire", 2, 4, 1)}, harness.Invalid},
		"and only those that a process has come back": {model.Semaphore(2), []harness.Operation{permits("acquire", 0, 0, 1), permits("release", 1, 2, 1)}, harness.Invalid},
	} {
		r, err := Checker{Model: c.m}.Check(context.Background(), &harness.History{Operations: c.ops})
		if err != nil || r.Valid != c.want {
			t.Errorf("%s: %v, %v", name, r.Valid, err)
		}
	}
}

// A renewal gives a lock without a lease one that is over before the renewal is
// answered. So the next process may acquire the lock; only the third cannot.
func TestRenewalThatIsOverWhenItIsAnswered(t *testing.T) {
	const ms = time.Millisecond
	ops := []harness.Operation{
		{Process: 0, F: "acquire", Output: model.Grant{}, Type: harness.OK, Call: 0, Return: 1, Start: 0, End: 1 * ms},
		{Process: 0, F: "renew", Output: model.Grant{Lease: 2 * ms}, Type: harness.OK, Call: 2, Return: 12, Start: 2 * ms, End: 12 * ms},
		{Process: 1, F: "acquire", Output: model.Grant{}, Type: harness.OK, Call: 5, Return: 6, Start: 5 * ms, End: 6 * ms},
		{Process: 2, F: "acquire", Output: model.Grant{}, Type: harness.OK, Call: 8, Return: 9, Start: 8 * ms, End: 9 * ms},
	}
	if r := testhistory.Check(t, Checker{Model: model.Lock()}, &harness.History{Operations: ops[:3]}); r.Valid != harness.Valid {
		t.Errorf("without the third process: %v", r.Valid)
	}
	r := testhistory.Check(t, Checker{Model: model.Lock()}, &harness.History{Operations: ops})
	if r.Valid != harness.Invalid {
		t.Fatalf("%v", r.Valid)
	}
	if story := strings.Join(r.Counterexample.Story, "\n"); !strings.Contains(story, "At 0.009 s processes 1 and 2 both held the lock") {
		t.Errorf("the story is\n%s", story)
	}
}
