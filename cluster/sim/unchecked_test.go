//go:build unchecked && (linux || darwin)

package sim_test

import (
	"testing"

	"github.com/tetratelabs/wazero/experimental"
)

const canDoWithoutChecks = true

// withChecks has the engine check what it compiles until the test ends. Nothing else
// may compile meanwhile.
func withChecks(t testing.TB) {
	experimental.Unchecked = false
	t.Cleanup(func() { experimental.Unchecked = true })
}
