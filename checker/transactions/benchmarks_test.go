package transactions

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"coup/checker/model"
	"coup/harness"
)

// load is a workload in the manner of the benchmarks of Cobra, PolySI and Viper.
type load struct {
	sessions, txns int     // txns: of all sessions together
	steps, keys    int     // steps of each transaction
	reads          float64 // the share of reads
	zipf           bool    // some keys are used far more often than others
	snapshots      bool    // the store promises snapshot isolation only
	open           int     // transactions that are under way at once in the store, beside others of the session
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
			if (m.F == "w") == l.snapshots || !l.snapshots {
				conflict = conflict || (m.F == "r" || l.snapshots) && changed(m.Key, o.start)
			}
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
