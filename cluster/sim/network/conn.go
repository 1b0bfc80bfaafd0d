package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"coup/cluster/sim/guest"
	"coup/cluster/sim/world"
	"coup/harness"
)

// conn is a client's end of a connection, for use by tasks of the world.
type conn struct {
	net     *Network
	s       *Socket
	open    bool
	buf     []byte
	err     error // what reads end with
	broken  bool  // reset by the peer
	closed  bool
	until   time.Duration // the deadline
	waiting *world.Task
}

// Dial connects from the clients' side to a port of a node. The deadline of
// ctx is by the world's clock; see world.Epoch.
func (n *Network) Dial(ctx context.Context, to string, port int) (net.Conn, error) {
	c := &conn{net: n, until: harness.Forever}
	until := harness.Forever
	if t, ok := ctx.Deadline(); ok {
		until = t.Sub(world.Epoch)
	}
	c.s = n.Connect(c, 0, "", to, port)
	for !c.open && c.err == nil && n.w.Now() < until && ctx.Err() == nil {
		c.park(until)
	}
	if c.open {
		return c, nil
	}
	err := c.err
	if err == nil {
		err = os.ErrDeadlineExceeded
	}
	c.s.Close()
	return nil, fmt.Errorf("dial %s: %w", net.JoinHostPort(to, strconv.Itoa(port)), err)
}

func (c *conn) park(until time.Duration) {
	c.waiting = c.net.w.Current()
	c.waiting.Park(until)
	c.waiting = nil
}

// Lead implements Owner: a client is where the world is.
func (c *conn) Lead() time.Duration { return 0 }

// Notify implements Owner.
func (c *conn) Notify(_ *Socket, kind byte, data []byte) {
	switch kind {
	case guest.Opened:
		c.open = true
	case guest.Refused:
		c.err = fmt.Errorf("%s", data)
	case guest.Data:
		if len(c.buf) == 0 {
			c.buf = data[:len(data):len(data)] // without room to append: the sender may use the rest
			break
		}
		c.buf = append(c.buf, data...)
	case guest.EOF:
		c.err = io.EOF
	case guest.Reset:
		c.buf, c.err, c.broken = nil, syscall.ECONNRESET, true
	}
	if c.waiting != nil {
		c.waiting.Wake()
	}
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case len(b) == 0:
			return 0, nil
		case len(c.buf) > 0:
			n := copy(b, c.buf)
			c.buf = c.buf[n:]
			return n, nil
		case c.err != nil:
			return 0, c.err
		case c.net.w.Now() >= c.until:
			return 0, os.ErrDeadlineExceeded
		}
		c.park(c.until)
	}
}

// Write implements net.Conn. If it is known that the peer has hung up, it fails before it
// sends anything. Then the operation certainly did not happen.
func (c *conn) Write(b []byte) (int, error) {
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case c.broken:
		return 0, syscall.ECONNRESET
	case c.err != nil:
		return 0, syscall.EPIPE
	case c.net.w.Now() >= c.until:
		return 0, os.ErrDeadlineExceeded
	}
	if err := c.s.Send(append([]byte(nil), b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close implements net.Conn.
func (c *conn) Close() error {
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	c.s.Close()
	return nil
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return address("client") }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return address(c.s.remote) }

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// SetDeadline implements net.Conn. Its time is by the world's clock; see world.Epoch.
func (c *conn) SetDeadline(t time.Time) error {
	c.until = harness.Forever
	if !t.IsZero() {
		c.until = t.Sub(world.Epoch)
	}
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { return c.SetDeadline(t) }

// SetWriteDeadline implements net.Conn. Writes do not wait.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
