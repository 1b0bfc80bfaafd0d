package sim

import (
	"context"

	"coup/cluster/sim/engine"
	"coup/cluster/sim/machine"
	"coup/cluster/sim/network"
	"coup/cluster/sim/world"
)

// What users of this package need of the rooms below it.
type (
	// World is simulated time and what happens in it, a harness.Runtime.
	World = world.World
	// StuckError says that a program never gave control back.
	StuckError = world.StuckError
	// Program is a compiled module, ready to run on any number of machines.
	Program = engine.Program
	// Latency is how long a packet takes.
	Latency = network.Latency
	// DiskSpeed is how long an fsync takes.
	DiskSpeed = machine.DiskSpeed
)

// Epoch is what the machines' clocks show when a world begins.
var Epoch = world.Epoch

// NewWorld returns a world in which nothing happened yet.
func NewWorld(seed uint64) *World { return world.New(seed) }

// Load compiles a module, which may be packed with gzip, for the machines of a
// cluster. What was made of it is kept in the directory cache and found there the next
// time; "" keeps it nowhere.
func Load(ctx context.Context, module []byte, cache string) (*Program, error) {
	return engine.Load(ctx, module, engine.Config{Cache: cache, Imports: machine.Imports})
}

// CacheDir is where compiled modules are kept for this user, or "".
func CacheDir() string { return engine.CacheDir() }
