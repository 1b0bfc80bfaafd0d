package guest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }

// Conn is a connection over the simulated network. The machine buffers what is
// written without bound, so that Write never waits.
type Conn struct {
	id            uint32
	local, remote addr

	mu     sync.Mutex
	change *sync.Cond // of anything below
	open   bool
	buf    []byte // what arrived and, from at on, was not read
	at     int
	err    error // what reads end with
	broken error // what writes end with
	closed bool

	deadline time.Time // of reads; zero: none
	late     bool      // it is over
	timer    *time.Timer
	due      time.Time // when the timer fires
}

func newConn(id uint32, local, remote addr) *Conn {
	c := &Conn{id: id, local: local, remote: remote, open: true}
	c.change = sync.NewCond(&c.mu)
	return c
}

// Dial connects to host:port.
func Dial(ctx context.Context, to string) (net.Conn, error) {
	p := running()
	c := newConn(0, "", addr(to))
	c.open = false
	p.mu.Lock()
	p.nextConn += 2
	c.id = p.nextConn
	p.conns[c.id] = c
	p.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.change.Broadcast()
	})
	defer stop()
	hostDial(c.id, to)
	c.mu.Lock()
	for !c.open && c.err == nil && ctx.Err() == nil {
		c.change.Wait()
	}
	open, err := c.open, c.err
	c.mu.Unlock()
	if open {
		return c, nil
	}
	if err == nil {
		err = ctx.Err()
	}
	c.Close()
	return nil, fmt.Errorf("dial %s: %w", to, err)
}

func (c *Conn) take(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Kind {
	case Opened:
		c.open = true
	case Refused:
		c.err = fmt.Errorf("%s", e.Data)
	case Data:
		if c.at > 0 && len(c.buf)+len(e.Data) > cap(c.buf) {
			c.buf, c.at = append(c.buf[:0], c.buf[c.at:]...), 0
		}
		c.buf = append(c.buf, e.Data...)
	case EOF:
		if c.err == nil {
			c.err = io.EOF
		}
	case Reset:
		c.buf, c.at, c.err, c.broken = nil, 0, syscall.ECONNRESET, syscall.ECONNRESET
	}
	c.change.Broadcast()
}

// An empty buffer that is larger than this is not kept for what arrives next.
const keptBuf = 64 << 10

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.late:
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case c.at < len(c.buf):
			n := copy(b, c.buf[c.at:])
			if c.at += n; c.at == len(c.buf) {
				if c.buf, c.at = c.buf[:0], 0; cap(c.buf) > keptBuf {
					c.buf = nil
				}
			}
			return n, nil
		case c.err != nil:
			return 0, c.err
		}
		c.change.Wait()
	}
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case c.broken != nil:
		return 0, c.broken
	case len(b) == 0:
		return 0, nil
	}
	if errno := hostSend(c.id, unsafe.Pointer(&b[0]), uint32(len(b))); errno != 0 {
		c.broken = syscall.Errno(errno)
		return 0, c.broken
	}
	return len(b), nil
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.change.Broadcast()
	c.mu.Unlock()
	machine.mu.Lock()
	delete(machine.conns, c.id)
	machine.mu.Unlock()
	hostClose(c.id)
	return nil
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn. Writes never wait, so that only reads have one.
func (c *Conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn. A timer that is set already and is due
// before the deadline stays: when it fires it is set again. Deadlines are
// moved far more often than they pass.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.deadline, c.late = t, false
	if t.IsZero() || c.timer != nil && !t.Before(c.due) {
		return nil
	}
	c.arm(time.Until(t))
	return nil
}

// arm sets the timer, or ends the reads if it is time. The caller holds mu.
func (c *Conn) arm(left time.Duration) {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if left <= 0 {
		c.late = true
		c.change.Broadcast()
		return
	}
	c.due = c.deadline
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.timer != timer || c.closed {
			return
		}
		c.timer = nil
		if !c.deadline.IsZero() {
			c.arm(time.Until(c.deadline))
		}
	})
	c.timer = timer
}

// Listener accepts connections at a port.
type Listener struct {
	port   uint16
	mu     sync.Mutex
	change *sync.Cond
	queue  []*Conn
	closed bool
}

// Listen listens at the port of host:port.
func Listen(at string) (net.Listener, error) {
	_, service, err := net.SplitHostPort(at)
	if err != nil {
		return nil, err
	}
	var port uint16
	if _, err := fmt.Sscan(service, &port); err != nil || port == 0 {
		return nil, fmt.Errorf("listen: %q is no port", service)
	}
	l := &Listener{port: port}
	l.change = sync.NewCond(&l.mu)
	p := running()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listeners[port] != nil {
		return nil, fmt.Errorf("listen %s: address already in use", at)
	}
	p.listeners[port] = l
	hostListen(uint32(port))
	return l, nil
}

func (l *Listener) deliver(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		go c.Close()
		return
	}
	l.queue = append(l.queue, c)
	l.change.Signal()
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		l.change.Wait()
	}
	if l.closed {
		return nil, net.ErrClosed
	}
	c := l.queue[0]
	l.queue = l.queue[1:]
	return c, nil
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	machine.mu.Lock()
	delete(machine.listeners, l.port)
	machine.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.closed = true
	for _, c := range l.queue {
		go c.Close()
	}
	l.queue = nil
	l.change.Broadcast()
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return addr(fmt.Sprintf(":%d", l.port)) }
