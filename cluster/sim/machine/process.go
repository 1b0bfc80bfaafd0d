package machine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	wsys "github.com/tetratelabs/wazero/sys"

	"coup/cluster/sim/guest"
	"coup/cluster/sim/network"
	"coup/cluster/sim/world"
	"coup/cluster/trace"
	"coup/harness"
)

// What a program is charged for a call of the machine. It makes time pass for a program
// that does nothing but look at the clock.
const (
	costOfClock = 100 * time.Nanosecond
	costOfCall  = time.Microsecond
)

// Process is a program that runs on a machine.
type Process struct {
	m      *Machine
	number int // of the machine's processes
	module api.Module
	next   func() (struct{}, bool)
	end    func()
	yield  func(struct{}) bool

	turn    turn
	inbox   inbox
	lastID  uint32
	output  lines
	errors  lines
	trouble trouble
	fate    fate
}

// turn is when a process has control.
type turn struct {
	running bool          // has control
	ahead   time.Duration // of the world's time, while it has control
	free    time.Duration // it has no control before this
	parked  bool
	wakeUp  world.Ticket // the newest
	due     func()       // what wake-ups do
	polling bool         // parked until events come, too
	missed  bool         // a wake-up that came while the machine was frozen
}

// inbox holds the events that a process has not read yet.
type inbox struct {
	events []guest.Event
	taken  int // bytes of the first event's data that were read
}

// trouble records errors of the disk that a process met.
type trouble struct {
	refused int  // calls that the disk refused, or answered with wrong bytes
	full    bool // the call that it is in found the disk full
}

// fate is how a process ended.
type fate struct {
	ended  bool
	killed bool
	code   int
	failed error
}

// Number counts the processes of the machine, from 1.
func (p *Process) Number() int { return p.number }

// Ended says whether the process has ended.
func (p *Process) Ended() bool { return p.fate.ended }

// Killed says whether it was killed.
func (p *Process) Killed() bool { return p.fate.killed }

// Code is the status that it ended with.
func (p *Process) Code() int { return p.fate.code }

// Refused is how often the disk refused a call of the process, or answered wrong bytes.
func (p *Process) Refused() int { return p.trouble.refused }

// lines passes output on, line by line.
type lines struct {
	rest []byte
	line func([]byte)
}

func (l *lines) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			l.rest = append(l.rest, b...)
			return n, nil
		}
		l.line(append(l.rest, b[:i]...))
		l.rest, b = nil, b[i+1:]
	}
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.line(l.rest)
		l.rest = nil
	}
}

// exitKilled is the status of a process that was killed, as shells show it.
const exitKilled = 137

// Start starts the machine's program as a new process.
func (m *Machine) Start(ctx context.Context) {
	m.started++
	p := &Process{m: m, number: m.started}
	p.output.line = m.say
	p.errors.line = p.output.line
	random := rand.NewChaCha8(m.seedOf("process", p.number))
	config := wazero.NewModuleConfig().WithName("").
		WithArgs(append([]string{"node"}, m.cfg.Args...)...).WithEnv("PWD", "/").WithEnv("GOGC", "800").
		WithStdout(&p.output).WithStderr(&p.errors).
		WithRandSource(random).
		WithFSConfig(wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(files{p: p}, "/"))
	p.next, p.end = iter.Pull(func(yield func(struct{}) bool) {
		p.yield = yield
		memory, err := m.cfg.Program.Memory()
		if err != nil {
			m.w.Fail(fmt.Errorf("%s: %w", m.Name(), err))
			p.fate.killed, p.fate.code = true, exitKilled // the panic is that of park, and no failure
			return
		}
		defer memory.Free()
		ctx := &within{memory.In(context.WithoutCancel(ctx)), p}
		mod, err := m.cfg.Program.Start(ctx, config)
		p.exited(err)
		if mod != nil {
			mod.Close(ctx)
		}
	})
	p.turn.due = func() {
		if p.turn.parked {
			p.resume()
		}
	}
	m.process = p
	m.trace.Node(trace.Boot, m.Name(), p.number, "")
	p.turn.parked = true
	p.wakeAt(m.w.Now() + m.startTime())
}

