package transactions

import (
	"context"
	"math/bits"
	"slices"

	"coup/checker/graph"
)

// What saturation may cost: so many transactions are looked at together, a
// matrix of bits, and so many conclusions are drawn of them.
const (
	mostTogether    = 4000
	mostConclusions = 1_000_000
)

// saturation draws conclusions among some transactions, all at once, whatever
// the order of time. It takes a low polynomial of how many they are.
type saturation struct {
	conclusions
	// By node: the transactions that come after it, and those before it.
	after, before []bitRow
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

// saturateWindows looks for transactions that no order explains, without the
// order of time, among those that were called near each other.
func (r *registerTxns) saturateWindows(ctx context.Context, all, place []int32) {
	for from := 0; ctx.Err() == nil; from += mostTogether / 2 {
		s := saturation{conclusions: r.gather(all[from:min(len(all), from+mostTogether)], place, int32(from)), wrote: map[int32]bitRow{}}
		for _, w := range s.conclusions.wrote {
			if s.wrote[w.key] == nil {
				s.wrote[w.key] = s.row()
			}
			s.wrote[w.key].add(w.node)
		}
		for _, r := range s.reads {
			if r.writer != none {
				s.add(fact{from: r.writer, to: r.reader, kind: graph.WR})
			}
		}
		if circle := s.conclude(ctx); circle != nil {
			s.tellCircle(circle)
			return
		}
		if from+mostTogether >= len(all) {
			return
		}
	}
}

// row is a set of none.
func (s *saturation) row() bitRow { return make(bitRow, (len(s.nodes)+63)/64) }

// conclude draws conclusions until there are no more. It returns facts that go
// in a circle, nil if it found none.
func (s *saturation) conclude(ctx context.Context) []fact {
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
				s.undrawn = true
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
		f := fact{from: r.reader, to: other, kind: graph.RW}
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
		s.add(fact{from: other, to: r.writer, kind: graph.WW, premise: [2]int32{other, r.reader}})
		s.before[r.writer].addAll(s.before[other])
		s.before[r.writer].add(other)
	}
}

// close computes what comes after what. It returns facts that go in a circle if
// there are any.
func (s *saturation) close() []fact {
	in := make([]int32, len(s.nodes))
	for i := range s.facts {
		in[s.facts[i].to]++
	}
	order := make([]int32, 0, len(s.nodes))
	if s.inOrder(in, func(n int32) { order = append(order, n) }) < len(in) {
		return s.circle(in)
	}
	for len(s.after) < len(s.nodes) {
		s.after, s.before = append(s.after, s.row()), append(s.before, s.row())
	}
	for _, n := range slices.Backward(order) {
		for f := s.out[n]; f != none; f = s.facts[f].nextOut {
			to := s.facts[f].to
			s.after[n].addAll(s.after[to])
			s.after[n].add(to)
		}
	}
	for _, n := range order {
		for f := s.out[n]; f != none; f = s.facts[f].nextOut {
			to := s.facts[f].to
			s.before[to].addAll(s.before[n])
			s.before[to].add(n)
		}
	}
	return nil
}
