package transactions

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

// load is a workload in the manner of the benchmarks of Cobra, PolySI and Viper.
type load struct {
	sessions, txns int     // txns: of all sessions together
	steps, keys    int     // steps of each transaction
	reads          float64 // the share of reads
	zipf           bool    // some keys are used far more often than others
	snapshots      bool    // the store gives snapshot isolation only
}

// history performs the workload on a small store that is serializable (by validation
// when a transaction commits) or gives snapshot isolation, and returns what clients saw.
// No time is kept: each session's transactions follow each other, and all sessions go
// side by side.
func (l load) history(seed uint64) []harness.Operation {
	rng := rand.New(rand.NewPCG(seed, 5))
	zipf := rand.NewZipf(rng, 1.1, 10, uint64(l.keys-1))
	key := func() string {
		if l.zipf {
			return fmt.Sprint("k", zipf.Uint64())
		}
		return fmt.Sprint("k", rng.IntN(l.keys))
	}
	type version struct {
		value int64
		at    int
	}
	store := map[string][]version{}
	read := func(k string, at int) model.Maybe {
		list := store[k]
		for n := len(list) - 1; n >= 0; n-- {
			if list[n].at <= at {
				return model.Just(list[n].value)
			}
		}
		return model.Maybe{}
	}
	changed := func(k string, since int) bool {
		list := store[k]
		return len(list) > 0 && list[len(list)-1].at > since
	}
	type open struct {
		op    *harness.Operation
		start int
	}
	under := make([]*open, l.sessions)
	bySession := make([][]*harness.Operation, l.sessions)
	now, next, done := 0, int64(0), 0
	for done < l.txns {
		s := rng.IntN(l.sessions)
		if under[s] == nil {
			in := model.Txn{}
			for range l.steps {
				m := model.Micro{F: "r", Key: key()}
				if rng.Float64() >= l.reads {
					next++
					m.F, m.Value = "w", next
				}
				in = append(in, m)
			}
			out := slices.Clone(in)
			own := map[string]model.Maybe{}
			for i := range out {
				m := &out[i]
				if m.F == "w" {
					own[m.Key] = model.Just(m.Value)
				} else if mine, wrote := own[m.Key]; wrote {
					m.Seen = mine
				} else {
					m.Seen = read(m.Key, now)
				}
			}
			under[s] = &open{&harness.Operation{Process: s, F: "txn", Input: in, Output: out, Type: harness.OK}, now}
			continue
		}
		o := under[s]
		under[s] = nil
		conflict := false
		for _, m := range o.op.Output.(model.Txn) {
			conflict = conflict || (m.F == "w") == l.snapshots && changed(m.Key, o.start)
		}
		if conflict {
			continue // aborted, and left out
		}
		now++
		for _, m := range o.op.Output.(model.Txn) {
			if m.F == "w" {
				store[m.Key] = append(store[m.Key], version{m.Value, now})
			}
		}
		bySession[s] = append(bySession[s], o.op)
		done++
	}
	var ops []harness.Operation
	for at, left := 0, true; left; at++ {
		left = false
		for _, list := range bySession {
			if at < len(list) {
				op := *list[at]
				op.Call, op.Return = 2*len(ops), 2*len(ops)+1
				op.Start, op.End = time.Duration(op.Call), time.Duration(op.Return)
				ops = append(ops, op)
				left = true
			}
		}
	}
	return ops
}

