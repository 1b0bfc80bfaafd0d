package linearizable

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

// historyCase is a history and what must be said of it.
type historyCase struct {
	name  string
	valid harness.Validity
	text  string
	story string // a part of the story, "" for any
}

func runCases(t *testing.T, m model.Model, cases []historyCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := testhistory.Check(t, Checker{Model: m}, testhistory.Parse(t, m, c.text))
			if r.Valid != c.valid {
				t.Fatalf("found %v, expected %v: %s", r.Valid, c.valid, r.Summary)
			}
			if (r.Counterexample != nil) != (c.valid == harness.Invalid) {
				t.Fatalf("counterexample %v", r.Counterexample)
			}
			if r.Counterexample == nil {
				return
			}
			if story := strings.Join(r.Counterexample.Story, "\n"); !strings.Contains(story, c.story) {
				t.Errorf("the story does not say %q:\n%s", c.story, story)
			}
		})
	}
}

func TestRegisterHistories(t *testing.T) {
	runCases(t, model.Register(), []historyCase{
		{"empty", harness.Valid, ``, ""},
		{"nothing written", harness.Valid, `[read -> nil]`, ""},
		{"one write", harness.Valid, `[write 1] [read -> 1]`, ""},
		{"concurrent read sees old or new", harness.Valid, `
			[write 1] [write 2        ]
			            [read -> 1] [read -> 2]`, ""},
		{"value from nowhere", harness.Invalid, `[read -> 3]`, "Nobody had begun to write 3"},
		{"lost write", harness.Invalid, `[write 1] [read -> nil]`, "was no longer empty: 1 was there"},
		{"stale read", harness.Invalid, `
			[write 1] [write 2]
			                    [read -> 1]`, "1 was gone: 2 was there"},
		{"new then old", harness.Invalid, `
			[write 1] [write 2                          ]
			           [read -> 2]
			                       [read -> 1]`, "1 was gone: 2 was there"},
		{"read before it was written", harness.Invalid, `
			[read -> 1]
			            [write 1]`, "Nobody had begun to write 1"},
		{"failed write was read", harness.Invalid, `
			[write 1!
			          [read -> 1]`, "Nobody had begun to write 1"},
		{"open write takes effect late", harness.Valid, `
			[write 1]     [write 2]            [read -> 3]
			      [write 3>
			               [read -> 2]`, ""},
		{"open write takes effect once", harness.Invalid, `
			[write 1] [write 2] [read -> 3]                    [read -> 3]
			      [write 3>                 [write 4] `, "3 was gone"},
		{"open write never happened", harness.Valid, `
			[write 1>
			          [read -> nil]`, ""},
		{"open read is nothing", harness.Valid, `[write 1] [read>`, ""},
		{"cas succeeds", harness.Valid, `[write 1] [cas 1 2 -> 1] [read -> 2]`, ""},
		{"cas of nothing", harness.Valid, `[cas nil 2 -> nil] [read -> 2]`, ""},
		{"cas that fails reads", harness.Valid, `[write 1] [cas 3 2 -> 1] [read -> 1]`, ""},
		{"cas that fails had no effect", harness.Invalid, `[write 1] [cas 3 2 -> 1] [read -> 2]`, "Nobody had begun to write 2"},
		{"cas that fails saw an old value", harness.Invalid, `[write 1] [write 2] [cas 3 4 -> 1]`, "1 was gone"},
		{"two cas from one value", harness.Invalid, `
			[write 1] [cas 1 2 -> 1]
			          [cas 1 3 -> 1]`, "both replaced 1"},
		{"open cas may have happened", harness.Valid, `
			[write 1] [cas 1 2>
			                     [read -> 2]`, ""},
		{"open cas may not have happened", harness.Valid, `
			[write 1] [cas 1 2>
			                     [read -> 1]`, ""},
		{"open cas whose value never was there", harness.Invalid, `
			[write 1] [cas 3 2>
			                     [read -> 2]`, ""},
		{"keys are independent", harness.Valid, `
			[x: write 1] [y: read -> nil] [x: read -> 1]`, ""},
		{"one key of many", harness.Invalid, `
			[x: write 1] [y: write 2] [x: read -> 1] [y: read -> 1]`, "Nobody had begun to write 1 to y"},
		{"the same value twice", harness.Valid, `
			[write 1] [write 2] [write 1] [read -> 1]`, ""},
	})
}

