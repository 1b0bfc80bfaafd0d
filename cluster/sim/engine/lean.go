package engine

import (
	"bytes"
	"encoding/binary"
)

// lean rewrites the code of a module so that it does the same in fewer steps.
//
// Go's compiler for WebAssembly keeps its stack in memory, computes the address anew for
// every access, and sends every branch through one table at the beginning of the function.
// It relies on the engine to optimise that. Wazero does not. It also checks each access
// against the size of memory, unless it has checked the same value before, on every path
// to the access. These checks are more code than everything else. So:
//
//   - accesses to the stack start from one value for each function, which is checked once
//     (leanframe.go); and accesses through a pointer start from one value as long as the
//     pointer stays the same (leanpointer.go);
//   - branches forward do not use the table, which then only leads to the places where a
//     function can be entered (leanentry.go);
//   - branches depend directly on comparisons, not on values computed from them
//     (leancondition.go).
//
// This removes three quarters of the checks, and in all more than half of the compiled
// code.
//
// A program can't notice: whenever it calls the machine, its memory is the same as before,
// and so is the call. A module that Go's linker did not make stays as it is, and so does a
// function with an unknown instruction.
func lean(module []byte) []byte {
	if len(module) < moduleHeader {
		return module
	}
	var types, params []int // how many parameters a type, a function has
	ofGo := false
	out := append(make([]byte, 0, len(module)), module[:moduleHeader]...)
	for r := (leb{b: module[moduleHeader:]}); len(r.b) > 0; {
		all := r.b
		id := r.byte()
		body := leb{b: r.take(r.uint())}
		switch id {
		case sectionCustom:
			custom := body
			ofGo = ofGo || bytes.Equal(custom.take(custom.uint()), []byte("go:buildid"))
		case sectionType:
			types = body.paramsOfTypes()
		case sectionFunction:
			for n := body.uint(); n > 0; n-- {
				t := body.uint()
				if t >= uint64(len(types)) {
					return module
				}
				params = append(params, types[t])
			}
		case sectionCode:
			code, ok := leanCode(body.b, params)
			if !ofGo || !ok {
				return module
			}
			out = append(out, id)
			out = binary.AppendUvarint(out, uint64(len(code)))
			out = append(out, code...)
			continue
		}
		if r.bad || body.bad {
			return module
		}
		out = append(out, all[:len(all)-len(r.b)]...)
	}
	return out
}

// paramsOfTypes reads a section of function types.
func (r *leb) paramsOfTypes() (params []int) {
	for n := r.uint(); n > 0 && !r.bad; n-- {
		if r.byte() != typeFunction {
			r.bad = true
		}
		given := r.uint()
		r.take(given)
		r.take(r.uint())
		params = append(params, int(given))
	}
	return params
}

