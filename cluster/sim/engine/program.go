package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
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
const (
	wasmPage    = 1 << 16
	memoryPages = 512 << 20 / wasmPage
)

// Config is how [Load] compiles a module.
type Config struct {
	// Cache is the directory where what was made of the module is kept, and found
	// the next time; "" keeps it nowhere.
	Cache string
	// Imports instantiates the modules that programs import from.
	Imports func(context.Context, wazero.Runtime) error
	// AsItIs leaves the module's code as it was built, which is slower. It is for tests
	// of lean.
	AsItIs bool
}

// Load compiles a module, which may be packed with gzip.
func Load(ctx context.Context, module []byte, cfg Config) (*Program, error) {
	var r ready
	var err error
	if cfg.AsItIs {
		r, err = makeReady(module, func(module []byte) []byte { return module })
	} else {
		r, err = keptReady(module, cfg.Cache)
	}
	if err != nil {
		return nil, err
	}
	return load(ctx, r, cfg)
}

func load(ctx context.Context, r ready, cfg Config) (_ *Program, err error) {
	config := wazero.NewRuntimeConfigCompiler().WithMemoryLimitPages(memoryPages)
	if cfg.Cache != "" {
		kept, err := wazero.NewCompilationCacheWithDir(cfg.Cache)
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
	if err := cfg.Imports(ctx, p.runtime); err != nil {
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

// Memory reserves memory for a process. If there is not enough, the error says what to do.
// The caller frees it when the process has ended.
func (p *Program) Memory() (*Memory, error) { return newMemory(p.pages) }

// Start runs the program as a new process, until it ends. Its memory is said by the
// context (Memory.In), which is also what the functions get that it imports.
func (p *Program) Start(ctx context.Context, config wazero.ModuleConfig) (api.Module, error) {
	return p.runtime.InstantiateModule(ctx, p.module, config)
}

// CacheDir is where compiled modules are kept for this user, or "".
func CacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "coup", "wasm"+engine)
}
