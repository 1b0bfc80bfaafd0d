package invariants_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/invariants"
	"coup/checker/model"
	"coup/harness"
)

// history reads lines such as "1 ok read {"0": 10}": process, how it ended, function,
// and its value: of the answer if it was ok and is not in brackets, else what was asked
// for; one after the other.
func history(t *testing.T, decode harness.Decoder, lines ...string) *harness.History {
	t.Helper()
	h := &harness.History{}
	for i, line := range lines {
		words := strings.SplitN(line, " ", 4)
		words = append(words, "null")
		op := harness.Operation{Process: int(words[0][0] - '0'), F: words[2], Call: 2 * i, Return: 2*i + 1}
		if err := op.Type.UnmarshalText([]byte(words[1])); err != nil {
			t.Fatal(err)
		}
		asked, answered, both := strings.Cut(words[3], " => ")
		if !both {
			answered = words[3]
		}
		var err error
		if op.Input, err = decode(harness.Invoke, op.F, json.RawMessage(asked)); err != nil && both {
			t.Fatalf("%s: %v", line, err)
		}
		if op.Type == harness.OK {
			if op.Output, err = decode(harness.OK, op.F, json.RawMessage(answered)); err != nil {
				op.Output = nil
			}
		}
		if op.Type == harness.Info {
			op.Return = harness.Open
		}
		h.Operations = append(h.Operations, op)
	}
	return h
}

type row struct {
	name  string
	lines []string
	want  harness.Validity
	found string // the kinds that must be found, those that are allowed too
}

func run(t *testing.T, c harness.Checker, decode harness.Decoder, rows []row) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := testhistory.Check(t, c, history(t, decode, row.lines...))
			var found []string
			for kind, n := range r.Details.(invariants.Details).Numbers {
				if n > 0 {
					found = append(found, kind)
				}
			}
			slices.Sort(found)
			if got := strings.Join(found, " "); r.Valid != row.want || got != row.found {
				t.Fatalf("%v, found %q; expected %v, %q: %s %v", r.Valid, got, row.want, row.found, r.Summary, r.Details)
			}
			if r.Valid == harness.Invalid && (r.Counterexample == nil || len(r.Counterexample.Story) < 2 || len(r.Counterexample.Witness) == 0) {
				t.Errorf("no story: %+v", r.Counterexample)
			}
		})
	}
}

func TestBank(t *testing.T) {
	transfer := `1 ok transfer {"from": 0, "to": 1, "amount": 3}`
	run(t, invariants.Bank{}, model.DecodeBank, []row{
		{"fine", []string{`0 ok read {"0": 10, "1": 20}`, transfer, `0 ok read {"0": 7, "1": 23}`}, harness.Valid, ""},
		{"money is lost", []string{`0 ok read {"0": 10, "1": 20}`, transfer, `0 ok read {"0": 7, "1": 20}`}, harness.Invalid, "wrong-total"},
		{"overdrawn", []string{`0 ok read {"0": 2, "1": 20}`, transfer, `0 ok read {"0": -1, "1": 23}`}, harness.Invalid, "negative-value"},
		{"an account is not there", []string{`0 ok read {"0": 2, "1": 20}`, `0 ok read {"0": 22, "1": null}`}, harness.Invalid, "nil-balance"},
		{"an account too many", []string{`0 ok read {"0": 2, "1": 20}`, `0 ok read {"0": 2, "1": 20, "2": 0}`}, harness.Invalid, "unexpected-key"},
		{"nobody read", []string{transfer}, harness.Unknown, ""},
		{"a read that failed says nothing", []string{`0 ok read {"0": 2}`, `0 fail read {"0": 3}`}, harness.Valid, ""},
	})
	run(t, invariants.Bank{Negative: true, Total: model.Just(22)}, model.DecodeBank, []row{
		{"overdrawn and allowed", []string{`0 ok read {"0": -1, "1": 23}`}, harness.Valid, ""},
		{"not the total that was given", []string{`0 ok read {"0": -1, "1": 24}`}, harness.Invalid, "wrong-total"},
	})
}

