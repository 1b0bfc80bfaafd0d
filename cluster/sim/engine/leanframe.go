package engine

import "encoding/binary"

// frame is what is known of the stack pointer in a function.
//
// Go's functions move it in three ways: down by the size of their frame when they begin,
// up again before they return, and down by the size of an address for a call, which undoes
// that when it returns. So at every instruction the distance to the end of the frame is
// known. A function is also entered in the middle, when a goroutine goes on in it. Then the
// frame is there already, and the function's parameter says so. A stack that grows moves to
// another place, but never during a call that returns: all functions are left then, and
// entered again.
//
// Accesses start from the base of the frame, which is lower by the size of a return
// address, so that no offset is negative.
type frame struct {
	dispatch int   // the instruction that goes to where the parameter says
	entries  []run // what it may say
	fresh    int64 // parameters below it begin the function; 0: all do
	size     int64 // what the stack pointer is moved by then
	reach    int64 // the end of the farthest access, from the base
}

// returnAddress is what a call takes of the stack.
const returnAddress = 8

// findFrame finds the frame of a function that does nothing else with its stack
// pointer, and uses it more than once.
func (f *function) findFrame() {
	dispatch, ok := f.dispatch()
	if !ok || !f.hasStack() {
		return
	}
	fr := &frame{dispatch: dispatch, entries: f.entries(dispatch)}
	for k := range f.code {
		if c := &f.code[k]; c.edit == stepPointer && c.add < 0 && !f.isCall(k) {
			if fr.size != 0 {
				return
			}
			fr.size = -c.add
		}
	}
	w := walk{f: f, fr: fr, at: fr.size, live: true}
	at, live := make([]int64, len(f.code)+1), make([]bool, len(f.code))
	uses := 0
	for k := range f.code {
		at[k], live[k] = w.at, w.live
		if c := &f.code[k]; c.length > 0 && c.n == stackPointer && w.live {
			uses++
			if w.lost || w.at+c.add+returnAddress < 0 {
				return
			}
		}
		if !w.pass(k) {
			return
		}
	}
	if uses < 2 {
		return
	}
	f.frame = fr
	for k := range f.code {
		switch c := &f.code[k]; {
		case !live[k]:
		case c.length > 0 && c.n == stackPointer:
			c.edit = fromFrame
			c.add += at[k] + returnAddress
		case c.isAccess() && c.of > 0 && f.code[c.of-1].edit == fromFrame:
			c.edit = moved
			fr.reach = max(fr.reach, f.code[c.of-1].add+c.n+c.size())
		case f.isCall(k) && at[k] == 0:
			sum := &f.code[c.of-1]
			sum.edit, sum.length = fromFrame, k+1-c.of
		case f.isReturn(k) && at[k+1] == 0:
			f.code[k-1].edit = restore
		case c.edit == stepPointer:
			sum := &f.code[c.of-1]
			sum.edit, sum.length, sum.add = fromBase, k+1-c.of, at[k]+c.add+returnAddress
		}
	}
	for _, s := range w.shortcuts {
		f.code[s.at].edit, f.code[s.at].n = straight, s.label
		f.code[s.at-1].edit, f.code[s.at-2].edit = drop, drop
	}
	for _, k := range w.idle {
		f.code[k].edit = drop
	}
}

// dispatch is the instruction that goes to where the parameter says.
func (f *function) dispatch() (k int, ok bool) {
	for k = 2; k+1 < len(f.code); k++ {
		switch c := &f.code[k]; {
		case c.op == opBlock || c.op == opLoop:
		case c.op == opLocalGet && c.n == 0 && f.code[k+1].op == opBrTable:
			return k + 1, true
		default:
			return 0, false
		}
	}
	return 0, false
}

// isCall says whether the instruction k makes room for a call's return address.
func (f *function) isCall(k int) bool {
	c := &f.code[k]
	_, ok := f.address(k + 1)
	return c.edit == stepPointer && c.add == -returnAddress && ok
}

