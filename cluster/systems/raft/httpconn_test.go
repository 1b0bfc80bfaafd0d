package raft

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"coup/cluster"
	"coup/harness"
)

// script is a server that answers each connection by one of its functions, in
// turn; the last one answers all that follow.
type script struct {
	t     *testing.T
	addr  string
	conns []func(conn net.Conn, r *bufio.Reader)

	mu       sync.Mutex
	accepted int
}

func serve(t *testing.T, conns ...func(conn net.Conn, r *bufio.Reader)) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, addr: l.Addr().String(), conns: conns}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			fn := s.conns[min(s.accepted, len(s.conns)-1)]
			s.accepted++
			s.mu.Unlock()
			all.Go(func() {
				defer conn.Close()
				fn(conn, bufio.NewReader(conn))
			})
		}
	})
	return s
}

func (s *script) dial(ctx context.Context, _ string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", s.addr)
}

func (s *script) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// request reads a whole request.
func request(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"value\":5}"

// always answers every request with the same text.
func always(text string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, r *bufio.Reader) {
		for request(r) {
			io.WriteString(conn, text)
		}
	}
}

// once answers one request and hangs up.
func once(text string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, r *bufio.Reader) {
		if request(r) {
			io.WriteString(conn, text)
		}
	}
}

func silent(conn net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }

