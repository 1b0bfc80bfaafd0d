package transactions

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

func TestTransactions(t *testing.T) {
	for _, c := range testhistory.TxnCases {
		t.Run(c.Name, func(t *testing.T) {
			r := testhistory.Check(t, Checker{Registers: c.Registers}, testhistory.ParseTxns(t, c.Text, c.Registers))
			var kinds []string
			for _, a := range r.Details.(Details).Anomalies {
				kinds = append(kinds, a.Kind)
			}
			if got := strings.Join(kinds, " "); got != c.Anomalies {
				t.Errorf("found %q, expected %q", got, c.Anomalies)
			}
			if (r.Valid == harness.Valid) != (c.Anomalies == "") {
				t.Errorf("%v: %s", r.Valid, r.Summary)
			}
			if r.Valid == harness.Invalid && (len(r.Counterexample.Witness) == 0 || strings.Contains(strings.Join(r.Counterexample.Story, " "), "what was read says so")) {
				t.Errorf("story:\n%s", strings.Join(r.Counterexample.Story, "\n"))
			}
		})
	}
}

// Of the cycles of a kind the shortest is told, and it is told well.
func TestShortestCycle(t *testing.T) {
	r := testhistory.Check(t, Checker{}, testhistory.ParseTxns(t, `
		[append x 1; r z {1}]   [append a 1; r b {1}; r e nil]
		[append y 1; r x {1}]   [append b 1; r a {1}; r e nil]
		[append z 1; r y {1}]`, false))
	d := r.Details.(Details)
	if d.Components != 2 || len(d.Anomalies) != 1 || d.Anomalies[0].Kind != G1c || d.Anomalies[0].Count != 2 {
		t.Errorf("%+v", d)
	}
	c := r.Counterexample
	if len(c.Witness) != 2 || len(c.Edges) != 2 || c.Witness[0].Name != "T1" || c.Witness[1].Name != "T2" {
		t.Fatalf("%+v", c)
	}
	if e := c.Edges[0]; e.From != 0 || e.To != 1 || e.Kind != "wr" || e.Key != "a" {
		t.Errorf("edge %+v", e)
	}
	if c.Witness[0].Text != "append a 1, r b [1] (+1 step)" {
		t.Errorf("T1 is %q", c.Witness[0].Text)
	}
	want := []string{
		"T1: At # s process 0 appended 1 to a and read b as [1] through n1, all as one with 1 step on other keys, acknowledged at # s.",
		"T2: At # s process 1 appended 1 to b and read a as [1] through n2, all as one with 1 step on other keys, acknowledged at # s.",
		"T2 read a as [1], with the 1 that T1 appended: so T1 came before T2 (wr).",
		"T1 read b as [1], with the 1 that T2 appended: so T2 came before T1 (wr).",
		"But then T1 came before T2, and T2 came before T1: no order of these transactions explains what was read.",
		"This is called G1c: a cycle of writes and reads.",
	}
	times := regexp.MustCompile(`[0-9.]+ s\b`)
	if got := times.ReplaceAllString(strings.Join(c.Story, "\n"), "# s"); got != strings.Join(want, "\n") {
		t.Errorf("story:\n%s", got)
	}
}

// A list with a thousand elements is told where it matters.
func TestLongListsAreToldInPart(t *testing.T) {
	var list []int64
	for v := range int64(1000) {
		list = append(list, v)
	}
	other := append(slices.Clone(list[:500]), 7000, 7001)
	for _, c := range []struct{ got, want string }{
		{model.EndText(list[:10]), "[0 1 2 3 4 5 6 7 8 9]"}, {model.EndText(list), "[… 996 997 998 999]"}, {model.EndText(nil), "[]"},
		{model.AroundText(list, 500), "[… 498 499 500 501 502 …]"}, {model.AroundText(list, 0), "[0 1 2 …]"}, {model.AroundText(list, 999), "[… 997 998 999]"},
		{model.ApartText(list, other), "[… 498 499 500 501 …]"}, {model.ApartText(other, list), "[… 498 499 7000 7001]"},
	} {
		if c.got != c.want {
			t.Errorf("%s, expected %s", c.got, c.want)
		}
	}
}

