//go:build unchecked && (linux || darwin)

package engine

import (
	"context"
	"encoding/binary"
	"math"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// withChecks has the engine check what it compiles until the test ends. Nothing else
// may compile meanwhile.
func withChecks(t testing.TB) {
	experimental.Unchecked = false
	t.Cleanup(func() { experimental.Unchecked = true })
}

// A program that strays as far as it can meets nothing but its own memory, which
// ends where it did.
func TestStrayAccess(t *testing.T) {
	a := asm{}
	a.op(1, 1)
	a.out = append(a.out, typeI32)
	far := func(op byte) { // at 2 to the 33rd, less than 8 bytes before its end
		a.out = binary.AppendUvarint(append(a.out, op, 0), math.MaxUint32)
	}
	a.i32(-1)
	a.i64(7)
	far(opI64Store)
	a.i32(-1)
	far(opFirstLoad + 1)
	a.op(opI64Const, 7)
	a.op(opI64Ne)
	a.op(opEnd)
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	for range 2 { // the second one gets what the first one left, if anybody does
		m, err := r.Instantiate(inMemory(t, ctx, nil), ofGo(a.out))
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.ExportedFunction("run").Call(ctx, 0)
		if err != nil || got[0] != 0 {
			t.Errorf("%v, %v", got, err)
		}
		if size := m.Memory().Size(); size != 1<<16 {
			t.Errorf("it has %d bytes", size)
		}
		if _, ok := m.Memory().Read(1<<16-4, 8); ok {
			t.Error("the machine reads behind the program's memory")
		}
		m.Close(ctx)
	}
}