// leanCode rewrites a code section; params says how many parameters each of its
// functions has.
func leanCode(section []byte, params []int) (out []byte, ok bool) {
	r := leb{b: section}
	if r.uint() != uint64(len(params)) {
		return nil, false
	}
	out = binary.AppendUvarint(make([]byte, 0, len(section)), uint64(len(params)))
	var f function
	for _, n := range params {
		body := r.take(r.uint())
		if r.bad {
			return nil, false
		}
		if f.read(body, n) {
			body = f.lean()
		}
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out, len(r.b) == 0
}

// function is one that is being rewritten.
type function struct {
	body     []byte
	groups   uint64 // of declarations of locals
	declared []byte // the declarations
	locals   int    // with the parameters
	code     []instruction

	frame    *frame // nil: it is not known
	pointers []pointer
}

// instruction is a decoded instruction, and how it is changed.
type instruction struct {
	op      byte
	misc    byte     // which one of opMisc
	at, end int      // in the body
	n       int64    // an index, a constant, the offset of an access
	align   int64    // of an access
	labels  []uint32 // of a table

	edit    edit
	length  int   // of an address, in instructions; 0: none begins here
	add     int64 // to an address; by how much the stack pointer is moved
	of      int   // one more than where the address of an access begins, or the sum that the stack pointer is moved to; 0: not known
	pointer int   // of an address, as an index into pointers
}

// edit says how an instruction is changed.
type edit byte

const (
	keep        edit = iota
	drop             // it is left out
	fromFrame        // with those up to length, it becomes the base of the frame
	fromBase         // with those up to length, it becomes the base of the frame plus add
	fromPointer      // with those up to length, it becomes the value of a pointer
	moved            // the access's offset grows by what its address adds
	straight         // the branch goes to the label n
	restore          // it becomes the stack pointer behind a call
	stepPointer      // it stays, and moves the stack pointer by add
	other            // it becomes the instruction n
)

// lean returns the function's new body.
func (f *function) lean() []byte {
	f.findAddresses()
	f.findFrame()
	f.findPointers()
	f.shortenConditions()
	return f.write()
}

// stackPointer is the local that holds Go's stack pointer, in functions that
// begin with taking it from the global stackGlobal.
const (
	stackPointer = 1
	stackGlobal  = 0
)

// hasStack says whether the local stackPointer is one.
func (f *function) hasStack() bool {
	return len(f.code) > 1 && f.code[0].op == opGlobalGet && f.code[0].n == stackGlobal &&
		f.code[1].op == opLocalSet && f.code[1].n == stackPointer
}

// value is what is known of a value that an instruction takes.
type value struct {
	kind        byte
	local       int
	add         int64
	first, last int // the instructions that make it, one after the other
}

// Kinds of values.
const (
	aConst   = 1 + iota // add
	aLocal              // the local, plus add if it is the stack pointer
	aWideSP             // the stack pointer plus add, in 64 bits
	aPointer            // the lower 32 bits of the local
)

// findAddresses finds where addresses begin that are made of a local, the
// accesses that use them, and what moves the stack pointer.
func (f *function) findAddresses() {
	hasStack := f.hasStack()
	var stack []value // as far as it was filled since the last branch
	push := func(v value) { stack = append(stack, v) }
	pop := func() (v value) {
		if n := len(stack); n > 0 {
			v, stack = stack[n-1], stack[:n-1]
		}
		return v
	}
	for k := range f.code {
		c := &f.code[k]
		switch {
		case c.op == opLocalGet && (c.n != stackPointer || hasStack):
			push(value{aLocal, int(c.n), 0, k, k})
			continue
		case c.op == opI32Const, c.op == opI64Const:
			push(value{aConst, 0, c.n, k, k})
			continue
		case c.op == opI64ExtendI32U, c.op == opI32WrapI64:
			push(pop().convert(c.op, k))
			continue
		case c.op == opI32Add, c.op == opI32Sub, c.op == opI64Add:
			b := pop()
			push(pop().plus(b, c.op, k))
			continue
		}
		pops, pushes, straight := c.effect()
		if !straight {
			stack = stack[:0]
			continue
		}
		var v value // the lowest that it takes
		for range pops {
			v = pop()
		}
		for range pushes {
			push(value{})
		}
		ofStack := v.kind == aLocal && v.local == stackPointer
		switch {
		case c.isAccess() && (ofStack || v.kind == aPointer):
			f.code[v.first].length, f.code[v.first].add = v.last+1-v.first, v.add
			c.of = v.first + 1
		case c.sets(stackPointer) && ofStack && hasStack:
			c.edit, c.add, c.of = stepPointer, v.add, v.first+1
		}
	}
}

// sets says whether an instruction sets a local.
func (c *instruction) sets(local int64) bool {
	return (c.op == opLocalSet || c.op == opLocalTee) && c.n == local
}

// convert is the value after a change of its width by the instruction at.
func (v value) convert(op byte, at int) value {
	ofStack := v.local == stackPointer
	switch {
	case v.last != at-1:
		return value{}
	case op == opI64ExtendI32U && v.kind == aLocal && ofStack:
		v.kind = aWideSP
	case op == opI32WrapI64 && v.kind == aWideSP:
		v.kind = aLocal
	case op == opI32WrapI64 && v.kind == aLocal && !ofStack:
		v.kind = aPointer
	default:
		return value{}
	}
	v.last = at
	return v
}

// farthest bounds what is added to the stack pointer, so that no sum overflows.
const farthest = 1 << 28

// plus is the value after the instruction at, which adds or subtracts b.
func (v value) plus(b value, op byte, at int) value {
	fits := v.kind == aWideSP && op == opI64Add || v.kind == aLocal && v.local == stackPointer && op != opI64Add
	if !fits || b.kind != aConst || b.last != at-1 || v.last != b.first-1 || b.add <= -farthest || b.add >= farthest {
		return value{}
	}
	if op == opI32Sub {
		b.add = -b.add
	}
	if v.add += b.add; v.add <= -farthest || v.add >= farthest {
		return value{}
	}
	v.last = at
	return v
}
