package clientcheck

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net"
	"regexp"
	"strconv"
	"sync"
)

// endpoint is a way in which an address misbehaves.
type endpoint struct {
	where string
	reset bool // the connection is reset when a request has come; else nothing is said
}

var endpoints = []endpoint{
	{where: "the request is taken and never answered"},
	{where: "the connection is reset when the request has come", reset: true},
}

// refusing is an address where nobody listens.
func refusing() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// listener is an endpoint that listens, and remembers what it was sent.
type listener struct {
	address string
	l       net.Listener
	mu      sync.Mutex // guards below
	sent    bytes.Buffer
	conns   []net.Conn
}

func listen(e endpoint) (*listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := &listener{address: l.Addr().String(), l: l}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			at.mu.Lock()
			at.conns = append(at.conns, conn)
			at.mu.Unlock()
			go at.serve(e, conn)
		}
	}()
	return at, nil
}

// mostSent bounds what is remembered.
const mostSent = 1 << 20

func (at *listener) serve(e endpoint, conn net.Conn) {
	b := make([]byte, 1<<16)
	for {
		n, err := conn.Read(b)
		at.mu.Lock()
		if at.sent.Len() < mostSent {
			at.sent.Write(b[:n])
		}
		at.mu.Unlock()
		if err == nil && !e.reset {
			continue
		}
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			tcp.SetLinger(0) // closing it resets the connection
		}
		conn.Close()
		return
	}
}

func (at *listener) close() {
	at.l.Close()
	at.mu.Lock()
	defer at.mu.Unlock()
	for _, c := range at.conns {
		c.Close()
	}
}

// number is one of those that operations writes.
var number = regexp.MustCompile(strconv.Itoa(odd/100) + `\d\d`)

// got reports whether the value of an operation is in what was sent, so that the operation
// itself was: as text, or as a binary number. false: nobody knows.
func (at *listener) got(value any) bool {
	text, err := json.Marshal(value)
	if err != nil {
		return false
	}
	digits := number.Find(text)
	n, err := strconv.ParseUint(string(digits), 10, 32)
	if err != nil {
		return false
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	sent := at.sent.Bytes()
	return bytes.Contains(sent, digits) || bytes.Contains(sent, binary.BigEndian.AppendUint32(nil, uint32(n))) ||
		bytes.Contains(sent, binary.LittleEndian.AppendUint32(nil, uint32(n)))
}
