package docker

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coup/cluster"
)

// Nodes on another kind of processor, or of a coup that is for another system, run a
// program that lies beside coup's own.
func TestNodeProgramBeside(t *testing.T) {
	const arch = "riscv64be" // nobody's
	_, err := nodeProgram(arch)
	if !errors.Is(err, cluster.ErrUnavailable) || !strings.Contains(err.Error(), "make linux ARCH="+arch) || strings.Contains(err.Error(), "\n") {
		t.Errorf("without a program: %v", err)
	}
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(filepath.Dir(self), "coup-linux-"+arch)
	if err := os.WriteFile(beside, nil, 0o755); err != nil {
		t.Skip(err)
	}
	defer os.Remove(beside)
	if got, err := nodeProgram(arch); got != beside || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}
