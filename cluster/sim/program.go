package sim

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	wasi "github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"coup/cluster/sim/guest"
)

// Program is a compiled module, ready to run on any number of machines. It may
// be used by several worlds at the same time.
type Program struct {
	// Hash is the SHA-256 of the module: with a seed, it determines a run.
	Hash    string
	runtime wazero.Runtime
	module  wazero.CompiledModule // without the data that are in pages
	pages   *pages                // nil: none
}

// Memory that a process may have: a program that wants more ends by itself.
const memoryPages = 512 << 20 / 65536

// Load compiles a module, which may be packed with gzip. What was made of it is
// kept in the directory cache and found there the next time; "" keeps it nowhere.
func Load(ctx context.Context, module []byte, cache string) (*Program, error) {
	r, err := keptReady(module, cache)
	if err != nil {
		return nil, err
	}
	return load(ctx, r, cache)
}

func load(ctx context.Context, r ready, cache string) (_ *Program, err error) {
	config := wazero.NewRuntimeConfigCompiler().WithMemoryLimitPages(memoryPages)
	if cache != "" {
		kept, err := wazero.NewCompilationCacheWithDir(cache)
		if err != nil {
			return nil, fmt.Errorf("cache of compiled modules: %w", err)
		}
		config = config.WithCompilationCache(kept)
	}
	p := &Program{Hash: hex.EncodeToString(r.hash[:]), runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close(ctx))
		}
	}()
	if r.image != nil {
		if p.pages, err = newPages(r.image); err != nil {
			return nil, err
		}
	}
	if err := importWASI(ctx, p.runtime); err != nil {
		return nil, err
	}
	if err := importMachine(ctx, p.runtime); err != nil {
		return nil, err
	}
	if p.module, err = p.runtime.CompileModule(ctx, r.code); err != nil {
		return nil, fmt.Errorf("compile the node's program: %w", err)
	}
	return p, nil
}

// Close releases the program. No world may use it any more.
func (p *Program) Close(ctx context.Context) error {
	err := p.runtime.Close(ctx)
	if p.pages != nil {
		err = errors.Join(err, p.pages.close())
	}
	return err
}

// CacheDir is where compiled modules are kept for this user, or "".
func CacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "coup", "wasm"+engine)
}

// within is the context that a process's program runs in. The functions that it
// calls are given just this one, so that nobody has to look for the process.
type within struct {
	context.Context
	p *process
}

// of returns the process that called a function.
func of(ctx context.Context, mod api.Module) *process {
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
	export := func(name string, fn func(p *process, mem api.Memory, stack []uint64), params ...api.ValueType) {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
			fn(of(ctx, mod), mod.Memory(), stack)
		}), params, []api.ValueType{i32}).Export(name)
	}
	export("poll_oneoff", func(p *process, mem api.Memory, stack []uint64) {
		stack[0] = uint64(p.poll(mem, uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3])))
	}, i32, i32, i32, i32)
	export("clock_time_get", func(p *process, mem api.Memory, stack []uint64) {
		p.spend(costOfClock)
		t := p.monotonic()
		if uint32(stack[0]) == 0 {
			t = p.wall()
		}
		stack[0] = errnoIf(!mem.WriteUint64Le(uint32(stack[2]), uint64(t)))
	}, i32, i64, i32)
	export("sched_yield", func(p *process, _ api.Memory, stack []uint64) {
		p.spend(costOfCall)
		stack[0] = 0
	})
	_, err := b.Instantiate(ctx)
	return err
}

// growing are the functions of WASI that can find the disk full.
var growing = []string{
	"fd_allocate", "fd_filestat_set_size", "fd_pwrite", "fd_write", "path_create_directory", "path_open",
}

// tellFull has them answer ENOSPC where the disk was full. Wazero's own do all the
// rest, but make EIO of every errno that wazero does not know.
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
			if p := of(ctx, mod); p.full {
				p.full, stack[0] = false, errnoNoSpace
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
	export := func(name string, fn func(p *process, mem api.Memory, stack []uint64), params []api.ValueType, results ...api.ValueType) {
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
	export("listen", func(p *process, _ api.Memory, stack []uint64) {
		p.m.host.listeners[int(uint32(stack[0]))] = p
		stack[0] = 0
	}, []api.ValueType{i32}, i32)
	export("dial", func(p *process, mem api.Memory, stack []uint64) {
		p.dial(uint32(stack[0]), text(mem, stack[1], stack[2]))
	}, []api.ValueType{i32, i32, i32})
	export("send", func(p *process, mem api.Memory, stack []uint64) {
		data, ok := mem.Read(uint32(stack[1]), uint32(stack[2]))
		s := p.m.host.sockets[uint32(stack[0])]
		switch {
		case !ok:
			stack[0] = errnoFault
		case s == nil || s.send(append([]byte(nil), data...)) != nil:
			stack[0] = errnoPipe
		default:
			stack[0] = 0
		}
	}, []api.ValueType{i32, i32, i32}, i32)
	export("close", func(p *process, _ api.Memory, stack []uint64) {
		if s := p.m.host.sockets[uint32(stack[0])]; s != nil {
			s.close()
		}
	}, []api.ValueType{i32})
	export("sync", func(p *process, mem api.Memory, stack []uint64) {
		p.sync(uint32(stack[0]), text(mem, stack[1], stack[2]))
	}, []api.ValueType{i32, i32, i32})
	_, err := b.Instantiate(ctx)
	return err
}
