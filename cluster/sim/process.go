package sim

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
	"coup/cluster/trace"
	"coup/harness"
)

// What a program is charged for asking the machine something. It makes a
// program that does nothing but look at the clock see it move.
const (
	costOfClock = 100 * time.Nanosecond
	costOfCall  = time.Microsecond
)

// process is a program that runs on a machine.
type process struct {
	m      *machine
	number int // of the machine's processes
	module api.Module
	next   func() (struct{}, bool)
	end    func()
	yield  func(struct{}) bool

	running bool          // has control
	ahead   time.Duration // of the world's time, while it has control
	free    time.Duration // it has no control before this
	parked  bool
	wakeUp  ticket // the newest
	due     func() // what wake-ups do
	polling bool   // parked until events come, too
	missed  bool   // a wake-up that came while the machine was frozen

	inbox  []guest.Event
	taken  int // bytes of the first event's data that were read
	lastID uint32
	output lines
	errors lines

	ended   bool
	killed  bool
	code    int
	refused int  // times that the disk did not do what it was asked to, or read wrong
	full    bool // the call that it is in found the disk full
	failed  error
}

// lines hands over what is written line by line.
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

// start starts the machine's program as a new process.
func (m *machine) start(ctx context.Context) {
	m.started++
	p := &process{m: m, number: m.started}
	p.output.line = func(b []byte) { m.output(b) }
	p.errors.line = p.output.line
	random := rand.NewChaCha8(m.seedOf("process", p.number))
	config := wazero.NewModuleConfig().WithName("").
		WithArgs(append([]string{"node"}, m.args...)...).WithEnv("PWD", "/").WithEnv("GOGC", "800").
		WithStdout(&p.output).WithStderr(&p.errors).
		WithRandSource(random).
		WithFSConfig(wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(files{p: p}, "/"))
	ctx = &within{withMemory(context.WithoutCancel(ctx), m.program.pages), p}
	p.next, p.end = iter.Pull(func(yield func(struct{}) bool) {
		p.yield = yield
		mod, err := m.program.runtime.InstantiateModule(ctx, m.program.module, config)
		p.exited(err)
		if mod != nil {
			mod.Close(ctx)
		}
	})
	p.due = func() {
		if p.parked {
			p.resume()
		}
	}
	m.process = p
	m.w.trace.node(trace.Boot, m.name, p.number, "")
	p.parked = true
	p.wakeAt(m.w.now + m.startTime())
}

// exited notes how the program ended.
func (p *process) exited(err error) {
	var exit *wsys.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		p.code = int(exit.ExitCode())
	default:
		p.code, p.failed = 1, err
	}
}

// wakeAt resumes the process at a time. Earlier wake-ups do not count any more.
func (p *process) wakeAt(at time.Duration) {
	p.m.w.queue.callOff(p.wakeUp)
	p.wakeUp = p.m.w.at(max(at, p.free), p.due)
}

// resume gives the process control until it waits for something or ends.
func (p *process) resume() {
	if p.ended {
		return
	}
	if p.m.frozen {
		p.missed = true
		return
	}
	p.m.w.trace.wake(p)
	p.parked, p.polling, p.running, p.ahead = false, false, true, p.m.turnTime()
	p.m.w.watchdog.begin(&p.m.name)
	_, more := p.next()
	p.m.w.watchdog.finish()
	p.running = false
	if !more {
		p.over()
	}
}

// over is when the program has ended, by itself or not.
func (p *process) over() {
	if p.ended {
		return
	}
	p.ended = true
	p.output.flush()
	p.errors.flush()
	if p.failed != nil {
		p.m.output(fmt.Appendf(nil, "machine: the program failed: %v", p.failed))
	}
	p.inbox = nil
	p.m.w.trace.exit(p)
	p.m.processEnded(p)
}

// kill ends the process at once. The caller is never the process itself.
func (p *process) kill() {
	if p.ended {
		return
	}
	p.killed = true
	p.end()
	p.code = exitKilled
	p.over()
}

