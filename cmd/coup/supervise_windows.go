package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
)

// No process watches over coup on Windows: a panic ends it with status 2.

func supervise() (code int, ok bool) { return 0, false }

// runCoup runs coup with arguments to its end, and writes what it says to out. When soft or ctx
// ends it is killed: there are no interrupts on Windows.
func runCoup(ctx, soft context.Context, out io.Writer, args ...string) (code int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer context.AfterFunc(soft, func() { cmd.Process.Kill() })()
	var ended *exec.ExitError
	if err = cmd.Wait(); errors.As(err, &ended) {
		return ended.ExitCode(), nil
	}
	return 0, err
}

type child struct{}

func supervisedBy() child { return child{} }

func (child) exit(code int) { os.Exit(code) }

func (child) supervised() bool { return false }
