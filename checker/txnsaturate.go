package checker

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
)

// What saturation may cost: so many transactions are looked at together, a
// matrix of bits, and so many conclusions are drawn of them.
const (
	mostTogether    = 4000
	mostConclusions = 1_000_000
)

// saturation draws conclusions from what transactions over registers read, until
// there are no more. If T read what W wrote, any other transaction that wrote to
// that register came before W or after T, whatever the order: so if it is known
// to have come after W, it came after T, and if it came before T, it came before
// W. All that is known holds of every order that explains the reads. If it goes
// in a circle there is none (Papadimitriou, "The serializability of concurrent
// database updates", 1979; as pruning in Tan et al., "Cobra", OSDI 2020).
//
// It takes a low polynomial of how many transactions are looked at together, and
// is not complete: a history can be without an order though nothing follows from
// its single reads. To decide that is NP-complete.
type saturation struct {
	*registerTxns
	nodes []int32 // transactions that took effect, in the order of their calls; behind them are moments
	total int     // nodes and moments
	facts []fact
	out   [][]int32 // by node: its facts
	// By node: the transactions that come after it, and those before it.
	after, before []bitRow
	reads         []registerRead
	wrote         map[int32]bitRow // by key: who wrote to it
}

// bitRow is a set of transactions, by their nodes.
type bitRow []uint64

func (r bitRow) has(n int32) bool { return r[n/64]>>(n%64)&1 != 0 }
func (r bitRow) add(n int32)      { r[n/64] |= 1 << (n % 64) }

func (r bitRow) addAll(other bitRow) {
	for i, word := range other {
		r[i] |= word
	}
}

// fact is that one node comes before another.
type fact struct {
	from, to int32
	kind     dependency
	// A conclusion rests on that premise[0] comes before premise[1], if they are not the same.
	premise [2]int32
}

// registerRead is that a transaction read a register that another one wrote, if
// not none.
type registerRead struct {
	key, reader, writer int32
}

// deduction is what is to be said of a conclusion.
type deduction struct{ key, text string }

// saturate looks for transactions that no order explains, with the order of
// time or without it. It gives up when ctx ends.
func (r *registerTxns) saturate(ctx context.Context, timed bool) {
	var all []int32
	for i := range r.ops {
		if r.did[i] {
			all = append(all, int32(i))
		}
	}
	for from := 0; ctx.Err() == nil; from += mostTogether / 2 {
		s := saturation{registerTxns: r, nodes: all[from:min(len(all), from+mostTogether)], wrote: map[int32]bitRow{}}
		s.gather(timed)
		if circle := s.conclude(ctx); circle != nil {
			s.tellCircle(circle)
			return
		}
		if from+mostTogether >= len(all) {
			return
		}
	}
}

// gather notes what was read and written, and what came before what by time.
func (s *saturation) gather(timed bool) {
	index := make(map[int32]int32, len(s.nodes))
	for n, i := range s.nodes {
		index[i] = int32(n)
	}
	s.total = len(s.nodes)
	for n, i := range s.nodes {
		touched := map[int32]bool{} // reads of what it saw or wrote itself tell nothing new
		steps, answered := s.ops[i].Output.(Txn)
		if !answered {
			steps = s.input(i)
		}
		for at, m := range steps {
			k := s.key(i, at)
			if m.F == "w" {
				if s.wrote[k] == nil {
					s.wrote[k] = s.row()
				}
				s.wrote[k].add(int32(n))
			} else if answered && !touched[k] {
				writer, known := none, true
				if m.Seen.Set {
					writer, known = index[s.writers[item{k, m.Seen.Int}].txn]
				}
				if known && writer != int32(n) {
					s.reads = append(s.reads, registerRead{k, int32(n), writer})
				}
			}
			touched[k] = true
		}
	}
	if timed {
		moment := func() int32 {
			s.total++
			return int32(s.total - 1)
		}
		s.byTime(s.nodes, func(n int) int32 { return int32(n) }, moment, func(from, to int32, kind dependency) {
			s.facts = append(s.facts, fact{from: from, to: to, kind: kind})
		})
	}
	s.out = make([][]int32, s.total)
	facts := s.facts
	s.facts = nil
	for _, f := range facts {
		s.add(f)
	}
	for _, rd := range s.reads {
		if rd.writer != none {
			s.add(fact{from: rd.writer, to: rd.reader, kind: wr})
		}
	}
}

