//go:build !linux

package sandbox

import (
	"fmt"
	"io"
)

// Main fails: the agent needs Linux. Nodes always run on Linux, on whatever system coup
// itself runs.
func Main(_ io.Reader, out io.Writer) int {
	fmt.Fprintln(out, "the sandbox agent is a part of coup's containers, which run Linux")
	return 254
}