func hangUp(net.Conn, *bufio.Reader) {}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// What an operation with an effect comes to, by what the server does. greet
// says that the connection is greeted first, by a good answer.
func TestOutcomes(t *testing.T) {
	greeted := func(then string) func(net.Conn, *bufio.Reader) {
		return func(conn net.Conn, r *bufio.Reader) {
			if request(r) {
				io.WriteString(conn, fine)
				once(then)(conn, r)
			}
		}
	}
	const ok, fail, info = "ok", "fail", "info"
	for name, c := range map[string]struct {
		server func(net.Conn, *bufio.Reader)
		want   string
	}{
		"answers":              {always(fine), ok},
		"never answers at all": {silent, fail},
		"hangs up at once":     {hangUp, fail},
		"hangs up":             {greeted(""), info},
		"half a status line":   {greeted("HTTP/1."), info},
		"half a header":        {greeted("HTTP/1.1 200 OK\r\nContent-Len"), info},
		"half a body":          {greeted("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"val"), info},
		"half a chunk":         {greeted("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"val"), info},
		"no length":            {greeted("HTTP/1.1 200 OK\r\n\r\n{\"value\":5}"), ok},
		"cut without a length": {greeted("HTTP/1.1 200 OK\r\n\r\n{\"value\":"), info},
		"not HTTP":             {greeted("hello\r\n\r\n"), info},
		"not JSON":             {greeted("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), info},
		"a proxy's error":      {greeted("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), info},
		"certainly not":        {greeted("HTTP/1.1 503 X\r\nContent-Length: 31\r\n\r\n{\"error\":\"x\",\"happened\":\"no\"}   "), fail},
		"perhaps":              {greeted("HTTP/1.1 504 X\r\nContent-Length: 36\r\n\r\n{\"error\":\"x\",\"happened\":\"unknown\"}   "), info},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.server)
			conn, err := System{}.Open(through(s.dial), "n1", cluster.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			outcome := func(err error) string {
				switch {
				case err == nil:
					return ok
				case errors.Is(err, harness.ErrFail):
					return fail
				}
				return info
			}
			patience := time.Minute // only a server that hangs takes so long
			if name == "never answers at all" {
				patience = 300 * time.Millisecond
			}
			err = conn.(cluster.Register).Write(within(t, patience), "k", 1)
			if got := outcome(err); got != c.want {
				t.Errorf("a write: %s (%v), want %s", got, err, c.want)
			}
			// A read has no effect, so that it is never in doubt.
			_, err = conn.(cluster.Register).Read(within(t, patience), "k")
			if got := outcome(err); got == info {
				t.Errorf("a read: %s (%v)", got, err)
			}
		})
	}
}

// piped serves every connection by fn, in memory, for a test whose clock is virtual.
func piped(fn func(conn net.Conn, r *bufio.Reader)) dialNode {
	return func(context.Context, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			fn(far, bufio.NewReader(far))
		}()
		return near, nil
	}
}

func TestTimeoutIsInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := piped(func(conn net.Conn, r *bufio.Reader) {
			if request(r) {
				io.WriteString(conn, fine) // the greeting
				silent(conn, r)
			}
		})
		conn, _ := System{}.Open(through(dial), "n1", cluster.Options{})
		defer conn.Close()
		start := time.Now()
		err := conn.(cluster.Queue).Enqueue(within(t, 100*time.Millisecond), "k", 1)
		if err == nil || errors.Is(err, harness.ErrFail) {
			t.Errorf("no answer in time: %v", err)
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("it took %v, want 100ms", took)
		}
	})
}

func TestConnectionIsKept(t *testing.T) {
	s := serve(t, always(fine))
	c := newHTTPConn(s.dial, "n1", nil)
	defer c.Close()
	before := runtime.NumGoroutine()
	for range 5 {
		// Each under a context of its own, that ends before the next.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if _, _, err := c.do(ctx, http.MethodGet, "/", nil); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	if n := s.connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
	if n := runtime.NumGoroutine(); n > before+1 { // one of the server's
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

// A connection that the server closed meanwhile is not used again: the next
// operation would end in doubt without need.
func TestReconnect(t *testing.T) {
	s := serve(t, once(fine))
	c := newHTTPConn(s.dial, "n1", nil)
	defer c.Close()
	for i := range 3 {
		if _, _, err := c.do(within(t, time.Minute), http.MethodPost, "/", []byte("{}")); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		for end := time.Now().Add(time.Minute); !closedByPeer(c.conn); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("a closed connection is not seen")
			}
		}
	}
	if n := s.connections(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

func TestNothingWasSent(t *testing.T) {
	refused := errors.New("refused")
	nowhere := func(context.Context, string) (net.Conn, error) { return nil, refused }
	s := serve(t, always(fine))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	closed := newHTTPConn(s.dial, "n1", nil)
	closed.Close()
	for name, try := range map[string]func() error{
		"no connection": func() error {
			_, _, err := newHTTPConn(nowhere, "n1", nil).do(within(t, time.Minute), http.MethodPost, "/", nil)
			if !errors.Is(err, refused) {
				return fmt.Errorf("the reason is lost: %w", err)
			}
			return err
		},
		"a context that ended": func() error {
			_, _, err := newHTTPConn(s.dial, "n1", nil).do(ended, http.MethodPost, "/", nil)
			return err
		},
		"a closed connection": func() error {
			_, _, err := closed.do(within(t, time.Minute), http.MethodPost, "/", nil)
			return err
		},
		"a path that is none": func() error {
			_, _, err := newHTTPConn(s.dial, "n1", nil).do(within(t, time.Minute), http.MethodPost, "/ \n", nil)
			return err
		},
	} {
		if err := try(); !errors.Is(err, harness.ErrFail) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An operation without a deadline does not last for ever.
func TestDialIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got time.Time
		dial := func(ctx context.Context, _ string) (net.Conn, error) {
			got, _ = ctx.Deadline()
			return nil, errors.New("no")
		}
		c := newHTTPConn(dial, "n1", nil)
		c.do(context.Background(), http.MethodGet, "/", nil)
		if left := time.Until(got); left != defaultTimeout {
			t.Errorf("dialling may take %v, want %v", left, defaultTimeout)
		}
		ctx := within(t, time.Minute)
		c.do(ctx, http.MethodGet, "/", nil)
		if want, _ := ctx.Deadline(); !got.Equal(want) {
			t.Errorf("dialling may last until %v, the operation until %v", got, want)
		}
	})
}

func TestLongAnswer(t *testing.T) {
	s := serve(t, func(conn net.Conn, r *bufio.Reader) {
		if request(r) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			io.Copy(conn, io.LimitReader(spaces{}, 1010))
		}
	})
	c := newHTTPConn(s.dial, "n1", nil)
	c.longest = 1000
	defer c.Close()
	_, _, err := c.do(within(t, time.Minute), http.MethodPost, "/", nil)
	if err == nil || errors.Is(err, harness.ErrFail) || !strings.Contains(err.Error(), "longer") {
		t.Errorf("an answer without end: %v", err)
	}
}

type spaces struct{}

func (spaces) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}