func TestJobs(t *testing.T) {
	rest := `1 ok look {"jobs": [{"job": 1, "effects": 1}, {"job": 2, "effects": 1}], "busy": 0}`
	twice := `1 ok look {"jobs": [{"job": 1, "effects": 2}], "busy": 0}`
	failed := `1 ok look {"jobs": [{"job": 1, "state": "failed", "effects": 0}, {"job": 2, "effects": 1}], "busy": 0}`
	always := []row{
		{"fine", []string{`0 ok submit 1`, `0 ok submit 2`, rest}, harness.Valid, ""},
		{"seen later", []string{`0 ok submit 1`, `1 ok look {"jobs": [], "busy": 1}`, rest, `0 ok submit 2`, rest}, harness.Valid, ""},
		{"lost", []string{`0 ok submit 1`, `0 ok submit 2`, `0 ok submit 3`, rest}, harness.Invalid, "lost"},
		{"said to be finished, and lost", []string{`0 ok submit 1`, `1 ok look {"jobs": [{"job": 1, "state": "finished", "effects": 0}], "busy": 0}`}, harness.Invalid, "lost"},
		{"refused, and it ran", []string{`0 ok submit 1`, `0 fail submit 2`, rest}, harness.Invalid, "refused-ran"},
		{"refused", []string{`0 ok submit 1`, `0 ok submit 2`, `0 fail submit 3`, rest}, harness.Valid, ""},
		{"nobody knows, and it ran", []string{`0 ok submit 1`, `0 info submit 2`, rest}, harness.Valid, ""},
		{"nobody knows, and it did not run", []string{`0 ok submit 1`, `0 ok submit 2`, `0 info submit 3`, rest}, harness.Valid, ""},
		{"nobody submitted it", []string{`0 ok submit 1`, rest}, harness.Invalid, "unexpected"},
		{"it may still run", []string{`0 ok submit 3`, `1 ok look {"jobs": [], "busy": 1}`}, harness.Unknown, "unfinished"},
		{"the last look came too early", []string{rest, `0 ok submit 1`, `0 ok submit 2`, `0 ok submit 3`}, harness.Unknown, "unfinished"},
		{"nobody looked", []string{`0 ok submit 1`, `1 fail look null`}, harness.Unknown, "unfinished"},
		{"nothing at all", nil, harness.Unknown, ""},
		{"only what nobody knows of has run", []string{`0 info submit 1`, `0 info submit 2`, rest}, harness.Unknown, ""},
	}
	run(t, invariants.Jobs{}, model.DecodeJobs, append(always,
		row{"twice", []string{`0 ok submit 1`, twice}, harness.Invalid, "repeated"},
		row{"nobody knows, and it ran twice", []string{`0 info submit 1`, `0 ok submit 2`, twice, rest}, harness.Invalid, "repeated"},
		row{"given up", []string{`0 ok submit 1`, `0 ok submit 2`, failed}, harness.Invalid, "given-up"},
		row{"it failed after its effect", []string{`0 ok submit 1`, `1 ok look {"jobs": [{"job": 1, "state": "failed", "effects": 1}], "busy": 0}`}, harness.Valid, ""}))
	run(t, invariants.Jobs{Repeats: true}, model.DecodeJobs, append(always,
		row{"twice", []string{`0 ok submit 1`, twice}, harness.Valid, "repeated"},
		row{"given up", []string{`0 ok submit 1`, `0 ok submit 2`, failed}, harness.Invalid, "given-up"}))
	run(t, invariants.Jobs{Fails: true}, model.DecodeJobs, append(always,
		row{"twice", []string{`0 ok submit 1`, twice}, harness.Invalid, "repeated"},
		row{"given up", []string{`0 ok submit 1`, `0 ok submit 2`, failed}, harness.Valid, "given-up"}))
	run(t, invariants.Jobs{Repeats: true, Fails: true}, model.DecodeJobs, append(always,
		row{"all are said to have failed", []string{`0 ok submit 1`, `1 ok look {"jobs": [{"job": 1, "state": "failed", "effects": 0}], "busy": 0}`}, harness.Unknown, "given-up"},
		row{"twice", []string{`0 ok submit 1`, twice}, harness.Valid, "repeated"},
		row{"given up", []string{`0 ok submit 1`, `0 ok submit 2`, failed}, harness.Valid, "given-up"}))
	names := map[string]bool{}
	for _, c := range []invariants.Jobs{{}, {Repeats: true}, {Fails: true}, {Repeats: true, Fails: true}} {
		names[c.Name()] = true
	}
	if len(names) != 4 {
		t.Errorf("the levels are called %v", names)
	}
}

