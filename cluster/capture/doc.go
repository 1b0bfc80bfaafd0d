// Package capture makes files of packets that Wireshark opens: one for each node, in the
// format pcapng, with the names of all nodes in it, and in each packet's comment what
// became of it if that is known.
//
// In containers, the agent of package sandbox takes what passes a node's interfaces and
// keeps it in a [Ring] of files; [File.Write] makes one file of that. On simulated machines
// a [Network] makes frames of what passes the simulated network: Ethernet, IPv4 and TCP with
// right checksums and sequence numbers, at the simulated times. [Set] says what there is.
//
// A bound on the size is kept by forgetting the oldest packets: a run that is to end at a
// violation (--fail-fast), or whose last reads show one, has its cause near its end.
//
// The format is that of draft-ietf-opsawg-pcapng. Frames and blocks are written here,
// because the library that reads them in the tests (gopacket) writes no name resolution
// blocks, and no packets without their section.
package capture

import (
	"fmt"
	"time"
)

// Dir is the folder of a run directory that holds the files.
const Dir = "capture"

// Set is the packets of a run: what plan.json tells of them.
type Set struct {
	// Epoch is the time that packets have at the start of the run, so that what the
	// history has at t is at Epoch plus t: by the clock of the nodes, to the nanosecond.
	Epoch time.Time `json:"epoch"`
	// Stepped is how much the clock of the machine was moved while the run went on; packets after
	// that are later by as much than Epoch says.
	Stepped time.Duration `json:"stepped,omitempty"` // nanoseconds
	Clients string        `json:"clients"`           // the address that clients have for the nodes
	Bound   int           `json:"bound"`             // of each file, MiB
	Files   []File        `json:"files"`
}

// File is the packets of a node.
type File struct {
	Node    string `json:"node"`    // or Clients
	Name    string `json:"name"`    // in the run directory, with slashes
	Address string `json:"address"` // of the node
	Size    int64  `json:"size"`    // bytes
	Packets int    `json:"packets"` // in the file
	// Forgotten are older packets that the bound left no room for.
	Forgotten int `json:"forgotten,omitempty"`
	// Missed are packets that the kernel had no room for, anywhere in between.
	Missed int `json:"missed,omitempty"`
	// From and To are the times of the first and the last packet, since the start of the run.
	From time.Duration `json:"from"` // nanoseconds
	To   time.Duration `json:"to"`   // nanoseconds
	// Failed says why the file is not there or not whole; usually "".
	Failed string `json:"failed,omitempty"`
}

// Clients is the name that the clients' side has in files.
const Clients = "clients"

// EpochTime is the time of a moment of the run as Wireshark's field frame.time_epoch has it:
// seconds since 1970.
func (s *Set) EpochTime(at time.Duration) string {
	t := s.Epoch.Add(at)
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}

// Filter is a display filter for what passed between two moments of the run, to or from
// an address; "" is any.
func (s *Set) Filter(from, to time.Duration, address string) string {
	f := fmt.Sprintf("frame.time_epoch >= %s && frame.time_epoch <= %s", s.EpochTime(from), s.EpochTime(to))
	if address != "" {
		f += " && ip.addr == " + address
	}
	return f
}

// Of is the file of a node; nil if there is none.
func (s *Set) Of(node string) *File {
	for i := range s.Files {
		if s.Files[i].Node == node {
			return &s.Files[i]
		}
	}
	return nil
}
