// Package sim runs a cluster on simulated machines, so that a run can be
// repeated to the byte from its seed.
//
// The nodes' own program, compiled for WASI (GOOS=wasip1), runs on machines
// whose clock, network, disk and randomness are made here. It is the ordinary
// Go program with the ordinary Go runtime inside: only what an operating system
// would do is simulated, and package guest says how the program asks for it.
//
// The rooms below, each of which knows only those above it in this list:
//
//	world    the clock, the scheduler, and the harness's tasks
//	engine   a module for WASI, made fast and compiled
//	disk     files, and what of them survives a power cut or a failed fsync
//	tracing  the trace that the others write to (package trace)
//	network  hosts, links, connections
//	machine  a machine: power, a program with its calls and its time, clocks, storage
//	guest    the program's side: how it asks a machine for what WASI lacks
//
// This package is all of it as a cluster.Cluster (cluster.go, faults.go), with the
// bundled node (node.go), and has under its own name what its users need of the rooms
// (rooms.go).
//
// # How determinism is kept
//
// One thing runs at a time. Harness tasks and guest programs are coroutines
// (iter.Pull) that the scheduler resumes one after the other; there are no
// channels and no second thread. What happens next is the event with the
// smallest time, of equal times the one that was scheduled first. Time stands
// still while something runs, but for the small cost that a program is charged
// for each call of the machine; so it makes no difference how fast the real
// machine is. A Go program in WebAssembly has one thread and is never
// preempted: between two calls of the machine it computes the same from the same.
//
// All randomness comes from the seed, in streams of their own for the network,
// every disk and every process, so that one more draw in one of them does not
// shift the others.
//
// # What would break it
//
// The wall clock, global randomness, the order of a map, a goroutine, the
// address of something: host code here and in the rooms must use none of them, and a
// test looks for them. The one exception is the watchdog, which ends a run
// whose program never gives control back: that run proves nothing anyway.
// A seed is only good together with the hash of the program and the build of this package.
//
// # What it costs
//
// Most of it is the nodes' own code. Wazero translates WebAssembly as it is, and
// Go's compiler leaves much to be made better: lean rewrites the module before it is
// compiled (package engine), and halves that. Package internal/onethread has taken out of Go's
// runtime before what only threads need. What is left is spread thinly over Go's
// scheduler, its memory, select and raft. A rewritten program asks the same of its
// machine at the same times, so that a seed shows the same with it; a test holds
// that against the program as it was, to the byte.
//
// # Faults
//
// Kill is what SIGKILL does: the process is gone, what it wrote stays, synced
// or not, and the kernel closes its connections. Crash is a power cut: bytes,
// names and renames that were not synced are lost or torn, and peers hear
// nothing. Pause freezes the program while the kernel goes on taking data and
// connections. Cuts lose packets by direction; a connection retransmits what was
// lost with growing pauses, as TCP does. Links can be late, with a long tail, or
// narrow: packets queue for up to half a second, and beyond that are dropped. They can
// also reset connections. What the network carries is streams, as TCP does: a packet
// that came twice or early would be put right below them, and all that a program
// could notice is time. So there is no fault that duplicates; packets of different
// connections overtake each other at any time, and far more under delay. A
// connection whose peer has forgotten it in a power cut looks alive until
// something is sent. Clocks jump and drift. On a slow processor a program is charged
// for every time that it gets control, and more for what it asks.
//
// Half of the power cuts wait for an fsync to be under way. An fsync can be
// slow, hang, or fail; after one that failed, programs read what they wrote, but
// part of it is lost at the next power cut, whatever is synced later, as on
// ext4. On a full disk files don't grow, and programs are told ENOSPC. A process
// that ends with status 1 after such an error gave up, as a correct node must; it
// has not crashed.
//
// A bit that flips reads wrong until it is written again or flipped back, as by a
// mirror. It flips in files whose checksums the system is said to verify when
// it starts (cluster.Pod), and not in what the newest fsync of a file wrote: no
// checksum tells that from a torn write. A node that notices does not start
// before the fault is over. To wipe its disk instead would not be fair: a voter
// that forgot is none of the failures that raft promises to survive.
package sim
