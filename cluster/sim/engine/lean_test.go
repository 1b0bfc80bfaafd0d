package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// asm writes functions as Go's compiler does.
type asm struct {
	out  []byte
	rand *rand.Rand
	// Of the function that is being written.
	frame  int64
	blocks int
	block  int    // that is being written
	called []bool // by block: a call comes back to it
	ifs    int    // around
}

func (a *asm) op(op byte, numbers ...uint64) {
	a.out = append(a.out, op)
	for _, n := range numbers {
		a.out = binary.AppendUvarint(a.out, n)
	}
}

func (a *asm) i32(n int64) { a.out = appendInt(append(a.out, opI32Const), n) }
func (a *asm) i64(n int64) { a.out = appendInt(append(a.out, opI64Const), n) }

// move moves the stack pointer.
func (a *asm) move(by int64) {
	a.op(opLocalGet, stackPointer)
	if a.i32(max(by, -by)); by > 0 {
		a.op(opI32Add)
	} else {
		a.op(opI32Sub)
	}
	a.op(opLocalTee, stackPointer)
	a.op(opGlobalSet, stackGlobal)
}

// slot puts the address of a place in the frame or of the arguments there, and
// returns the offset to access it with.
func (a *asm) slot() (offset uint64) {
	at := int64(a.rand.IntN(int(a.frame/8)+3)) * 8
	if at >= a.frame {
		at += 8 // the return address is nobody's
	}
	a.op(opLocalGet, stackPointer)
	if a.rand.IntN(2) == 0 {
		return uint64(at)
	}
	a.op(opI64ExtendI32U)
	a.i64(at)
	a.op(opI64Add)
	a.op(opI32WrapI64)
	return 0
}

func (a *asm) register() uint64 { return 2 + uint64(a.rand.IntN(4)) }

// pointer puts what a register points at there, always in the first page.
func (a *asm) pointer(r uint64) (offset uint64) {
	a.op(opLocalGet, r)
	a.op(opI32WrapI64)
	return uint64(a.rand.IntN(6)) * 8
}

// value puts a value there, of 64 bits.
func (a *asm) value(depth int) {
	switch a.rand.IntN(5 - depth) {
	case 0:
		a.i64(int64(a.rand.IntN(1000)) - 500)
	case 1:
		a.op(opFirstLoad+1, 3, a.slot())
	case 2:
		a.op(opLocalGet, a.register())
	case 3:
		a.aim(2)
		a.op(opFirstLoad+1, 3, a.pointer(2))
	case 4:
		a.value(depth + 1)
		a.value(depth + 1)
		a.op(opI64Add)
	}
}

// aim has a register point somewhere, most often.
func (a *asm) aim(r uint64) {
	a.op(opLocalGet, r)
	a.i64(0x3ff8)
	a.op(0x83) // and
	a.op(opLocalSet, r)
}

// statement writes one. What it jumps to may lie ahead or behind; for that
// there is fuel in memory.
func (a *asm) statement(depth int) {
	switch n := a.rand.IntN(8); {
	case n < 2:
		at := a.slot()
		a.value(0)
		a.op(opI64Store, 3, at)
	case n == 2:
		a.value(0)
		a.op(opLocalSet, a.register())
	case n < 5:
		r := a.register()
		a.aim(r)
		for range 1 + a.rand.IntN(3) {
			at := a.pointer(r)
			a.value(1)
			a.op(opI64Store, 3, at)
		}
	case depth < 2:
		a.value(0)
		a.value(0)
		a.op(0x54) // lt_u
		a.op(opIf, typeVoid)
		a.ifs++
		for range a.rand.IntN(3) {
			a.statement(depth + 1)
		}
		switch {
		case a.rand.IntN(3) == 0:
			a.op(opElse)
			a.statement(depth + 1)
		case a.blocks > 1:
			a.jump()
		}
		a.op(opEnd)
		a.ifs--
	}
}

// fuel is where in memory it is said how often a function may still jump back.
const fuel = 0x8000

// jump goes to some block through the dispatch.
func (a *asm) jump() {
	to := 1 + a.rand.IntN(a.blocks-1)
	if to <= a.block {
		a.i32(0)
		a.i32(0)
		a.op(opFirstLoad, 2, fuel)
		a.i32(1)
		a.op(opI32Sub)
		a.op(opI32Store, 2, fuel)
		a.i32(0)
		a.op(opFirstLoad, 2, fuel)
		a.i32(0)
		a.op(0x4a) // gt_s
		a.op(opIf, typeVoid)
		a.ifs++
		defer func() {
			a.op(opEnd)
			a.ifs--
		}()
	}
	a.i32(int64(to + 1))
	a.op(opLocalSet, 0)
	a.op(opBr, uint64(a.blocks-1-a.block+a.ifs))
}

const opI32Store = 0x36