// row is a set of none.
func (s *saturation) row() bitRow { return make(bitRow, (len(s.nodes)+63)/64) }

func (s *saturation) add(f fact) {
	s.out[f.from] = append(s.out[f.from], int32(len(s.facts)))
	s.facts = append(s.facts, f)
}

// conclude draws conclusions until there are no more. It returns facts that go
// in a circle, nil if it found none.
func (s *saturation) conclude(ctx context.Context) []int32 {
	for first := true; ctx.Err() == nil; first = false {
		if circle := s.close(); circle != nil {
			return circle
		}
		before := len(s.facts)
		for _, r := range s.reads {
			wrote := s.wrote[r.key]
			if r.writer == none {
				// It read what was there before anybody wrote.
				for i := 0; first && i < len(wrote); i++ {
					s.precedes(i, wrote[i]&^s.after[r.reader][i], r)
				}
				continue
			}
			for i := range wrote {
				s.precedes(i, wrote[i]&s.after[r.writer][i]&^s.after[r.reader][i], r)
			}
			for i, some := range slices.Backward(wrote) {
				s.follows(i, some&s.before[r.reader][i]&^s.before[r.writer][i], r)
			}
			if len(s.facts) > mostConclusions {
				return nil
			}
		}
		if len(s.facts) == before {
			return nil
		}
	}
	return nil
}

// precedes concludes that a reader came before others that wrote, the bits of a
// word of a row: the first ones first, since mostly it follows of the others.
func (s *saturation) precedes(word int, others uint64, r registerRead) {
	for ; others != 0; others &= others - 1 {
		other := int32(word*64 + bits.TrailingZeros64(others))
		if other == r.reader || other == r.writer || s.after[r.reader].has(other) {
			continue
		}
		f := fact{from: r.reader, to: other, kind: rw}
		if r.writer != none {
			f.premise = [2]int32{r.writer, other}
		}
		s.add(f)
		s.after[r.reader].addAll(s.after[other])
		s.after[r.reader].add(other)
	}
}

// follows concludes that the writer of what was read came after others that
// wrote, the last ones first.
func (s *saturation) follows(word int, others uint64, r registerRead) {
	for others != 0 {
		high := bits.Len64(others) - 1
		others &^= 1 << high
		other := int32(word*64 + high)
		if other == r.reader || other == r.writer || s.before[r.writer].has(other) {
			continue
		}
		s.add(fact{from: other, to: r.writer, kind: ww, premise: [2]int32{other, r.reader}})
		s.before[r.writer].addAll(s.before[other])
		s.before[r.writer].add(other)
	}
}

// close computes what comes after what. It returns facts that go in a circle if
// there are any.
func (s *saturation) close() []int32 {
	in := make([]int32, s.total)
	for _, f := range s.facts {
		in[f.to]++
	}
	order := make([]int32, 0, s.total)
	for n := range in {
		if in[n] == 0 {
			order = append(order, int32(n))
		}
	}
	for at := 0; at < len(order); at++ {
		for _, f := range s.out[order[at]] {
			if to := s.facts[f].to; in[to] == 1 {
				order = append(order, to)
				in[to] = 0
			} else {
				in[to]--
			}
		}
	}
	if len(order) < s.total {
		return s.circle(in)
	}
	for len(s.after) < s.total {
		s.after, s.before = append(s.after, s.row()), append(s.before, s.row())
	}
	for _, n := range slices.Backward(order) {
		for _, f := range s.out[n] {
			to := s.facts[f].to
			if s.after[n].addAll(s.after[to]); int(to) < len(s.nodes) {
				s.after[n].add(to)
			}
		}
	}
	for _, n := range order {
		for _, f := range s.out[n] {
			to := s.facts[f].to
			if s.before[to].addAll(s.before[n]); int(n) < len(s.nodes) {
				s.before[to].add(n)
			}
		}
	}
	return nil
}

