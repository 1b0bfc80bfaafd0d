package transactions

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"coup/checker/graph"
	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

// Each history has the weakest levels that exclude it; all that imply one of them
// exclude it, too, and all others allow it. Most are Elle's and Adya's examples.
var levelCases = []struct {
	name      string
	registers bool
	excluded  []Isolation
	text      string
}{
	{"list: fine", false, nil, `
		[append x 1; r y nil]    [r x {1}; r y {1}]
		[append y 1            ]`},
	{"list: write skew", false, []Isolation{RepeatableRead}, `
		[append x 1; r y nil]
		[append y 1; r x nil]`},
	{"list: long fork", false, []Isolation{RepeatableRead, SnapshotIsolation}, `
		[append x 1       ]
		[append y 1       ]
		[r x {1}; r y nil ]
		[r y {1}; r x nil ]`},
	{"list: lost update", false, []Isolation{RepeatableRead, SnapshotIsolation}, `
		[r x nil; append x 1]
		[r x nil; append x 2]   [r x {1 2}]`},
	{"list: read skew", false, []Isolation{RepeatableRead, SnapshotIsolation}, `
		[append x 1; append y 1]
		[r x {1}; r y nil      ]   [r y {1}]`},
	{"list: G1a", false, []Isolation{ReadCommitted}, `[append x 1! [r x {1}]`},
	{"list: G1b", false, []Isolation{ReadCommitted}, `
		[append x 1; append x 2]
		[r x {1}               ]   [r x {1 2}]`},
	{"list: G1c", false, []Isolation{ReadCommitted}, `
		[append x 1; r y {1}]
		[append y 1; r x {1}]`},
	{"list: dirty update", false, []Isolation{ReadCommitted}, `[append x 1! [append x 2] [r x {1 2}]`},
	{"list: G0", false, []Isolation{ReadUncommitted}, `
		[append x 1; append y 1]
		[append x 2; append y 2]
		                           [r x {1 2}; r y {2 1}]`},
	{"list: garbage", false, []Isolation{ReadUncommitted}, `[r x {7}]`},
	{"list: internal", false, []Isolation{SnapshotIsolation}, `[append x 1; r x nil]`},
	{"list: stale", false, []Isolation{StrongSnapshotIsolation}, `
		[append x 1]           [r x {1}]
		             [r x nil]`},
	{"list: a process goes back", false, []Isolation{StrongSessionSnapshotIsolation}, `
		                       [append x 1                                  ]
		[r y nil]                         [r x {1}]  [r x nil]`},
	{"list: G1c against time", false, []Isolation{StrongReadCommitted}, `
		[r x {1}]
		           [append x 1]`},
	{"list: writes out of time", false, []Isolation{StrongReadUncommitted}, `
		[append x 1]               [r x {2 1}]
		             [append x 2]`},
	{"list: a process writes in another order", false, []Isolation{StrongSessionReadUncommitted}, `
			[append x 1] [append x 2]
			                          [r x {2 1}]`},
	{"list: write skew against time", false, []Isolation{StrictSerializable}, `
		[append x 1; r y nil]                           [r x {1}; r y {1}]
		[append z 1; r x nil   ]  [append y 1]
		                       [r z nil]`},
	{"list: write skew of two that append what nobody read", false, []Isolation{RepeatableRead, SnapshotIsolation}, `
		[append x 1; r y nil; append z 1]
		[append x 2; r z nil; append y 1]`},
	{"list: three that append what nobody read", false, nil, `
		[append x 1; r y nil]
		[append x 2; r z nil]
		[append x 3; append y 1; append z 1]`},
	{"register: fine", true, nil, `
		[w x 1] [w x 2]
		[r x 1; r y 1 ]
		[w y 1        ]`},
	{"register: write skew", true, []Isolation{RepeatableRead}, `
		[w x 1; r y nil]
		[w y 1; r x nil]`},
	{"register: write skew of what was there", true, []Isolation{RepeatableRead}, `
		[w x 1; w y 1]
		[r x 1; r y 1; w x 2]
		[r x 1; r y 1; w y 2]`},
	{"register: long fork", true, []Isolation{RepeatableRead, SnapshotIsolation}, `
		[w x 1       ]
		[w y 1       ]
		[r x 1; r y nil ]
		[r y 1; r x nil ]`},
	{"register: lost update", true, []Isolation{RepeatableRead, SnapshotIsolation}, `
		[r x nil; w x 1]
		[r x nil; w x 2]`},
	{"register: read skew", true, []Isolation{RepeatableRead, SnapshotIsolation}, `
		[w x 1; w y 1]
		[r x 1; r y nil]`},
	{"register: G1a", true, []Isolation{ReadCommitted}, `[w x 1! [r x 1]`},
	{"register: G1b", true, []Isolation{ReadCommitted}, `
		[w x 1; w x 2]
		[r x 1       ]`},
	{"register: G1c", true, []Isolation{ReadCommitted}, `
		[w x 1; r y 1]
		[w y 1; r x 1]`},
	{"register: each replaced what the other wrote", true, []Isolation{ReadCommitted}, `
		[w x 1; r y 2; w y 3]
		[w y 2; r x 1; w x 4]`},
	{"register: two orders", true, []Isolation{RepeatableRead, SnapshotIsolation}, `
		[w x 1                        ]
		[w x 2                        ]
		[r x 1; w y 1     ]
		[r y 1; r x 2; w z 1]
		[r z 1; r x 1                 ]`},
	{"register: stale", true, []Isolation{StrongSnapshotIsolation}, `
		[w x 1] [w x 2]
		                     [r x 1]`},
	{"register: a process goes back", true, []Isolation{StrongSessionSnapshotIsolation}, `
		[w x 1          ]
		[w x 2          ]
		[r x 1] [r x 2] [r x 1]`},
	{"register: write skew of a process", true, []Isolation{StrongSessionSerializable}, `
		[w y 1] [r x nil]
		[w x 1; r y nil ]`},
}