// address is the address that a call is to come back to, if the instructions from k
// on leave it on the stack.
func (f *function) address(k int) (_ int64, ok bool) {
	if k+3 >= len(f.code) {
		return 0, false
	}
	next := f.code[k : k+4]
	return next[2].n, next[0].op == opGlobalSet && next[0].n == stackGlobal && next[1].op == opLocalGet && next[1].n == stackPointer &&
		next[2].op == opI64Const && next[3].op == opI64Store && next[3].n == 0
}

// isReturn says whether the instruction k takes the stack pointer as a call
// left it.
func (f *function) isReturn(k int) bool {
	return k >= 2 && f.code[k].op == opLocalSet && f.code[k].n == stackPointer &&
		f.code[k-1].op == opGlobalGet && f.code[k-1].n == stackGlobal &&
		(f.code[k-2].op == opCall || f.code[k-2].op == opCallIndirect)
}

// walk goes through a function and follows its stack pointer.
type walk struct {
	f       *function
	fr      *frame
	at      int64 // where it is, from the end of the frame
	lost    bool  // it may be at several places
	live    bool  // this can be reached
	calling bool  // there is room for a return address

	open      []construct
	outer     int // constructs around the dispatch
	original  int // of them are still open
	shortcuts []shortcut
	idle      []int // the beginnings and ends of blocks that no branch leads out of
}

// shortcut is a branch that need not go through the dispatch.
type shortcut struct {
	at    int
	label int64 // straight
}

// construct is a block, a loop or an if, and where the stack pointer is when it
// begins and behind its end.
type construct struct {
	op         byte
	at         int  // where it begins
	target     bool // a branch leads to it
	live       bool
	start, end int64
	reached    bool // its end
	lost       bool // it may be at several places there
}

// pass goes on behind the instruction k. It is not ok if the function does what
// none of Go's does.
func (w *walk) pass(k int) (ok bool) {
	c := &w.f.code[k]
	switch c.op {
	case opBlock, opLoop, opIf:
		w.open = append(w.open, construct{op: c.op, at: k, live: w.live, start: w.at})
	case opElse:
		ok = w.reach(0)
		a := &w.open[len(w.open)-1]
		a.op, w.at, w.live, w.lost = c.op, a.start, a.live, false
		return ok
	case opEnd:
		return w.end(k)
	case opBr:
		ok = w.branch(w.ahead(k))
		w.live = false
		return ok
	case opBrIf:
		return w.branch(c.n)
	case opBrTable:
		if k == w.fr.dispatch {
			return w.begin(c.labels)
		}
		ok = true
		for _, label := range c.labels {
			ok = w.branch(int64(label)) && ok
		}
		w.live = false
		return ok
	case opReturn, opUnreachable:
		w.live = false
	case opLocalSet, opLocalTee:
		switch {
		case c.n != stackPointer || k < 2:
		case w.lost:
			return false
		case c.edit == stepPointer:
			w.at += c.add
			w.calling = w.f.isCall(k)
		case w.f.isReturn(k):
			if w.calling { // the write barrier is called without
				w.at += returnAddress
			}
			w.calling = false
		default:
			return false
		}
	}
	return true
}

// begin passes the dispatch.
func (w *walk) begin(labels []uint32) (ok bool) {
	w.outer, w.original = len(w.open), len(w.open)
	for i, label := range labels {
		if label != labels[0] {
			w.fr.fresh = int64(i)
			break
		}
	}
	ok = true
	for _, e := range w.fr.entries {
		if e.label != labels[0] {
			w.at = 0
		}
		ok = w.branch(int64(e.label)) && ok
	}
	w.live = false
	return ok
}