// exited notes how the program ended.
func (p *Process) exited(err error) {
	var exit *wsys.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		p.fate.code = int(exit.ExitCode())
	default:
		p.fate.code, p.fate.failed = 1, err
	}
}

// wakeAt resumes the process at a time. Earlier wake-ups do not count any more.
func (p *Process) wakeAt(at time.Duration) {
	p.m.w.CallOff(p.turn.wakeUp)
	p.turn.wakeUp = p.m.w.At(max(at, p.turn.free), p.turn.due)
}

// resume gives the process control until it waits for something or ends.
func (p *Process) resume() {
	if p.fate.ended {
		return
	}
	if p.m.frozen {
		p.turn.missed = true
		return
	}
	p.m.trace.wake(p)
	p.turn.parked, p.turn.polling, p.turn.running, p.turn.ahead = false, false, true, p.m.turnTime()
	p.m.w.Enter(&p.m.cfg.Name)
	_, more := p.next()
	p.m.w.Leave()
	p.turn.running = false
	if !more {
		p.over()
	}
}

// over is when the program has ended, by itself or not.
func (p *Process) over() {
	if p.fate.ended {
		return
	}
	p.fate.ended = true
	p.output.flush()
	p.errors.flush()
	if p.fate.failed != nil {
		p.m.say(fmt.Appendf(nil, "machine: the program failed: %v", p.fate.failed))
	}
	p.inbox = inbox{}
	p.m.trace.exit(p)
	p.m.processEnded(p)
}

// Kill ends the process at once. The caller is never the process itself.
func (p *Process) Kill() {
	if p.fate.ended {
		return
	}
	p.fate.killed = true
	p.end()
	p.fate.code = exitKilled
	p.over()
}

// park gives control back until the time until, and if polling until there is
// an event. It is called from within the program's calls.
func (p *Process) park(until time.Duration, polling bool) {
	p.turn.free = p.m.w.Now() + p.turn.ahead
	p.m.cpu.busy += p.turn.ahead
	p.turn.parked, p.turn.polling = true, polling
	if until != harness.Forever {
		p.wakeAt(until)
	} else {
		p.m.w.CallOff(p.turn.wakeUp)
	}
	p.turn.running = false
	if !p.yield(struct{}{}) {
		// Killed. The panic unwinds the program; closing the module makes
		// sure that nothing of it goes on.
		p.module.CloseWithExitCode(context.Background(), exitKilled)
		panic(wsys.NewExitError(exitKilled))
	}
}

// spend charges the program for a call.
func (p *Process) spend(d time.Duration) {
	p.m.cpu.calls++
	p.turn.ahead += d * time.Duration(p.m.Slow())
}

// Lead implements network.Owner.
func (p *Process) Lead() time.Duration {
	if p.turn.running {
		return p.turn.ahead
	}
	return 0
}

// Notify implements network.Owner.
func (p *Process) Notify(s *network.Socket, kind byte, data []byte) { p.tell(kind, s.ID(), data) }

// tell gives the program an event.
func (p *Process) tell(kind byte, id uint32, data []byte) {
	if p.fate.ended {
		return
	}
	p.inbox.events = append(p.inbox.events, guest.Event{Kind: kind, ID: id, Data: data})
	if p.turn.parked && p.turn.polling {
		p.turn.polling = false
		p.wakeAt(p.m.w.Now())
	}
}

// Terminate asks the program to end.
func (p *Process) Terminate() {
	p.m.trace.Node(trace.Terminate, p.m.Name(), p.number, "")
	p.tell(guest.Terminate, 0, nil)
}

