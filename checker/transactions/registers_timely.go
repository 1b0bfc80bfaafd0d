package transactions

import (
	"cmp"
	"context"
	"slices"

	"coup/checker/graph"
)

// What it may cost to draw conclusions in the order of time: so many nodes are
// looked at, in all and for each transaction; so many pairs of writes wait at
// once; and so many facts are kept.
const (
	mostLooks       = 50_000_000
	looksForEach    = 1000
	mostUndecided   = 15_000_000
	mostTimelyFacts = 10_000_000
)

// timely draws conclusions where transactions keep the order of time. Each took
// effect after all that come before it were called and before any that comes
// after it had ended: these two moments are kept for each. One whose last
// moment is before another's first came before it, and so most pairs are decided
// by two numbers. A chain of facts between others leads only over those whose
// moments lie between theirs, and these are few: where c transactions are under
// way at once, about c.
//
// So it is enough to look at pairs of writes to one register whose times, with
// those of who read them, overlap; of these to search for a chain from one to
// the other; and to look again at those near which something new is known. In a
// history in which c stays the same that is linear, but for sorting. Otherwise the
// bounds are kept.
type timely struct {
	conclusions
	until    []int // by node: when it took effect, at the latest; from: at the earliest
	versions []version
	readers  []int32
	pairs    []pair // not decided yet
	torn     int32  // a node that would have to take effect before itself; none
	looks    int    // how many nodes may still be looked at
	looked   int    // how many facts there were when the pairs were last looked at
	gaveUp   bool
	seen     []int32 // by node: the search that last looked at it
	goal     []int32 // by node: the search that it was the goal of
	search   int32
	stack    []int32
}

// version is what a node wrote to a register, and who read it: readers from one to
// another, the last to end first.
type version struct {
	node, first, last int32
}

// pair is two versions of a register.
type pair struct{ a, b int32 }

// conclude draws all conclusions. It returns facts that go in a circle if it
// finds any.
func (s *timely) conclude(ctx context.Context) []fact {
	n := len(s.nodes)
	s.from, s.until, s.end = make([]int, n), make([]int, n), make([]int, n)
	for node, i := range s.nodes {
		s.from[node], s.end[node] = s.ops[i].Call, s.ends(i)
	}
	copy(s.until, s.end)
	s.seen, s.goal = make([]int32, n), make([]int32, n)
	s.torn, s.looks = none, cmp.Or(s.looks, mostLooks+looksForEach*n)
	s.facts = make([]fact, 0, 2*len(s.reads))
	for _, r := range s.reads {
		if r.writer != none {
			s.learn(fact{from: r.writer, to: r.reader, kind: graph.WR})
		}
	}
	s.overlapping(ctx)
	for first := true; ; first = false {
		if circle := s.around(); circle != nil {
			return circle
		}
		if !s.again(ctx, first) {
			return nil
		}
	}
}

// around is a circle of facts, nil if there is none.
func (s *timely) around() []fact {
	if s.torn == none {
		in := s.unordered()
		if in == nil {
			return nil
		}
		return s.circle(in)
	}
	all := int32(len(s.facts))
	best := s.path(s.torn, s.torn, all)
	for i := 0; i < min(len(best), mostTries); i++ {
		if way := s.path(best[i].from, best[i].from, all); len(way) < len(best) {
			best, i = way, -1
		}
	}
	return best
}

// learn adds a fact, and what it says of the times of others.
func (s *timely) learn(f fact) {
	s.add(f)
	s.stack = append(s.stack[:0], f.to)
	for least := s.from[f.from]; len(s.stack) > 0; {
		n := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		if s.from[n] >= least {
			continue
		}
		if s.from[n] = least; least > s.until[n] {
			s.torn = n
		}
		for e := s.out[n]; e != none; e = s.facts[e].nextOut {
			s.stack = append(s.stack, s.facts[e].to)
		}
	}
	s.stack = append(s.stack[:0], f.from)
	for most := s.until[f.to]; len(s.stack) > 0; {
		n := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		if s.until[n] <= most {
			continue
		}
		if s.until[n] = most; most < s.from[n] {
			s.torn = n
		}
		for e := s.in[n]; e != none; e = s.facts[e].nextIn {
			s.stack = append(s.stack, s.facts[e].from)
		}
	}
}

