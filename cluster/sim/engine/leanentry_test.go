package engine

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
)

// labelled is a body of three blocks, the second of which begins at the parameter
// 2 and the third at 4: the first has the code begin, the second ends with a call that
// comes back to address, after what is given.
func labelled(begin, before []byte, address int64) []byte {
	a := asm{}
	a.op(2, 1)
	a.out = append(a.out, typeI32, 2, 0x7e)
	a.op(opGlobalGet, stackGlobal)
	a.op(opLocalSet, stackPointer)
	for _, op := range []uint64{opBlock, opLoop, opBlock, opBlock, opBlock} {
		a.op(byte(op), typeVoid)
	}
	a.op(opLocalGet, 0)
	a.op(opBrTable, 4, 0, 0, 1, 1, 2)
	a.op(opEnd)
	a.out = append(a.out, begin...)
	a.op(opEnd)
	a.out = append(a.out, before...)
	a.move(-returnAddress)
	a.op(opLocalGet, stackPointer)
	a.i64(address)
	a.op(opI64Store, 3, 0)
	a.i32(0)
	a.op(opCall, 0)
	a.op(opGlobalGet, stackGlobal)
	a.op(opLocalSet, stackPointer)
	a.op(opBrIf, 2)
	a.op(opEnd)
	a.move(returnAddress)
	a.i32(0)
	a.op(opReturn)
	a.op(opEnd)
	a.op(opUnreachable)
	a.op(opEnd)
	a.i32(1)
	a.op(opEnd)
	return a.out
}

// A function is entered only where something leads into it; if that is not
// known, anywhere.
func TestLeanEntries(t *testing.T) {
	something := []byte{opI32Const, 0, opDrop}
	jump := func(to byte, label byte) []byte { return []byte{opI32Const, to, opLocalSet, 0, opBr, label} }
	at := []run{{0, 0}, {2, 1}, {4, 2}}
	for _, c := range []struct {
		name          string
		begin, before []byte
		address       int64
		want          []run
	}{
		{"where the call comes back", nil, something, 7<<16 | 4, []run{at[0], at[2]}},
		{"and where a call begins right behind a label", nil, nil, 7<<16 | 4, at},
		{"and where it jumps back to", nil, append(something, jump(2, 1)...), 7<<16 | 4, at},
		{"not where it jumps ahead to", jump(2, 2), something, 7<<16 | 4, []run{at[0], at[2]}},
		{"in two functions at once", nil, append(labelledCall(8<<16|4), something...), 7<<16 | 4, at},
		{"with another parameter than a constant", []byte{opLocalGet, 0, opLocalSet, 0, opBr, 2}, something, 7<<16 | 4, at},
		{"by a branch that may be taken", []byte{opI32Const, 2, opLocalSet, 0, opI32Const, 1, opBrIf, 2}, something, 7<<16 | 4, at},
	} {
		var f function
		if !f.read(labelled(c.begin, c.before, c.address), 1) {
			t.Fatal(c.name)
		}
		dispatch, ok := f.dispatch()
		if got := f.entries(dispatch); !ok || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// labelledCall leaves an address for a call.
func labelledCall(address int64) []byte {
	a := asm{}
	a.move(-returnAddress)
	a.op(opLocalGet, stackPointer)
	a.i64(address)
	a.op(opI64Store, 3, 0)
	return a.out
}

// Comparisons that are turned around, however often, are as true as they were.
func TestLeanConditions(t *testing.T) {
	zero := math.Float64bits(math.Copysign(0, -1))
	values := []uint64{0, 1, 5, math.MaxUint64, 1 << 63, 1 << 31, math.Float64bits(1.5), math.Float64bits(math.NaN()), zero,
		uint64(math.Float32bits(1.5)), uint64(math.Float32bits(float32(math.NaN()))), uint64(math.Float32bits(float32(math.Copysign(0, -1))))}
	const wide, narrow = opFirstLoad + 1, opFirstLoad // loads of integers; those of floats are two on
	loads := func(op byte) (load byte, operands int) {
		switch {
		case op == opI32Eqz:
			return narrow, 1
		case op < opI64Eqz:
			return narrow, 2
		case op == opI64Eqz:
			return wide, 1
		case op < opF32Eq:
			return wide, 2
		case op < opF64Eq:
			return narrow + 2, 2
		}
		return wide + 2, 2
	}
	a := asm{}
	a.op(2, 1)
	a.out = append(a.out, typeI32, 4, 0x7e)
	a.op(opGlobalGet, stackGlobal)
	a.op(opLocalSet, stackPointer)
	turns := [][]byte{nil, {opI32Eqz}, {opI64ExtendI32U, opI64Eqz}, {opI64ExtendI32U, opI64Eqz, opI32Eqz}, {opI32Eqz, opI32Eqz},
		{opI64ExtendI32U, opI64Eqz, opI64ExtendI32U, opI64Eqz}, {opI32Eqz, opI64ExtendI32U, opI64Eqz, opI32Eqz}}
	result := uint64(0x4000)
	for op := byte(opI32Eqz); op < opI32Clz; op++ {
		load, operands := loads(op)
		for i := range values {
			for j := range values {
				if operands == 1 && j > 0 || i > j && j%3 > 0 { // not all pairs
					continue
				}
				turn := turns[int(op+byte(i)*3+byte(j))%len(turns)]
				a.i32(0)
				for _, at := range []int{i, j}[:operands] {
					a.i32(int64(8 * at))
					a.op(load, 0, 0)
				}
				a.op(op)
				a.out = append(a.out, turn...)
				if (i+j)%2 == 0 {
					a.op(opIf, typeI32)
					a.i32(3)
					a.op(opElse)
					a.i32(4)
					a.op(opEnd)
				}
				a.op(0x3a, 0, result) // store8
				result++
			}
		}
	}
	a.i32(0)
	a.op(opEnd)
	module := ofGo(a.out)
	rewritten := lean(module)
	if len(rewritten) >= len(module) {
		t.Errorf("%d bytes became %d", len(module), len(rewritten))
	}
	var memory []byte
	for _, v := range values {
		memory = binary.LittleEndian.AppendUint64(memory, v)
	}
	want, got := callModule(t, module, memory, 0, 0), callModule(t, rewritten, memory, 0, 0)
	if want.err || got.err || got.returned != want.returned {
		t.Fatalf("%+v, want %+v", got.err, want.err)
	}
	for at := uint64(0x4000); at < result; at++ {
		if got.memory[at] != want.memory[at] {
			t.Fatalf("comparison %d: %d, want %d", at-0x4000, got.memory[at], want.memory[at])
		}
	}
}
