package transactions

import (
	"context"

	"coup/checker/graph"
	"coup/harness"
)

// decide finds out whether some order explains what transactions read from registers.
// It is asked when no anomaly has been found.
func (r *registerTxns) decide(ctx context.Context, j judged) {
	_, order := j.level.parts()
	serially, snapshots := j.excludes(Unserializable), j.excludes(NoSnapshots)
	if !serially && !snapshots {
		return
	}
	timed := order&graph.Realtime != 0
	if serially && (timed || order == 0 && r.committed() <= mostTogether) {
		// Conclusions from single reads are found fastest and make the simplest
		// counterexamples.
		r.saturate(ctx, timed)
		if len(r.anomalies) > 0 && j.excludes(r.anomalies[len(r.anomalies)-1].Kind) {
			return
		}
		if timed && !r.undrawn && j.plainly() && r.committed() > mostTogether {
			return // to find an order would take longer than all else
		}
	}
	r.undrawn = false
	r.txns.decide(ctx, r.known(), !serially, order)
}

// decide judges the transactions by the polygraph of what is known of them, and says
// so where it cannot tell.
func (t *txns) decide(ctx context.Context, k known, snapshots bool, order graph.Dependency) {
	if t.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.timeout)
		defer cancel()
	}
	var all []int32
	for i := range t.ops {
		if t.did[i] {
			all = append(all, int32(i))
		}
	}
	var likely []arc
	if order == 0 && t.several(all) {
		// A search that keeps the order of each process is faster, and an order that it
		// finds is as good. If it finds none, conclusions that used the order of
		// processes mostly hold without it, too.
		p := t.newPolygraph(all, k, snapshots, graph.Process)
		if d := p.decide(ctx, nil); d.outcome == graph.Found && p.replays(d.line) {
			return
		}
		for _, a := range p.arcs {
			if a.kind == graph.Process || a.round > 0 {
				likely = append(likely, a)
			}
		}
	}
	p := t.newPolygraph(all, k, snapshots, order)
	d := p.decide(ctx, likely)
	switch d.outcome {
	case graph.Found:
		t.undrawn = !p.replays(d.line)
	case graph.None:
		var core []int32
		for _, i := range d.core {
			core = append(core, all[i])
		}
		proof := t.refute(ctx, core, k, snapshots, order)
		if proof == nil {
			t.undrawn = true
			return
		}
		kind := Unserializable
		if snapshots {
			kind = NoSnapshots
		}
		t.anomalies = append(t.anomalies, proof.anomaly(kind))
	default:
		t.undrawn = true
	}
}

// several says whether a process performed more than one of some transactions.
func (t *txns) several(all []int32) bool {
	seen := map[int]bool{}
	for _, i := range all {
		if seen[t.ops[i].Process] {
			return true
		}
		seen[t.ops[i].Process] = true
	}
	return false
}

// rivals says whether several transactions appended to a list what nobody read: which
// of them came first is open.
func (l *listTxns) rivals() bool {
	for k := range l.longest {
		by := none
		for _, e := range l.elements(int32(k)) {
			if e.pos != none || !l.did[e.txn] {
				continue
			}
			if by != none && by != e.txn {
				return true
			}
			by = e.txn
		}
	}
	return false
}

// known is who read what others appended, and who appended after whom.
func (l *listTxns) known() (k known) {
	for i, op := range l.ops {
		if op.Type != harness.OK {
			continue
		}
		touched := map[int32]bool{}
		for at, m := range l.output(int32(i)) {
			key := l.key(int32(i), at)
			if touched[key] {
				continue
			}
			touched[key] = true
			if m.F != "r" || !l.prefix(key, m.List) {
				continue
			}
			writer := none
			if n := len(m.List); n > 0 {
				if writer = l.writers(key)[n-1]; writer == none {
					continue
				}
			}
			k.reads = append(k.reads, readOf{key, int32(i), writer})
		}
	}
	for key := range l.longest {
		last := none
		for _, w := range l.writers(int32(key)) {
			if last != none && w != none && w != last {
				k.then = append(k.then, [2]int32{last, w})
			}
			last = w
		}
		for _, e := range l.elements(int32(key)) {
			if e.pos == none && l.did[e.txn] && last != none && e.txn != last {
				k.then = append(k.then, [2]int32{last, e.txn})
			}
		}
	}
	return k
}
