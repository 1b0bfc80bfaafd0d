//go:build !unchecked || !(linux || darwin)

package engine

// What the engine compiles is checked at every access to memory.
const (
	engine = ""
	reach  = 0
)
