package engine

import "slices"

// entries are the parameters with which a function can be entered, in order. Several
// parameters may mean one label; then the first of them counts.
//
// Go's compiler makes each basic block a label, at which the function could be entered.
// But only these are used: the beginning; the places to which calls return, by the address
// on the stack; the place of runtime.deferreturn, where a function goes on after a
// recovered panic (one before such an address, right behind a label); and the targets of
// jumps back. Targets of jumps forward need not be entries, because these jumps take no
// dispatch. (See cmd/compile/internal/wasm for calls, and cmd/link/internal/ld for
// deferreturn; runtime.goexit is entered at 1.)
//
// If a function does something that Go's functions never do, all of its labels are entries.
func (f *function) entries(dispatch int) []run {
	labels := f.code[dispatch].labels
	entered := make([]bool, len(labels))
	enter := func(n int64) {
		if n = min(n, int64(len(labels)-1)); n >= 0 {
			entered[n] = true
		}
	}
	enter(0)
	enter(1)
	known := f.jumpsBack(dispatch, enter) && f.returns(enter)
	var runs []run
	for i, l := range labels {
		if n := len(runs); (entered[i] || !known) && (n == 0 || runs[n-1].label != l) {
			runs = append(runs, run{uint32(i), l})
		}
	}
	// Parameters between two entries never occur: an entry is the first parameter of its
	// label.
	for i := range runs {
		for n := runs[i].from; n > 0 && labels[n-1] == runs[i].label; n-- {
			runs[i].from = n - 1
		}
	}
	return runs
}

// jumpsBack adds the targets of jumps back to the entries. It returns false if the
// dispatch is reached in any other way.
func (f *function) jumpsBack(dispatch int, enter func(n int64)) (ok bool) {
	labels := f.code[dispatch].labels
	var open []byte    // constructs
	all, outer := 0, 0 // around the dispatch, and those of them that are still open
	for k := range f.code {
		if k == dispatch {
			all, outer = len(open), len(open)
		}
		back := func(label int64) bool { // to the dispatch
			i := int64(len(open)) - 1 - label
			return i >= 0 && i < int64(outer) && open[i] == opLoop
		}
		switch c := &f.code[k]; c.op {
		case opBlock, opLoop, opIf:
			open = append(open, c.op)
		case opEnd:
			open = open[:max(0, len(open)-1)]
			outer = min(outer, len(open))
		case opBr:
			if !back(c.n) {
				continue
			}
			n, ok := f.jump(k)
			if !ok {
				return false
			}
			if to := all - 1 - int(meant(labels, n)); to >= outer || to >= 0 && open[to] != opBlock {
				enter(n)
			}
		case opBrIf:
			if back(c.n) {
				return false
			}
		case opBrTable:
			if k != dispatch && slices.ContainsFunc(c.labels, func(l uint32) bool { return back(int64(l)) }) {
				return false
			}
		}
	}
	return true
}

// returns adds the places to which calls return to the entries. It returns false if one of
// them is unknown.
func (f *function) returns(enter func(n int64)) (ok bool) {
	const place = 16 // the bits of an address that say where in the function
	self := int64(-1)
	left := false // there is an address for the next call
	for k := 2; k+3 < len(f.code); k++ {
		next := f.code[k : k+4]
		if address, ok := f.address(k); ok {
			if self >= 0 && address>>place != self {
				return false
			}
			left, self = true, address>>place
			enter(address & (1<<place - 1))
			if f.followsLabel(k - 4) {
				enter(address&(1<<place-1) - 1)
			}
			continue
		}
		switch {
		case next[0].op != opCall && next[0].op != opCallIndirect:
		case f.isReturn(k+2) && next[3].op == opBrIf && !left: // it may be left and entered again
			return false
		default:
			left = false
		}
	}
	return true
}

// followsLabel says whether the instruction k comes right behind a label.
func (f *function) followsLabel(k int) bool {
	for k--; k >= 0 && f.code[k].op == opNop; k-- {
	}
	return k >= 0 && f.code[k].op == opEnd
}
