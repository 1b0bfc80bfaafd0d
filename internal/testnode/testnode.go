// Package testnode gives tests the node of the simulator, built from the tree
// as it is.
package testnode

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"coup/cluster/sim"
	"coup/internal/testbuild"
)

// Node is the package of the bundled node.
const Node = "coup/cmd/raftnode"

var (
	mu       sync.Mutex
	files    = map[string]string{} // by package
	programs = map[string]*sim.Program{}
)

// File builds pkg as a WASI module, once per test process, and returns its path.
func File(t testing.TB, pkg string) string {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	return file(t, pkg)
}

func file(t testing.TB, pkg string) string {
	t.Helper()
	if files[pkg] != "" {
		return files[pkg]
	}
	module, err := testbuild.Build(pkg, "GOOS=wasip1", "GOARCH=wasm")
	if err != nil {
		t.Fatal(err)
	}
	files[pkg] = module
	return module
}

// Program builds pkg and compiles it, once per test process.
func Program(t testing.TB, pkg string) *sim.Program {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	if p := programs[pkg]; p != nil {
		return p
	}
	module, err := os.ReadFile(file(t, pkg))
	if err != nil {
		t.Fatal(err)
	}
	p, err := sim.Load(context.Background(), module, sim.CacheDir())
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", pkg, err))
	}
	programs[pkg] = p
	return p
}
