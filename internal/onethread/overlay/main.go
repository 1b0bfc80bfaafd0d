// Overlay prints the flags that go build is given for programs of simulated
// machines, as GOFLAGS takes them: see package onethread.
//
//	go run ./internal/onethread/overlay GOROOT DIR
package main

import (
	"errors"
	"fmt"
	"os"

	"coup/internal/onethread"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: overlay GOROOT DIR")
		os.Exit(2)
	}
	flags, err := onethread.Flags(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "overlay:", err)
		if !errors.Is(err, onethread.ErrUnknown) {
			os.Exit(1)
		}
		fmt.Fprintln(os.Stderr, "overlay: simulated machines will be slower by a fifth or more, and right as ever")
	}
	for _, f := range flags {
		fmt.Printf("'%s' ", f)
	}
	fmt.Println()
}
