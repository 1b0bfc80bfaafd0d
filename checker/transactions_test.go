package checker

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
	"time"

	"coup/harness"
)

// parseTxns reads the notation of parseHistory with transactions for
// operations: [append x 1; r x {1 2}], [w x 1; r y 2; r z nil].
func parseTxns(t testing.TB, text string, registers bool) *harness.History {
	t.Helper()
	decode := DecodeListTxn
	if registers {
		decode = DecodeRegisterTxn
	}
	// The shape is read with other operations of the same width in their place.
	var bodies []string
	var b strings.Builder
	for rest := text; ; {
		open := strings.IndexByte(rest, '[')
		if open < 0 {
			b.WriteString(rest)
			break
		}
		size := strings.IndexAny(rest[open:], "]>!")
		body := rest[open+1 : open+size]
		bodies = append(bodies, body)
		b.WriteString(rest[:open+1] + "write " + fmt.Sprint(len(bodies)) + strings.Repeat(" ", max(0, len(body)-6-len(fmt.Sprint(len(bodies))))))
		rest = rest[open+size:]
	}
	h := parseHistory(t, RegisterModel(), b.String())
	for i := range h.Operations {
		op := &h.Operations[i]
		body := bodies[op.Input.(int64)-1]
		op.F = "txn"
		var in, out []string
		for _, s := range strings.Split(body, ";") {
			w := strings.Fields(strings.NewReplacer("{", "[", "}", "]").Replace(s))
			value := "null"
			if len(w) > 2 && w[2] != "nil" {
				value = strings.ReplaceAll(strings.Join(w[2:], ","), "[,", "[")
			}
			out = append(out, fmt.Sprintf("[%q,%q,%s]", w[0], w[1], value))
			if w[0] == "r" {
				value = "null"
			}
			in = append(in, fmt.Sprintf("[%q,%q,%s]", w[0], w[1], value))
		}
		var err error
		if op.Input, err = decode(harness.Invoke, "txn", json.RawMessage("["+strings.Join(in, ",")+"]")); err != nil {
			t.Fatal(err)
		}
		if op.Type == harness.OK {
			if op.Output, err = decode(harness.OK, "txn", json.RawMessage("["+strings.Join(out, ",")+"]")); err != nil {
				t.Fatal(err)
			}
		}
	}
	return h
}

