package sim_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"coup/cluster/sim"
	"coup/cluster/systems/raft"
	"coup/harness"
	"coup/internal/testnode"
)

// A process that may not have the addresses for its machines' memory says so, and what
// to do, instead of a panic; and no node is said to have ended by itself.
func TestNoMemoryForMachines(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		program := testnode.Program(t, testnode.Node)
		var size, limit uint64
		statm, err := os.ReadFile("/proc/self/statm")
		if err == nil {
			_, err = fmt.Sscan(string(statm), &size)
		}
		if limit = size*uint64(os.Getpagesize()) + 400<<20; err == nil {
			err = syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit})
		}
		if err != nil {
			t.Fatal(err)
		}
		w := sim.NewWorld(1)
		err = w.Run(func() error {
			c, err := sim.Up(context.Background(), w, sim.Config{
				Program: program, Nodes: 3, System: raft.System{},
				Exited: func(node string, code int) { fmt.Println("EXITED", node, code) },
			})
			if err != nil {
				return err
			}
			harness.Sleep(context.Background(), w, 5*time.Second)
			return c.Close(context.Background())
		})
		fmt.Println("RESULT", err)
		return
	}
	t.Parallel()
	child := exec.Command(os.Args[0], "-test.run=^TestNoMemoryForMachines$")
	child.Env = append(os.Environ(), childVariable+"=1")
	var stderr bytes.Buffer
	child.Stderr = &stderr
	out, err := child.Output()
	if err != nil || !strings.Contains(string(out), "for a machine's memory can't be had: cannot allocate memory; raise the limit (ulimit -v)") || strings.Contains(string(out), "EXITED") {
		t.Errorf("%v: %s%s", err, out, stderr.Bytes())
	}
}