// The two traps: shortcuts that look right and are not.
func TestRegisterTraps(t *testing.T) {
	runCases(t, model.Register(), []historyCase{
		// The write of 2 was never read. Without it the compare-and-set, whose
		// answer nobody knows, could not have come to write 4.
		{"an unobserved open write can be needed", harness.Valid, `
			[write 1] [read -> 1] [read -> 4]
			[write 2>
			           [cas 2 4>`, ""},
		{"an unobserved open write is no excuse", harness.Invalid, `
			[write 1] [read -> 1] [read -> 4]
			[write 2>
			           [cas 3 4>`, ""},
		// A compare-and-set that failed tells no more than that the register did
		// not hold 1: only the write of 2, which nobody saw, explains that.
		{"an unobserved open write can be needed by a failure", harness.Valid, `
			[write 1] [cas 1 3 -> other]
			[write 2>`, ""},
		{"a failure needs a reason", harness.Invalid, `
			[write 1] [cas 1 3 -> other]`, ""},
		{"a reason comes in time", harness.Invalid, `
			[write 1] [cas 1 3 -> other]
			                               [write 2>`, ""},
		// The register holds 1 already when process 1 writes 1 again. Taking that
		// write early because it changes nothing would spend it: it is needed
		// after 2.
		{"a write of what is there may be needed later", harness.Valid, `
			[write 1] [read -> 1]   [write 2]  [read -> 1]
			           [write 1                             ]`, ""},
		{"but only once", harness.Invalid, `
			[write 1] [read -> 1]   [write 2]  [read -> 1] [write 3] [read -> 1]
			           [write 1                                          ]`, ""},
	})
}

func TestSetHistories(t *testing.T) {
	runCases(t, model.Set(), []historyCase{
		{"reads grow", harness.Valid, `
			[read -> {}] [add 1] [read -> {1}] [add 2] [read -> {2 1}]`, ""},
		{"open add may be seen", harness.Valid, `[add 1>  [add 2] [read -> {2}] [read -> {1 2}]`, ""},
		{"lost", harness.Invalid, `[add 1] [add 2] [add 3] [read -> {1 3}]`, "added 2"},
		{"unexpected", harness.Invalid, `[add 1] [read -> {1 7}]`, ""},
		{"twice", harness.Invalid, `[add 1] [read -> {1 1}]`, ""},
		{"vanished", harness.Invalid, `
			[add 1>
			          [read -> {1}] [read -> {}]`, ""},
		{"orders differ", harness.Invalid, `
			[add 1            ]
			[add 2            ]
			 [read -> {1}]
			 [read -> {2}]`, ""},
	})
}

func TestQueueHistories(t *testing.T) {
	runCases(t, model.Queue(), []historyCase{
		{"in order", harness.Valid, `
			[enqueue 1] [enqueue 2] [dequeue -> 1] [dequeue -> 2] [dequeue -> nil]`, ""},
		{"concurrent enqueues", harness.Valid, `
			[enqueue 1 ]
			[enqueue 2 ] [dequeue -> 2] [dequeue -> 1]`, ""},
		{"out of order", harness.Invalid, `
			[enqueue 1] [enqueue 2] [dequeue -> 2] [dequeue -> 1]`, ""},
		{"lost", harness.Invalid, `[enqueue 1] [dequeue -> nil]`, ""},
		{"twice", harness.Invalid, `[enqueue 1] [dequeue -> 1] [dequeue -> 1]`, ""},
		{"open dequeue took it", harness.Valid, `[enqueue 1] [dequeue>  [dequeue -> nil]`, ""},
		{"open dequeue took one only", harness.Invalid, `
			[enqueue 1] [enqueue 2] [dequeue>  [dequeue -> nil]`, ""},
	})
}

