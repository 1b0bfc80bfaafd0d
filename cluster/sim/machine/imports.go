package machine

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	wasi "github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"coup/cluster/sim/guest"
)

// Imports gives the programs of a runtime the functions that they import: those of
// WASI, and what package guest asks for. It is for engine.Config.
func Imports(ctx context.Context, r wazero.Runtime) error {
	return errors.Join(importWASI(ctx, r), importMachine(ctx, r))
}

// within is the context that a process's program runs in. The functions that it
// calls are given just this one, so that nobody has to look for the process.
type within struct {
	context.Context
	p *Process
}

// of returns the process that called a function.
func of(ctx context.Context, mod api.Module) *Process {
	p := ctx.(*within).p
	p.module = mod
	return p
}

const i32, i64 = api.ValueTypeI32, api.ValueTypeI64

// importWASI gives programs the functions of WASI, of which those that tell the
// time or wait are the simulator's own.
func importWASI(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(wasi.ModuleName)
	wasi.NewFunctionExporter().ExportFunctions(b)
	if err := tellFull(ctx, b); err != nil {
		return err
	}
	export := func(name string, fn func(p *Process, mem api.Memory, stack []uint64), params ...api.ValueType) {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
			fn(of(ctx, mod), mod.Memory(), stack)
		}), params, []api.ValueType{i32}).Export(name)
	}
	export("poll_oneoff", func(p *Process, mem api.Memory, stack []uint64) {
		stack[0] = uint64(p.poll(mem, uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3])))
	}, i32, i32, i32, i32)
	export("clock_time_get", func(p *Process, mem api.Memory, stack []uint64) {
		p.spend(costOfClock)
		t := p.monotonic()
		if uint32(stack[0]) == 0 {
			t = p.wall()
		}
		stack[0] = errnoIf(!mem.WriteUint64Le(uint32(stack[2]), uint64(t)))
	}, i32, i64, i32)
	export("sched_yield", func(p *Process, _ api.Memory, stack []uint64) {
		p.spend(costOfCall)
		stack[0] = 0
	})
	_, err := b.Instantiate(ctx)
	return err
}

// growing are the functions of WASI that may fail because the disk is full.
var growing = []string{
	"fd_allocate", "fd_filestat_set_size", "fd_pwrite", "fd_write", "path_create_directory", "path_open",
}

// tellFull makes them answer ENOSPC if the disk was full. Everything else is done by
// wazero's own functions, which turn each errno that wazero does not know into EIO.
func tellFull(ctx context.Context, b wazero.HostModuleBuilder) error {
	wazeros, err := b.Compile(ctx)
	if err != nil {
		return err
	}
	defer wazeros.Close(ctx)
	known := wazeros.ExportedFunctions()
	for _, name := range growing {
		f, ok := known[name].GoFunction().(api.GoModuleFunction)
		if !ok {
			return fmt.Errorf("wazero's %s can't be called", name)
		}
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
			f.Call(ctx, mod, stack)
			if stack[0] != errnoIO {
				return
			}
			if p := of(ctx, mod); p.trouble.full {
				p.trouble.full, stack[0] = false, errnoNoSpace
			}
		}), known[name].ParamTypes(), known[name].ResultTypes()).Export(name)
	}
	return nil
}

// Errno values of WASI.
const (
	errnoFault   = 21
	errnoInval   = 28
	errnoIO      = 29
	errnoNoEntry = 44
	errnoNoSpace = 51
	errnoPipe    = 64
)

func errnoIf(fault bool) uint64 {
	if fault {
		return errnoFault
	}
	return 0
}

// importMachine gives programs what package guest asks for.
func importMachine(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(guest.Module)
	export := func(name string, fn func(p *Process, mem api.Memory, stack []uint64), params []api.ValueType, results ...api.ValueType) {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
			p := of(ctx, mod)
			p.spend(costOfCall)
			fn(p, mod.Memory(), stack)
		}), params, results).Export(name)
	}
	text := func(mem api.Memory, at, size uint64) string {
		b, _ := mem.Read(uint32(at), uint32(size))
		return string(b)
	}
	export("listen", func(p *Process, _ api.Memory, stack []uint64) {
		p.m.host.Listen(int(uint32(stack[0])), p)
		stack[0] = 0
	}, []api.ValueType{i32}, i32)
	export("dial", func(p *Process, mem api.Memory, stack []uint64) {
		p.dial(uint32(stack[0]), text(mem, stack[1], stack[2]))
	}, []api.ValueType{i32, i32, i32})
	export("send", func(p *Process, mem api.Memory, stack []uint64) {
		data, ok := mem.Read(uint32(stack[1]), uint32(stack[2]))
		s := p.m.host.Socket(uint32(stack[0]))
		switch {
		case !ok:
			stack[0] = errnoFault
		case s == nil || s.Send(append([]byte(nil), data...)) != nil:
			stack[0] = errnoPipe
		default:
			stack[0] = 0
		}
	}, []api.ValueType{i32, i32, i32}, i32)
	export("close", func(p *Process, _ api.Memory, stack []uint64) {
		if s := p.m.host.Socket(uint32(stack[0])); s != nil {
			s.Close()
		}
	}, []api.ValueType{i32})
	export("sync", func(p *Process, mem api.Memory, stack []uint64) {
		p.sync(uint32(stack[0]), text(mem, stack[1], stack[2]))
	}, []api.ValueType{i32, i32, i32})
	_, err := b.Instantiate(ctx)
	return err
}
