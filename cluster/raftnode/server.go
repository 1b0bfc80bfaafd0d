package raftnode

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// server is what a node needs of an http.Server.
type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}

// smallServer serves the part of HTTP/1.1 that the node's clients use: requests
// with a Content-Length, one after the other on a connection. On a simulated
// machine, where it is used, it takes a fraction of the time that http.Server
// does, which watches each connection while it answers.
type smallServer struct {
	handler http.Handler

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool // whether a request is being answered
	closing  bool
	idle     sync.WaitGroup // of the requests being answered
}

func newSmallServer(h http.Handler) *smallServer {
	return &smallServer{handler: h, conns: map[net.Conn]bool{}}
}

// Serve answers until Shutdown or Close, as http.Server does.
func (s *smallServer) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listener = l
	closing := s.closing
	s.mu.Unlock()
	if closing {
		l.Close()
		return http.ErrServerClosed
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.closing {
				return http.ErrServerClosed
			}
			return err
		}
		go s.converse(conn)
	}
}

// begin and end say that a request on conn is being answered.
func (s *smallServer) begin(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.conns[conn] = true
	s.idle.Add(1)
	return true
}

func (s *smallServer) end(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.conns[conn]; open {
		s.conns[conn] = false
	}
	s.idle.Done()
}

func (s *smallServer) converse(conn net.Conn) {
	s.mu.Lock()
	s.conns[conn] = false
	closing := s.closing
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		conn.Close()
	}()
	r := bufio.NewReader(conn)
	for !closing {
		req, err := readSmallRequest(r)
		if err != nil {
			var bad *badRequest
			if errors.As(err, &bad) {
				fmt.Fprintf(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(bad.why), bad.why)
			}
			return
		}
		if !s.begin(conn) {
			return
		}
		w := &smallResponse{header: http.Header{}, status: http.StatusOK}
		s.handler.ServeHTTP(w, req)
		_, err = conn.Write(w.encode())
		s.end(conn)
		if err != nil || req.Close {
			return
		}
	}
}

// badRequest is what cannot be understood.
type badRequest struct{ why string }

func (e *badRequest) Error() string { return e.why }

// Bounds on what a client may send.
const (
	maxHeaders = 100
	maxSmall   = 2 * maxBody
)

func readSmallRequest(r *bufio.Reader) (*http.Request, error) {
	line, err := readLine(r)
	if err != nil {
		return nil, err
	}
	method, rest, ok := strings.Cut(line, " ")
	target, proto, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || proto != "HTTP/1.1" || !strings.HasPrefix(target, "/") {
		return nil, &badRequest{"not a request in HTTP/1.1"}
	}
	path, query, _ := strings.Cut(target, "?")
	req := &http.Request{
		Method: method, URL: &url.URL{Path: path, RawQuery: query}, RequestURI: target,
		Proto: proto, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody,
	}
	for n := 0; ; n++ {
		line, err := readLine(r)
		if err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || n == maxHeaders {
			return nil, &badRequest{"bad header"}
		}
		value = strings.TrimSpace(value)
		switch name = textproto.CanonicalMIMEHeaderKey(name); name {
		case "Host":
			req.Host = value
		case "Content-Length":
			if req.ContentLength, err = strconv.ParseInt(value, 10, 64); err != nil || req.ContentLength < 0 || req.ContentLength > maxSmall {
				return nil, &badRequest{"bad length"}
			}
		case "Transfer-Encoding":
			return nil, &badRequest{"a body needs a Content-Length"}
		case "Connection":
			req.Close = strings.EqualFold(value, "close")
		default:
			req.Header[name] = append(req.Header[name], value)
		}
	}
	if req.ContentLength > 0 {
		body := make([]byte, req.ContentLength)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	return req, nil
}

// readLine reads a line that is no longer than the reader's buffer.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", &badRequest{"line too long"}
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

// smallResponse gathers an answer.
type smallResponse struct {
	header http.Header
	status int
	body   []byte
}

func (w *smallResponse) Header() http.Header    { return w.header }
func (w *smallResponse) WriteHeader(status int) { w.status = status }
func (w *smallResponse) Write(b []byte) (int, error) {
	w.body = append(w.body, b...)
	return len(b), nil
}

func (w *smallResponse) encode() []byte {
	b := make([]byte, 0, 128+len(w.body))
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(append(b, ' '), http.StatusText(w.status)...)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(w.body)), 10)
	b = append(b, "\r\n"...)
	if t := w.header.Get("Content-Type"); t != "" {
		b = append(append(append(b, "Content-Type: "...), t...), "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, w.body...)
}

// Shutdown lets requests that are being answered end, as http.Server does.
func (s *smallServer) Shutdown(ctx context.Context) error {
	s.stop(false)
	done := make(chan struct{})
	go func() {
		s.idle.Wait()
		close(done)
	}()
	select {
	case <-done:
		return s.Close()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends everything at once.
func (s *smallServer) Close() error {
	s.stop(true)
	return nil
}

// stop closes the listener and the connections; busy ones only if told so.
func (s *smallServer) stop(busy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	if s.listener != nil {
		s.listener.Close()
	}
	for conn, answering := range s.conns {
		if busy || !answering {
			conn.Close()
			delete(s.conns, conn)
		}
	}
}