// circle is the shortest circle that was found among nodes before which some
// others still had to come.
func (s *saturation) circle(in []int32) (best []int32) {
	tries := 0
	for n := range in {
		if in[n] == 0 || n >= len(s.nodes) || tries == 100 {
			continue
		}
		tries++
		if c := s.path(int32(n), int32(n), len(s.facts)); c != nil && (best == nil || len(c) < len(best)) {
			best = c
		}
	}
	return best
}

// path is a way of the fewest facts from one node to another, of those that were
// known first; it takes at least one.
func (s *saturation) path(from, to int32, known int) (way []int32) {
	came := make([]int32, s.total)
	for i := range came {
		came[i] = none
	}
	now := []int32{from}
	for len(now) > 0 && came[to] == none {
		var next []int32
		for _, n := range now {
			for _, f := range s.out[n] {
				if t := s.facts[f].to; int(f) < known && came[t] == none {
					came[t] = f
					next = append(next, t)
				}
			}
		}
		now = next
	}
	if came[to] == none {
		return nil
	}
	for n := to; ; {
		way = append(way, came[n])
		if n = s.facts[came[n]].from; n == from {
			break
		}
	}
	slices.Reverse(way)
	return way
}

// tellCircle records the anomaly, with all that the facts rest on.
func (s *saturation) tellCircle(circle []int32) {
	a := TxnAnomaly{Kind: Unserializable, Count: 1, tail: []string{
		"So a transaction came before itself: no order of these transactions explains what was read."}}
	told := map[step]bool{}
	var tell func(way []int32)
	tell = func(way []int32) {
		for _, f := range way {
			if c := s.facts[f]; c.premise[0] != c.premise[1] {
				tell(s.path(c.premise[0], c.premise[1], int(f)))
			}
		}
		for i := 0; i < len(way); i++ {
			f := s.facts[way[i]]
			st := step{s.nodes[f.from], 0, f.kind}
			for int(s.facts[way[i]].to) >= len(s.nodes) {
				i++ // moments are part of the step that leads to them
			}
			st.to = s.nodes[s.facts[way[i]].to]
			if told[st] {
				continue
			}
			told[st] = true
			if f.premise[0] != f.premise[1] {
				s.concluded[st] = s.deduce(f)
			}
			if f.kind == realtime {
				a.Kind = Unserializable + "-realtime"
			}
			a.edges = append(a.edges, st)
			a.txns = append(a.txns, st.from, st.to)
		}
	}
	tell(circle)
	s.anomalies = append(s.anomalies, a)
}

// deduce words a conclusion, with the names of its two transactions left open.
func (s *saturation) deduce(f fact) deduction {
	reader, other, writer := f.from, f.to, f.premise[0]
	if f.kind == ww {
		reader, other, writer = f.premise[1], f.from, f.to
	}
	for _, r := range s.reads {
		if r.reader != reader || r.writer != writer || !s.wrote[r.key].has(other) {
			continue
		}
		value := func(n int32) (last int64) {
			for at, m := range s.input(s.nodes[n]) {
				if m.F == "w" && s.key(s.nodes[n], at) == r.key {
					last = m.Value
				}
			}
			return last
		}
		name := s.names[r.key]
		if f.kind == ww {
			return deduction{name, fmt.Sprintf("%%s, which wrote %d to %s, came before that was read as %d, which %%s wrote", value(other), name, value(writer))}
		}
		return deduction{name, fmt.Sprintf("%%s read %s as %d, and %%s, which wrote %d to it, came after the one that wrote that", name, value(writer), value(other))}
	}
	return deduction{text: "what was read says of %s and %s"}
}
