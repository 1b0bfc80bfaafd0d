//go:build unchecked && (linux || darwin)

package engine

import "github.com/tetratelabs/wazero/experimental"

// engine tells compiled modules of this engine from others.
const engine = "-" + experimental.UncheckedID

// reach is how far an access can be from the beginning of memory: an address and an
// offset of 32 bits each, and the bytes that it touches. That much is reserved for every
// memory (memory_unix.go), so that this engine need not check accesses (package
// unchecked). An access beyond the program's own memory stays within this reservation: it
// finds zeros, or bytes of earlier such accesses.
const reach = 1<<33 + 1<<16

// orChecked is what else helps if there are no addresses for reach.
const orChecked = ", or build coup with a plain go build, which needs a sixteenth of it"

func init() { experimental.Unchecked = true }