// call calls the function 0, and goes on in the next block.
func (a *asm) call() {
	a.op(opLocalGet, stackPointer)
	a.value(0)
	a.op(opI64Store, 3, 0)
	a.move(-returnAddress)
	a.op(opLocalGet, stackPointer)
	a.i64(7<<16 | int64(a.block+2))
	a.op(opI64Store, 3, 0)
	a.i32(0)
	a.op(opCall, 0)
	a.called[a.block+1] = true
	a.op(opGlobalGet, stackGlobal)
	a.op(opLocalSet, stackPointer)
	a.op(opBrIf, uint64(a.blocks-a.block))
}

// function returns the body of one that does something at random. One that is
// odd moves its stack pointer as no function of Go's does.
func (a *asm) function(odd bool) []byte {
	a.out, a.frame, a.blocks, a.ifs = nil, int64(a.rand.IntN(5))*8, 1+a.rand.IntN(6), 0
	if a.blocks > 1 {
		a.frame += 16 // for what it calls
	}
	a.called = make([]bool, a.blocks)
	a.op(2, 1) // declarations
	a.out = append(a.out, typeI32, 4, 0x7e)
	a.op(opGlobalGet, stackGlobal)
	a.op(opLocalSet, stackPointer)
	a.op(opBlock, typeVoid)
	a.op(opLoop, typeVoid)
	for range a.blocks {
		a.op(opBlock, typeVoid)
	}
	a.op(opLocalGet, 0)
	a.op(opBrTable, uint64(a.blocks), 0) // 0 and 1 are the first block, 2 the second
	for label := range a.blocks {
		a.out = append(a.out, byte(label))
	}
	for a.block = range a.blocks {
		a.op(opEnd)
		if a.block == 0 && a.frame > 0 {
			a.move(-a.frame)
		}
		for range a.rand.IntN(4) {
			a.statement(0)
		}
		if odd && a.block == a.blocks/2 {
			a.move(-16)
			a.statement(2)
			a.move(16)
		}
		if a.block < a.blocks-1 && a.rand.IntN(3) > 0 {
			a.call()
		}
	}
	if a.frame > 0 {
		a.move(a.frame)
	}
	a.move(returnAddress)
	a.i32(0)
	a.op(opReturn)
	a.op(opEnd)
	a.op(opEnd)
	a.i32(1)
	a.op(opEnd)
	return a.out
}

// leaf is the body of a function that adds to its argument what the argument after
// it is.
func leaf() []byte {
	a := asm{}
	a.op(1, 1)
	a.out = append(a.out, typeI32)
	a.op(opGlobalGet, stackGlobal)
	a.op(opLocalSet, stackPointer)
	a.op(opLocalGet, stackPointer)
	a.op(opLocalGet, stackPointer)
	a.op(opFirstLoad+1, 3, 8)
	a.op(opLocalGet, stackPointer)
	a.op(opFirstLoad+1, 3, 16)
	a.op(opI64Add)
	a.op(opI64Store, 3, 8)
	a.move(returnAddress)
	a.i32(0)
	a.op(opEnd)
	return a.out
}

// ofGo is a module with these functions, of which the last is exported.
func ofGo(bodies ...[]byte) []byte {
	sized := func(id byte, body []byte) []byte {
		return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
	}
	functions, code := []byte{byte(len(bodies))}, []byte{byte(len(bodies))}
	for _, b := range bodies {
		functions = append(functions, 0)
		code = append(binary.AppendUvarint(code, uint64(len(b))), b...)
	}
	return wasmModule(
		sized(sectionCustom, append([]byte{10}, "go:buildid"...)),
		section(sectionType, 1, typeFunction, 1, typeI32, 1, typeI32),
		sized(sectionFunction, functions),
		section(sectionMemory, 1, 0, 1),
		section(6, 1, typeI32, 1, opI32Const, 0, opEnd),
		section(7, append(append([]byte{3, 3}, "run\x00"...), append([]byte{byte(len(bodies) - 1), 2}, "sp\x03\x00\x06memory\x02\x00"...)...)...),
		sized(sectionCode, code),
	)
}

// outcome is what is left of a call.
type outcome struct {
	returned, sp uint64
	memory       []byte
	err          bool
}

// callModule calls the exported function of a module with parameter and stack pointer.
func callModule(t *testing.T, module []byte, memory []byte, parameter, sp uint64) outcome {
	t.Helper()
	ctx := inMemory(t, context.Background(), nil)
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	m, err := r.Instantiate(ctx, module)
	if err != nil {
		t.Fatalf("%v\n%x", err, module)
	}
	m.Memory().Write(0, memory)
	global := m.ExportedGlobal("sp").(api.MutableGlobal)
	global.Set(sp)
	got, err := m.ExportedFunction("run").Call(ctx, parameter)
	res := outcome{sp: global.Get(), err: err != nil}
	if err == nil {
		res.returned = got[0]
	}
	b, _ := m.Memory().Read(0, m.Memory().Size())
	res.memory = bytes.Clone(b)
	return res
}