// overlapping finds the pairs of writes that are not so far apart in time that
// nothing is to be said of them, and decides those that the times decide.
func (s *timely) overlapping(ctx context.Context) {
	first := make([]int32, len(s.nodes)+1) // by node: its versions
	of := make([][]int32, len(s.names))    // by key: its versions
	for v, w := range s.wrote {
		s.versions = append(s.versions, version{node: w.node})
		first[w.node+1] = int32(v + 1)
		of[w.key] = append(of[w.key], int32(v))
	}
	for n := range s.nodes {
		first[n+1] = max(first[n+1], first[n])
	}
	// read is the version that was read.
	read := func(r registerRead) *version {
		at := first[r.writer]
		for s.wrote[at].key != r.key {
			at++
		}
		return &s.versions[at]
	}
	empty := make(map[int32][]int32) // by key: who found nothing
	for _, r := range s.reads {
		if r.writer != none {
			read(r).last++
		} else {
			empty[r.key] = append(empty[r.key], r.reader)
		}
	}
	total := int32(0)
	for v := range s.versions {
		v := &s.versions[v]
		total += v.last
		v.first, v.last = total-v.last, total-v.last
	}
	s.readers = make([]int32, total)
	for _, r := range s.reads {
		if r.writer != none {
			v := read(r)
			s.readers[v.last] = r.reader
			v.last++
		}
	}
	for _, v := range s.versions {
		slices.SortFunc(s.readers[v.first:v.last], func(a, b int32) int { return cmp.Compare(s.end[b], s.end[a]) })
	}
	var near []int32
	var starts []int
	for key, versions := range of {
		for _, reader := range empty[int32(key)] {
			for _, v := range versions {
				w := s.versions[v].node
				if s.ops[s.nodes[w]].Call > s.until[reader] {
					break // and so are all others
				}
				if w != reader && s.until[reader] >= s.from[w] {
					s.learn(fact{from: reader, to: w, kind: graph.RW})
				}
			}
		}
		slices.SortStableFunc(versions, func(a, b int32) int {
			return cmp.Compare(s.from[s.versions[a].node], s.from[s.versions[b].node])
		})
		// What is learned on the way must not move those that are still to come.
		starts = starts[:0]
		for _, v := range versions {
			starts = append(starts, s.from[s.versions[v].node])
		}
		near = near[:0]
		for i, b := range versions {
			kept := near[:0]
			for _, a := range near {
				if s.latest(a) < starts[i] {
					continue
				}
				kept = append(kept, a)
				if !s.unread(a) || !s.unread(b) {
					if p := (pair{a, b}); !s.decide(p, false) {
						s.pairs = append(s.pairs, p)
					}
				}
			}
			near = append(kept, b)
			s.looks -= len(near)
			if s.over(ctx) {
				return
			}
		}
	}
}

// over says whether enough was done.
func (s *timely) over(ctx context.Context) bool {
	if s.looks < 0 || len(s.pairs) > mostUndecided || len(s.facts) > mostTimelyFacts {
		s.gaveUp = true
	}
	return s.gaveUp || s.torn != none || ctx.Err() != nil
}

func (s *timely) unread(v int32) bool { return s.versions[v].first == s.versions[v].last }

// latest is when all that read or wrote a version have taken effect.
func (s *timely) latest(v int32) int {
	last := s.until[s.versions[v].node]
	for _, r := range s.readers[s.versions[v].first:s.versions[v].last] {
		if s.end[r] <= last {
			break
		}
		last = max(last, s.until[r])
	}
	return last
}