// park gives control back until the time until, and if polling until there is
// an event. It is called from within the program's calls.
func (p *process) park(until time.Duration, polling bool) {
	p.free = p.m.w.now + p.ahead
	p.m.busy += p.ahead
	p.parked, p.polling = true, polling
	if until != harness.Forever {
		p.wakeAt(until)
	} else {
		p.m.w.queue.callOff(p.wakeUp)
	}
	p.running = false
	if !p.yield(struct{}{}) {
		// Killed. The panic unwinds the program; closing the module makes
		// sure that nothing of it goes on.
		p.module.CloseWithExitCode(context.Background(), exitKilled)
		panic(wsys.NewExitError(exitKilled))
	}
}

// spend charges the program for a call.
func (p *process) spend(d time.Duration) {
	p.m.w.calls++
	p.ahead += d * time.Duration(p.m.slowness())
}

// lead implements owner.
func (p *process) lead() time.Duration {
	if p.running {
		return p.ahead
	}
	return 0
}

// notify implements owner.
func (p *process) notify(s *socket, kind byte, data []byte) { p.tell(kind, s.id, data) }

// tell gives the program an event.
func (p *process) tell(kind byte, id uint32, data []byte) {
	if p.ended {
		return
	}
	p.inbox = append(p.inbox, guest.Event{Kind: kind, ID: id, Data: data})
	if p.parked && p.polling {
		p.polling = false
		p.wakeAt(p.m.w.now)
	}
}

// terminate asks the program to end.
func (p *process) terminate() {
	p.m.w.trace.node(trace.Terminate, p.m.name, p.number, "")
	p.tell(guest.Terminate, 0, nil)
}

// readEvents moves as many events as fit into b.
func (p *process) readEvents(b []byte) int {
	out, read := b[:0], 0
	for ; read < len(p.inbox); read++ {
		e := p.inbox[read]
		e.Data = e.Data[p.taken:]
		room := cap(out) - len(out) - guest.HeaderSize
		if room < len(e.Data) {
			// Bytes of a connection can come in pieces; nothing else is large.
			if e.Kind != guest.Data || room <= 0 {
				break
			}
			e.Data = e.Data[:room]
			p.taken += room
			out = e.Append(out)
			break
		}
		out = e.Append(out)
		p.taken = 0
	}
	p.inbox = slices.Delete(p.inbox, 0, read) // its room is for those that come
	return len(out)
}

// nextID is the id of a connection that the program is about to accept.
func (p *process) nextID() uint32 {
	p.lastID += 2
	return p.lastID - 1
}

// monotonic is what the program's monotonic clock shows. It is never 0.
func (p *process) monotonic() int64 { return int64(p.m.clock.monotonic(p.m.w.now + p.lead())) }

// wall is what the program's wall clock shows, in Unix nanoseconds.
func (p *process) wall() int64 {
	return p.m.clock.wall(p.m.w.now + p.lead())
}

func (p *process) dial(id uint32, addr string) {
	to, service, err := net.SplitHostPort(addr)
	port, err2 := strconv.Atoi(service)
	if err = errors.Join(err, err2); err != nil {
		p.tell(guest.Refused, id, []byte(err.Error()))
		return
	}
	p.m.net.connect(p, id, p.m.name, to, port)
}

// sync is an fsync that the program does not wait for.
func (p *process) sync(id uint32, path string) {
	d := p.m.disk
	n, errno := d.walk(path)
	if errno != 0 {
		p.tell(guest.Synced, id, []byte{errnoNoEntry})
		return
	}
	traced := p.m.w.trace.sync(p, path)
	p.m.fsync(n, p.ahead, func(errno sys.Errno) {
		if p.ended {
			return
		}
		p.m.w.trace.synced(p, path, traced, errno)
		if errno == 0 {
			p.tell(guest.Synced, id, nil)
			return
		}
		p.refused++
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
func (p *process) poll(mem api.Memory, in, out, count, result uint32) uint32 {
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
			until = min(until, p.m.w.now+p.ahead+p.m.clock.span(d))
		case aboutRead:
			reading = true
		}
	}
	if due := p.m.w.now + p.ahead; until > due && !(reading && len(p.inbox) > 0) {
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
		if kind == aboutClock && p.m.w.now+p.ahead < until || kind == aboutRead && len(p.inbox) == 0 {
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
