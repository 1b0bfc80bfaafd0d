// Package tested knows the releases that the changes of packages onethread and unchecked
// were tested with. Both rewrite source of other projects. That the rules of a rewriting
// match does not prove that the result works, so only tested releases are changed. Start
// with [With].
package tested

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed releases
var releases string

// Mark is the name of a function that only a runtime has that package onethread changed.
const Mark = "machine_poll_oneoff"

// With fails unless the release of a program, such as go1.26.8 of go, was tested.
func With(program, release string) error {
	var known []string
	for line := range strings.Lines(releases) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == program {
			known = append(known, f[1])
		}
	}
	if slices.Contains(known, release) {
		return nil
	}
	return fmt.Errorf("%s is none of the releases of %s that it was tested with (%s)", release, program, strings.Join(known, ", "))
}
