package engine

import "math"

// Opcodes and types of WebAssembly.
const (
	opUnreachable   = 0x00
	opNop           = 0x01
	opBlock         = 0x02
	opLoop          = 0x03
	opIf            = 0x04
	opElse          = 0x05
	opEnd           = 0x0b
	opBr            = 0x0c
	opBrIf          = 0x0d
	opBrTable       = 0x0e
	opReturn        = 0x0f
	opCall          = 0x10
	opCallIndirect  = 0x11
	opDrop          = 0x1a
	opSelect        = 0x1b
	opLocalGet      = 0x20
	opLocalSet      = 0x21
	opLocalTee      = 0x22
	opGlobalGet     = 0x23
	opGlobalSet     = 0x24
	opFirstLoad     = 0x28
	opI32Load8U     = 0x2d
	opFirstStore    = 0x36
	opI64Store      = 0x37
	opLastStore     = 0x3e
	opMemorySize    = 0x3f
	opMemoryGrow    = 0x40
	opI32Const      = 0x41
	opI64Const      = 0x42
	opF32Const      = 0x43
	opF64Const      = 0x44
	opI32Eqz        = 0x45
	opI32Eq         = 0x46
	opI32Ne         = 0x47
	opI32LtU        = 0x49
	opI32GeU        = 0x4f
	opI64Eqz        = 0x50
	opI64Eq         = 0x51
	opI64Ne         = 0x52
	opF32Eq         = 0x5b
	opF64Eq         = 0x61
	opI32Clz        = 0x67
	opI32Add        = 0x6a
	opI32Sub        = 0x6b
	opI64Clz        = 0x79
	opI64Add        = 0x7c
	opF32Abs        = 0x8b
	opF32Add        = 0x92
	opF64Abs        = 0x99
	opF64Add        = 0xa0
	opI32WrapI64    = 0xa7
	opI64ExtendI32U = 0xad
	opLastPlain     = 0xc4
	opMisc          = 0xfc

	miscLastConversion = 7
	miscCopy           = 10
	miscFill           = 11

	typeVoid     = 0x40
	typeI32      = 0x7f
	typeFunction = 0x60
)

// accessSize is how many bytes an access touches, from opFirstLoad on.
var accessSize = [...]int64{4, 8, 4, 8, 1, 1, 2, 2, 1, 1, 2, 2, 4, 4, 4, 8, 4, 8, 1, 2, 1, 2, 4}

func (c *instruction) size() int64 { return accessSize[c.op-opFirstLoad] }

func (c *instruction) isAccess() bool { return c.op >= opFirstLoad && c.op <= opLastStore }

// read decodes a function that has so many parameters. It says whether all of it
// was understood.
func (f *function) read(body []byte, params int) bool {
	*f = function{body: body, locals: params, code: f.code[:0], pointers: f.pointers[:0]}
	r := leb{b: body}
	f.groups = r.uint()
	declared := r.b
	for range f.groups {
		n := r.uint()
		if r.byte(); r.bad || n > math.MaxUint16 {
			return false
		}
		f.locals += int(n)
	}
	f.declared = declared[:len(declared)-len(r.b)]
	depth := 1 // of constructs, the function included
	for len(r.b) > 0 {
		c := instruction{at: len(body) - len(r.b), op: r.byte()}
		if !c.read(&r) || r.bad || c.op >= opLocalGet && c.op <= opLocalTee && c.n >= int64(f.locals) {
			return false
		}
		switch c.op {
		case opBlock, opLoop, opIf:
			depth++
		case opEnd:
			depth--
		}
		if depth < 1 != (len(r.b) == 0) || c.op == opElse && depth < 2 {
			return false
		}
		c.end = len(body) - len(r.b)
		f.code = append(f.code, c)
	}
	return true
}

// read reads what follows the opcode.
func (c *instruction) read(r *leb) (known bool) {
	switch {
	case c.op <= opNop, c.op == opElse, c.op == opEnd, c.op == opReturn, c.op == opDrop, c.op == opSelect,
		c.op >= opI32Eqz && c.op <= opLastPlain:
	case c.op >= opBlock && c.op <= opIf:
		return r.byte()&0xc0 == 0x40 // no type by its index
	case c.op == opBr, c.op == opBrIf, c.op == opCall, c.op >= opLocalGet && c.op <= opGlobalSet:
		c.n = int64(r.uint())
	case c.op == opBrTable:
		for n := r.uint() + 1; n > 0 && !r.bad; n-- {
			c.labels = append(c.labels, uint32(r.uint()))
		}
	case c.op == opCallIndirect:
		r.uint()
		r.uint()
	case c.isAccess():
		c.align, c.n = int64(r.uint()), int64(r.uint())
		return c.align <= 3 // of the only memory
	case c.op == opMemorySize, c.op == opMemoryGrow:
		r.byte()
	case c.op == opI32Const, c.op == opI64Const:
		c.n = r.int64()
	case c.op == opF32Const:
		r.take(4)
	case c.op == opF64Const:
		r.take(8)
	case c.op == opMisc:
		switch c.misc = r.byte(); c.misc {
		case miscCopy:
			r.take(2)
		case miscFill:
			r.byte()
		default:
			return c.misc <= miscLastConversion
		}
	default:
		return false
	}
	return true
}

// effect is how many values an instruction takes from the stack and leaves there.
// It is not straight if another one than the next may follow.
func (c *instruction) effect() (pops, pushes int, straight bool) {
	in := func(from, before byte) bool { return c.op >= from && c.op < before }
	switch {
	case c.op == opNop:
		return 0, 0, true
	case c.op == opDrop, c.op == opLocalSet, c.op == opGlobalSet:
		return 1, 0, true
	case c.op == opSelect:
		return 3, 1, true
	case c.op == opLocalGet, c.op == opGlobalGet, c.op == opMemorySize, in(opI32Const, opI32Eqz):
		return 0, 1, true
	case in(opFirstStore, opMemorySize):
		return 2, 0, true
	case c.op == opLocalTee, c.op == opMemoryGrow, in(opFirstLoad, opFirstStore), c.op == opI32Eqz, c.op == opI64Eqz,
		in(opI32Clz, opI32Add), in(opI64Clz, opI64Add), in(opF32Abs, opF32Add), in(opF64Abs, opF64Add),
		in(opI32WrapI64, opLastPlain+1), c.op == opMisc && c.misc <= miscLastConversion:
		return 1, 1, true
	case c.op == opMisc:
		return 3, 0, true
	case in(opI32Eqz, opI32WrapI64):
		return 2, 1, true
	default:
		return 0, 0, false
	}
}

// appendInt appends a number with a sign in LEB128.
func appendInt(b []byte, v int64) []byte {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}
