package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"coup/cluster"
	"coup/cluster/trace"
)

// machine is a simulated machine: power, a clock, a disk, a program.
type machine struct {
	w       *World
	net     *network
	host    *host
	name    string
	program *Program
	args    []string
	rand    *rand.Rand
	disk    *disk
	output  func(line []byte)
	exit    func(p *process) // the program ended

	process *process // the newest; nil: none yet
	started int      // how many there were
	frozen  bool
	slow    int           // times slower than usual; 0 is 1
	busy    time.Duration // for how long its programs have computed
	clock   clock
	power   int // how often it was lost

	speed    DiskSpeed
	fault    cluster.DiskFault
	room     int      // left on a disk that is full
	sealed   []string // the files that bits flip in
	flushing int      // fsyncs under way
	hung     []func() // that end when the disk is whole again
}

func newMachine(w *World, n *network, program *Program, name string) *machine {
	r := w.random("machine " + name)
	m := &machine{
		w: w, net: n, host: n.addHost(name), name: name, program: program, rand: r,
		disk: newDisk(w.random("disk " + name)), speed: defaultDisk,
	}
	m.clock.uptime = time.Minute + time.Duration(r.Int64N(int64(time.Hour)))
	m.host.up = true
	return m
}

// runs says whether a process runs.
func (m *machine) runs() bool { return m.process != nil && !m.process.ended }

// startTime is how long it takes to start a program.
func (m *machine) startTime() time.Duration {
	return 20*time.Millisecond + time.Duration(m.rand.Int64N(int64(20*time.Millisecond)))
}

func (m *machine) slowness() int { return max(1, m.slow) }

// A program computes for about this long when it gets control. It is charged
// for it only where the machine is slower than that.
const usualTurn = 50 * time.Microsecond

// turnTime is what a program is charged for getting control.
func (m *machine) turnTime() time.Duration { return usualTurn * time.Duration(m.slowness()-1) }

// freeze stops the program where it is; thaw lets it go on.
func (m *machine) freeze() {
	m.w.trace.node(trace.Freeze, m.name, 0, "")
	m.frozen = true
}

func (m *machine) thaw() {
	m.w.trace.node(trace.Thaw, m.name, 0, "")
	m.frozen = false
	if p := m.process; p != nil && !p.ended && p.missed {
		p.missed = false
		p.wakeAt(m.w.now)
	}
}

// powerOff is a power cut. It returns how many changes of the disk were lost.
func (m *machine) powerOff() (lost int) {
	m.host.powerLost()
	if m.process != nil {
		m.process.kill()
	}
	m.frozen = false
	m.power++
	m.flushing, m.hung = 0, nil
	lost = m.disk.crash()
	m.w.trace.node(trace.Power, m.name, 0, fmt.Sprintf("%d unsynced changes of its disk are lost or torn", lost))
	return lost
}

// processEnded is called when a process has ended, however it did.
func (m *machine) processEnded(p *process) {
	m.host.processEnded(p)
	if m.exit != nil {
		m.exit(p)
	}
}

// seedOf derives a seed for what happens on this machine for the n-th time.
func (m *machine) seedOf(what string, n int) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d %s %s %d", m.w.seed, m.name, what, n))
}

// fingerprint sums up all that the machine holds: two runs that agree on it
// are the same run.
func (m *machine) fingerprint() [32]byte {
	h := sha256.New()
	if m.runs() && m.process.module != nil {
		if b, ok := m.process.module.Memory().Read(0, m.process.module.Memory().Size()); ok {
			h.Write(b)
		}
	}
	for _, n := range m.disk.all() {
		h.Write(binary.LittleEndian.AppendUint64(nil, n.ino))
		h.Write(n.data)
	}
	return [32]byte(h.Sum(nil))
}
