//go:build unchecked && (linux || darwin)

package engine

import "github.com/tetratelabs/wazero/experimental"

// engine tells compiled modules of this engine from others.
const engine = "-" + experimental.UncheckedID

// reach is how far an access can lead from the beginning of memory: an address
// and an offset of 32 bits each, and what it touches. That much is set aside
// for every memory (memory_unix.go), so that this engine need not check accesses
// (package unchecked). One outside of what the program has is its own
// machine's business still: it finds zeros, or what strayed there before.
const reach = 1<<33 + 1<<16

// orChecked is what else helps who has no addresses for reach.
const orChecked = ", or build coup with a plain go build, which needs a sixteenth of it"

func init() { experimental.Unchecked = true }