func TestLevels(t *testing.T) {
	for _, c := range levelCases {
		h := testhistory.ParseTxns(t, c.text, c.registers)
		for _, level := range Levels() {
			want := harness.Valid
			if slices.ContainsFunc(c.excluded, level.implies) {
				want = harness.Invalid
			}
			r := testhistory.Check(t, Checker{Registers: c.registers, Level: level}, h)
			if r.Valid != want {
				t.Errorf("%s, %s: %v, expected %v: %s", c.name, level, r.Valid, want, r.Summary)
				continue
			}
			if r.Valid != harness.Invalid {
				continue
			}
			if text := strings.Join(r.Counterexample.Story, " "); strings.Contains(text, "what was read says") || strings.Contains(text, "%!") {
				t.Errorf("%s, %s: %s", c.name, level, text)
			}
			for _, may := range r.Details.(Details).MayBe {
				if may.implies(level) {
					t.Errorf("%s: not %s, yet it may be %s", c.name, level, may)
				}
			}
		}
	}
}

func TestLevelNames(t *testing.T) {
	for _, i := range Levels() {
		if got, err := ParseIsolation(string(i)); got != i || err != nil {
			t.Errorf("%s became %s, %v", i, got, err)
		}
		if !i.implies(i) || !StrictSerializable.implies(i) || !i.implies(ReadUncommitted) {
			t.Errorf("%s implies the wrong levels", i)
		}
		for _, kind := range gravities {
			for _, j := range Levels() {
				if i.implies(j) && j.excludes(kind, false) && !i.excludes(kind, false) {
					t.Errorf("%s excludes %s, and %s, which implies it, does not", j, kind, i)
				}
			}
		}
	}
	if got, err := ParseIsolation("PL-3"); got != Serializable || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := ParseIsolation("best"); err == nil || !strings.Contains(err.Error(), "snapshot-isolation") {
		t.Errorf("%v", err)
	}
	if got, err := ParseAnomalies("G1, G2-process,lost-update"); err != nil || fmt.Sprint(got) != "[G1a G1b G1c G2-item-process lost-update]" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"G7", "garbage-process", "G1a,x"} {
		if _, err := ParseAnomalies(bad); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestAnomaliesAskedFor(t *testing.T) {
	skew := testhistory.ParseTxns(t, `
		[append x 1; r y nil]
		[append y 1; r x nil]`, false)
	for _, c := range []struct {
		level     Isolation
		anomalies []string
		valid     harness.Validity
		summary   string
	}{
		{"", []string{G1a, G1c}, harness.Valid, "Nothing in 2 transactions shows that it is not free of G1a, G1c."},
		{"", []string{G2Item}, harness.Invalid, "Not free of G2-item: G2-item. It may still be strong-snapshot-isolation."},
		{"", []string{G2Item + "-realtime"}, harness.Invalid, "Not free of G2-item-realtime: G2-item. It may still be strong-snapshot-isolation."},
		{SnapshotIsolation, []string{G2Item}, harness.Invalid, "Not snapshot-isolation and free of G2-item: G2-item. It may still be strong-snapshot-isolation."},
		{Serializable, []string{G1a}, harness.Invalid, "Not serializable and free of G1a: G2-item. It may still be strong-snapshot-isolation."},
		{Serializable, nil, harness.Invalid, "Not serializable: G2-item. It may still be strong-snapshot-isolation."},
		{"", nil, harness.Invalid, "Not strict-serializable: G2-item."},
	} {
		if r := testhistory.Check(t, Checker{Level: c.level, Anomalies: c.anomalies}, skew); r.Valid != c.valid || r.Summary != c.summary {
			t.Errorf("%s %v: %v: %s", c.level, c.anomalies, r.Valid, r.Summary)
		}
	}
}

// explained says whether some order of starts and commits explains what transactions
// read, by trying all: with every one that was acknowledged, any of those of unknown
// outcome and none that failed. Where there are no snapshots, a transaction starts and
// commits at once.
func explained(ops []harness.Operation, snapshots bool, order graph.Dependency) bool {
	type value struct {
		list []int64
		last model.Maybe
	}
	n := len(ops)
	before := make([][]int, n) // who must have committed before one starts
	last := map[int]int{}
	for i, op := range ops {
		if order&graph.Process != 0 {
			if b, ok := last[op.Process]; ok && model.Returned(&ops[b]) < op.Call {
				before[i] = append(before[i], b)
			}
			if op.Type == harness.OK {
				last[op.Process] = i
			}
		}
		for j := range ops {
			if order&graph.Realtime != 0 && ops[j].Type == harness.OK && ops[j].Return < op.Call {
				before[i] = append(before[i], j)
			}
		}
	}
	state := map[string]value{}
	const idle, under, done = 0, 1, 2
	stage := make([]int, n)
	steps := func(i int) (t model.Txn, answered bool) {
		if t, answered = ops[i].Output.(model.Txn); !answered {
			t = ops[i].Input.(model.Txn)
		}
		return t, answered
	}
	starts := func(i int) bool {
		if slices.ContainsFunc(before[i], func(j int) bool { return stage[j] != done }) {
			return false
		}
		list, answered := steps(i)
		own := map[string]value{}
		for _, m := range list {
			now, mine := own[m.Key]
			if !mine {
				now = state[m.Key]
			}
			switch m.F {
			case "append":
				now.list = append(slices.Clip(now.list), m.Value)
			case "w":
				now.last = model.Just(m.Value)
			default:
				if answered && (!slices.Equal(now.list, m.List) || now.last != m.Seen) {
					return false
				}
			}
			own[m.Key] = now
			for j := range ops {
				if other, _ := steps(j); m.F != "r" && stage[j] == under && slices.ContainsFunc(other, func(o model.Micro) bool { return o.F != "r" && o.Key == m.Key }) {
					return false
				}
			}
		}
		return true
	}
	commit := func(i int) (undo func()) {
		old := map[string]value{}
		list, _ := steps(i)
		for _, m := range list {
			if _, kept := old[m.Key]; !kept {
				old[m.Key] = state[m.Key]
			}
			now := state[m.Key]
			switch m.F {
			case "append":
				now.list = append(slices.Clip(now.list), m.Value)
			case "w":
				now.last = model.Just(m.Value)
			}
			state[m.Key] = now
		}
		return func() {
			for k, v := range old {
				state[k] = v
			}
		}
	}
	var try func() bool
	try = func() bool {
		finished := true
		for i := range ops {
			finished = finished && (stage[i] == done || stage[i] == idle && ops[i].Type != harness.OK)
		}
		if finished {
			return true
		}
		for i := range ops {
			switch {
			case stage[i] == idle && ops[i].Type != harness.Fail && starts(i):
				stage[i] = under
				if snapshots {
					if try() {
						return true
					}
				} else {
					stage[i] = done
					undo := commit(i)
					if try() {
						return true
					}
					undo()
				}
				stage[i] = idle
			case stage[i] == under:
				stage[i] = done
				undo := commit(i)
				if try() {
					return true
				}
				undo()
				stage[i] = under
			}
		}
		return false
	}
	return try()
}

// looseTxns makes up a history of a store that commits one transaction after the other,
// of which each reads the state after some earlier commit, and now and then of each key
// another one: there are write skews, long forks, lost updates and what closes only with
// what nobody read.
func looseTxns(rng *rand.Rand, registers bool) []harness.Operation {
	keys := []string{"x", "y", "z"}[:1+rng.IntN(3)]
	type value struct {
		list []int64
		last model.Maybe
	}
	states := []map[string]value{{}}
	n := 2 + rng.IntN(5)
	torn := rng.IntN(2) == 0
	ops := make([]harness.Operation, n)
	next := int64(0)
	place := rng.Perm(n) // where each stands in the history
	for _, at := range place {
		now := map[string]value{}
		for k, v := range states[len(states)-1] {
			now[k] = v
		}
		old := max(0, len(states)-1-rng.IntN(3))
		var in, out model.Txn
		rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		for _, key := range keys {
			if rng.IntN(3) > 0 {
				from := old
				if torn && rng.IntN(3) == 0 {
					from = rng.IntN(len(states))
				}
				saw := states[from][key]
				in = append(in, model.Micro{F: "r", Key: key})
				m := model.Micro{F: "r", Key: key, Seen: saw.last}
				if !registers {
					m.List = append([]int64{}, saw.list...)
				}
				out = append(out, m)
			}
			if rng.IntN(2) == 0 || len(in) == 0 {
				next++
				m := model.Micro{F: "append", Key: key, Value: next}
				if registers {
					m.F = "w"
				}
				in, out = append(in, m), append(out, m)
				if registers {
					now[key] = value{last: model.Just(next)}
				} else {
					now[key] = value{list: append(slices.Clip(now[key].list), next)}
				}
			}
		}
		states = append(states, now)
		ops[at] = harness.Operation{Process: at, F: "txn", Input: in, Output: out, Type: harness.OK}
		if rng.IntN(12) == 0 {
			ops[at].Type, ops[at].Output, ops[at].Return = harness.Info, nil, harness.Open
		}
	}
	overlap := 1 + rng.IntN(2*n)
	for at := range ops {
		ops[at].Call = 100 * at
		if ops[at].Type == harness.OK {
			ops[at].Return = 100*(at+rng.IntN(overlap)) + 1 + at
		}
	}
	return ops
}

// What each level says is exactly what trying everything says, by the definition with
// starts and commits.
func TestLevelsAgainstEveryOrder(t *testing.T) {
	runs := 4 * *testhistory.Histories
	for _, registers := range []bool{false, true} {
		bad, kinds := map[Isolation]int{}, map[string]int{}
		for n := range uint64(runs) {
			seed := *testhistory.Seed + n
			rng := rand.New(rand.NewPCG(seed, 23))
			var ops []harness.Operation
			if seed%3 == 0 {
				ops = testhistory.FewTxns(rng, registers, seed%2 == 0)
			} else {
				ops = looseTxns(rng, registers)
			}
			processes := 1 + rng.IntN(len(ops))
			for i := range ops {
				if ops[i].Type == harness.OK {
					ops[i].Process = rng.IntN(processes)
				} else {
					ops[i].Process = processes + i
				}
			}
			for _, level := range []Isolation{SnapshotIsolation, StrongSessionSnapshotIsolation, StrongSnapshotIsolation, Serializable, StrongSessionSerializable, StrictSerializable} {
				base, order := level.parts()
				right := explained(ops, base == SnapshotIsolation, order)
				r, err := Checker{Registers: registers, Level: level}.Check(context.Background(), &harness.History{Operations: ops})
				if err != nil {
					t.Fatal(err)
				}
				if r.Valid == harness.Unknown && r.Details.(Details).Transactions == 0 && right {
					continue
				}
				if right != (r.Valid == harness.Valid) || right == (r.Valid == harness.Invalid) {
					t.Fatalf("seed %d, registers %v, %s: %v, but an order explains it: %v\n%s\n%s", seed, registers, level, r.Valid, right, r.Summary, testhistory.TxnsText(ops))
				}
				if right {
					continue
				}
				bad[level]++
				for _, a := range r.Details.(Details).Anomalies {
					kinds[a.Kind]++
				}
				if text := strings.Join(r.Counterexample.Story, " "); strings.Contains(text, "what was read says") || strings.Contains(text, "%!") {
					t.Fatalf("seed %d, registers %v, %s: no reason is given\n%s\n%s", seed, registers, level, strings.Join(r.Counterexample.Story, "\n"), testhistory.TxnsText(ops))
				}
			}
		}
		t.Logf("registers %v: of %d histories so many were excluded: %v, by %v", registers, runs, bad, kinds)
		for level, n := range bad {
			if n < runs/5 || n > 4*runs/5 {
				t.Errorf("registers %v, %s: %d of %d histories were excluded", registers, level, n, runs)
			}
		}
	}
}

// What a list held at the beginning was there before all others, at every level; a
// story says where in the file its transactions stand.
func TestBeginningAndPlaces(t *testing.T) {
	begin := model.Txn{{F: "append", Key: "x", Value: 1}}
	read := func(list ...int64) model.Txn { return model.Txn{{F: "r", Key: "x", List: append([]int64{}, list...)}} }
	asked := model.Txn{{F: "r", Key: "x"}}
	ops := []harness.Operation{
		{Process: harness.Beginning, F: "txn", Input: begin, Output: begin, Type: harness.OK, Call: 0, Return: 1, Index: -1},
		{Process: 0, F: "txn", Input: asked, Output: read(1), Type: harness.OK, Call: 2, Return: 3, Line: 1, Index: -1},
		{Process: 1, F: "txn", Input: asked, Output: read(1), Type: harness.OK, Call: 4, Return: 5, Line: 3, Index: 7},
	}
	for _, level := range Levels() {
		if r := testhistory.Check(t, Checker{Level: level}, &harness.History{Operations: ops}); r.Valid != harness.Valid {
			t.Errorf("%s: %s", level, r.Summary)
		}
	}
	ops[2].Output = read()
	for _, level := range Levels() {
		r := testhistory.Check(t, Checker{Level: level}, &harness.History{Operations: ops})
		want := harness.Invalid
		if base, _ := level.parts(); base == ReadCommitted || base == ReadUncommitted {
			want = harness.Valid
		}
		if r.Valid != want {
			t.Errorf("%s: %v: %s", level, r.Valid, r.Summary)
			continue
		}
		if want == harness.Invalid && !slices.Contains(r.Counterexample.Story, "T2: Process 1 (line 3, :index 7) read x as [], acknowledged.") {
			t.Errorf("%s:\n%s", level, strings.Join(r.Counterexample.Story, "\n"))
		}
	}
}
