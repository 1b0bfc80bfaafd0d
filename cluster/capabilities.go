package cluster

import (
	"context"
	"slices"
	"time"
)

// What only some clusters can break. The methods return evidence as those of
// [Cluster] do.

// Power is a cluster whose machines can lose power.
type Power interface {
	// Crash cuts a node's power: what was not synced is lost or torn. Start switches
	// it on again.
	Crash(ctx context.Context, node string) (evidence string, err error)
}

// Clocks is a cluster whose machines have clocks of their own.
type Clocks interface {
	// SetClock moves a node's wall clock from the right time by jump, and makes
	// all its clocks run faster by drift millionths.
	SetClock(ctx context.Context, node string, jump time.Duration, drift int64) (evidence string, err error)
}

// Processors is a cluster whose machines have processors of their own.
type Processors interface {
	// SetCPU makes a node so many times as slow as usual.
	SetCPU(ctx context.Context, node string, slow int) (evidence string, err error)
}

// Disks is a cluster whose machines have disks of their own.
type Disks interface {
	// SetDisk makes exactly this wrong with a node's disk.
	SetDisk(ctx context.Context, node string, f DiskFault) (evidence string, err error)
}

// DiskFault is what is wrong with a node's disk; the zero value is nothing.
type DiskFault struct {
	Delay time.Duration // every fsync takes this much longer
	Hang  bool          // no fsync ends
	Fail  bool          // every fsync fails (EIO), and some of what it should have written never will be
	Full  bool          // nothing more can be stored: files do not grow, and there are no new ones
}

// Rot is a cluster on whose disks bits can flip.
type Rot interface {
	// Rot flips a bit of what a node stored a while ago; Unrot flips all back.
	Rot(ctx context.Context, node string) (evidence string, err error)
	Unrot(ctx context.Context, node string) error
}

// Links is a cluster whose links can be worse than lossy: it carries out all
// that a [Cut] says.
type Links interface {
	// Ping says how long a packet of so many bytes took to pass a link.
	Ping(ctx context.Context, from, to string, size int) (time.Duration, error)
	// Connections says how many are open, and whether another would be refused.
	Connections(ctx context.Context, from, to string) (open int, refused bool, err error)
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
