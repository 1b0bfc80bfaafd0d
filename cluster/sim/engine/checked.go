//go:build !unchecked || !(linux || darwin)

package engine

// What the engine compiles is checked at every access to memory.
const (
	engine = ""
	reach  = 0
	// orChecked is what else helps if there are no addresses for reach.
	orChecked = ""
)