func TestLongFork(t *testing.T) {
	run(t, invariants.LongFork{}, model.DecodeRegisterTxn, []row{
		{"a chain", []string{`0 ok txn [["w", 0, 1]]`, `1 ok txn [["r", 0, 1], ["r", 1, null]]`, `0 ok txn [["w", 1, 1]]`, `1 ok txn [["r", 1, 1], ["r", 0, 1]]`}, harness.Valid, ""},
		{"a fork", []string{`0 ok txn [["w", 0, 1]]`, `1 ok txn [["w", 1, 1]]`, `2 ok txn [["r", 0, 1], ["r", 1, null]]`, `3 ok txn [["r", 1, 1], ["r", 0, null]]`}, harness.Invalid, "long-fork"},
		{"other registers are not compared", []string{`2 ok txn [["r", 0, 1], ["r", 1, null]]`, `3 ok txn [["r", 1, 1], ["r", 2, null]]`}, harness.Valid, ""},
		{"written twice", []string{`0 ok txn [["w", 0, 1]]`, `0 ok txn [["w", 0, 2]]`}, harness.Unknown, ""},
		{"neither write nor read", []string{`0 ok txn [["w", 0, 1], ["r", 1, null]]`}, harness.Unknown, ""},
	})
}

func TestSetFull(t *testing.T) {
	rows := []row{
		{"stable", []string{`0 ok add 1`, `1 ok read [1]`}, harness.Valid, ""},
		{"lost", []string{`0 ok add 1`, `0 ok add 2`, `1 ok read [1]`}, harness.Invalid, "lost"},
		{"lost after it was seen", []string{`0 info add 1`, `0 ok add 2`, `1 ok read [1, 2]`, `1 ok read [2]`}, harness.Invalid, "lost"},
		{"never acknowledged and never seen", []string{`2 info add 1`, `0 ok add 2`, `1 ok read [2]`}, harness.Valid, "never-read"},
		{"never looked for", []string{`0 ok add 1`, `1 ok read [1]`, `0 ok add 2`}, harness.Valid, "never-read"},
		{"duplicated", []string{`0 ok add 1`, `1 ok read [1, 1]`}, harness.Invalid, "duplicated"},
		{"nothing is stable", []string{`0 ok add 1`}, harness.Unknown, "never-read"},
	}
	run(t, invariants.SetFull{}, model.DecodeSet, append(rows, row{"stale", []string{`0 ok add 1`, `1 ok read []`, `1 ok read [1]`}, harness.Valid, "stale"}))
	run(t, invariants.SetFull{Linearizable: true}, model.DecodeSet, append(rows, row{"stale", []string{`0 ok add 1`, `1 ok read []`, `1 ok read [1]`}, harness.Invalid, "stale"}))
}

func TestTotalQueue(t *testing.T) {
	run(t, invariants.TotalQueue{}, model.DecodeQueue, []row{
		{"out of order", []string{`0 ok enqueue 1`, `0 ok enqueue 2`, `1 ok dequeue 2`, `1 ok dequeue 1`}, harness.Valid, ""},
		{"lost", []string{`0 ok enqueue 1`, `0 ok enqueue 2`, `1 ok dequeue 2`}, harness.Invalid, "lost"},
		{"from nowhere", []string{`0 ok enqueue 1`, `1 ok dequeue 1`, `1 ok dequeue 3`}, harness.Invalid, "unexpected"},
		{"recovered", []string{`0 info enqueue 1`, `1 ok dequeue 1`}, harness.Valid, "recovered"},
		{"twice", []string{`0 ok enqueue 1`, `1 ok dequeue 1`, `1 ok dequeue 1`}, harness.Valid, "duplicated"},
		{"nothing to dequeue", []string{`0 ok enqueue 1`, `1 ok dequeue 1`, `1 ok dequeue null`}, harness.Valid, ""},
		{"nothing at all", nil, harness.Unknown, ""},
	})
}

