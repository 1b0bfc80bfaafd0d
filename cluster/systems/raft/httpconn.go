package raft

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"coup/cluster"
	"coup/harness"
)

// httpConn is a client of one node. It sends one request at a time, over one connection
// that is kept while it works. It starts no goroutines, so it also runs on simulated
// machines. Deadlines and Close end a request.
type httpConn struct {
	dial dialNode
	node string
	// greeting is a path that a node answers without doing anything; it is
	// asked for first on every new connection. May be empty.
	greeting string
	longest  int64        // the longest answer that is read, in bytes
	who      *credentials // nil: nobody asks for any

	life context.Context // ends with Close
	end  context.CancelFunc
	conn net.Conn // nil: not connected
	r    *bufio.Reader
}

// dialNode connects to the port of a node that clients use.
type dialNode func(ctx context.Context, node string) (net.Conn, error)

// port returns the way to a port of the nodes, by the port's name.
func port(a cluster.Access, name string) dialNode {
	return func(ctx context.Context, node string) (net.Conn, error) { return a.Dial(ctx, node, name) }
}

func newHTTPConn(dial dialNode, node string, who *credentials) *httpConn {
	c := &httpConn{dial: who.dial(dial), node: node, longest: maxAnswer, who: who}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// The longest answer that is read: a set with millions of elements.
const maxAnswer = 64 << 20

// An operation without a deadline of its own gets this one.
const defaultTimeout = 5 * time.Second

// do sends a request and reads the whole answer. An error wraps
// harness.ErrFail if not a byte of the request left this side, so that the
// node cannot have acted on it.
func (c *httpConn) do(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	if c.life.Err() != nil {
		return 0, nil, fmt.Errorf("%w: connection to %s was closed", harness.ErrFail, c.node)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(defaultTimeout)
	}
	if c.conn != nil && closedByPeer(c.conn) {
		c.drop()
	}
	if c.conn == nil {
		if err := c.connect(deadline); err != nil {
			return 0, nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
		}
	}
	return c.exchange(deadline, method, path, body)
}

// connect dials the node and makes sure that it answers. A forwarded port (as the engine
// publishes those of containers) accepts connections even if the node is dead. Without a
// greeting, nobody would know whether a request had reached the node.
func (c *httpConn) connect(deadline time.Time) error {
	conn, err := c.dial(dialing{c.life, deadline}, c.node)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", c.node, err)
	}
	c.conn, c.r = conn, bufio.NewReader(conn)
	if c.greeting == "" {
		return nil
	}
	if _, _, err := c.exchange(deadline, http.MethodGet, c.greeting, nil); err != nil {
		return fmt.Errorf("connect to %s: it does not answer: %v", c.node, err) // the greeting has no effect
	}
	if c.conn == nil {
		return fmt.Errorf("connect to %s: it hung up", c.node)
	}
	return nil
}

// exchange sends one request over the connection and reads the whole answer.
func (c *httpConn) exchange(deadline time.Time, method, path string, body []byte) (status int, answer []byte, err error) {
	keep := false
	defer func() {
		if !keep {
			c.drop()
		}
	}()
	if err := c.conn.SetDeadline(deadline); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	w := &countingWriter{w: c.conn}
	req := &http.Request{Method: method} // reading the answer needs no more of the request
	authorization := c.who.header()
	if plain, ok := plainRequest(method, c.node, path, authorization, body); ok {
		_, err = w.Write(plain)
	} else if req, err = http.NewRequest(method, "http://"+c.node+path, bytes.NewReader(body)); err == nil {
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		err = req.Write(w)
	}
	if err != nil {
		if w.n == 0 {
			return 0, nil, fmt.Errorf("%w: send to %s: %w", harness.ErrFail, c.node, err)
		}
		return 0, nil, fmt.Errorf("send to %s: %w", c.node, err)
	}
	// A connection may tell only once why it broke.
	if _, err := c.r.Peek(1); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, fmt.Errorf("answer of %s: %w", c.node, err)
	}
	if status, answer, keep = plainAnswer(c.r, c.longest); keep {
		return status, answer, nil
	}
	resp, err := http.ReadResponse(c.r, req)
	if err != nil {
		return 0, nil, fmt.Errorf("answer of %s: %w", c.node, err)
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, c.longest+1))
	if err != nil {
		return 0, nil, fmt.Errorf("answer of %s: %w", c.node, err)
	}
	if int64(len(answer)) > c.longest {
		return 0, nil, fmt.Errorf("answer of %s is longer than %d bytes", c.node, c.longest)
	}
	// Only what has a known end can be followed by another answer.
	keep = !resp.Close && resp.Body.Close() == nil && resp.ProtoAtLeast(1, 1)
	return resp.StatusCode, answer, nil
}

func (c *httpConn) drop() {
	if c.conn != nil {
		c.conn.Close()
		c.conn, c.r = nil, nil
	}
}

// Close ends the connection. It cannot be used again.
func (c *httpConn) Close() error {
	c.drop()
	c.end()
	return nil
}

// dialing is the context of a connection that outlives the operation it was
// made for: it is done when the connection's life ends, while the deadline of
// the operation bounds the dialling.
type dialing struct {
	context.Context
	deadline time.Time
}

func (d dialing) Deadline() (time.Time, bool) { return d.deadline, true }

// countingWriter counts the bytes that were sent, to know whether a request was sent at
// all.
type countingWriter struct {
	w io.Writer
	n int
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += n
	return n, err
}
