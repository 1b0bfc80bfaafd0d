package linearizable

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"coup/checker/model"
	"coup/harness"
)

// appendsTier decides strings that are read, set and appended to (see [model.KV]),
// if a value that was read tells what was written: no written value is the beginning
// of another, nor empty, but for what makes the string empty before all else. It is
// exact, open operations included, and takes O(n log n) and what it takes to look at
// every value that was read once.
//
// Then a read shows which put the string began with, and which appends followed, in
// their order. What belongs to one put, its appends and its reads, is called a block.
// All of it took effect without anything in between, in an order that is known but for
// reads of the same value. A put or an append that nobody saw took effect between two
// blocks, where the put of the next overwrites it, or after the last: it is a block by
// itself. So blocks can be ordered like the clusters of a register (see zonesTier):
// with f the first return of a block and s its last call, one block must come before
// another if f of the first is before s of the second, and there is an order if and
// only if no two must each come before the other. What belongs to no put comes first:
// the string was empty. Open operations that nobody saw are left out.
//
// Where the same value was appended several times, every way to say who appended it
// where is tried. If there are too many, or if the same value was put several times and
// the times do not tell which put a read shows, other tiers decide.
func appendsTier(b context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	if m.Kind != model.KVKind {
		return decision{}, false, nil
	}
	h := stringHistory{ops: ops}
	if !h.gatherWrites() {
		return decision{}, false, nil
	}
	proof, ok := h.gatherReads()
	if !ok {
		return decision{}, false, nil
	}
	if proof != nil {
		return h.invalid(proof), true, nil
	}
	ways, ok := h.ways()
	if !ok {
		return decision{}, false, nil
	}
	h.timed = h.timed || len(ways) > 0
	at := make([]int, len(ways))
	for b.Err() == nil {
		blocks, wrong := h.blocks(ways, at)
		if wrong == nil {
			if one, other, _ := clash(blocks); one != nil {
				wrong = slices.Concat(one.ops, other.ops)
			}
		}
		if wrong == nil {
			order := make([]int32, 0, len(ops))
			for i := range blocks {
				order = append(order, blocks[i].ops...)
			}
			return decision{valid: harness.Valid, order: order}, true, nil
		}
		proof = append(proof, wrong...)
		next := 0
		for ; next < len(ways); next++ {
			if at[next]++; at[next] < len(ways[next].of) {
				break
			}
			at[next] = 0
		}
		if next == len(ways) {
			return h.invalid(proof), true, nil
		}
	}
	return decision{}, false, nil
}

func (h *stringHistory) invalid(proof []int32) decision {
	if h.timed { // the proof rests on other operations, too
		proof = proof[:0]
		for i := range h.ops {
			proof = append(proof, int32(i))
		}
	}
	slices.Sort(proof)
	return decision{valid: harness.Invalid, proof: slices.Compact(proof)}
}

// stringHistory is the history of a string.
type stringHistory struct {
	ops     []*harness.Operation
	by      map[string]*written
	lengths []int // of the written values, ascending, each once
	puts    []int32
	latest  []int // of the puts, in the order of their returns, the last call so far
	emptied bool  // the first operation made the string empty, which it was already, before all others
	timed   bool  // times tell which of several operations began what a read shows
	epochs  []epoch
}

// written is a value that was written.
type written struct {
	puts, appends []int32
	seen          []sighting // of what was appended
}

// sighting is a place in a read at which a value appears.
type sighting struct {
	epoch, place int
	by           int // when the first read that shows it returned
}

// epoch is all that was read of a string between one put and the next.
type epoch struct {
	put    int32 // none: before any put
	values []*written
	reads  []shown // by the length of what they show
}

// shown is a read and the values that make up what it shows.
type shown struct {
	read   int32
	values []*written
}

