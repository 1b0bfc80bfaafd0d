// Package testbuild builds programs of this module for tests.
package testbuild

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"coup/internal/onethread"
)

// Build builds the package pkg into bin/test of the module, where the next
// test finds it and make clean removes it, and returns its path. env are
// settings such as GOOS=wasip1; with that, it is a program for simulated machines,
// built as make build does. Every package under test has files of its own, so that
// tests of several packages may build at the same time.
func Build(pkg string, env ...string) (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	here, err := os.Getwd() // go test runs in the folder of the package under test
	if err != nil {
		return "", err
	}
	tester, err := filepath.Rel(root, here)
	if err != nil {
		return "", err
	}
	name := strings.Join(append([]string{strings.ReplaceAll(pkg, "/", "-"), "for", strings.ReplaceAll(tester, string(filepath.Separator), "-")}, env...), "-")
	out := filepath.Join(root, "bin", "test", name)
	var cmd *exec.Cmd
	if slices.Contains(env, "GOOS=wasip1") {
		cmd, err = onethread.Command(filepath.Join(root, "bin", "test", "_"+name), "-o", out, pkg) // no package for ./...
		if err != nil && !errors.Is(err, onethread.ErrUnknown) {
			return "", err
		}
	} else {
		cmd = exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", out, pkg)
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, env...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, msg)
	}
	return out, nil
}
