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

	"coup/internal/testengine"
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
