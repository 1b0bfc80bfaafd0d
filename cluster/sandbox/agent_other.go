//go:build !linux

package sandbox

import (
	"fmt"
	"io"
)

// Main is the agent, which breaks nodes by what only Linux has. Nodes run on Linux
// wherever coup itself does.
func Main(_ io.Reader, out io.Writer) int {
	fmt.Fprintln(out, "the sandbox agent is a part of coup's containers, which run Linux")
	return 254
}
