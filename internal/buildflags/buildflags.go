// Package buildflags is what the commands have in common that print flags for the go
// command (internal/onethread/overlay, internal/unchecked/flags).
package buildflags

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Main ends the process, after it has printed what build makes of the arguments,
// which are as many as usage names. An error of the kind unknown is a warning that
// names what it costs: a build goes on without.
func Main(build func(args []string) (flags string, err error), unknown error, cost string, usage ...string) {
	name := filepath.Base(os.Args[0])
	if len(os.Args) != 1+len(usage) {
		fmt.Fprintf(os.Stderr, "usage: %s %s\n", name, strings.Join(usage, " "))
		os.Exit(2)
	}
	flags, err := build(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		if !errors.Is(err, unknown) {
			os.Exit(1)
		}
		fmt.Fprintf(os.Stderr, "%s: simulated machines will be slower by %s, and right as ever\n", name, cost)
	}
	fmt.Println(flags)
	os.Exit(0)
}