// gatherWrites is false if reads do not tell what was written.
func (h *stringHistory) gatherWrites() bool {
	h.by = map[string]*written{}
	var values []string
	for i, op := range h.ops {
		v, writes := op.Input.(string)
		if !writes {
			continue
		}
		if v == "" && i == 0 && (len(h.ops) == 1 || model.Returned(op) < h.ops[1].Call) {
			h.emptied = true
			continue
		}
		w := h.by[v]
		if w == nil {
			w = &written{}
			h.by[v] = w
			values = append(values, v)
			h.lengths = append(h.lengths, len(v))
		}
		if op.F == "put" {
			w.puts = append(w.puts, int32(i))
			h.puts = append(h.puts, int32(i))
		} else {
			w.appends = append(w.appends, int32(i))
		}
		if v == "" {
			return false
		}
	}
	slices.Sort(values)
	for i := range len(values) - 1 {
		if strings.HasPrefix(values[i+1], values[i]) {
			return false
		}
	}
	slices.Sort(h.lengths)
	h.lengths = slices.Compact(h.lengths)
	slices.SortFunc(h.puts, func(a, b int32) int { return cmp.Compare(model.Returned(h.ops[a]), model.Returned(h.ops[b])) })
	latest := -1
	for _, put := range h.puts {
		latest = max(latest, h.ops[put].Call)
		h.latest = append(h.latest, latest)
	}
	return true
}

// since is the put with which the value began that a read shows, none if it is what
// was appended before any put; false: the times do not tell.
func (h *stringHistory) since(read *harness.Operation, first *written) (put int32, ok bool) {
	// So many puts had returned before the read began, and each before this one that
	// returned before the latest of them began was overwritten.
	done, _ := slices.BinarySearchFunc(h.puts, read.Call, func(put int32, at int) int { return cmp.Compare(model.Returned(h.ops[put]), at) })
	var possible []int32
	h.timed = h.timed || len(first.puts) > 1 || len(first.puts) == 1 && len(first.appends) > 0
	for _, put := range first.puts {
		if h.ops[put].Call < read.Return && (done == 0 || model.Returned(h.ops[put]) > h.latest[done-1]) {
			possible = append(possible, put)
		}
	}
	if len(first.appends) > 0 && done == 0 {
		possible = append(possible, none)
	}
	switch {
	case len(possible) == 1:
		return possible[0], true
	case len(possible) > 1:
		return none, false
	case len(first.puts) > 0: // any will contradict the times
		return first.puts[0], true
	default:
		return none, true
	}
}

// split takes a value apart into those that were written; false: it was not.
func (h *stringHistory) split(v string) (values []*written, ok bool) {
next:
	for v != "" {
		for _, n := range h.lengths {
			if n > len(v) {
				break
			}
			if w := h.by[v[:n]]; w != nil {
				values, v = append(values, w), v[n:]
				continue next
			}
		}
		return values, false
	}
	return values, true
}

// all are reads with everything that may have written what they show.
func all(reads ...shown) (proof []int32) {
	for _, s := range reads {
		proof = append(proof, s.read)
		for _, w := range s.values {
			proof = append(append(proof, w.puts...), w.appends...)
		}
	}
	slices.Sort(proof)
	return slices.Compact(proof)
}

// gatherReads finds what was read since each put, or proves that no order explains it;
// false: it cannot tell.
func (h *stringHistory) gatherReads() (proof []int32, ok bool) {
	at := map[int32]int{} // by put: its place in h.epochs
	for i, op := range h.ops {
		if op.F != "get" || op.Type != harness.OK {
			continue
		}
		s := shown{read: int32(i)}
		var ok bool
		if s.values, ok = h.split(op.Output.(string)); !ok {
			return all(s), true
		}
		put := none
		for n, w := range s.values {
			switch {
			case n == 0:
				if put, ok = h.since(op, w); !ok {
					return nil, false
				}
			case len(w.appends) == 0: // a put overwrites all before it
				return all(s), true
			}
		}
		e, known := at[put]
		if !known {
			e = len(h.epochs)
			at[put] = e
			h.epochs = append(h.epochs, epoch{put: put})
		}
		h.epochs[e].reads = append(h.epochs[e].reads, s)
	}
	for e := range h.epochs {
		reads := h.epochs[e].reads
		slices.SortStableFunc(reads, func(a, b shown) int { return cmp.Compare(len(a.values), len(b.values)) })
		for i := range len(reads) - 1 {
			if !slices.Equal(reads[i].values, reads[i+1].values[:len(reads[i].values)]) {
				return all(reads[i], reads[i+1]), true
			}
		}
		h.epochs[e].values = reads[len(reads)-1].values
		by, read := harness.Open, len(reads)-1
		for n := len(h.epochs[e].values) - 1; n >= 0; n-- {
			for ; read >= 0 && len(reads[read].values) > n; read-- {
				by = min(by, h.ops[reads[read].read].Return)
			}
			w := h.epochs[e].values[n]
			if n == 0 && h.epochs[e].put != none {
				continue
			}
			if w.seen = append(w.seen, sighting{e, n, by}); len(w.seen) > len(w.appends) {
				for _, s := range w.seen {
					longest := h.epochs[s.epoch].reads
					proof = append(proof, all(longest[len(longest)-1])...)
				}
				slices.Sort(proof)
				return slices.Compact(proof), true
			}
		}
	}
	return nil, true
}