func TestStackHistories(t *testing.T) {
	runCases(t, model.Stack(), []historyCase{
		{"in order", harness.Valid, `
			[push 1] [push 2] [pop -> 2] [pop -> 1] [pop -> nil]`, ""},
		{"concurrent pushes", harness.Valid, `
			[push 1 ]
			[push 2 ] [pop -> 1] [pop -> 2]`, ""},
		{"out of order", harness.Invalid, `
			[push 1] [push 2] [pop -> 1] [pop -> 2]`, "pushed 1 on the stack"},
		{"left over on top", harness.Invalid, `[push 1] [push 2] [pop -> 1]`, ""},
		{"left over below", harness.Valid, `[push 1] [push 2] [pop -> 2]`, ""},
		{"lost", harness.Invalid, `[push 1] [pop -> nil]`, "was told that it was empty"},
		{"twice", harness.Invalid, `[push 1] [pop -> 1] [pop -> 1]`, ""},
		{"from nowhere", harness.Invalid, `[pop -> 1] [push 1]`, ""},
		{"open push may be seen", harness.Valid, `
			[push 1] [pop -> 2] [pop -> 1]
			[push 2>`, ""},
		{"open pop took what was on top", harness.Valid, `[push 1] [push 2] [pop>  [pop -> 1]`, ""},
		{"open pop took one only", harness.Invalid, `[push 1] [push 2] [push 3] [pop>  [pop -> 1]`, ""},
		{"open pop comes too late", harness.Invalid, `
			[push 1] [push 2] [pop -> 1]
			                             [pop>`, ""},
		{"nested", harness.Valid, `
			[push 1] [push 2] [pop -> 2] [push 3] [pop -> 3] [pop -> 1]`, ""},
		{"crossing", harness.Invalid, `
			[push 1] [push 2] [pop -> 1] [push 3] [pop -> 2] [pop -> 3]`, ""},
	})
}

func TestPriorityQueueHistories(t *testing.T) {
	runCases(t, model.PriorityQueue(), []historyCase{
		{"in order", harness.Valid, `
			[insert 2] [insert 1] [delete-min -> 1] [delete-min -> 2] [delete-min -> nil]`, ""},
		{"not yet there", harness.Valid, `
			[insert 2] [delete-min -> 2] [delete-min -> 1]
			[insert 1                                    ]`, ""},
		{"out of order", harness.Invalid, `
			[insert 2] [insert 1] [delete-min -> 2] [delete-min -> 1]`, "inserted 1 into the priority queue"},
		{"left over", harness.Invalid, `[insert 2] [insert 1] [delete-min -> 2]`, ""},
		{"larger left over", harness.Valid, `[insert 2] [insert 1] [delete-min -> 1]`, ""},
		{"lost", harness.Invalid, `[insert 1] [delete-min -> nil]`, ""},
		{"one after the other is in the way", harness.Invalid, `
			[insert 5] [insert 1]
			                       [delete-min -> 5        ]
			                        [insert 2]
			                                   [delete-min -> 1    ]
			                                                   [delete-min -> 2]`, ""},
		{"open delete-min took it", harness.Valid, `[insert 2] [insert 1] [delete-min>  [delete-min -> 2]`, ""},
		{"open delete-min took one only", harness.Invalid, `
			[insert 3] [insert 2] [insert 1] [delete-min>  [delete-min -> 3]`, ""},
	})
}

func TestMutexHistories(t *testing.T) {
	runCases(t, model.Mutex(), []historyCase{
		{"in turn", harness.Valid, `[acquire] [release] [acquire] [release]`, ""},
		{"handed over", harness.Valid, `
			[acquire] [release]
			      [acquire      ] [release]`, ""},
		{"twice", harness.Invalid, `
			[acquire]
			          [acquire]`, "acquired the mutex"},
		{"nobody held it", harness.Invalid, `[acquire] [release] [release]`, ""},
		{"open release may have happened", harness.Valid, `
			[acquire] [release>
			                    [acquire]`, ""},
		{"open release happened once", harness.Invalid, `
			[acquire] [release>
			                    [acquire] [acquire]`, ""},
		{"open acquire may not have happened", harness.Valid, `
			[acquire>
			          [acquire]`, ""},
		{"open acquire may have happened", harness.Valid, `
			[acquire>
			          [release]`, ""},
	})
}

// What a window of a long history shows by itself is all that is told.
func TestMutexCounterexampleIsSmall(t *testing.T) {
	m := model.Mutex()
	text := strings.Repeat("[acquire] [release] ", 50) + "[acquire] [acquire] " + strings.Repeat("[release] [acquire] ", 50)
	r := testhistory.Check(t, Checker{Model: m}, testhistory.Parse(t, m, text))
	if r.Valid != harness.Invalid || len(r.Counterexample.Witness) != 2 || !r.Details.(Details).Confirmed {
		t.Errorf("%v:\n%s", r.Valid, strings.Join(r.Counterexample.Story, "\n"))
	}
}

