package docker_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/conformance"
	"coup/cluster/docker"
	"coup/cluster/systems/raft"
	"coup/harness"
	"coup/internal/testengine"
)

// up brings a cluster of n raft nodes up that is removed after the test.
func up(t testing.TB, n int) (c *docker.Cluster, output func() []string) {
	t.Helper()
	return upWith(t, n, raft.System{})
}

func upWith(t testing.TB, n int, sys cluster.System, change ...func(*docker.Config)) (c *docker.Cluster, output func() []string) {
	t.Helper()
	testengine.Need(t)
	ctx := context.Background()
	e, err := docker.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var lines []string
	cfg := docker.Config{
		Run: fmt.Sprintf("test-%d-%d", os.Getpid(), time.Now().UnixNano()), Nodes: n, System: sys,
		Binary: testengine.Binary(t),
		Output: func(node string, line []byte) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, node+" "+string(line))
		},
		Exited: func(node string, code int) { t.Errorf("%s ended by itself with code %d", node, code) },
	}
	for _, set := range change {
		set(&cfg)
	}
	c, err = docker.Up(ctx, e, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return lines
	}
}

// renamed is a system of another name that runs the bundled node.
type renamed struct{ raft.System }

func (renamed) Name() string { return "renamed" }

func TestBundledNodeOfAnotherName(t *testing.T) {
	t.Parallel()
	c, _ := upWith(t, 1, renamed{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		_, err := renamed{}.Status(ctx, c, "n1")
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	c, output := up(t, 3)
	if err := conformance.Check(context.Background(), harness.NewRuntime(), raft.System{}, c); err != nil {
		t.Error(err)
	}
	boots := 0
	for _, line := range output() {
		if strings.HasPrefix(line, "n2 ") && strings.Contains(line, `"boot"`) {
			boots++
		}
	}
	if boots != 4 { // the first, and after kill, stop and kill
		t.Errorf("n2 said %d times that it booted, want 4: output must survive restarts", boots)
	}
}

func TestUpTakesEverythingBackWhenItFails(t *testing.T) {
	testengine.Need(t)
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	e, err := docker.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(400 * time.Millisecond) // somewhere in the middle
		cancel()
	}()
	run := fmt.Sprintf("test-%d-cancelled", os.Getpid())
	c, err := docker.Up(ctx, e, docker.Config{Run: run, Nodes: 5, System: raft.System{}, Binary: testengine.Binary(t), Output: func(string, []byte) {}})
	if err == nil {
		c.Close(context.Background())
		t.Skip("the engine was faster than the test")
	}
	e, err = docker.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	// A busy engine shows what it removes until it is gone.
	left := e.Left(context.Background(), run)
	for until := time.Now().Add(20 * time.Second); len(left) > 0 && time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		left = e.Left(context.Background(), run)
	}
	if len(left) > 0 {
		t.Errorf("left on the engine: %v", left)
	}
}

func TestExplainsAMissingEngine(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	_, err := docker.Connect(context.Background())
	if err == nil || !strings.Contains(err.Error(), "no Docker engine answers at unix:///nowhere/docker.sock: start it") {
		t.Fatalf("error %v, want what to do", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than a line: %q", err)
	}
}
