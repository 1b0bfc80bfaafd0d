package simulated

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// Server serves the part of HTTP/1.1 that the node's clients use: requests
// with a Content-Length, one after the other on a connection. On a simulated
// machine, where it is used, it takes a fraction of the time that http.Server
// does, which watches each connection while it answers.
type Server struct {
	handler http.Handler
	most    int64 // bytes of a body
	who     func(context.Context, net.Conn) context.Context

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool // whether a request is being answered
	closing  bool
	idle     sync.WaitGroup // of the requests being answered
}

// NewServer returns a server whose requests have bodies of at most so many bytes. who makes
// the context of a connection's requests; nil: they have none of their own.
func NewServer(h http.Handler, mostBody int, who func(context.Context, net.Conn) context.Context) *Server {
	return &Server{handler: h, most: int64(mostBody), who: who, conns: map[net.Conn]bool{}}
}

// Serve answers until Shutdown or Close, as http.Server does.
func (s *Server) Serve(l net.Listener) error {
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
func (s *Server) begin(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.conns[conn] = true
	s.idle.Add(1)
	return true
}

func (s *Server) end(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.conns[conn]; open {
		s.conns[conn] = false
	}
	s.idle.Done()
}

func (s *Server) converse(conn net.Conn) {
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
	r, w := bufio.NewReader(conn), &smallResponse{header: http.Header{}}
	var ctx context.Context
	if s.who != nil {
		ctx = s.who(context.Background(), conn)
	}
	for !closing {
		req, err := readSmallRequest(r, s.most)
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
		if ctx != nil {
			req = req.WithContext(ctx)
		}
		w.reset()
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

// maxHeaders bounds what a client may send.
const maxHeaders = 100

// smallRequest is a request and what it points to.
type smallRequest struct {
	http.Request
	url  url.URL
	body bytes.Reader
}

// readSmallRequest reads a request. It drops all headers that it does not need itself, but
// Authorization, because the node does not look at them.
func readSmallRequest(r *bufio.Reader, most int64) (*http.Request, error) {
	line, err := readLine(r)
	if err != nil {
		return nil, err
	}
	method, rest, ok := bytes.Cut(line, []byte(" "))
	target, proto, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || string(proto) != "HTTP/1.1" || len(target) == 0 || target[0] != '/' {
		return nil, &badRequest{"not a request in HTTP/1.1"}
	}
	req := &smallRequest{}
	switch string(method) {
	case http.MethodPost:
		req.Method = http.MethodPost
	case http.MethodGet:
		req.Method = http.MethodGet
	default:
		req.Method = string(method)
	}
	req.RequestURI = string(target)
	req.URL, req.Body = &req.url, http.NoBody
	req.url.Path, req.url.RawQuery, _ = strings.Cut(req.RequestURI, "?")
	req.Proto, req.ProtoMajor, req.ProtoMinor = "HTTP/1.1", 1, 1
	for n := 0; ; n++ {
		line, err := readLine(r)
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || n == maxHeaders {
			return nil, &badRequest{"bad header"}
		}
		value = bytes.TrimSpace(value)
		switch {
		case isWord(name, "Content-Length"):
			if req.ContentLength, err = strconv.ParseInt(string(value), 10, 64); err != nil || req.ContentLength < 0 || req.ContentLength > most {
				return nil, &badRequest{"bad length"}
			}
		case isWord(name, "Transfer-Encoding"):
			return nil, &badRequest{"a body needs a Content-Length"}
		case isWord(name, "Authorization"):
			req.Header = http.Header{"Authorization": {string(value)}}
		case isWord(name, "Connection"):
			req.Close = isWord(value, "close")
		}
	}
	if req.ContentLength > 0 {
		body := make([]byte, req.ContentLength)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, err
		}
		req.body.Reset(body)
		req.Body = io.NopCloser(&req.body)
	}
	return &req.Request, nil
}

// isWord compares without regard to case.
func isWord(b []byte, word string) bool {
	return len(b) == len(word) && strings.EqualFold(string(b), word)
}

// readLine reads a line that is no longer than the reader's buffer, and is good
// until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, &badRequest{"line too long"}
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// smallResponse gathers an answer, and then the next one.
type smallResponse struct {
	header    http.Header
	status    int
	body, out []byte
}

func (w *smallResponse) reset() {
	clear(w.header)
	w.status, w.body = http.StatusOK, w.body[:0]
}

func (w *smallResponse) Header() http.Header    { return w.header }
func (w *smallResponse) WriteHeader(status int) { w.status = status }
func (w *smallResponse) Write(b []byte) (int, error) {
	w.body = append(w.body, b...)
	return len(b), nil
}

func (w *smallResponse) encode() []byte {
	b := w.out[:0]
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
	w.out = append(b, w.body...)
	return w.out
}

// Shutdown lets requests that are being answered end, as http.Server does.
func (s *Server) Shutdown(ctx context.Context) error {
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
func (s *Server) Close() error {
	s.stop(true)
	return nil
}

// stop closes the listener and the connections; busy ones only if told so.
func (s *Server) stop(busy bool) {
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
