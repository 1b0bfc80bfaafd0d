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
// everything was written, and fails if it could not be. If the verdict could not be
// written, for example to a full disk, the exit code must not be that of the verdict.
func watchStdout() (flush func() error) {
	signal.Ignore(syscall.SIGPIPE) // writing into a pipe that nobody reads fails instead
	out, in, err := os.Pipe()
	if err != nil {
		return func() error { return nil }
	}
	real := os.Stdout
	os.Stdout = in
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(real, out)
		if err != nil {
			io.Copy(io.Discard, out) // so that writers do not block
		}
		done <- err
	}()
	return func() error {
		in.Close()
		os.Stdout = real
		// Who closes a pipe, as head does, has read what they wanted.
		if err := <-done; err != nil && !errors.Is(err, syscall.EPIPE) {
			return fmt.Errorf("what was to be said on standard output is lost: %w", err)
		}
		return nil
	}
}
