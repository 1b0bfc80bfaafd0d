package testhistory

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/model"
	"coup/harness"
)

// ParseTxns reads the notation of parseHistory with transactions for
// operations: [append x 1; r x {1 2}], [w x 1; r y 2; r z nil].
func ParseTxns(t testing.TB, text string, registers bool) *harness.History {
	t.Helper()
	decode := model.DecodeListTxn
	if registers {
		decode = model.DecodeRegisterTxn
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
	h := Parse(t, model.Register(), b.String())
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
var TxnCases = []struct {
	Name      string
	Registers bool
	Anomalies string // the kinds that must be found, no more and no less
	Text      string
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

// MakeTxns makes up a history of a store that is strictly serializable, or,
// with mistakes, of one that now and then reads an old state.
func MakeTxns(rng *rand.Rand, n, clients, keys int, registers bool, mistakes float64) []harness.Operation {
	lists := make(map[string][]int64)
	past := make(map[string][]model.Maybe)
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
			var in model.Txn
			for range 1 + rng.IntN(4) {
				// Keys come and go, so that lists stay short.
				key := fmt.Sprint(len(ops)/1000*keys + rng.IntN(keys))
				if rng.IntN(2) == 0 {
					in = append(in, model.Micro{F: "r", Key: key})
					continue
				}
				next++
				f := "append"
				if registers {
					f = "w"
				}
				in = append(in, model.Micro{F: f, Key: key, Value: next})
			}
			ops = append(ops, harness.Operation{Process: c, F: "txn", Input: in, Type: harness.Info, Call: pos, Return: harness.Open, Start: time.Duration(pos)})
			open[c] = len(ops) - 1
			continue
		}
		op := &ops[open[c]]
		if op.Type == harness.Info {
			out := append(model.Txn{}, op.Input.(model.Txn)...)
			for i := range out {
				m := &out[i]
				switch m.F {
				case "append":
					lists[m.Key] = append(lists[m.Key], m.Value)
				case "w":
					past[m.Key] = append(past[m.Key], model.Just(m.Value))
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

// FewTxns makes up a history of a few transactions: what an honest store would
// answer, and perhaps a few changes to that. read: all lists are read in the end.
func FewTxns(rng *rand.Rand, registers, read bool) []harness.Operation {
	keys := []string{"x", "y"}[:1+rng.IntN(2)]
	lists, last := map[string][]int64{}, map[string]model.Maybe{}
	next := map[string]int64{}
	var ops []harness.Operation
	type open struct{ op, step int } // transactions under way, which may be torn
	var under []open
	torn := rng.IntN(2) == 0
	n := 2 + rng.IntN(4)
	if read {
		n--
	}
	pos := 0
	begin := func(in model.Txn, process int) {
		ops = append(ops, harness.Operation{Process: process, F: "txn", Input: in, Output: slices.Clone(in), Type: harness.OK, Call: pos})
		pos++
	}
	perform := func(m *model.Micro) {
		switch m.F {
		case "append":
			lists[m.Key] = append(slices.Clip(lists[m.Key]), m.Value)
		case "w":
			last[m.Key] = model.Just(m.Value)
		default:
			m.List, m.Seen = nil, last[m.Key]
			if !registers {
				m.List = append([]int64{}, lists[m.Key]...)
			}
		}
	}
	for len(ops) < n || len(under) > 0 {
		if len(ops) < n && (len(under) == 0 || rng.IntN(2) == 0) {
			var in model.Txn
			for range 1 + rng.IntN(3) {
				m := model.Micro{F: "r", Key: keys[rng.IntN(len(keys))]}
				if rng.IntN(2) == 0 {
					next[m.Key]++
					m.F, m.Value = "append", next[m.Key]
					if registers {
						m.F = "w"
					}
				}
				in = append(in, m)
			}
			begin(in, len(ops))
			under = append(under, open{len(ops) - 1, 0})
			continue
		}
		at := rng.IntN(len(under))
		u := &under[at]
		op := &ops[u.op]
		out := op.Output.(model.Txn)
		for u.step < len(out) {
			perform(&out[u.step])
			u.step++
			if torn && rng.IntN(3) > 0 {
				break
			}
		}
		if u.step < len(out) || rng.IntN(3) == 0 {
			continue
		}
		op.Return = pos
		pos++
		under = slices.Delete(under, at, at+1)
	}
	if read {
		var in model.Txn
		for _, k := range keys {
			in = append(in, model.Micro{F: "r", Key: k})
		}
		begin(in, len(ops))
		op := &ops[len(ops)-1]
		for i := range op.Output.(model.Txn) {
			perform(&op.Output.(model.Txn)[i])
		}
		op.Return = pos
	}
	for i := range ops {
		op := &ops[i]
		for j := range op.Output.(model.Txn) {
			m := &op.Output.(model.Txn)[j]
			if m.F != "r" || rng.IntN(7) > 0 {
				continue
			}
			switch l := len(m.List); {
			case registers:
				if m.Seen = (model.Maybe{}); rng.IntN(4) > 0 {
					m.Seen = model.Just(rng.Int64N(5))
				}
			case l > 1 && rng.IntN(2) == 0:
				a, b := rng.IntN(l), rng.IntN(l)
				m.List[a], m.List[b] = m.List[b], m.List[a]
			case l > 0:
				m.List = m.List[:rng.IntN(l)]
			default:
				m.List = append(m.List, 1+rng.Int64N(4))
			}
		}
		if i < n {
			switch rng.IntN(8) {
			case 0:
				op.Type, op.Output, op.Return = harness.Info, nil, harness.Open
			case 1:
				if rng.IntN(3) == 0 {
					op.Type, op.Output = harness.Fail, nil
				}
			}
		}
	}
	return ops
}

// TxnsText writes transactions a line each.
func TxnsText(ops []harness.Operation) string {
	var b strings.Builder
	for _, op := range ops {
		fmt.Fprintf(&b, "%d to %d, %s: %v -> %v\n", op.Call, op.Return, op.Type, op.Input, op.Output)
	}
	return b.String()
}