func TestTotalQueueThatWasNotDrained(t *testing.T) {
	run(t, invariants.TotalQueue{Undrained: true}, model.DecodeQueue, []row{
		{"it may still be there", []string{`0 ok enqueue 1`, `0 ok enqueue 2`, `1 ok dequeue 2`}, harness.Valid, ""},
		{"from nowhere", []string{`0 ok enqueue 1`, `1 ok dequeue 3`}, harness.Invalid, "unexpected"},
	})
}

// With a time to settle, an element is lost only if its queue was found empty so long after
// the last enqueue.
func TestTotalQueueThatWasDrained(t *testing.T) {
	const second = time.Second
	put := func(key string, v int64, at time.Duration, how harness.Type) harness.Operation {
		return harness.Operation{F: "enqueue", Key: key, Input: v, Type: how, Start: at, End: at}
	}
	took := func(key string, v model.Maybe, at time.Duration) harness.Operation {
		return harness.Operation{F: "dequeue", Key: key, Output: v, Type: harness.OK, Start: at, End: at}
	}
	one := model.Maybe{Set: true, Int: 1}
	for _, c := range []struct {
		name string
		want harness.Validity
		ops  []harness.Operation
	}{
		{"it came out", harness.Valid, []harness.Operation{put("a", 1, 0, harness.OK), took("a", one, second)}},
		{"nobody looked", harness.Unknown, []harness.Operation{put("a", 1, 0, harness.OK), put("a", 2, 0, harness.OK), took("a", one, second)}},
		{"empty too early", harness.Unknown, []harness.Operation{put("a", 1, 0, harness.OK), took("a", model.Maybe{}, 4*second)}},
		{"empty in the end", harness.Invalid, []harness.Operation{put("a", 1, 0, harness.OK), took("a", model.Maybe{}, second), took("a", model.Maybe{}, 5*second)}},
		{"an enqueue after that", harness.Unknown, []harness.Operation{put("a", 1, 0, harness.OK), took("a", model.Maybe{}, 6*second), put("a", 2, 2*second, harness.Info)}},
		{"a failed one is none", harness.Invalid, []harness.Operation{put("a", 1, 0, harness.OK), put("a", 2, 2*second, harness.Fail), took("a", model.Maybe{}, 6*second)}},
		{"another queue was drained", harness.Unknown, []harness.Operation{put("a", 1, 0, harness.OK), took("b", model.Maybe{}, 9*second)}},
		{"one of two was drained", harness.Invalid, []harness.Operation{put("a", 1, 0, harness.OK), put("b", 1, 0, harness.OK), took("b", model.Maybe{}, 9*second)}},
		{"it came late", harness.Valid, []harness.Operation{put("a", 1, 0, harness.OK), took("a", model.Maybe{}, second), took("a", one, 3*second), took("a", one, 4*second)}},
		{"out of nowhere, drained or not", harness.Invalid, []harness.Operation{put("a", 2, 0, harness.Info), took("a", one, second)}},
	} {
		for i := range c.ops {
			c.ops[i].Call, c.ops[i].Return = 2*i, 2*i+1
		}
		r, err := invariants.TotalQueue{Settle: 5 * second}.Check(t.Context(), &harness.History{Operations: c.ops})
		if err != nil || r.Valid != c.want {
			t.Errorf("%s: %v, %s, want %v (%v)", c.name, r.Valid, r.Summary, c.want, err)
		}
	}
}

func TestUniqueIDs(t *testing.T) {
	run(t, invariants.UniqueIDs{}, model.DecodeIDs, []row{
		{"unique", []string{`0 ok generate 1`, `1 ok generate 2`, `2 info generate`}, harness.Valid, ""},
		{"twice", []string{`0 ok generate 1`, `1 ok generate 1`}, harness.Invalid, "duplicated"},
		{"none", []string{`0 info generate`}, harness.Unknown, ""},
	})
}

