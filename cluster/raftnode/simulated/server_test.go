package simulated

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSmallServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	s := NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-leave
		}
		body, err := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %v", r.Method, r.URL.Path, body, err)
	}), 2<<20, nil)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	base := "http://" + l.Addr().String()

	// What net/http makes of it, over one connection.
	dials := 0
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials++
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}}
	for _, body := range []string{"", "x", strings.Repeat("long ", 100_000)} {
		resp, err := client.Post(base+"/path?q=1", "text/plain", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if want := "POST /path " + body + " <nil>"; err != nil || string(got) != want || resp.StatusCode != http.StatusTeapot || resp.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("%s, %.60q, %v", resp.Status, got, err)
		}
		resp.Body.Close()
	}
	if dials != 1 {
		t.Errorf("%d connections", dials)
	}

	for name, c := range map[string]struct{ send, want string }{
		"close":           {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 418 "},
		"garbage":         {"hello\r\n\r\n", "HTTP/1.1 400 "},
		"old":             {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 400 "},
		"chunked":         {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 400 "},
		"negative length": {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400 "},
		"too long":        {"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 400 "},
		"long line":       {"GET /" + strings.Repeat("a", 10_000) + " HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
		"no colon":        {"GET / HTTP/1.1\r\nnonsense\r\n\r\n", "HTTP/1.1 400 "},
		"cut off":         {"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc", ""},
	} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(time.Minute)) // only a server that hangs takes so long
		io.WriteString(conn, c.send)
		conn.(*net.TCPConn).CloseWrite()
		got, _ := io.ReadAll(conn)
		if !strings.HasPrefix(string(got), c.want) || c.want == "" && len(got) > 0 {
			t.Errorf("%s: %.60q, want %q", name, got, c.want)
		}
		conn.Close()
	}

	// A shutdown lets what is under way end, and takes nothing new.
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /slow HTTP/1.1\r\n\r\n")
	<-entered
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(t.Context()) }()
	if err := <-served; err != http.ErrServerClosed {
		t.Errorf("serve ended with %v", err)
	}
	close(leave)
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != http.StatusTeapot {
		t.Errorf("what was under way: %v, %v", resp, err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) != 0 {
		t.Errorf("%d connections are left", len(s.conns))
	}
}