func TestIsolationLevels(t *testing.T) {
	skew := testhistory.ParseTxns(t, `
		[append x 1; r y nil]
		[append y 1; r x nil]`, false)
	stale := testhistory.ParseTxns(t, `[append x 1] [r x nil]`, false)
	twoOrders := testhistory.ParseTxns(t, `
		[w x 1                        ]
		[w x 2                        ]
		[r x 1; w y 1     ]
		[r y 1; r x 2; w z 1]
		[r z 1; r x 1                 ]`, true)
	old := testhistory.ParseTxns(t, `
		[w x 1] [w x 2]
		                     [r x 1]`, true)
	cases := []struct {
		level Isolation
		h     *harness.History
		valid harness.Validity
	}{
		{SnapshotIsolation, twoOrders, harness.Invalid}, {ReadCommitted, twoOrders, harness.Valid}, {Serializable, twoOrders, harness.Invalid}, {StrictSerializable, twoOrders, harness.Invalid},
		{Serializable, old, harness.Valid}, {StrictSerializable, old, harness.Invalid},
		{SnapshotIsolation, skew, harness.Valid}, {Serializable, skew, harness.Invalid}, {StrictSerializable, skew, harness.Invalid},
		{Serializable, stale, harness.Valid}, {StrictSerializable, stale, harness.Invalid}, {"", stale, harness.Invalid},
	}
	for _, c := range cases {
		if r := testhistory.Check(t, Checker{Level: c.level, Registers: c.h == twoOrders || c.h == old}, c.h); r.Valid != c.valid {
			t.Errorf("%s: %v, expected %v: %s", c.level, r.Valid, c.valid, r.Summary)
		}
	}
	if _, err := (Checker{Level: "best"}).Check(context.Background(), skew); err == nil {
		t.Error("a level that there is not was accepted")
	}
}

func TestTxnJSON(t *testing.T) {
	for _, text := range []string{
		`[["append","x",1],["r","y",[1,2]],["r","z",[]]]`, `[]`,
	} {
		v, err := model.DecodeListTxn(harness.OK, "txn", json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := json.Marshal(v); err != nil || string(b) != text {
			t.Errorf("%s became %s, %v", text, b, err)
		}
	}
	v, err := model.DecodeRegisterTxn(harness.OK, "txn", json.RawMessage(`[["w",5,1],["r","y",null],["r","z",3]]`))
	if want := (model.Txn{{F: "w", Key: "5", Value: 1}, {F: "r", Key: "y"}, {F: "r", Key: "z", Seen: model.Just(3)}}); err != nil || !reflect.DeepEqual(v, want) {
		t.Errorf("%v, %v", v, err)
	}
	for text, want := range map[string]string{
		`[["append","x"]]`: "step 0: expected [function, key, value]", `[["w","x",1]]`: `expected append and r, not "w"`,
		`[["r","x",5]]`: "expected a list", `{}`: "expected a list of steps", `[[1,2,3]]`: "name of a function", `[["r",[],null]]`: "expected a key",
	} {
		if _, err := model.DecodeListTxn(harness.OK, "txn", json.RawMessage(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", text, err, want)
		}
	}
}

// An honest store never raises an alarm; one that reads old states does.
func TestTransactionsOfAStore(t *testing.T) {
	for _, registers := range []bool{false, true} {
		found := 0
		for seed := range uint64(200) {
			h := &harness.History{Operations: testhistory.MakeTxns(rand.New(rand.NewPCG(seed, 1)), 300, 6, 4, registers, 0)}
			if r := testhistory.Check(t, Checker{Registers: registers}, h); r.Valid != harness.Valid {
				t.Fatalf("registers %v, seed %d: %s\n%s", registers, seed, r.Summary, strings.Join(r.Counterexample.Story, "\n"))
			}
			h = &harness.History{Operations: testhistory.MakeTxns(rand.New(rand.NewPCG(seed, 2)), 300, 6, 4, registers, 0.02)}
			if r := testhistory.Check(t, Checker{Registers: registers}, h); r.Valid == harness.Invalid {
				found++
			}
		}
		t.Logf("registers %v: %d of 200 bad histories were found", registers, found)
		if found < 170 {
			t.Errorf("registers %v: %d of 200 bad histories were found", registers, found)
		}
	}
}

func BenchmarkListAppend(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := &harness.History{Operations: testhistory.MakeTxns(rand.New(rand.NewPCG(1, 1)), n, 20, 10, false, 0)}
			b.ResetTimer()
			for range b.N {
				if r := testhistory.Check(b, Checker{}, h); r.Valid != harness.Valid {
					b.Fatal(r.Summary)
				}
			}
		})
	}
}