// again checks pairs near which something new is known since the last check; the first
// time all pairs. It says whether it learned anything.
func (s *timely) again(ctx context.Context, first bool) bool {
	if s.over(ctx) {
		return false
	}
	var news []span
	if !first {
		news = s.spans(s.facts[s.looked:])
	}
	s.looked = len(s.facts)
	kept := s.pairs[:0]
	for i, p := range s.pairs {
		if i%1000 == 0 && s.over(ctx) || s.looks < 0 || s.torn != none {
			kept = append(kept, s.pairs[i:]...)
			break
		}
		if s.looks--; !first && !s.near(p, news) || !s.decide(p, true) {
			kept = append(kept, p)
		}
	}
	s.pairs = kept
	return len(s.facts) > s.looked || s.torn != none
}

// span is a time between two moments.
type span struct{ from, until int }

// spans are the times of facts, those that overlap as one, in their order.
func (s *timely) spans(facts []fact) []span {
	spans := make([]span, 0, len(facts))
	for i := range facts {
		spans = append(spans, span{s.from[facts[i].from], s.until[facts[i].to]})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	merged := spans[:0]
	for _, p := range spans {
		if n := len(merged); n > 0 && p.from <= merged[n-1].until {
			merged[n-1].until = max(merged[n-1].until, p.until)
		} else {
			merged = append(merged, p)
		}
	}
	return merged
}

// near says whether the time of a pair overlaps with one of some others. Where a
// fact helps to decide a pair, its time lies within that of the pair.
func (s *timely) near(p pair, spans []span) bool {
	from := min(s.from[s.versions[p.a].node], s.from[s.versions[p.b].node])
	at, _ := slices.BinarySearchFunc(spans, from, func(x span, from int) int { return cmp.Compare(x.until, from) })
	return at < len(spans) && spans[at].from <= max(s.latest(p.a), s.latest(p.b))
}

// decide says whether it is known which version of a pair came first, and
// concludes what follows from that; deep: chains of facts are looked for, too.
func (s *timely) decide(p pair, deep bool) bool {
	for _, p := range [...]pair{p, {p.b, p.a}} {
		if by := s.precedes(p.a, p.b, deep); by != none {
			s.follow(p.a, p.b, by)
			return true
		}
	}
	return false
}

// precedes returns a node that read or wrote version b and is known to come after
// the one that wrote a, none if there is none.
func (s *timely) precedes(a, b int32, deep bool) int32 {
	w, v := s.versions[a].node, s.versions[b]
	if s.until[w] < s.from[v.node] {
		return v.node
	}
	readers := s.readers[v.first:v.last]
	for _, r := range readers {
		if s.until[w] < s.from[r] {
			return r
		}
	}
	if !deep || s.out[w] == none {
		return none
	}
	s.search++
	s.goal[v.node] = s.search
	from, until := s.from[v.node], s.until[v.node]
	for _, r := range readers {
		if r != w {
			s.goal[r] = s.search
			from, until = max(from, s.from[r]), max(until, s.until[r])
		}
	}
	s.looks -= len(readers)
	s.seen[w] = s.search
	for s.stack = append(s.stack[:0], w); len(s.stack) > 0; {
		n := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		for e := s.out[n]; e != none; e = s.facts[e].nextOut {
			s.looks--
			to := s.facts[e].to
			if s.goal[to] == s.search {
				return to
			}
			if s.seen[to] != s.search && s.from[to] <= from && s.until[to] <= until {
				s.seen[to] = s.search
				s.stack = append(s.stack, to)
			}
		}
	}
	return none
}

// follow concludes what follows if the one that wrote version a came before by,
// which read or wrote version b.
func (s *timely) follow(a, b, by int32) {
	w, v := s.versions[a], s.versions[b].node
	if by != v {
		s.learn(fact{from: w.node, to: v, kind: graph.WW, premise: [2]int32{w.node, by}})
	}
	for _, r := range s.readers[w.first:w.last] {
		if s.end[r] < s.from[v] {
			break
		}
		if r != v && s.until[r] >= s.from[v] && !s.said(r, v) {
			s.learn(fact{from: r, to: v, kind: graph.RW, premise: [2]int32{w.node, v}})
		}
	}
}

// said checks whether a single fact says that one node comes before another.
func (s *timely) said(from, to int32) bool {
	for e := s.out[from]; e != none; e = s.facts[e].nextOut {
		s.looks--
		if s.facts[e].to == to {
			return true
		}
	}
	return false
}
