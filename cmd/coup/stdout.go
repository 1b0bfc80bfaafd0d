package main

import (
	"fmt"
	"io"
	"os"
)

// watchStdout puts a pipe before standard output, and returns what waits until all that was
// written has come out, and says if it has not: a verdict that nobody could read, because a
// disk is full, must not end with the code of one that was given.
func watchStdout() (flush func() error) {
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
			io.Copy(io.Discard, out) // whoever writes must not wait
		}
		done <- err
	}()
	return func() error {
		in.Close()
		os.Stdout = real
		if err := <-done; err != nil {
			return fmt.Errorf("what was to be said on standard output is lost: %w", err)
		}
		return nil
	}
}
