//go:build !unchecked || !(linux || darwin)

package sim

import "testing"

// Unchecked says whether the engine can do without checks.
const Unchecked = false

// WithChecks has the engine check what it compiles until the test ends.
func WithChecks(testing.TB) {}
