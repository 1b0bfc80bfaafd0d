//go:build !unchecked || !(linux || darwin)

package sim_test

import "testing"

// canDoWithoutChecks says whether the engine can.
const canDoWithoutChecks = false

// withChecks has the engine check what it compiles until the test ends.
func withChecks(testing.TB) {}
