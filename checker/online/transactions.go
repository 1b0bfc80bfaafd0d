package online

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"coup/checker/model"
	"coup/checker/transactions"
	"coup/harness"
)

// How many transactions a [TransactionMonitor] keeps at least, and how often it judges
// them. Most transactions are judged several times.
const (
	txnsKept    = 2000
	txnsBetween = 1000
	timeBetween = time.Second
)

// TransactionMonitor watches transactions over lists while a run goes on, as [Monitor]
// watches single objects. Every report is true. If a list lost elements that had been
// read, or was read in another order, it reports that at the line that shows it. Any other
// anomaly that [transactions.Checker] finds among the last few thousand transactions is
// reported up to a second, or a thousand transactions, later. It does not see cycles of
// transactions that are further apart.
//
// It keeps the open transactions and the most recent ones. For each list it keeps only
// how long it was at each read, and a hash of its elements.
//
// Why a report is true: suppose that the whole history can be explained. Then it can still
// be explained when one step is removed from all transactions, or one element of a list
// from all transactions that read it, or a whole transaction with all that it appended. So
// transactions that are no longer kept are removed together with all that they appended.
//
// A TransactionMonitor is not safe for concurrent use.
type TransactionMonitor struct {
	kept, between int
	pos           int
	processes     underWay
	txns          []*harness.Operation // in the order of their calls
	lists         map[string]*watchedList
	ended         int           // since they were judged
	judged        time.Duration // when they were
	done          bool          // nothing more is to be found
	seed          maphash.Seed
}

// watchedList is what is known of a list.
type watchedList struct {
	reads []readList // each longer than the one before, in the order of their ends
	cut   bool       // some transactions that appended to it are not kept any more
}

// readList is a list as a transaction read it that was acknowledged.
type readList struct {
	at     int // when it ended
	length int
	hash   uint64 // of the elements
}

// NewTransactionMonitor makes a monitor that has seen nothing.
func NewTransactionMonitor() *TransactionMonitor {
	return &TransactionMonitor{
		kept: txnsKept, between: txnsBetween,
		processes: underWay{}, lists: map[string]*watchedList{}, seed: maphash.MakeSeed(),
	}
}

// Observe takes the next line. It returns a finding if the history so far is
// not strictly serializable; after that nothing is watched any more. A line
// that makes no sense is an error and is left out.
func (w *TransactionMonitor) Observe(op harness.Op) (*Finding, error) {
	w.pos++
	if w.done {
		return nil, nil
	}
	if op.Type == harness.Invoke {
		return nil, w.invoke(op)
	}
	o, err := w.processes.end(op)
	if err != nil {
		return nil, err
	}
	if op.Type == harness.OK {
		out, ok := op.Value.(model.Txn)
		if !ok || !out.Answers(o.Input.(model.Txn)) {
			return nil, fmt.Errorf("process %d asked for %v and was answered %v", op.Process, o.Input, op.Value)
		}
		o.Type, o.Output, o.Return = op.Type, slices.Clone(out), w.pos
		if f := w.read(o); f != nil {
			w.done = true
			return f, nil
		}
	} else if op.Type == harness.Fail {
		o.Type, o.Return = op.Type, w.pos
	}
	if w.ended++; w.ended < w.between && op.Time-w.judged < timeBetween {
		return nil, nil
	}
	w.ended, w.judged = 0, op.Time
	return w.judge(op.Time)
}

func (w *TransactionMonitor) invoke(op harness.Op) error {
	in, ok := op.Value.(model.Txn)
	if !ok {
		return fmt.Errorf("process %d begins %v, which is no transaction", op.Process, op.Value)
	}
	o, err := w.processes.begin(op, w.pos)
	if err != nil {
		return err
	}
	w.txns = append(w.txns, o)
	for _, m := range in {
		if w.lists[m.Key] == nil {
			w.lists[m.Key] = &watchedList{}
		}
	}
	if len(w.txns) >= 2*w.kept+len(w.processes) {
		w.letGo()
	}
	return nil
}

// read compares what a transaction read with what had been read before it began.
func (w *TransactionMonitor) read(o *harness.Operation) *Finding {
	low := min(o.Call, w.processes.low())
	for _, m := range o.Output.(model.Txn) {
		if m.F != "r" {
			continue
		}
		l := w.lists[m.Key]
		before := readList{}
		for _, r := range l.reads {
			if r.at < o.Call {
				before = r
			}
		}
		if len(m.List) < before.length || w.hash(m.List[:before.length]) != before.hash && before.length > 0 {
			return &Finding{Key: m.Key, Time: o.End, Text: fmt.Sprintf(
				"Process %d read %s as %s, which is not what it had been read as before that began, %d long, with more behind it.",
				o.Process, m.Key, model.EndText(m.List), before.length)}
		}
		if n := len(l.reads); len(m.List) > 0 && (n == 0 || l.reads[n-1].length < len(m.List)) {
			l.reads = append(l.reads, readList{o.Return, len(m.List), w.hash(m.List)})
		}
		// Of those that ended before all that is under way began, the last is enough.
		for len(l.reads) > 1 && l.reads[1].at < low {
			l.reads = l.reads[1:]
		}
	}
	return nil
}

func (w *TransactionMonitor) hash(list []int64) uint64 {
	var h maphash.Hash
	h.SetSeed(w.seed)
	for _, v := range list {
		maphash.WriteComparable(&h, v)
	}
	return h.Sum64()
}

// letGo drops the older half of the transactions that are not open.
func (w *TransactionMonitor) letGo() {
	due := len(w.txns) - w.kept
	kept := w.txns[:0]
	for i, o := range w.txns {
		if i >= due || w.processes[o.Process] == o {
			kept = append(kept, o)
			continue
		}
		for _, m := range o.Input.(model.Txn) {
			if m.F != "r" {
				w.lists[m.Key].cut = true
			}
		}
	}
	clear(w.txns[len(kept):])
	w.txns = kept
}

// judge looks for anomalies among the transactions that are kept.
func (w *TransactionMonitor) judge(now time.Duration) (*Finding, error) {
	type element struct {
		key   string
		value int64
	}
	appended := map[element]bool{}
	for _, o := range w.txns {
		for _, m := range o.Input.(model.Txn) {
			if m.F != "r" && w.lists[m.Key].cut {
				appended[element{m.Key, m.Value}] = true
			}
		}
	}
	h := &harness.History{Operations: make([]harness.Operation, 0, len(w.txns))}
	for _, o := range w.txns {
		if out, ok := o.Output.(model.Txn); ok {
			for i := range out {
				if m := &out[i]; m.F == "r" && w.lists[m.Key].cut {
					// Elements of transactions that were dropped are removed.
					m.List = slices.DeleteFunc(slices.Clone(m.List), func(v int64) bool { return !appended[element{m.Key, v}] })
				}
			}
		}
		h.Operations = append(h.Operations, *o)
	}
	r, err := transactions.Checker{}.Check(context.Background(), h)
	if err != nil {
		w.done = true
		return nil, fmt.Errorf("transactions are watched no longer: %w", err)
	}
	if r.Valid != harness.Invalid {
		return nil, nil
	}
	w.done = true
	f := &Finding{Time: now, Text: r.Summary}
	for _, s := range r.Counterexample.Story {
		f.Text += " " + s
	}
	keys := r.Details.(transactions.Details).Anomalies[0].Keys()
	for _, e := range r.Counterexample.Edges {
		keys = append(keys, e.Key) // none, if it is of time
	}
	f.Key = cmp.Or(keys...)
	return f, nil
}
