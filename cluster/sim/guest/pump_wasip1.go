package guest

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

// pump reads the machine's events and passes each on to its connection or fsync.
type pump struct {
	mu        sync.Mutex
	conns     map[uint32]*Conn
	listeners map[uint16]*Listener
	syncs     map[uint32]chan error
	unused    []chan error // of syncs that are done
	nextConn  uint32
	nextSync  uint32
	stop      chan os.Signal
}

var machine = &pump{
	conns: map[uint32]*Conn{}, listeners: map[uint16]*Listener{}, syncs: map[uint32]chan error{},
	stop: make(chan os.Signal, 1),
}

var start sync.Once

// running returns the pump of this program.
func running() *pump {
	start.Do(func() {
		f, err := os.Open(EventsPath)
		if err != nil {
			panic(fmt.Sprintf("not on a simulated machine: %v", err))
		}
		go machine.run(f)
	})
	return machine
}

// run reads forever. Whenever a read would have to wait, the runtime waits for the
// machine and then calls it again. So it only reads when there are events.
func (p *pump) run(f *os.File) {
	raw, err := f.SyscallConn()
	if err == nil {
		buf, waited := make([]byte, 64<<10), false
		err = raw.Read(func(fd uintptr) (done bool) {
			if !waited {
				waited = true
				return false
			}
			n, err := syscall.Read(int(fd), buf)
			if err == syscall.EAGAIN {
				return false
			}
			if err != nil {
				panic(fmt.Sprintf("events of the machine: %v", err))
			}
			for rest := buf[:n]; ; {
				var e Event
				var ok bool
				if e, rest, ok = Next(rest); !ok {
					return false
				}
				p.take(e)
			}
		})
	}
	panic(fmt.Sprintf("events of the machine: %v", err))
}

func (p *pump) take(e Event) {
	p.mu.Lock()
	c := p.conns[e.ID]
	p.mu.Unlock()
	switch e.Kind {
	case Accepted:
		p.accept(e)
	case Synced:
		p.mu.Lock()
		done := p.syncs[e.ID]
		delete(p.syncs, e.ID)
		p.mu.Unlock()
		var err error
		if len(e.Data) > 0 {
			err = os.NewSyscallError("fsync", syscall.Errno(e.Data[0]))
		}
		done <- err
	case Terminate:
		select {
		case p.stop <- syscall.SIGTERM:
		default:
		}
	default:
		if c != nil { // or it was closed meanwhile
			c.take(e)
		}
	}
}

func (p *pump) accept(e Event) {
	port := uint16(e.Data[0])<<8 | uint16(e.Data[1])
	p.mu.Lock()
	l := p.listeners[port]
	if l == nil {
		p.mu.Unlock()
		hostClose(e.ID)
		return
	}
	c := newConn(e.ID, addr(fmt.Sprintf(":%d", port)), addr(e.Data[2:]))
	p.conns[e.ID] = c
	p.mu.Unlock()
	l.deliver(c)
}

// Terminated receives when the machine asks the program to end.
func Terminated() <-chan os.Signal { return running().stop }

// Sync does what fsync does to the file or directory at path, and lets other
// goroutines run meanwhile.
func Sync(path string) error {
	p := running()
	p.mu.Lock()
	var done chan error
	if n := len(p.unused); n > 0 {
		done, p.unused = p.unused[n-1], p.unused[:n-1]
	} else {
		done = make(chan error, 1)
	}
	p.nextSync++
	id := p.nextSync
	p.syncs[id] = done
	p.mu.Unlock()
	hostSync(id, path)
	err := <-done
	p.mu.Lock()
	p.unused = append(p.unused, done)
	p.mu.Unlock()
	return err
}
