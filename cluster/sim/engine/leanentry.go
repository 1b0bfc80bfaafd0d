package engine

import "slices"

// entries are the parameters that a function gets, each the first of those that
// mean its label, in their order.
//
// Go's compiler makes a label of each of its basic blocks, so that a function may
// be entered at any. It is not: it begins, a call in it returns to the address
// that it left on the stack, a panic that was recovered goes on where
// runtime.deferreturn is called, one before that address, right behind a label; or it
// jumps back. What it jumps ahead to need not be an entry, because that takes no
// dispatch. (After what Go's cmd/compile/internal/wasm does for calls, and
// cmd/link/internal/ld for deferreturn; runtime.goexit is entered at 1.)
//
// Where a function does what none of Go's does, all of its labels are entries.
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
	// What lies between two entries is never asked for: an entry is the first
	// parameter of its label.
	for i := range runs {
		for n := runs[i].from; n > 0 && labels[n-1] == runs[i].label; n-- {
			runs[i].from = n - 1
		}
	}
	return runs
}

// jumpsBack enters what jumps lead to that does not lie ahead of them. It is not
// ok if anything else comes to the dispatch again.
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

// returns enters what calls return to. It is not ok if that is unknown.
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