func TestLog(t *testing.T) {
	send := func(words string) string { return words }
	rows := []row{
		{"fine", []string{`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `0 ok send [["send", 1, 8]] => [["send", 1, [2, 8]]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[0, 7], [2, 8]]}]]`}, harness.Valid, ""},
		{"lost write", []string{`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `0 ok send [["send", 1, 8]] => [["send", 1, [1, 8]]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[1, 8]]}]]`}, harness.Invalid, "lost-write unseen"},
		{"not polled yet", []string{`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `0 ok send [["send", 1, 8]] => [["send", 1, [1, 8]]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[0, 7]]}]]`}, harness.Valid, "unseen"},
		{"duplicate", []string{`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[0, 7]]}]]`, `2 ok poll [["poll"]] => [["poll", {"1": [[3, 7]]}]]`}, harness.Invalid, "duplicate"},
		{"two at one offset", []string{`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `3 info send [["send", 1, 8]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[0, 7]]}]]`, `2 ok poll [["poll"]] => [["poll", {"1": [[0, 8]]}]]`}, harness.Invalid, "inconsistent-offsets"},
		{"aborted read", []string{`0 fail send [["send", 1, 7]] => null`, `1 ok poll [["poll"]] => [["poll", {"1": [[0, 7]]}]]`}, harness.Invalid, "aborted-read"},
		{"precommitted read", []string{`0 ok txn [["send", 1, 7], ["poll"]] => [["send", 1, [0, 7]], ["poll", {"1": [[0, 7]]}]]`}, harness.Invalid, "precommitted-read"},
		{"a poll skips", []string{
			`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `0 ok send [["send", 1, 8]] => [["send", 1, [1, 8]]]`, `0 ok send [["send", 1, 9]] => [["send", 1, [2, 9]]]`,
			`2 ok poll [["poll"]] => [["poll", {"1": [[0, 7], [1, 8], [2, 9]]}]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[0, 7]]}]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[2, 9]]}]]`,
		}, harness.Invalid, "poll-skip"},
		{"a poll goes back", []string{
			`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `0 ok send [["send", 1, 8]] => [["send", 1, [1, 8]]]`,
			`1 ok poll [["poll"]] => [["poll", {"1": [[0, 7], [1, 8]]}]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[0, 7]]}]]`,
		}, harness.Invalid, "nonmonotonic-poll"},
		{"unless it was assigned anew", []string{
			`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `0 ok send [["send", 1, 8]] => [["send", 1, [1, 8]]]`,
			`1 ok poll [["poll"]] => [["poll", {"1": [[0, 7], [1, 8]]}]]`, `1 ok assign [2] => null`, `1 ok assign [1] => null`, `1 ok poll [["poll"]] => [["poll", {"1": [[0, 7]]}]]`,
		}, harness.Valid, ""},
		{"or somebody subscribes", []string{
			`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `0 ok send [["send", 1, 8]] => [["send", 1, [1, 8]]]`, `1 ok subscribe [1] => null`,
			`1 ok poll [["poll"]] => [["poll", {"1": [[0, 7], [1, 8]]}]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[0, 7]]}]]`,
		}, harness.Valid, "nonmonotonic-poll"},
		{"within one poll", []string{
			`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `0 ok send [["send", 1, 8]] => [["send", 1, [1, 8]]]`,
			`1 ok poll [["poll"]] => [["poll", {"1": [[1, 8], [0, 7]]}]]`,
		}, harness.Invalid, "int-nonmonotonic-poll"},
		{"within one poll, one left out", []string{
			`0 ok txn [["send", 1, 7], ["send", 1, 8], ["send", 1, 9]] => [["send", 1, [0, 7]], ["send", 1, [1, 8]], ["send", 1, [2, 9]]]`,
			`2 ok poll [["poll"]] => [["poll", {"1": [[0, 7], [1, 8], [2, 9]]}]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[0, 7], [2, 9]]}]]`,
		}, harness.Invalid, "int-poll-skip"},
		{"sends go back", []string{
			`0 ok send [["send", 1, 7]] => [["send", 1, [5, 7]]]`, `0 ok send [["send", 1, 8]] => [["send", 1, [1, 8]]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[1, 8], [5, 7]]}]]`,
		}, harness.Invalid, "nonmonotonic-send"},
		{"sends of one transaction go back", []string{
			`0 ok txn [["send", 1, 7], ["send", 1, 8]] => [["send", 1, [5, 7]], ["send", 1, [1, 8]]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[1, 8], [5, 7]]}]]`,
		}, harness.Invalid, "int-nonmonotonic-send"},
		{"sends of two transactions between each other", []string{
			`0 ok txn [["send", 1, 7], ["send", 1, 8]] => [["send", 1, [0, 7]], ["send", 1, [2, 8]]]`, `2 ok send [["send", 1, 9]] => [["send", 1, [1, 9]]]`,
			`1 ok poll [["poll"]] => [["poll", {"1": [[0, 7], [1, 9], [2, 8]]}]]`,
		}, harness.Valid, "int-send-skip"},
		{"two transactions that polled each other's messages", []string{
			`0 ok txn [["send", 1, 7], ["poll"]] => [["send", 1, [0, 7]], ["poll", {"2": [[0, 8]]}]]`, `1 ok txn [["send", 2, 8], ["poll"]] => [["send", 2, [0, 8]], ["poll", {"1": [[0, 7]]}]]`,
		}, harness.Invalid, "G1c"},
		{"only one of them", []string{
			`0 ok txn [["send", 1, 7], ["poll"]] => [["send", 1, [0, 7]], ["poll", {"2": []}]]`, `1 ok txn [["send", 2, 8], ["poll"]] => [["send", 2, [0, 8]], ["poll", {"1": [[0, 7]]}]]`,
		}, harness.Valid, "unseen"},
		{"a process polled what came of what it sent later", []string{
			`0 ok poll [["poll"]] => [["poll", {"2": [[0, 8]]}]]`, `0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `1 ok txn [["send", 2, 8], ["poll"]] => [["send", 2, [0, 8]], ["poll", {"1": [[0, 7]]}]]`,
		}, harness.Invalid, "G1c-process"},
		{"sends of two transactions in a circle", []string{
			`0 ok txn [["send", 1, 7], ["send", 2, 8]] => [["send", 1, [0, 7]], ["send", 2, [1, 8]]]`, `1 ok txn [["send", 2, 9], ["send", 1, 6]] => [["send", 2, [0, 9]], ["send", 1, [1, 6]]]`,
			`2 ok poll [["poll"]] => [["poll", {"1": [[0, 7], [1, 6]], "2": [[0, 9], [1, 8]]}]]`,
		}, harness.Valid, ""},
		{"a log that was assigned anew meanwhile", []string{
			`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `0 ok send [["send", 1, 8]] => [["send", 1, [1, 8]]]`,
			`1 ok poll [["poll"]] => [["poll", {"1": [[0, 7], [1, 8]]}]]`, `1 ok poll [["poll"]] => {"steps": [["poll", {"1": [[0, 7]]}]], "rebalanced": ["1"]}`,
		}, harness.Valid, ""},
		{"assigned from the beginning", []string{
			`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `0 ok send [["send", 1, 8]] => [["send", 1, [1, 8]]]`,
			`1 ok poll [["poll"]] => [["poll", {"1": [[0, 7], [1, 8]]}]]`, `1 ok assign {"keys": ["1"], "from_beginning": true} => null`, `1 ok poll [["poll"]] => [["poll", {"1": [[0, 7]]}]]`,
		}, harness.Valid, ""},
		{"nobody polled", []string{send(`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`), `0 info crash`}, harness.Unknown, "unseen"},
	}
	run(t, invariants.Log{}, model.DecodeLog, rows)
	run(t, invariants.Log{Drained: true}, model.DecodeLog, []row{
		{"unseen", []string{`0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `0 ok send [["send", 1, 8]] => [["send", 1, [1, 8]]]`, `1 ok poll [["poll"]] => [["poll", {"1": [[0, 7]]}]]`}, harness.Invalid, "unseen"},
	})
	run(t, invariants.Log{ReadUncommitted: true}, model.DecodeLog, []row{{"two transactions that polled each other's messages", []string{
		`0 ok txn [["send", 1, 7], ["poll"]] => [["send", 1, [0, 7]], ["poll", {"2": [[0, 8]]}]]`, `1 ok txn [["send", 2, 8], ["poll"]] => [["send", 2, [0, 8]], ["poll", {"1": [[0, 7]]}]]`,
	}, harness.Valid, "G1c"}})
	twice := history(t, model.DecodeLog, `0 ok send [["send", 1, 7]] => [["send", 1, [0, 7]]]`, `0 ok send [["send", 1, 7]] => [["send", 1, [1, 7]]]`)
	if _, err := (invariants.Log{}).Check(t.Context(), twice); err == nil {
		t.Error("a value that is sent twice is no error")
	}
	wrong := history(t, model.DecodeSet, `0 ok add 1`)
	for _, c := range []harness.Checker{invariants.Log{}, invariants.Bank{}, invariants.LongFork{}, invariants.UniqueIDs{}, invariants.TotalQueue{}, invariants.Jobs{}} {
		if _, err := c.Check(t.Context(), wrong); err == nil {
			t.Errorf("%s judges a set", c.Name())
		}
	}
}

// A log that is honest is valid, whoever polls what when.
func TestHonestLogs(t *testing.T) {
	rng := rand.New(rand.NewPCG(*testhistory.Seed, 41))
	for range 200 {
		var log []int64
		var lines []string
		at := map[int]int{}
		for v := range int64(30) {
			if rng.IntN(2) == 0 {
				b, _ := json.Marshal([]any{[]any{"send", 1, []int64{int64(len(log)), v}}})
				in, _ := json.Marshal([]any{[]any{"send", 1, v}})
				log = append(log, v)
				lines = append(lines, "0 ok send "+string(in)+" => "+string(b))
				continue
			}
			p := 1 + rng.IntN(2)
			messages := [][]int64{}
			for n := rng.IntN(4); n > 0 && at[p] < len(log); n-- {
				messages = append(messages, []int64{int64(at[p]), log[at[p]]})
				at[p]++
			}
			b, _ := json.Marshal([]any{[]any{"poll", map[string]any{"1": messages}}})
			lines = append(lines, string(rune('0'+p))+` ok poll [["poll"]] => `+string(b))
		}
		if r := testhistory.Check(t, invariants.Log{}, history(t, model.DecodeLog, lines...)); r.Valid == harness.Invalid {
			t.Fatalf("%s\n%s", r.Summary, strings.Join(lines, "\n"))
		}
	}
}

// What a decoder takes survives being written and read again.
func FuzzDecoders(f *testing.F) {
	for _, raw := range []string{`{"0": 10, "a": null}`, `{"from": 0, "to": "b", "amount": 3}`, `[["send", 1, [0, 7]], ["poll", {"1": [[0, 7]]}], ["poll"]]`, `{"steps": [["poll", {"1": [[0, 7]]}]], "rebalanced": ["1"]}`, `{"keys": [1], "from_beginning": true}`, `[1, "a"]`, `3`, `null`} {
		for kind := range uint8(2) {
			f.Add(kind, raw)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, raw string) {
		typ := harness.Type(kind % 2)
		for _, d := range []struct {
			decode harness.Decoder
			fs     []string
		}{{model.DecodeBank, []string{"read"}}, {model.DecodeLog, []string{"send", "poll", "txn", "assign"}}, {model.DecodeIDs, []string{"generate"}}} {
			for _, fn := range d.fs {
				v, err := d.decode(typ, fn, json.RawMessage(raw))
				if err != nil || v == nil {
					continue
				}
				b, err := json.Marshal(v)
				if err != nil {
					t.Fatalf("%#v cannot be written: %v", v, err)
				}
				if again, err := d.decode(typ, fn, b); err != nil || !reflect.DeepEqual(v, again) {
					t.Fatalf("%s became %#v, then %s, then %#v, %v", raw, v, b, again, err)
				}
			}
		}
	})
}
