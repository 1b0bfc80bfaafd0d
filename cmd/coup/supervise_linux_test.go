package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"coup/cluster/sim"
	"coup/internal/testengine"
	"coup/internal/testnode"
)

// childOf returns the process that a process has started, once there is one.
func childOf(t *testing.T, parent int) int {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, name := range stats {
			b, err := os.ReadFile(name)
			if err != nil {
				continue
			}
			_, after, _ := bytes.Cut(b, []byte(") "))
			if f := strings.Fields(string(after)); len(f) > 1 && f[1] == strconv.Itoa(parent) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
				return pid
			}
		}
	}
	t.Fatal("the process has no child")
	return 0
}

// start starts a command that waits for its standard input.
func start(t *testing.T) (cmd *exec.Cmd, stderr *bytes.Buffer, child int) {
	t.Helper()
	cmd = exec.Command(testengine.Binary(t), "check", "-", "--model", "register")
	stderr = new(bytes.Buffer)
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child = childOf(t, cmd.Process.Pid)
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) { // until it is the program that can be hit
		if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", child)); exe == cmd.Path {
			return cmd, stderr, child
		}
		if time.Now().After(end) {
			t.Fatal("the child does not become coup")
		}
	}
}

// A crash is no verdict, however it comes about: Go's own status for it is that of unknown.
func TestACrashIsNoVerdict(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGABRT, syscall.SIGKILL} {
		cmd, stderr, child := start(t)
		syscall.Kill(child, signal)
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != exitHarness || !strings.Contains(stderr.String(), "Please report it") {
			t.Errorf("%v: exit code %d, %s", signal, code, stderr)
		}
	}
}

func TestNothingOutlivesTheSupervisor(t *testing.T) {
	cmd, _, child := start(t)
	cmd.Process.Kill()
	cmd.Wait()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		if err != nil || bytes.Contains(b, []byte(") Z ")) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the child lives on")
		}
	}
}

// A terminal interrupts the workers of a hunt as well. They finish what they run, and
// that they were interrupted is no error of theirs.
func TestInterruptedHuntEndsInOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out whole runs")
	}
	node := testnode.File(t, testnode.Node)
	cmd, out, stderr := command(t, "hunt", "--seeds", "1-1000", "--workers", "2", "--nodes", "3", "--time", "5s", "--rate", "30")
	cmd.Env = append(os.Environ(), sim.NodeVariable+"="+node)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitOperations(t, out)
	syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	if code := exit(t, cmd); code != exitUnknown || strings.Contains(stderr.String(), "worker") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