// plantStale makes a transaction read a key as it was before its own session wrote it.
// That alone says nothing: it must follow that what it reads was written before.
func plantStale(seed uint64, ops []harness.Operation) bool {
	rng := rand.New(rand.NewPCG(seed, 6))
	wrote := map[string][]int64{} // by key, in the order of the history, which is about that of the store
	for i := range ops {
		for _, m := range ops[i].Input.(model.Txn) {
			if m.F == "w" {
				wrote[m.Key] = append(wrote[m.Key], m.Value)
			}
		}
	}
	type own struct {
		process int
		key     string
	}
	mine := map[own]int64{}
	from := len(ops)/2 + rng.IntN(len(ops)/4)
	for i := range ops {
		op := &ops[i]
		out := slices.Clone(op.Output.(model.Txn))
		for at := range out {
			m := &out[at]
			last, did := mine[own{op.Process, m.Key}]
			if i < from || m.F != "r" || !did || slices.ContainsFunc(out, func(o model.Micro) bool { return o.F == "w" && o.Key == m.Key }) {
				continue
			}
			if n := slices.Index(wrote[m.Key], last); n > 2*ownBefore {
				m.Seen = model.Just(wrote[m.Key][n-ownBefore])
				op.Output = out
				return true
			}
		}
		for _, m := range out {
			if m.F == "w" {
				mine[own{op.Process, m.Key}] = m.Value
			}
		}
	}
	return false
}

const ownBefore = 25 // how many versions older the planted read is: more than there are sessions

// loads are the workloads that are measured, with the promise that each store keeps.
func loads(txns int) map[string]load {
	return map[string]load{
		"uniform":        {sessions: 20, txns: txns, steps: 8, keys: 10_000, reads: 0.5},
		"zipf":           {sessions: 20, txns: txns, steps: 8, keys: 1000, reads: 0.5, zipf: true},
		"read-mostly":    {sessions: 50, txns: txns, steps: 8, keys: 10_000, reads: 0.9, zipf: true},
		"snapshots":      {sessions: 20, txns: txns, steps: 8, keys: 10_000, reads: 0.5, snapshots: true},
		"snapshots-zipf": {sessions: 20, txns: txns, steps: 8, keys: 1000, reads: 0.5, zipf: true, snapshots: true},
	}
}

func (l load) level() Isolation {
	if l.snapshots {
		return StrongSessionSnapshotIsolation
	}
	return StrongSessionSerializable
}

// Registers without an order of time: what an honest store did is valid, and of what
// was planted most is found.
func TestUntimedRegisters(t *testing.T) {
	planted, found := 0, 0
	for name, l := range loads(1000) {
		l.keys /= 20
		for seed := range uint64(2) {
			ops := l.history(seed)
			for _, level := range []Isolation{l.level(), map[bool]Isolation{true: SnapshotIsolation, false: Serializable}[l.snapshots]} {
				r := testhistory.Check(t, Checker{Registers: true, Level: level}, &harness.History{Operations: ops})
				if r.Valid != harness.Valid {
					t.Errorf("%s, seed %d, %s: %v: %s", name, seed, level, r.Valid, r.Summary)
				}
			}
			if !plantStale(seed, ops) {
				continue
			}
			planted++
			r := testhistory.Check(t, Checker{Registers: true, Level: l.level()}, &harness.History{Operations: ops})
			if r.Valid == harness.Invalid {
				found++
				if n := len(r.Counterexample.Witness); n > 30 {
					t.Errorf("%s, seed %d: %d transactions are told of", name, seed, n)
				}
			}
		}
	}
	t.Logf("%d of %d were found", found, planted)
	if planted < 3 || found < planted*2/3 {
		t.Errorf("%d of %d were found", found, planted)
	}
}

func BenchmarkRegistersUntimed(b *testing.B) {
	for _, n := range []int{10_000, 30_000, 100_000} {
		for _, name := range []string{"uniform", "zipf", "snapshots-zipf"} {
			l := loads(n)[name]
			for _, planted := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/%d/planted=%v", name, n, planted), func(b *testing.B) {
					ops := l.history(1)
					if planted && !plantStale(1, ops) {
						b.Skip("there is nothing to plant")
					}
					h := &harness.History{Operations: ops}
					runtime.GC()
					b.ResetTimer()
					for range b.N {
						r, err := Checker{Registers: true, Level: l.level()}.Check(context.Background(), h)
						if err != nil || (r.Valid == harness.Valid) == planted || r.Valid == harness.Unknown {
							b.Fatal(r.Summary, err)
						}
					}
				})
			}
		}
	}
}