func TestLockHistories(t *testing.T) {
	runCases(t, model.Lock(), []historyCase{
		{"in turn", harness.Valid, `
			[acquire -> 1] [release]
			                         [acquire -> 2] [release]`, ""},
		{"two holders", harness.Invalid, `
			[acquire -> 1]                [release]
			               [acquire -> 2]`, "At 0.028 s processes 0 and 1 both held the lock: process 0 had been given it by 0.013 s and "},
		{"never given back", harness.Invalid, `
			[acquire]
			           [acquire]`, "both held the lock"},
		{"not even oneself", harness.Invalid, `[acquire] [acquire]`, ""},
		{"released by somebody else", harness.Invalid, `
			[acquire]
			          [release]`, "Process 1 did not hold the lock when its release at 0.018 s succeeded."},
		{"released twice", harness.Invalid, `[acquire] [release] [release]`, "Process 0 did not hold the lock when its release at 0.028 s succeeded."},
		{"what failed says nothing", harness.Valid, `
			[acquire]           [release]
			          [acquire!
			          [release!`, ""},
		{"tokens go back", harness.Invalid, `
			[acquire -> 2] [release]
			                         [acquire -> 1]`, "Process 1 was given token 1 after process 0 had been given token 2."},
		{"a token twice", harness.Invalid, `
			[acquire -> 2] [release]
			                         [acquire -> 2]`, "Processes 0 and 1 were both given token 2."},
		{"tokens may skip", harness.Valid, `
			[acquire -> 2] [release] [acquire -> 7]`, ""},
		{"tokens tell the order of those who overlap", harness.Invalid, `
			[acquire -> 2       ]            [release]
			[acquire -> 1       ] [release     ]`, ""},
		{"open release frees it", harness.Valid, `
			[acquire] [release>
			                    [acquire]`, ""},
		{"open acquire is no excuse for another", harness.Invalid, `
			[acquire>
			          [release]`, ""},
		{"open acquire need not have happened", harness.Valid, `
			[acquire>
			          [acquire]`, ""},
		// Whoever holds a lease may count on it from the moment it asked for it.
		{"the lease is over", harness.Valid, `
			[acquire -> 1 30ms]
			                     [acquire -> 2 30ms]`, ""},
		{"the lease is not over", harness.Invalid, `
			[acquire -> 1 60ms]
			                     [acquire -> 2 30ms]`, "nor had its lease run out"},
		{"the lease may be over before the answer", harness.Valid, `
			[acquire -> 1 5ms                                 ]
			                     [acquire -> 2 30ms]`, ""},
		{"released before the lease is over", harness.Valid, `
			[acquire -> 1 90ms] [release]
			                               [acquire -> 2 30ms]`, ""},
		{"a release says that the lease held until then", harness.Invalid, `
			[acquire -> 1 20ms]                      [release]
			                     [acquire -> 2]`, "since its release succeeded"},
		{"renewed", harness.Invalid, `
			[acquire -> 1 20ms] [renew -> 90ms]
			                                    [acquire -> 2]`, "asked to keep the lock"},
		{"renewed for too short", harness.Valid, `
			[acquire -> 1 90ms] [renew -> 5ms]
			                                    [acquire -> 2]`, ""},
		{"renewed too late", harness.Invalid, `
			[acquire -> 1 20ms]                              [renew -> 20ms]
			                     [acquire -> 2] [release]`, ""},
		{"an open renewal need not have happened", harness.Valid, `
			[acquire -> 1 30ms] [renew>
			                            [acquire -> 2]`, ""},
		{"keys are independent", harness.Valid, `[x: acquire] [y: acquire]`, ""},
	})
}

func TestListHistories(t *testing.T) {
	runCases(t, model.List(), []historyCase{
		{"grows", harness.Valid, `[append 1] [read -> {1}] [append 2] [read -> {1 2}] [append 3]`, ""},
		{"concurrent", harness.Valid, `
			[append 1 ]
			[append 2 ] [read -> {2 1}]`, ""},
		{"open append may be seen", harness.Valid, `[append 1> [read -> {}] [read -> {1}]`, ""},
		{"order", harness.Invalid, `[append 1] [append 2] [read -> {2 1}]`, "appended 2"},
		{"orders differ", harness.Invalid, `
			[append 1 ] [read -> {2 1}]
			[append 2 ] [read -> {1 2}]`, ""},
		{"lost", harness.Invalid, `[append 1] [append 2] [read -> {1}]`, "appended 2"},
		{"twice", harness.Invalid, `[append 1] [read -> {1 1}]`, ""},
		{"from nowhere", harness.Invalid, `[read -> {7}]`, ""},
		{"read too early", harness.Invalid, `[read -> {1}] [append 1]`, ""},
		{"the same twice", harness.Valid, `[append 1] [append 1] [read -> {1 1}]`, ""},
	})
}

