package engine

import (
	"encoding/binary"
	"slices"
)

// write returns the function's new body.
func (f *function) write() []byte {
	w := writer{f: f, out: make([]byte, 0, len(f.body)+len(f.body)/8), holder: make([]int, f.locals)}
	next := f.locals
	hold := func(local int) {
		if w.holder[local] == 0 {
			w.holder[local] = next
			next++
		}
	}
	if f.frame != nil {
		hold(stackPointer)
	}
	for i := range f.pointers {
		if f.pointers[i].accesses > 1 {
			hold(f.pointers[i].local)
		}
	}
	w.uint(f.groups + 1)
	w.out = append(w.out, f.declared...)
	w.uint(uint64(next - f.locals))
	w.out = append(w.out, typeI32)
	for k := 0; k < len(f.code); {
		if f.frame != nil && k == 2 {
			w.base()
		}
		k += w.instruction(k)
	}
	return w.out
}

// writer writes a function.
type writer struct {
	f      *function
	out    []byte
	holder []int  // for each local the one that holds what is made of it; 0: none
	open   []byte // constructs; opNop: a block that is not written
}

func (w *writer) uint(n uint64)        { w.out = binary.AppendUvarint(w.out, n) }
func (w *writer) plain(op byte)        { w.out = append(w.out, op) }
func (w *writer) op(op byte, n int64)  { w.plain(op); w.uint(uint64(n)) }
func (w *writer) i32(n int64)          { w.plain(opI32Const); w.out = appendInt(w.out, n) }
func (w *writer) held(op byte, of int) { w.op(op, int64(w.holder[of])) }
func (w *writer) copy(c *instruction)  { w.out = append(w.out, w.f.body[c.at:c.end]...) }

// check has the engine check a value up to a distance. What is loaded is not
// needed, so that nothing else is left of it.
func (w *writer) check(end int64) {
	w.op(opI32Load8U, 0)
	w.uint(uint64(end - 1))
	w.plain(opDrop)
}

// base makes the base of the frame, which is there already or will be.
func (w *writer) base() {
	fr := w.f.frame
	w.op(opLocalGet, stackPointer)
	w.i32(-returnAddress - fr.size)
	w.plain(opI32Add)
	w.held(opLocalSet, stackPointer)
	if fr.fresh > 0 && fr.size > 0 {
		w.op(opLocalGet, 0)
		w.i32(fr.fresh)
		w.plain(opI32GeU)
		w.plain(opIf)
		w.plain(typeVoid)
		w.held(opLocalGet, stackPointer)
		w.i32(fr.size)
		w.plain(opI32Add)
		w.held(opLocalSet, stackPointer)
		w.plain(opEnd)
	}
}

// instruction writes what becomes of the instruction k, and says how many of the old
// ones it stands for.
func (w *writer) instruction(k int) (n int) {
	f := w.f
	c := &f.code[k]
	switch {
	case c.edit == drop:
		switch c.op {
		case opBlock:
			w.open = append(w.open, opNop)
		case opEnd:
			w.open = w.open[:len(w.open)-1]
		}
	case c.edit == fromFrame:
		w.held(opLocalGet, stackPointer)
		return c.length
	case c.edit == fromBase:
		w.held(opLocalGet, stackPointer)
		w.i32(c.add)
		w.plain(opI32Add)
		return c.length
	case c.edit == fromPointer:
		w.pointer(&f.pointers[c.pointer])
		return c.length
	case c.edit == moved:
		w.op(c.op, c.align)
		w.uint(uint64(c.n + f.code[c.of-1].add))
	case c.edit == straight:
		w.op(opBr, w.label(c.n))
	case c.edit == other:
		switch { // a zero to compare with
		case c.op == opI32Eqz && c.n == opI32Ne:
			w.i32(0)
		case c.op == opI64Eqz && c.n == opI64Ne:
			w.plain(opI64Const)
			w.plain(0)
		}
		w.plain(byte(c.n))
	case c.edit == restore:
		w.held(opLocalGet, stackPointer)
		w.i32(returnAddress)
		w.plain(opI32Add)
	case f.frame != nil && k == f.frame.dispatch-1:
		// Checked within the loop, because behind its beginning wazero takes
		// every value for another one.
		w.held(opLocalGet, stackPointer)
		w.held(opLocalTee, stackPointer)
		w.check(f.frame.reach)
		runs := slices.Clone(f.frame.entries)
		for i := range runs {
			runs[i].label = uint32(w.label(int64(runs[i].label)))
		}
		w.out = writeDispatch(w.out, runs)
		return 2
	case c.op == opBr, c.op == opBrIf:
		w.op(c.op, w.label(c.n))
	case c.op == opBrTable:
		w.op(opBrTable, int64(len(c.labels)-1))
		for _, l := range c.labels {
			w.uint(uint64(w.label(int64(l))))
		}
	case c.op == opEnd && len(w.open) > 0:
		w.end()
	default:
		switch c.op {
		case opBlock, opLoop, opIf:
			w.open = append(w.open, c.op)
		case opElse:
			w.open[len(w.open)-1] = c.op
		}
		w.copy(c)
	}
	return 1
}

// label is what becomes of a label.
func (w *writer) label(l int64) int64 {
	for _, op := range w.open[max(0, len(w.open)-int(l)):] {
		if op == opNop {
			l--
		}
	}
	return l
}

// pointer puts a pointer's value there.
func (w *writer) pointer(p *pointer) {
	if p.made {
		w.held(opLocalGet, p.local)
		return
	}
	p.made = true
	w.op(opLocalGet, int64(p.local))
	w.plain(opI32WrapI64)
	if p.accesses > 1 {
		w.held(opLocalTee, p.local)
		if p.first < p.most {
			w.check(p.most)
			w.held(opLocalGet, p.local)
		}
	}
}

// end ends a construct. Wazero does not know behind an if without an else what it
// has checked before, and takes a value for another one where several ways
// meet, unless it is set there.
func (w *writer) end() {
	n := len(w.open)
	if w.open[n-1] == opIf {
		w.plain(opElse)
	}
	w.open = w.open[:n-1]
	w.plain(opEnd)
	if w.f.frame != nil {
		w.held(opLocalGet, stackPointer)
		w.held(opLocalSet, stackPointer)
	}
}