// end leaves a construct, at the instruction k.
func (w *walk) end(k int) (ok bool) {
	n := len(w.open)
	if n == 0 {
		return true // the function
	}
	a := &w.open[n-1]
	if ok = true; a.op != opLoop {
		ok = w.reach(0)
		if a.op == opIf && a.live { // without an else
			w.at, w.live, w.lost = a.start, true, false
			ok = w.reach(0) && ok
		}
		if w.live = a.reached; a.reached {
			w.at, w.lost = a.end, a.lost
		}
	}
	if a.op == opBlock && !a.target {
		w.idle = append(w.idle, a.at, k)
	}
	w.open = w.open[:n-1]
	w.original = min(w.original, n-1)
	return ok
}

// branch follows a branch to a label.
func (w *walk) branch(label int64) (ok bool) {
	if i := int64(len(w.open)) - 1 - label; i >= 0 {
		w.open[i].target = true
	}
	return w.reach(label)
}

// reach goes to a label, by a branch or at the end of its construct.
func (w *walk) reach(label int64) (ok bool) {
	i := int64(len(w.open)) - 1 - label
	if !w.live || i < 0 {
		return true // never, or out of the function
	}
	a := &w.open[i]
	if a.op == opLoop {
		// A jump back to the dispatch stays within the frame.
		return !w.lost && (a.start == w.at || i < int64(w.outer) && w.at == 0)
	}
	a.lost = w.lost || a.lost || a.reached && a.end != w.at
	a.end, a.reached = w.at, true
	return true
}

// ahead is the label that the branch k leads to, straight if it is sent from the
// dispatch to what lies ahead:
//
//	i32.const 7; local.set 0; br $dispatch
func (w *walk) ahead(k int) (label int64) {
	c := &w.f.code[k]
	i := int64(len(w.open)) - 1 - c.n
	if k < w.fr.dispatch+3 || i < 0 || i >= int64(w.original) || w.open[i].op != opLoop {
		return c.n
	}
	if n, ok := w.f.jump(k); ok {
		to := w.outer - 1 - int(meant(w.f.code[w.fr.dispatch].labels, n))
		if to >= 0 && to < w.original && w.open[to].op == opBlock {
			label = int64(len(w.open) - 1 - to)
			w.shortcuts = append(w.shortcuts, shortcut{k, label})
			return label
		}
	}
	return c.n
}

// meant is the one of the dispatch's labels that the parameter n leads to.
func meant(labels []uint32, n int64) uint32 { return labels[min(n, int64(len(labels)-1))] }

// jump is the parameter with which the branch k comes to the dispatch again.
func (f *function) jump(k int) (n int64, ok bool) {
	number := &f.code[k-2]
	return number.n, f.code[k].op == opBr && f.code[k-1].op == opLocalSet && f.code[k-1].n == 0 && number.op == opI32Const && number.n >= 0
}

// run is a label, and the parameter from which on it is meant, up to the next.
type run struct{ from, label uint32 }

// writeDispatch goes to one of the labels by the function's parameter, as a
// table would. Behind a table wazero does not know what it has checked before.
func writeDispatch(out []byte, runs []run) []byte {
	if len(runs) > 1 { // most often it begins
		out = append(branchBelow(out, runs[1].from), opBrIf)
		out = binary.AppendUvarint(out, uint64(runs[0].label))
		runs = runs[1:]
	}
	return decide(out, runs, 0)
}

// branchBelow puts there whether the parameter is below n.
func branchBelow(out []byte, n uint32) []byte {
	out = append(out, opLocalGet, 0, opI32Const)
	return append(appendInt(out, int64(n)), opI32LtU)
}

// decide goes to one of the runs, from within so many constructs more.
func decide(out []byte, runs []run, depth uint32) []byte {
	if len(runs) == 1 {
		return binary.AppendUvarint(append(out, opBr), uint64(runs[0].label+depth))
	}
	half := len(runs) / 2
	out = branchBelow(out, runs[half].from)
	out = decide(append(out, opIf, typeVoid), runs[:half], depth+1)
	return append(decide(append(out, opElse), runs[half:], depth+1), opEnd)
}
