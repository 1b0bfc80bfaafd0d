package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// watchStdout puts a pipe before standard output. The function that it returns waits until
// everything was written, and fails if it could not be. What can't be written, for example
// to a full disk, goes to standard error: a verdict that took hours must not be lost.
func watchStdout() (flush func() error) {
	signal.Ignore(syscall.SIGPIPE) // writing into a pipe that nobody reads fails instead
	out, in, err := os.Pipe()
	if err != nil {
		return func() error { return nil }
	}
	real := os.Stdout
	os.Stdout = in
	done := make(chan error, 1)
	go func() { done <- copyOut(real, os.Stderr, out) }()
	return func() error {
		in.Close()
		os.Stdout = real
		// Who closes a pipe, as head does, has read what they wanted.
		if err := <-done; err != nil && !errors.Is(err, syscall.EPIPE) {
			return fmt.Errorf("standard output can't be written, so what it lacks is on standard error: %w", err)
		}
		return nil
	}
}

// copyOut copies in to out. What out does not take goes to instead, unless out is a pipe
// that nobody reads any more.
func copyOut(out, instead io.Writer, in io.Reader) error {
	var failed error
	buf := make([]byte, 32<<10)
	for {
		n, end := in.Read(buf)
		left := buf[:n]
		if failed == nil && n > 0 {
			var wrote int
			wrote, failed = out.Write(left)
			left = left[wrote:]
		}
		if failed != nil && !errors.Is(failed, syscall.EPIPE) {
			instead.Write(left) // there is no other place
		}
		if end != nil {
			return failed
		}
	}
}