func TestCounterHistories(t *testing.T) {
	runCases(t, model.Counter(), []historyCase{
		{"sums", harness.Valid, `[add 1] [add 2] [read -> 3]`, ""},
		{"open add counts or not", harness.Valid, `[add 1>  [add 2] [read -> 2] [read -> 3]`, ""},
		{"too little", harness.Invalid, `[add 1] [add 2] [read -> 2]`, ""},
		{"too much", harness.Invalid, `[add 1] [add 2!  [read -> 3]`, ""},
	})
}

// What is left of a violation in a long history is only what it rests on.
func TestCounterexampleIsMinimal(t *testing.T) {
	m := model.Register()
	r := testhistory.Check(t, Checker{Model: m}, testhistory.Parse(t, m, `
		[write 1] [read -> 1] [write 3] [read -> 3] [write 5] [read -> 5]   [read -> 2]
		    [write 2] [cas 2 9>      [write 4]         [write 6>       [write 7]   [read -> 7]`))
	if r.Valid != harness.Invalid {
		t.Fatal(r.Summary)
	}
	// 2 was overwritten by whatever came to be read after it.
	if n := len(r.Counterexample.Witness); n > 3 {
		t.Errorf("%d operations are left:\n%s", n, strings.Join(r.Counterexample.Story, "\n"))
	}
	t.Log("\n" + strings.Join(r.Counterexample.Story, "\n"))
}

// Where the values of a chain of compare-and-sets came from is left out.
func TestOriginsAreLeftOut(t *testing.T) {
	m := model.Register()
	r := testhistory.Check(t, Checker{Model: m}, testhistory.Parse(t, m, `
		[write 1] [cas 1 2 -> 1] [cas 2 3 -> 2] [cas 3 4 -> 3] [cas 4 5 -> 4] [read -> 4]`))
	if r.Valid != harness.Invalid || len(r.Counterexample.Witness) != 3 {
		t.Errorf("%v:\n%s", r.Valid, strings.Join(r.Counterexample.Story, "\n"))
	}
}

// A chain of thousands of compare-and-sets is no burden.
func TestLongChainsAreCut(t *testing.T) {
	m := model.Register()
	h := &harness.History{}
	add := func(op harness.Operation) {
		n := 2 * len(h.Operations)
		op.Type, op.Call, op.Return, op.Start, op.End = harness.OK, n, n+1, time.Duration(n)*time.Millisecond, time.Duration(n+1)*time.Millisecond
		h.Operations = append(h.Operations, op)
	}
	add(harness.Operation{F: "write", Input: int64(0)})
	for v := range int64(20_000) {
		add(harness.Operation{F: "cas", Input: model.CAS{From: model.Just(v), To: v + 1}, Output: model.Just(v)})
	}
	add(harness.Operation{F: "read", Output: model.Just(19_990)})
	listed := 0
	for _, part := range model.Register().Parts(h.Operations) {
		listed += len(part)
	}
	if listed > 1<<22+len(h.Operations) {
		t.Errorf("the parts of the chain have %d operations together", listed)
	}
	// Without a limit of time: that this ends at all shows how it is cut.
	r := testhistory.Check(t, Checker{Model: m}, h)
	if r.Valid != harness.Invalid || len(r.Counterexample.Witness) != 3 {
		t.Errorf("%v: %d operations", r.Valid, len(r.Counterexample.Witness))
	}
}

