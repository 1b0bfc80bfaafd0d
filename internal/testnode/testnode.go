// Package testnode gives tests the node of the simulator, built from the tree
// as it is.
package testnode

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"coup/cluster/sim"
	"coup/internal/testbuild"
)

// Node is the package of the bundled node.
const Node = "coup/cmd/raftnode"

var (
	mu       sync.Mutex
	files    = map[string]string{} // by package and settings
	programs = map[string]*sim.Program{}
)

// File builds pkg as a WASI module, once per test process, and returns its path. env are more
// settings of the build, such as GOFLAGS=-tags=tls.
func File(t testing.TB, pkg string, env ...string) string {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	return file(t, pkg, env...)
}

func file(t testing.TB, pkg string, env ...string) string {
	t.Helper()
	is := strings.Join(append([]string{pkg}, env...), " ")
	if files[is] != "" {
		return files[is]
	}
	module, err := testbuild.Build(pkg, append([]string{"GOOS=wasip1", "GOARCH=wasm"}, env...)...)
	if err != nil {
		t.Fatal(err)
	}
	files[is] = module
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