// Every anomaly has a history that shows it and a neighbour that does not.
var txnCases = []struct {
	name      string
	registers bool
	anomalies string // the kinds that must be found, no more and no less
	text      string
}{
	{"list: fine", false, "", `
		[append x 1] [r x {1}; append x 2] [r x {1 2}]`},
	{"list: empty", false, "", `[r x nil] [append x 1] [r x {1}]`},
	{"list: concurrent", false, "", `
		[append x 1; r y nil]    [r x {1}; r y {1}]
		[append y 1            ]`},
	{"list: write skew", false, "G2-item", `
		[append x 1; r y nil]
		[append y 1; r x nil]`},
	{"list: garbage", false, "garbage", `[r x {7}]`},
	{"list: duplicate", false, "duplicate-elements", `[append x 1] [r x {1 1}]`},
	{"list: incompatible", false, "incompatible-order", `
		[append x 1        ]
		[append x 2        ]
		[r x {1}           ]
		[r x {2}           ]`},
	{"list: one order", false, "", `
		[append x 1        ]
		[append x 2        ]
		[r x {2}           ]
		[r x {2 1}         ]`},
	{"list: does not see its own append", false, "internal", `[append x 1; r x nil]`},
	{"list: sees its own append", false, "", `[append x 1; r x {1}]`},
	{"list: cannot read twice", false, "internal", `
		[append x 1         ]
		[r x {1}; r x nil   ]`},
	{"list: G0", false, "G0", `
		[append x 1; append y 1]
		[append x 2; append y 2]
		                           [r x {1 2}; r y {2 1}]`},
	{"list: no G0", false, "", `
		[append x 1; append y 1]
		[append x 2; append y 2]
		                           [r x {1 2}; r y {1 2}]`},
	{"list: G1a", false, "G1a", `[append x 1! [r x {1}]`},
	{"list: an open append may be seen", false, "", `[append x 1> [r x {1}]`},
	{"list: G1b", false, "G1b G-single", `
		[append x 1; append x 2]
		[r x {1}               ]   [r x {1 2}]`},
	{"list: no G1b", false, "", `
		[append x 1; append x 2]
		                           [r x {1 2}]`},
	{"list: dirty update", false, "G1a dirty-update", `[append x 1! [append x 2] [r x {1 2}]`},
	{"list: an update of what may have happened", false, "", `[append x 1> [append x 2] [r x {1 2}]`},
	{"list: a failed append that nobody saw", false, "", `[append x 1! [append x 2] [r x {2}]`},
	{"list: its own appends in another order", false, "incompatible-order G1b", `[append x 1; append x 2] [r x {2 1}]`},
	{"list: its own appends in their order", false, "", `[append x 2; append x 1] [r x {2 1}]`},
	{"list: sees what it will append", false, "internal", `[r x {1}; append x 1]`},
	{"list: does not see what it will append", false, "", `[r x nil; append x 1]`},
	{"list: reads twice", false, "", `
		[append x 1           ]
		[r x {1}; r x {1}     ]`},
	{"list: one after the other updates", false, "", `
		[r x nil; append x 1]
		[r x {1}; append x 2]   [r x {1 2}]`},
	{"list: G1c of three", false, "G1c", `
		[append x 1; r z {1}]
		[append y 1; r x {1}]
		[append z 1; r y {1}]`},
	{"list: G1c against time", false, "G1c-realtime", `
		[r x {1}]
		           [append x 1]`},
	{"list: write skew against time", false, "G2-item-realtime", `
		[append x 1; r y nil]                           [r x {1}; r y {1}]
		[append z 1; r x nil   ]  [append y 1]
		                       [r z nil]`},
	{"list: G1c", false, "G1c", `
		[append x 1; r y {1}]
		[append y 1; r x {1}]`},
	{"list: no G1c", false, "", `
		[append x 1; r y {1}]
		[append y 1; r x nil]`},
	{"list: lost update", false, "lost-update G-single G2-item", `
		[r x nil; append x 1]
		[r x nil; append x 2]   [r x {1 2}]`},
	{"list: G-single", false, "G-single", `
		[append x 1; append y 1]
		[r x {1}; r y nil      ]   [r y {1}]`},
	{"list: stale", false, "G-single-realtime", `
		[append x 1]           [r x {1}]
		             [r x nil]`},
	{"list: an append that nobody saw", false, "G-single-realtime", `
		[append x 1] [append x 2]
		                          [r x {1}]`},
	{"list: a process goes back", false, "G-single-process", `
		                       [append x 1                                  ]
		[r y nil]                         [r x {1}]  [r x nil]`},
	{"list: writes out of time", false, "G0-realtime", `
		[append x 1]               [r x {2 1}]
		             [append x 2]`},
	{"list: a process writes in another order", false, "G0-process", `
			[append x 1] [append x 2]
			                          [r x {2 1}]`},
	{"list: a process writes in its order", false, "", `
			[append x 1] [append x 2]
			                          [r x {1 2}]`},
	{"list: a process reads what it writes later", false, "G1c-process", `[r x {1}] [append x 1]`},
	{"list: a process reads what it wrote", false, "", `[append x 1] [r x {1}]`},
	{"list: write skew against a process", false, "G2-item-process", `
			[append x 1]  [r z nil]
			[append z 1; r x nil  ]`},
	{"list: no write skew against a process", false, "", `
			[append x 1]  [r z {1}]
			[append z 1; r x nil  ]`},
	{"list: the end of a list is lost", false, "G-single-process", `[append x 1] [append x 2] [r x {1 2}] [r x {1}]`},
	{"list: a list is read and grows", false, "", `[append x 1] [r x {1}] [append x 2] [r x {1 2}]`},
	{"register: fine", true, "", `[w x 1] [r x 1; w x 2] [r x 2]`},
	{"register: nothing was there", true, "", `[r x nil; w x 1] [r x 1]`},
	{"register: garbage", true, "garbage", `[r x 3]`},
	{"register: internal", true, "internal", `[w x 1; r x 2] [w x 2]`},
	{"register: G1a", true, "G1a", `[w x 1! [r x 1]`},
	{"register: G1b", true, "G1b", `
		[w x 1; w x 2]
		[r x 1       ]`},
	{"register: G1c", true, "G1c", `
		[w x 1; r y 1]
		[w y 1; r x 1]`},
	{"register: lost update", true, "lost-update G2-item", `
		[w x 1] [r x 1; w x 2]
		        [r x 1; w x 3]`},
	{"register: write skew", true, "G2-item", `
		[r x nil; w y 1]
		[r y nil; w x 1]`},
	{"register: no write skew", true, "", `
		[r x nil; w y 1]
		[r y 1; w x 1  ]`},
	{"register: dirty update", true, "G1a dirty-update", `[w x 1! [r x 1; w x 2]`},
	{"register: an update of what may have happened", true, "", `[w x 1> [r x 1; w x 2]`},
	{"register: versions in a circle", true, "cyclic-versions G0 G1c", `
		[r x 1; w x 2]
		[r x 2; w x 1]`},
	{"register: versions in a row", true, "", `
		[r x nil; w x 2]
		[r x 2; w x 1  ]`},
	// G0 shows only together with G1c, and no history can be different: one write is
	// known to come right before another only if the other's transaction read it first,
	// and so every edge of a cycle of writes is one of reads, too. An order of writes
	// that follows in other ways rests on several reads: a circle of these is called
	// unserializable.
	{"register: G0", true, "G0 G1c", `
		[r x 1; w x 2; w y 1]
		[r y 1; w y 2; w x 1]
		[r x 2; r y 2       ]`},
	{"register: no G1a", true, "", `[w x 1> [r x 1]`},
	{"register: no G1b", true, "", `
		[w x 1; w x 2]
		[r x 2       ]`},
	{"register: no G1c", true, "", `
		[w x 1; r y 1  ]
		[w y 1; r x nil]`},
	{"register: sees its own write", true, "", `[w x 1; r x 1]`},
	{"register: sees what it will write", true, "internal", `[r x 1; w x 1]`},
	{"register: one after the other updates", true, "", `
		[w x 1] [r x 1; w x 2]
		        [r x 2; w x 3]`},
	{"register: the first update is lost", true, "lost-update G2-item", `
		[r x nil; w x 1]
		[r x nil; w x 2]`},
	{"register: G-single", true, "G-single", `
		[w x 1; w y 1  ]
		[r x 1; r y nil]`},
	{"register: no G-single", true, "", `
		[w x 1; w y 1]
		[r x 1; r y 1]`},
	{"register: a process goes back", true, "G-single-process", `
		                       [w x 1                                  ]
		[r y nil]                         [r x 1]  [r x nil]`},
	{"register: a process goes on", true, "", `
		                       [w x 1                                  ]
		[r y nil]                         [r x nil]  [r x 1]`},
	{"register: a process goes back to what was replaced", true, "G-single-process", `
		[w x 1] [r x 1; w x 2                 ]
		           [r x 2]    [r x 1]`},
	{"register: a process goes on to what replaced", true, "", `
		[w x 1] [r x 1; w x 2                 ]
		           [r x 1]    [r x 2]`},
	{"register: stale", true, "G-single-realtime", `
		[w x 1  ]
		          [r x nil]`},
	{"register: read while it was written", true, "", `
		[w x 1  ]
		      [r x nil]`},
	{"register: replaced before it was written", true, "G0-realtime G1c-realtime", `
			                [w x 1]
			[r x 1; w x 2]`},
	{"register: replaced after it was written", true, "", `
			[w x 1]
			           [r x 1; w x 2]`},
	{"register: a process replaces what it writes later", true, "G0-process G1c-process", `[r x 1; w x 2] [w x 1]`},
	{"register: a process replaces what it wrote", true, "", `[w x 1] [r x 1; w x 2]`},
	{"register: read before it was written", true, "G1c-realtime", `
			[r x 1]
			           [w x 1]`},
	{"register: a process reads what it writes later", true, "G1c-process", `[r x 1] [w x 1]`},
	{"register: a process reads what it wrote", true, "", `[w x 1] [r x 1]`},
	{"register: write skew against a process", true, "G2-item-process", `
			[w x 1]  [r z nil]
			[w z 1; r x nil  ]`},
	{"register: no write skew against a process", true, "", `
			[w x 1]  [r z 1  ]
			[w z 1; r x nil  ]`},
	{"register: write skew against time", true, "G2-item-realtime", `
			[w x 1]
			            [r z nil]
			[w z 1; r x nil  ]`},
	{"register: an overwritten value", true, "unserializable-realtime", `
			[w x 1] [w x 2]
			                     [r x 1]`},
	{"register: whichever was written last", true, "", `
			[w x 1]
			[w x 2]
			           [r x 1]`},
	{"register: writes in two orders", true, "unserializable-realtime", `
			[w x 1] [r x 1] [r x 2] [r x 1]
			[w x 2               ]`},
	{"register: two readers see two orders", true, "unserializable", `
			[w x 1                        ]
			[w x 2                        ]
			[r x 1; w y 1     ]
			[r y 1; r x 2; w z 1]
			[r z 1; r x 1                 ]`},
	{"register: two readers see one order", true, "", `
			[w x 1                        ]
			[w x 2                        ]
			[r x 1; w y 1     ]
			[r y 1; r x 2; w z 1]
			[r z 1; r x 2                 ]`},
	{"register: old version", true, "G-single-realtime", `
		[w x 1]                [r x 1]
		        [r x 1; w x 2]`},
	{"register: old version while it was replaced", true, "", `
		[w x 1]                [r x 1]
		        [r x 1; w x 2             ]`},
	{"register: new version after it was replaced", true, "", `
		[w x 1]                [r x 2]
		        [r x 1; w x 2]`},
}