// appended are the ways to say who appended a value where it was seen.
type appended struct {
	value *written
	of    [][]int32 // each: the operation of each sighting
}

// ways lists the possible assignments of appends to the places where their value was
// seen; false: there are too many.
func (h *stringHistory) ways() (ways []appended, ok bool) {
	const most = 1 << 22
	work := max(1, len(h.ops))
	var values []*written
	for _, e := range h.epochs {
		for _, w := range e.values {
			if len(w.appends) > 1 && len(w.seen) > 0 && !slices.Contains(values, w) {
				values = append(values, w)
			}
		}
	}
	for _, w := range values {
		a := appended{value: w}
		chosen := make([]int32, 0, len(w.seen))
		var choose func()
		choose = func() {
			if len(chosen) == len(w.seen) {
				a.of = append(a.of, slices.Clone(chosen))
				return
			}
			for _, op := range w.appends {
				// An operation that began after the value was seen has not written it.
				if h.ops[op].Call < w.seen[len(chosen)].by && !slices.Contains(chosen, op) && len(a.of) < most {
					chosen = append(chosen, op)
					choose()
					chosen = chosen[:len(chosen)-1]
				}
			}
		}
		choose()
		if len(a.of) == 0 { // nobody had begun to write it: any way shows it
			a.of = [][]int32{w.appends[:len(w.seen)]}
		}
		if work *= len(a.of); work > most {
			return nil, false
		}
		ways = append(ways, a)
	}
	return ways, true
}

// blocks takes a history apart into what must take effect together, if everything was
// appended as the ways say, or proves that this cannot be.
func (h *stringHistory) blocks(ways []appended, at []int) (blocks []hold, proof []int32) {
	type place struct{ epoch, place int }
	by := map[place]int32{}
	for i, w := range ways {
		for n, op := range w.of[at[i]] {
			by[place{w.value.seen[n].epoch, w.value.seen[n].place}] = op
		}
	}
	seen := make([]bool, len(h.ops))
	for e := range h.epochs {
		epoch := &h.epochs[e]
		b := hold{f: harness.Open, s: -1}
		if epoch.put == none {
			b.f = -1 // nothing comes before it
		}
		take := func(i int32) (inOrder bool) {
			op := h.ops[i]
			b.ops = append(b.ops, i)
			seen[i] = true
			inOrder = model.Returned(op) > b.s
			b.f, b.s = min(b.f, model.Returned(op)), max(b.s, op.Call)
			return inOrder
		}
		wrong := func() []int32 { return append(b.ops, all(epoch.reads[len(epoch.reads)-1])...) }
		read := 0
		for n := 0; n <= len(epoch.values); n++ {
			if n > 0 {
				op, several := by[place{e, n - 1}]
				switch {
				case n == 1 && epoch.put != none:
					op = epoch.put
				case !several:
					op = epoch.values[n-1].appends[0]
				}
				if !take(op) {
					return nil, wrong()
				}
			}
			for ; read < len(epoch.reads) && len(epoch.reads[read].values) == n; read++ {
				if !take(epoch.reads[read].read) {
					return nil, wrong()
				}
			}
		}
		blocks = append(blocks, b)
	}
	for i, op := range h.ops {
		switch {
		case i == 0 && h.emptied:
			blocks = append(blocks, hold{ops: []int32{0}, f: -2, s: -1})
		case !seen[i] && op.F != "get" && op.Type == harness.OK:
			blocks = append(blocks, hold{ops: []int32{int32(i)}, f: op.Return, s: op.Call})
		}
	}
	return blocks, nil
}