// Functions like those of Go's compiler do the same when they were made lean,
// from wherever they begin.
func TestLeanDoesTheSame(t *testing.T) {
	shorter, ended := 0, 0
	const functions = 150
	for seed := range uint64(functions) {
		a := asm{rand: rand.New(rand.NewPCG(seed, 1))}
		module := ofGo(leaf(), a.function(seed%5 == 0))
		rewritten := lean(module)
		if bytes.Equal(rewritten, module) {
			t.Fatalf("seed %d: nothing was done", seed)
		}
		if bytes.Count(rewritten, []byte{opI64ExtendI32U}) < bytes.Count(module, []byte{opI64ExtendI32U}) {
			shorter++
		}
		memory := make([]byte, 65536)
		for i := range memory[:0x7000] {
			memory[i] = byte(a.rand.IntN(4) * a.rand.IntN(256))
		}
		memory[fuel] = 20
		for block := range a.blocks {
			parameter, sp := uint64(block+1), uint64(0x6000)
			switch {
			case block == 0:
				parameter, sp = 0, sp+uint64(a.frame)
			case !a.called[block]:
				continue // it can't begin there
			}
			want, got := callModule(t, module, memory, parameter, sp), callModule(t, rewritten, memory, parameter, sp)
			if !want.err {
				ended++
			}
			if want.returned != got.returned || want.sp != got.sp || want.err != got.err || !bytes.Equal(want.memory, got.memory) {
				t.Fatalf("seed %d, block %d: %d, sp %d, failed %v; as it was %d, sp %d, failed %v",
					seed, block, got.returned, got.sp, got.err, want.returned, want.sp, want.err)
			}
		}
	}
	if shorter < functions/2 || ended < functions {
		t.Errorf("%d of %d functions had addresses that went, %d runs ended", shorter, functions, ended)
	}
}

// bodyOf is a body in Go's manner of a function with two registers.
func bodyOf(code ...byte) []byte {
	return append([]byte{2, 1, typeI32, 2, 0x7e, opGlobalGet, stackGlobal, opLocalSet, stackPointer}, append(code, opI32Const, 0, opEnd)...)
}

// What can't be made lean stays as it is.
func TestLeanLeavesAlone(t *testing.T) {
	plain := leaf()
	good := ofGo(plain)
	foreign := bytes.Replace(bytes.Clone(good), []byte("go:buildid"), []byte("go_buildid"), 1)
	for name, module := range map[string][]byte{
		"not a module":               []byte("wasm"),
		"another compiler's":         foreign,
		"cut off":                    good[:len(good)-3],
		"a function without an end":  ofGo(bodyOf()[:9]),
		"an end too many":            ofGo(bodyOf(opEnd)),
		"an else of nothing":         ofGo(bodyOf(opElse)),
		"an unknown instruction":     ofGo(bodyOf(0xfb)),
		"a local that is not there":  ofGo(bodyOf(opLocalGet, 9, opDrop)),
		"another memory":             ofGo(bodyOf(opI32Const, 0, opFirstLoad, 0x42, 1, 0, opDrop)),
		"too many locals to believe": ofGo([]byte{1, 0xff, 0xff, 0xff, 0xff, 1, typeI32, opI32Const, 0, opEnd}),
	} {
		if got := lean(module); !bytes.Equal(got, module) {
			t.Errorf("%s: %x became %x", name, module, got)
		}
	}
	if got := lean(good); bytes.Equal(got, good) {
		t.Error("nothing was done to what is good")
	}
}

// A pointer may point at the last bytes of memory, and be followed farther only
// where it points at more.
func TestLeanReadsNothingBehindMemory(t *testing.T) {
	withChecks(t)
	read := func(offset uint64) []byte {
		return append(binary.AppendUvarint([]byte{opLocalGet, 2, opI32WrapI64, opFirstLoad + 1, 3}, offset), opDrop)
	}
	body := appendInt([]byte{opI64Const}, 65536-8)
	body = append(body, opLocalSet, 2)
	body = append(body, read(0)...)
	body = append(body, opLocalGet, 0, opIf, typeVoid)
	body = append(body, read(8)...)
	body = append(body, opEnd)
	body = append(body, read(0)...)
	module := ofGo(bodyOf(body...))
	rewritten := lean(module)
	if bytes.Equal(rewritten, module) {
		t.Fatal("nothing was done")
	}
	for parameter, fails := range []bool{false, true} {
		if got := callModule(t, rewritten, nil, uint64(parameter), 0x6000); got.err != fails {
			t.Errorf("parameter %d: failed %v", parameter, got.err)
		}
	}
}

// Whatever it gets, it neither fails nor makes much of little.
func FuzzLean(f *testing.F) {
	f.Add(ofGo(leaf()))
	for seed := range uint64(4) {
		a := asm{rand: rand.New(rand.NewPCG(seed, 1))}
		f.Add(ofGo(leaf(), a.function(seed == 0)))
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		if got := lean(module); len(got) > 64*len(module)+64 {
			t.Errorf("%d bytes became %d", len(module), len(got))
		}
	})
}
