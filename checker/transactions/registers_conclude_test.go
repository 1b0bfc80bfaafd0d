package transactions

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"coup/checker/internal/testhistory"
	"coup/harness"
)

// allConclusions says whether all that follows from single reads goes in a circle,
// by the rules as they are written: with a matrix, until nothing more follows.
func allConclusions(c conclusions, timed bool) (circle bool) {
	n := len(c.nodes)
	before := make([][]bool, n)
	for i := range before {
		before[i] = make([]bool, n)
		for j := range before[i] {
			before[i][j] = timed && c.ends(c.nodes[i]) < c.ops[c.nodes[j]].Call
		}
	}
	for _, r := range c.reads {
		if r.writer != none {
			before[r.writer][r.reader] = true
		}
	}
	for changed := true; changed; {
		changed = false
		know := func(i, j int32) {
			if !before[i][j] {
				before[i][j], changed = true, true
			}
		}
		for k := range n {
			for i := range n {
				for j := range n {
					if before[i][k] && before[k][j] {
						know(int32(i), int32(j))
					}
				}
			}
		}
		for _, r := range c.reads {
			for _, w := range c.wrote {
				o := w.node
				if w.key != r.key || o == r.reader || o == r.writer {
					continue
				}
				if r.writer == none || before[r.writer][o] {
					know(r.reader, o)
				}
				if r.writer != none && before[o][r.reader] {
					know(o, r.writer)
				}
			}
		}
	}
	for i := range n {
		circle = circle || before[i][i]
	}
	return circle
}

// What is concluded in the order of time is all that follows, and so is what is
// concluded without it of a few transactions.
func TestAllConclusionsAreDrawn(t *testing.T) {
	circles := map[bool]int{}
	runs := 2 * *testhistory.Histories
	for n := range uint64(runs) {
		seed := *testhistory.Seed + n
		rng := rand.New(rand.NewPCG(seed, 11))
		ops := testhistory.MakeTxns(rng, 5+rng.IntN(40), 2+rng.IntN(8), 1+rng.IntN(3), true, 0.1*float64(rng.IntN(3)))
		for i := range ops {
			if rng.IntN(10) == 0 {
				ops[i].Type, ops[i].Output, ops[i].Return = harness.Info, nil, harness.Open
			} else if rng.IntN(10) == 0 { // a slow one
				if last := len(ops) - 1; ops[i].Type == harness.OK && ops[last].Call > ops[i].Return {
					ops[i].Return = ops[i].Return + rng.IntN(ops[last].Call-ops[i].Return)
				}
			}
		}
		x, err := newTxns(ops)
		if err != nil {
			t.Fatal(err)
		}
		r := &registerTxns{txns: x}
		if err := r.infer(); err != nil {
			t.Fatal(err)
		}
		for _, timed := range []bool{true, false} {
			r.anomalies, r.undrawn = nil, false
			r.saturate(context.Background(), timed)
			found := len(r.anomalies) > 0
			var all, place []int32
			for i := range r.ops {
				place = append(place, int32(len(all)))
				if r.did[i] {
					all = append(all, int32(i))
				} else {
					place[i] = none
				}
			}
			if right := allConclusions(r.gather(all, place, 0), timed); found != right || r.undrawn {
				t.Fatalf("seed %d, timed %v: a circle was found: %v, there is one: %v\n%s", seed, timed, found, right, testhistory.TxnsText(ops))
			}
			if !found {
				continue
			}
			circles[timed]++
			a := r.anomalies[0]
			if !timed && a.Kind != Unserializable {
				t.Fatalf("seed %d: without the order of time %s was found", seed, a.Kind)
			}
			story := strings.Join(r.tell(a).Story, "\n")
			if strings.Contains(story, "what was read says") {
				t.Fatalf("seed %d, timed %v: no reason is given\n%s\n%s", seed, timed, story, testhistory.TxnsText(ops))
			}
		}
	}
	t.Logf("%d of %d histories went in a circle with the order of time, %d without it", circles[true], runs, circles[false])
	if circles[true] < runs/8 || circles[false] < runs/20 || circles[true] > 3*runs/4 {
		t.Errorf("%d of %d histories went in a circle with the order of time, %d without it", circles[true], runs, circles[false])
	}
}