// What is left of violations is told in plain words, whatever it is.
func TestCounterexamplesAreSmall(t *testing.T) {
	cases := []struct {
		name, text, why string
		m               model.Model
		most            int
	}{
		{"queue", `
			[enqueue 1] [enqueue 2] [enqueue 3] [dequeue -> 1]    [dequeue -> 3] [dequeue -> 2]
			     [dequeue>      [enqueue 4]     [dequeue -> nil]   [enqueue 5]`, "", model.Queue(), 6},
		{"queue without open dequeues", `
			[enqueue 1] [enqueue 2] [enqueue 3] [dequeue -> 1]    [dequeue -> 3] [dequeue -> 2]
			                [enqueue 4]                           [enqueue 5]`, "2 was in the queue before anybody began to enqueue 3", model.Queue(), 4},
		{"set", `
			[add 1] [add 2] [read -> {1 2}] [add 3] [read -> {1 3}] [read -> {1 2 3}]
			     [add 4>         [add 5]`, "got [] and 2 more that do not matter here", model.Set(), 3},
		{"queue that loses", `[enqueue 1] [enqueue 2] [dequeue -> 2] [dequeue -> nil] [dequeue -> 1]`, "1 was in the queue before anybody began to enqueue 2, and still there when 2 was out", model.Queue(), 3},
		{"counter", `[add 1] [read -> 1] [add 2] [read -> 3] [read -> 7]`, "no more than 3; it got 7", model.Counter(), 5},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := testhistory.Check(t, Checker{Model: c.m}, testhistory.Parse(t, c.m, c.text))
			if r.Valid != harness.Invalid {
				t.Fatal(r.Summary)
			}
			story := strings.Join(r.Counterexample.Story, "\n")
			if len(r.Counterexample.Witness) > c.most || !strings.Contains(story, c.why) {
				t.Errorf("%d operations, at most %d expected, and %q:\n%s", len(r.Counterexample.Witness), c.most, c.why, story)
			}
		})
	}
}

// Where values repeat, the history is cut at its front.
func TestWindowOfRepeatedValues(t *testing.T) {
	m := model.Register()
	r := testhistory.Check(t, Checker{Model: m}, testhistory.Parse(t, m, `
		[write 1] [write 2] [write 1] [read -> 1] [write 2]      [write 3] [read -> 1] [write 1]
		    [write 2]     [read -> 2]   [cas 3 1 -> other]`))
	if r.Valid != harness.Invalid {
		t.Fatal(r.Summary)
	}
	if len(r.Counterexample.Witness) != 2 || !r.Details.(Details).Confirmed ||
		!strings.Contains(r.Counterexample.Story[0], "Whatever the register held before") {
		t.Errorf("%v %+v:\n%s", r.Valid, r.Details, strings.Join(r.Counterexample.Story, "\n"))
	}
}

// A violation is proved in little time in long histories of repeated values,
// and mostly by few operations: now and then it takes a long way to contradict
// itself.
func TestLongHistoriesOfRepeatedValues(t *testing.T) {
	m := model.Register()
	found, small := 0, 0
	for n := range uint64(40) {
		ops := testhistory.Generate(rand.New(rand.NewPCG(n, 1)), m, testhistory.Shape{Ops: 1000, Processes: 4 + int(n)/4, Values: 5, Faulty: 0.002})
		r := testhistory.Check(t, Checker{Model: m}, &harness.History{Operations: ops})
		if r.Valid != harness.Invalid {
			continue
		}
		found++
		if len(r.Counterexample.Witness) <= 12 {
			small++
		}
		if !r.Details.(Details).Confirmed {
			t.Errorf("seed %d: the counterexample of %d operations was not confirmed", n, len(r.Counterexample.Witness))
		}
	}
	t.Logf("%d violate, %d of them are proved by 12 operations or fewer", found, small)
	if found < 8 || small*4 < found*3 {
		t.Errorf("%d violate, %d of them are proved by 12 operations or fewer", found, small)
	}
}

// When the time is over, what the tier proved is shown as it is: not made
// smaller, and not made larger either.
func TestProofIsKeptWhenTimeIsOver(t *testing.T) {
	m := model.Register()
	h := testhistory.Parse(t, m, `[write 1] [write 2] [read -> 1] [write 3] [read -> 3] [write 4] [read -> 4]`)
	k := keysOf(m, h.Operations)[0]
	d, err := decide(context.Background(), m, k.Ops)
	if err != nil || d.valid != harness.Invalid {
		t.Fatal(d, err)
	}
	k.decision = d
	over, cancel := context.WithCancel(context.Background())
	cancel()
	g := newGuard(1 << 30)
	defer g.close()
	if small, _ := (Checker{Model: m}).shrink(over, g, k); len(small) != len(d.proof) || len(small) >= len(k.Ops) {
		t.Errorf("%d operations are shown; the proof has %d, the history %d", len(small), len(d.proof), len(k.Ops))
	}
}
