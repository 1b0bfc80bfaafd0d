package engine

// shortenConditions negates comparisons whose result is negated afterwards, which Go's
// compiler does up to three times in a row for a branch:
//
//	i64.lt_s; i64.extend_i32_u; i64.eqz; i32.eqz
//
// Wazero makes a comparison and a branch one instruction only if nothing is in between.
func (f *function) shortenConditions() {
	for k := 0; k < len(f.code); k++ {
		if !f.code[k].compares() {
			continue
		}
		turned, next := false, k+1
		for {
			if op := f.opAt(next); op == opI32Eqz {
				next++
			} else if op == opI64ExtendI32U && f.opAt(next+1) == opI64Eqz {
				next += 2
			} else {
				break
			}
			turned = !turned
		}
		if next == k+1 {
			continue
		}
		for i := k + 1; i < next; i++ {
			f.code[i].edit = drop
		}
		if !turned {
			// It stays.
		} else if op, ok := opposite(f.code[k].op); ok {
			f.code[k].edit, f.code[k].n = other, int64(op)
		} else {
			f.code[k+1].edit, f.code[k+1].n = other, opI32Eqz
		}
		k = next - 1
	}
}

func (f *function) opAt(k int) byte {
	if k >= len(f.code) {
		return opNop
	}
	return f.code[k].op
}

// compares says whether the instruction leaves 0 or 1 by comparing.
func (c *instruction) compares() bool { return c.op >= opI32Eqz && c.op < opI32Clz }

// opposite is the comparison that is true when op is not. Comparisons of floats have
// none but for equality, as NaN is neither less nor greater. Where there is none
// with zero, it is opI32Ne or opI64Ne, which takes a zero first.
func opposite(op byte) (_ byte, ok bool) {
	switch {
	case op == opI32Eqz:
		return opI32Ne, true
	case op == opI64Eqz:
		return opI64Ne, true
	case op < opI64Eqz:
		return opI32Eq + oppositeOf[op-opI32Eq], true
	case op < opF32Eq:
		return opI64Eq + oppositeOf[op-opI64Eq], true
	case op == opF32Eq || op == opF64Eq:
		return op + 1, true
	case op == opF32Eq+1 || op == opF64Eq+1:
		return op - 1, true
	}
	return 0, false
}

// oppositeOf are the opposites of eq, ne, lt_s, lt_u, gt_s, gt_u, le_s, le_u, ge_s
// and ge_u, from eq on.
var oppositeOf = [...]byte{1, 0, 8, 9, 6, 7, 4, 5, 2, 3}
