package sim

import "math/bits"

// dropMasks takes away what cuts a value down to a width that it has already, as a
// load of 32 bits has when Go's compiler makes it a uint32 once more:
//
//	i64.load32_u; i64.const 0xffffffff; i64.and
//
// Where the mask is needed, wazero has a register move for the two conversions
// that mean the same, and would take the mask into a register first.
func (f *function) dropMasks() {
	const low32 = 1<<32 - 1
	local := make([]uint64, f.locals) // what bits a local may have; 0: any
	var known []int                   // the locals of which it is known
	var stack []uint64                // the same of values, since the last branch
	push := func(v uint64) { stack = append(stack, v) }
	pop := func() (v uint64) {
		if n := len(stack); n > 0 {
			v, stack = stack[n-1], stack[:n-1]
		}
		return v
	}
	for k := range f.code {
		c := &f.code[k]
		switch {
		case c.op == opLocalGet:
			push(local[c.n])
			continue
		case c.op == opLocalSet, c.op == opLocalTee:
			v := pop()
			if local[c.n] = v; v != 0 {
				known = append(known, int(c.n))
			}
			if c.op == opLocalTee {
				push(v)
			}
			continue
		case c.op == opI64Const && c.n > 0:
			push(fill(uint64(c.n)))
			continue
		case c.op == opI64And:
			b, a := pop(), pop()
			mask := &f.code[k-1]
			if mask.op == opI64Const && mask.n > 0 && mask.edit == keep && mask.n&(mask.n+1) == 0 {
				switch {
				case a != 0 && a <= uint64(mask.n):
					mask.edit, c.edit = drop, drop
				case mask.n == low32:
					mask.edit, mask.n = other, opI32WrapI64
					c.edit, c.n = other, opI64ExtendI32U
				}
			}
			if b == 0 || a != 0 && a < b {
				b = a
			}
			push(b)
			continue
		}
		pops, pushes, straight := c.effect()
		if !straight {
			for _, l := range known {
				local[l] = 0
			}
			stack, known = stack[:0], known[:0]
			continue
		}
		for range pops {
			pop()
		}
		for range pushes {
			push(c.width())
		}
	}
}

// fill is the least number of ones that has all bits of v.
func fill(v uint64) uint64 { return 1<<bits.Len64(v) - 1 }

// width is which bits of 64 the result of an instruction may have; 0: any.
func (c *instruction) width() uint64 {
	switch c.op {
	case opI64Load8U:
		return 1<<8 - 1
	case opI64Load16U:
		return 1<<16 - 1
	case opI64Load32U, opI64ExtendI32U:
		return 1<<32 - 1
	}
	return 0
}
