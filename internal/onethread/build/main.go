// Build is go build for programs of simulated machines, with a runtime that package
// onethread changes for them. It writes the changed files into DIR:
//
//	go run ./internal/onethread/build DIR -o FILE ./cmd/raftnode
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"coup/internal/onethread"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: build DIR ARGUMENTS OF GO BUILD")
		os.Exit(2)
	}
	cmd, err := onethread.Command(os.Args[1], os.Args[2:]...)
	switch {
	case errors.Is(err, onethread.ErrUnknown):
		fmt.Fprintf(os.Stderr, "Go's runtime is left as it is: %v; simulated machines will be slower by a fifth or more, and right as ever\n", err)
	case err != nil:
		fmt.Fprintf(os.Stderr, "build for simulated machines: %v\n", err)
		os.Exit(1)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) { // which has said why
			os.Exit(1)
		}
		fmt.Fprintf(os.Stderr, "build for simulated machines: %v\n", err)
		os.Exit(1)
	}
}
