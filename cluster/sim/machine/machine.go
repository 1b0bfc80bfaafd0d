// Package machine is a simulated machine: power, a processor, clocks, a disk, and a
// program that runs on it.
//
//	machine.go  a machine: what it is, its power, freezing
//	process.go  a running program: its calls, its events, its time
//	imports.go  the functions that programs import
//	files.go    files as WASI asks for them
//	storage.go  how long an fsync takes, and how it fails; what is stored is package disk
//	clock.go    a machine's clocks, right or wrong
//	traced.go   what a machine tells a trace
//
// Start with [New]. A program is a coroutine that has control until it waits for
// something. It is charged time for its calls of the machine, and nothing for what it
// computes. So the speed of the real machine makes no difference.
package machine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"coup/cluster/sim/engine"
	"coup/cluster/sim/network"
	"coup/cluster/sim/tracing"
	"coup/cluster/sim/world"
	"coup/cluster/trace"
)

// Config describes a machine for [New].
type Config struct {
	Name    string          // and address
	Program *engine.Program // see Imports
	Args    []string        // of the program, without its name
	Disk    DiskSpeed
	Sealed  []string // patterns of package path: the files that bits flip in
	// Output receives every line that a program writes, without the newline. It must
	// not keep the line.
	Output func(line []byte)
	// Exited is called when a program has ended, for whatever reason. May be nil.
	Exited func(p *Process)
	Trace  *tracing.Tracer // nil: there is no trace
}

// Machine is a simulated machine. Its methods are for tasks of its world.
type Machine struct {
	cfg     Config
	w       *world.World
	net     *network.Network
	host    *network.Host
	rand    *rand.Rand
	trace   traced
	storage storage
	clock   clock
	cpu     cpu

	process *Process // the newest; nil: none yet
	started int      // how many there were
	frozen  bool
}

// cpu is how a machine computes.
type cpu struct {
	slow  int           // times slower than usual; 0 is 1
	busy  time.Duration // for how long its programs have computed
	calls uint64        // of its programs
}

// New returns a machine that is switched on and runs nothing yet, a host of the network.
func New(w *world.World, n *network.Network, cfg Config) *Machine {
	name := cfg.Name
	r := w.Random("machine " + name)
	m := &Machine{cfg: cfg, w: w, net: n, host: n.AddHost(name), rand: r, trace: newTraced(cfg.Trace)}
	m.storage = newStorage(w, w.Random("disk "+name), r, cfg.Disk)
	m.clock.uptime = time.Minute + time.Duration(r.Int64N(int64(time.Hour)))
	m.host.PowerOn()
	return m
}

// Name is the machine's name, and its address.
func (m *Machine) Name() string { return m.cfg.Name }

// Process is the newest process; nil: there was none yet.
func (m *Machine) Process() *Process { return m.process }

// Runs says whether a process runs.
func (m *Machine) Runs() bool { return m.process != nil && !m.process.fate.ended }

// HasPower says whether the machine is switched on.
func (m *Machine) HasPower() bool { return m.host.HasPower() }

// Calls is how often programs have asked the machine for the time, to wait, or
// for what package guest has.
func (m *Machine) Calls() uint64 { return m.cpu.calls }

// PowerOn switches the machine on, if it was off, and starts its program.
func (m *Machine) PowerOn(ctx context.Context) {
	m.host.PowerOn()
	m.frozen = false
	m.Start(ctx)
}

// Kill ends the process that runs, as SIGKILL does.
func (m *Machine) Kill() {
	m.process.Kill()
	m.frozen = false
}

// say passes on a line that the program wrote.
func (m *Machine) say(line []byte) {
	m.trace.log(m, line)
	if m.cfg.Output != nil {
		m.cfg.Output(line)
	}
}

// startTime is how long it takes to start a program.
func (m *Machine) startTime() time.Duration {
	return 20*time.Millisecond + time.Duration(m.rand.Int64N(int64(20*time.Millisecond)))
}

// SetClock moves the wall clock from the right time by jump, and makes all clocks run
// faster by drift millionths.
func (m *Machine) SetClock(jump time.Duration, drift int64) { m.clock.set(m.w.Now(), jump, drift) }

// SetSlow makes the machine slow times as slow as usual.
func (m *Machine) SetSlow(times int) { m.cpu.slow = times }

// Slow is how many times slower than usual the machine is.
func (m *Machine) Slow() int { return max(1, m.cpu.slow) }

// Busy is for how long the machine's programs have computed.
func (m *Machine) Busy() time.Duration { return m.cpu.busy }

// A program computes for about this long when it gets control. Only on a slow machine it
// is charged for that.
const usualTurn = 50 * time.Microsecond

// turnTime is what a program is charged for getting control.
func (m *Machine) turnTime() time.Duration { return usualTurn * time.Duration(m.Slow()-1) }

// Freeze stops the program where it is; Thaw lets it go on.
func (m *Machine) Freeze() {
	m.trace.Node(trace.Freeze, m.Name(), 0, "")
	m.frozen = true
}

// Thaw is the end of what Freeze began.
func (m *Machine) Thaw() {
	m.trace.Node(trace.Thaw, m.Name(), 0, "")
	m.frozen = false
	if p := m.process; p != nil && !p.fate.ended && p.turn.missed {
		p.turn.missed = false
		p.wakeAt(m.w.Now())
	}
}

// PowerOff is a power cut. It returns how many changes of the disk were lost.
func (m *Machine) PowerOff() (lost int) {
	m.host.PowerLost()
	if m.process != nil {
		m.process.Kill()
	}
	m.frozen = false
	lost = m.storage.powerLost()
	m.trace.Node(trace.Power, m.Name(), 0, fmt.Sprintf("%d unsynced changes of its disk are lost or torn", lost))
	return lost
}

// processEnded is called when a process has ended, however it did.
func (m *Machine) processEnded(p *Process) {
	m.host.ProcessEnded(p)
	if m.cfg.Exited != nil {
		m.cfg.Exited(p)
	}
}

// seedOf derives a seed for what happens on this machine for the n-th time.
func (m *Machine) seedOf(what string, n int) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d %s %s %d", m.w.Seed(), m.Name(), what, n))
}

// Fingerprint sums up all that the machine holds: two runs that agree on it
// are the same run.
func (m *Machine) Fingerprint() [32]byte {
	h := sha256.New()
	if m.Runs() && m.process.module != nil {
		if b, ok := m.process.module.Memory().Read(0, m.process.module.Memory().Size()); ok {
			h.Write(b)
		}
	}
	for _, n := range m.storage.disk.All() {
		h.Write(binary.LittleEndian.AppendUint64(nil, n.Number()))
		h.Write(n.Data())
	}
	return [32]byte(h.Sum(nil))
}
