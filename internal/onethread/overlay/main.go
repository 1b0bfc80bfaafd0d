// Overlay prints the flags that go build is given for programs of simulated
// machines, as GOFLAGS takes them: see package onethread.
//
//	go run ./internal/onethread/overlay GOROOT DIR
package main

import (
	"fmt"
	"strings"

	"coup/internal/buildflags"
	"coup/internal/onethread"
)

func main() {
	buildflags.Main(func(args []string) (string, error) {
		flags, err := onethread.Flags(args[0], args[1])
		var quoted strings.Builder
		for _, f := range flags {
			fmt.Fprintf(&quoted, "'%s' ", f)
		}
		return quoted.String(), err
	}, onethread.ErrUnknown, "a fifth or more", "GOROOT", "DIR")
}
