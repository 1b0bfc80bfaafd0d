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
// This package puts them together as a cluster.Cluster (cluster.go, faults.go), with the
// bundled node (node.go). What users of this package need of the rooms also has a name
// here (rooms.go). Start with [NewWorld], [Load] and [Up].
//
// # How determinism is kept
//
// One thing runs at a time. Harness tasks and guest programs are coroutines
// (iter.Pull) that the scheduler resumes one after the other; there are no
// channels and no second thread. The next event is the one with the smallest time; if
// times are equal, the one that was scheduled first. Time stands still while something
// runs, except for the small cost that a program is charged for each call of the machine.
// So the speed of the real machine makes no difference. A Go program in WebAssembly has
// one thread and is never preempted: between two calls of the machine, the same input
// gives the same result.
//
// All randomness comes from the seed, in streams of their own for the network,
// every disk and every process, so that one more draw in one of them does not
// shift the others.
//
// # What would break it
//
// The wall clock, global randomness, the order of a map, a goroutine, an address in
// memory: host code here and in the rooms must use none of them, and a test looks for
// them. The one exception is the watchdog, which ends a run whose program never gives
// control back; such a run proves nothing anyway. A seed only repeats a run together with
// the hash of the program and the build of this package.
//
// # What it costs
//
// Most of the CPU time goes into the nodes' own code. Go's compiler emits WebAssembly that
// wazero translates without optimising it. So the module is rewritten before it is
// compiled (lean, in package engine), which takes half of that time. Package
// internal/onethread removes from Go's runtime what only several threads need. The rest is
// spread thinly over Go's scheduler, its memory management, select and raft. A rewritten
// program makes the same calls at the same times, so that a seed gives the same run; a
// test compares both programs, to the byte.
//
// # Faults
//
// Kill is what SIGKILL does: the process is gone, what it wrote stays, synced
// or not, and the kernel closes its connections. Crash is a power cut: bytes,
// names and renames that were not synced are lost or torn, and peers hear
// nothing. Pause freezes the program while the kernel goes on taking data and
// connections. Cuts lose packets by direction; a connection retransmits what was
// lost with growing pauses, as TCP does. Links can be late, with a long tail, or
// narrow: packets queue for up to half a second, and longer queues drop packets. They can
// also reset connections. The network carries streams, as TCP does: a duplicated or early
// packet would be put right below the streams, and a program could only notice the time.
// So there is no fault that duplicates packets. Packets of different connections overtake
// each other at any time, and far more under delay. If a machine loses power, its peers'
// connections look alive until something is sent. Clocks jump and drift. On a slow
// processor a program is charged each time that it gets control, and more for its calls.
//
// Half of the power cuts wait for an fsync to be under way. An fsync can be
// slow, hang, or fail; after one that failed, programs read what they wrote, but
// part of it is lost at the next power cut, whatever is synced later, as on
// ext4. On a full disk files don't grow, and programs get ENOSPC. A process that ends
// with status 1 after such an error has given up, as a correct node must; it has not
// crashed.
//
// A flipped bit reads wrong until it is written again, or flipped back as if from a
// mirror. Bits flip in files whose checksums the system verifies when it starts
// (cluster.Pod.Sealed), but not in data of the newest fsync of a file: no checksum can
// tell that from a torn write. A node that notices does not start before the fault is
// over. The fault does not wipe the disk instead, because raft does not promise to
// survive a voter that has forgotten its vote.
package sim