func TestTransactions(t *testing.T) {
	for _, c := range txnCases {
		t.Run(c.name, func(t *testing.T) {
			r := check(t, Transactions{Registers: c.registers}, parseTxns(t, c.text, c.registers))
			var kinds []string
			for _, a := range r.Details.(TransactionDetails).Anomalies {
				kinds = append(kinds, a.Kind)
			}
			if got := strings.Join(kinds, " "); got != c.anomalies {
				t.Errorf("found %q, expected %q", got, c.anomalies)
			}
			if (r.Valid == harness.Valid) != (c.anomalies == "") {
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
	r := check(t, Transactions{}, parseTxns(t, `
		[append x 1; r z {1}]   [append a 1; r b {1}; r e nil]
		[append y 1; r x {1}]   [append b 1; r a {1}; r e nil]
		[append z 1; r y {1}]`, false))
	d := r.Details.(TransactionDetails)
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
		{endText(list[:10]), "[0 1 2 3 4 5 6 7 8 9]"}, {endText(list), "[… 996 997 998 999]"}, {endText(nil), "[]"},
		{aroundText(list, 500), "[… 498 499 500 501 502 …]"}, {aroundText(list, 0), "[0 1 2 …]"}, {aroundText(list, 999), "[… 997 998 999]"},
		{apartText(list, other), "[… 498 499 500 501 …]"}, {apartText(other, list), "[… 498 499 7000 7001]"},
	} {
		if c.got != c.want {
			t.Errorf("%s, expected %s", c.got, c.want)
		}
	}
}

func TestIsolationLevels(t *testing.T) {
	skew := parseTxns(t, `
		[append x 1; r y nil]
		[append y 1; r x nil]`, false)
	stale := parseTxns(t, `[append x 1] [r x nil]`, false)
	twoOrders := parseTxns(t, `
		[w x 1                        ]
		[w x 2                        ]
		[r x 1; w y 1     ]
		[r y 1; r x 2; w z 1]
		[r z 1; r x 1                 ]`, true)
	old := parseTxns(t, `
		[w x 1] [w x 2]
		                     [r x 1]`, true)
	cases := []struct {
		level Isolation
		h     *harness.History
		valid harness.Validity
	}{
		{SnapshotIsolation, twoOrders, harness.Valid}, {Serializable, twoOrders, harness.Invalid}, {StrictSerializable, twoOrders, harness.Invalid},
		{Serializable, old, harness.Valid}, {StrictSerializable, old, harness.Invalid},
		{SnapshotIsolation, skew, harness.Valid}, {Serializable, skew, harness.Invalid}, {StrictSerializable, skew, harness.Invalid},
		{Serializable, stale, harness.Valid}, {StrictSerializable, stale, harness.Invalid}, {"", stale, harness.Invalid},
	}
	for _, c := range cases {
		if r := check(t, Transactions{Level: c.level, Registers: c.h == twoOrders || c.h == old}, c.h); r.Valid != c.valid {
			t.Errorf("%s: %v, expected %v: %s", c.level, r.Valid, c.valid, r.Summary)
		}
	}
	if _, err := (Transactions{Level: "best"}).Check(context.Background(), skew); err == nil {
		t.Error("a level that there is not was accepted")
	}
}

func TestTxnJSON(t *testing.T) {
	for _, text := range []string{
		`[["append","x",1],["r","y",[1,2]],["r","z",[]]]`, `[]`,
	} {
		v, err := DecodeListTxn(harness.OK, "txn", json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := json.Marshal(v); err != nil || string(b) != text {
			t.Errorf("%s became %s, %v", text, b, err)
		}
	}
	v, err := DecodeRegisterTxn(harness.OK, "txn", json.RawMessage(`[["w",5,1],["r","y",null],["r","z",3]]`))
	if want := (Txn{{F: "w", Key: "5", Value: 1}, {F: "r", Key: "y"}, {F: "r", Key: "z", Seen: Just(3)}}); err != nil || !reflect.DeepEqual(v, want) {
		t.Errorf("%v, %v", v, err)
	}
	for text, want := range map[string]string{
		`[["append","x"]]`: "step 0: expected [function, key, value]", `[["w","x",1]]`: `expected append and r, not "w"`,
		`[["r","x",5]]`: "expected a list", `{}`: "expected a list of steps", `[[1,2,3]]`: "name of a function", `[["r",[],null]]`: "expected a key",
	} {
		if _, err := DecodeListTxn(harness.OK, "txn", json.RawMessage(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", text, err, want)
		}
	}
}

// makeTxns makes up a history of a store that is strictly serializable, or,
// with mistakes, of one that now and then reads an old state.
func makeTxns(rng *rand.Rand, n, clients, keys int, registers bool, mistakes float64) []harness.Operation {
	lists := make(map[string][]int64)
	past := make(map[string][]Maybe)
	ops := make([]harness.Operation, 0, n)
	open := make([]int, clients)
	for i := range open {
		open[i] = -1
	}
	next := int64(0)
	for pos := 0; ; pos++ {
		c := rng.IntN(clients)
		if open[c] < 0 {
			if len(ops) == n {
				break
			}
			var in Txn
			for range 1 + rng.IntN(4) {
				// Keys come and go, so that lists stay short.
				key := fmt.Sprint(len(ops)/1000*keys + rng.IntN(keys))
				if rng.IntN(2) == 0 {
					in = append(in, Micro{F: "r", Key: key})
					continue
				}
				next++
				f := "append"
				if registers {
					f = "w"
				}
				in = append(in, Micro{F: f, Key: key, Value: next})
			}
			ops = append(ops, harness.Operation{Process: c, F: "txn", Input: in, Type: harness.Info, Call: pos, Return: harness.Open, Start: time.Duration(pos)})
			open[c] = len(ops) - 1
			continue
		}
		op := &ops[open[c]]
		if op.Type == harness.Info {
			out := append(Txn{}, op.Input.(Txn)...)
			for i := range out {
				m := &out[i]
				switch m.F {
				case "append":
					lists[m.Key] = append(lists[m.Key], m.Value)
				case "w":
					past[m.Key] = append(past[m.Key], Just(m.Value))
				default:
					back := 0
					if rng.Float64() < mistakes {
						back = 1
					}
					if registers {
						if p := past[m.Key]; len(p) > back {
							m.Seen = p[len(p)-1-back]
						}
					} else {
						l := lists[m.Key]
						m.List = l[:max(0, len(l)-back):max(0, len(l)-back)]
						if m.List == nil {
							m.List = []int64{}
						}
					}
				}
			}
			op.Output, op.Type = out, harness.OK
			continue
		}
		op.Return, op.End = pos, time.Duration(pos)
		open[c] = -1
	}
	for _, i := range open {
		if i >= 0 && ops[i].Return == harness.Open {
			ops[i].Type, ops[i].Output = harness.Info, nil
		}
	}
	return ops
}

// An honest store never raises an alarm; one that reads old states does.
func TestTransactionsOfAStore(t *testing.T) {
	for _, registers := range []bool{false, true} {
		found := 0
		for seed := range uint64(200) {
			h := &harness.History{Operations: makeTxns(rand.New(rand.NewPCG(seed, 1)), 300, 6, 4, registers, 0)}
			if r := check(t, Transactions{Registers: registers}, h); r.Valid != harness.Valid {
				t.Fatalf("registers %v, seed %d: %s\n%s", registers, seed, r.Summary, strings.Join(r.Counterexample.Story, "\n"))
			}
			h = &harness.History{Operations: makeTxns(rand.New(rand.NewPCG(seed, 2)), 300, 6, 4, registers, 0.02)}
			if r := check(t, Transactions{Registers: registers}, h); r.Valid == harness.Invalid {
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
			h := &harness.History{Operations: makeTxns(rand.New(rand.NewPCG(1, 1)), n, 20, 10, false, 0)}
			b.ResetTimer()
			for range b.N {
				if r := check(b, Transactions{}, h); r.Valid != harness.Valid {
					b.Fatal(r.Summary)
				}
			}
		})
	}
}