// readEvents moves as many events as fit into b.
func (p *Process) readEvents(b []byte) int {
	out, read := b[:0], 0
	for ; read < len(p.inbox.events); read++ {
		e := p.inbox.events[read]
		e.Data = e.Data[p.inbox.taken:]
		room := cap(out) - len(out) - guest.HeaderSize
		if room < len(e.Data) {
			// Bytes of a connection can come in pieces; nothing else is large.
			if e.Kind != guest.Data || room <= 0 {
				break
			}
			e.Data = e.Data[:room]
			p.inbox.taken += room
			out = e.Append(out)
			break
		}
		out = e.Append(out)
		p.inbox.taken = 0
	}
	p.inbox.events = slices.Delete(p.inbox.events, 0, read) // its room is for those that come
	return len(out)
}

// NextID implements network.Listener.
func (p *Process) NextID() uint32 {
	p.lastID += 2
	return p.lastID - 1
}

// monotonic is what the program's monotonic clock shows. It is never 0.
func (p *Process) monotonic() int64 { return int64(p.m.clock.monotonic(p.m.w.Now() + p.Lead())) }

// wall is what the program's wall clock shows, in Unix nanoseconds.
func (p *Process) wall() int64 {
	return p.m.clock.wall(p.m.w.Now() + p.Lead())
}

func (p *Process) dial(id uint32, addr string) {
	to, service, err := net.SplitHostPort(addr)
	port, err2 := strconv.Atoi(service)
	if err = errors.Join(err, err2); err != nil {
		p.tell(guest.Refused, id, []byte(err.Error()))
		return
	}
	p.m.net.Connect(p, id, p.m.Name(), to, port)
}

// sync is an fsync that the program does not wait for.
func (p *Process) sync(id uint32, path string) {
	d := p.m.storage.disk
	n, errno := d.Walk(path)
	if errno != 0 {
		p.tell(guest.Synced, id, []byte{errnoNoEntry})
		return
	}
	traced := p.m.trace.sync(p, path)
	p.m.storage.fsync(n, p.turn.ahead, func(errno sys.Errno) {
		if p.fate.ended {
			return
		}
		p.m.trace.synced(p, path, traced, errno)
		if errno == 0 {
			p.tell(guest.Synced, id, nil)
			return
		}
		p.trouble.refused++
		p.tell(guest.Synced, id, []byte{errnoIO})
	})
}

// The layout of poll_oneoff's subscriptions and events; see WASI.
const (
	subscriptionSize = 48
	eventSize        = 32
	aboutClock       = 0
	aboutRead        = 1
)

// poll waits until one of the subscriptions is due.
func (p *Process) poll(mem api.Memory, in, out, count, result uint32) uint32 {
	subs, ok := mem.Read(in, count*subscriptionSize)
	if !ok || count == 0 {
		return errnoInval
	}
	p.spend(costOfCall)
	until, reading := harness.Forever, false
	for i := uint32(0); i < count; i++ {
		s := subs[i*subscriptionSize:]
		switch s[8] {
		case aboutClock:
			if binary.LittleEndian.Uint16(s[40:]) != 0 {
				return errnoInval // an absolute time: Go never asks for one
			}
			d := time.Duration(min(binary.LittleEndian.Uint64(s[24:]), uint64(harness.Forever/2)))
			until = min(until, p.m.w.Now()+p.turn.ahead+p.m.clock.span(d))
		case aboutRead:
			reading = true
		}
	}
	if due := p.m.w.Now() + p.turn.ahead; until > due && !(reading && len(p.inbox.events) > 0) {
		p.park(until, reading)
		// Memory may have moved while others ran.
		if subs, ok = mem.Read(in, count*subscriptionSize); !ok {
			return errnoFault
		}
	}
	events, ok := mem.Read(out, count*eventSize)
	if !ok {
		return errnoFault
	}
	clear(events)
	n := uint32(0)
	for i := uint32(0); i < count; i++ {
		s := subs[i*subscriptionSize:]
		kind := s[8]
		if kind == aboutClock && p.m.w.Now()+p.turn.ahead < until || kind == aboutRead && len(p.inbox.events) == 0 {
			continue
		}
		e := events[n*eventSize:]
		copy(e, s[:8])
		e[10] = kind
		n++
	}
	if !mem.WriteUint32Le(result, n) {
		return errnoFault
	}
	return 0
}
