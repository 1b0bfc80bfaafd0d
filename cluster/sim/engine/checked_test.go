//go:build !unchecked || !(linux || darwin)

package engine

import "testing"

// withChecks has the engine check what it compiles until the test ends.
func withChecks(testing.TB) {}
