package cluster

import (
	"context"
	"slices"
	"time"

	"coup/cluster/capture"
)

// What only some clusters can break. As in [Cluster], the methods return evidence.

// Power is a cluster whose machines can lose power.
type Power interface {
	// Crash cuts a node's power: what was not synced is lost or torn. Start switches
	// it on again.
	Crash(ctx context.Context, node string) (evidence string, err error)
}

// Clocks is a cluster whose machines have clocks of their own.
type Clocks interface {
	// SetClock sets a node's wall clock to the right time plus jump, and makes all its
	// clocks run faster by drift millionths.
	SetClock(ctx context.Context, node string, jump time.Duration, drift int64) (evidence string, err error)
}

// Processors is a cluster whose machines have processors of their own.
type Processors interface {
	// SetCPU makes a node's processor slow times as slow as usual; 1 heals it.
	SetCPU(ctx context.Context, node string, slow int) (evidence string, err error)
}

// Disks is a cluster whose machines have disks of their own.
type Disks interface {
	// SetDisk gives a node's disk exactly this fault; the zero value heals it.
	SetDisk(ctx context.Context, node string, f DiskFault) (evidence string, err error)
}

// DiskFault is what is wrong with a node's disk; the zero value is nothing.
type DiskFault struct {
	Delay time.Duration // every fsync takes this much longer
	Hang  bool          // no fsync ends
	Fail  bool          // every fsync fails (EIO), and some of its data is never written
	Full  bool          // nothing more can be stored: files do not grow, and there are no new ones
}

// Rot is a cluster on whose disks bits can flip.
type Rot interface {
	// Rot flips a bit of what a node stored a while ago; Unrot flips all back.
	Rot(ctx context.Context, node string) (evidence string, err error)
	Unrot(ctx context.Context, node string) error
}

// Links is a cluster that carries out all fields of a [Cut], not only Loss.
type Links interface {
	// Ping returns how long a packet of size bytes took to pass a link.
	Ping(ctx context.Context, from, to string, size int) (time.Duration, error)
	// Connections returns how many connections are open, and whether a new one would
	// be refused.
	Connections(ctx context.Context, from, to string) (open int, refused bool, err error)
}

// Capturing is a cluster that can capture the packets of its nodes, if it was brought up for
// that. It breaks nothing, and is no capability that faults ask for.
type Capturing interface {
	// Captured ends the capture, writes the files, and tells of them. It is nil if
	// nothing was captured. An error goes with what there is all the same.
	Captured(ctx context.Context) (*capture.Set, error)
}

// Capability names one of these interfaces.
type Capability string

// The capabilities of clusters.
const (
	CanLosePower  Capability = "power"
	HasClocks     Capability = "clocks"
	HasProcessors Capability = "processors"
	HasDisks      Capability = "disks"
	CanRot        Capability = "disks with bits that flip"
	HasLinks      Capability = "links"
)

// Capabilities are what clusters of a backend can do beside what [Cluster] asks.
type Capabilities []Capability

// CapabilitiesOf tells the capabilities of a cluster from the interfaces that it
// implements. The value may be a nil pointer of its type: none of its methods is called.
func CapabilitiesOf(c Cluster) (all Capabilities) {
	add := func(can bool, name Capability) {
		if can {
			all = append(all, name)
		}
	}
	_, power := c.(Power)
	_, clocks := c.(Clocks)
	_, processors := c.(Processors)
	_, disks := c.(Disks)
	_, rot := c.(Rot)
	_, links := c.(Links)
	add(power, CanLosePower)
	add(clocks, HasClocks)
	add(processors, HasProcessors)
	add(disks, HasDisks)
	add(rot, CanRot)
	add(links, HasLinks)
	return all
}

// Has reports whether a capability is among them; "" is what every cluster can do.
func (c Capabilities) Has(name Capability) bool { return name == "" || slices.Contains(c, name) }
