package clientcheck

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net"
	"regexp"
	"slices"
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
// itself was: as text or as a binary number, or either of them in base64 or hex. false:
// nobody knows.
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
	return slices.ContainsFunc(forms(digits, n), func(form []byte) bool { return bytes.Contains(at.sent.Bytes(), form) })
}

// sentAny reports whether anything was sent.
func (at *listener) sentAny() bool {
	at.mu.Lock()
	defer at.mu.Unlock()
	return at.sent.Len() > 0
}

// forms are the bytes in which a number may be sent. Each is long enough to be there by
// chance never.
func forms(digits []byte, n uint64) (all [][]byte) {
	encoded := func(b []byte, coding *base64.Encoding) {
		// The text may lie anywhere in what is encoded: three bytes are four characters,
		// and only those count that no byte before or after it has a part in.
		for before := range 3 {
			padded := append(make([]byte, before), b...)
			chars := coding.EncodeToString(padded)
			first, last := (before*8+5)/6, len(padded)*8/6
			all = append(all, []byte(chars[first:last]))
		}
	}
	big, little := binary.BigEndian.AppendUint32(nil, uint32(n)), binary.LittleEndian.AppendUint32(nil, uint32(n))
	all = append(all, digits, big, little)
	encoded(digits, base64.RawStdEncoding) // digits are the same in the alphabet for URLs
	for _, b := range [][]byte{binary.BigEndian.AppendUint64(nil, n), binary.LittleEndian.AppendUint64(nil, n)} {
		encoded(b, base64.RawStdEncoding)
		encoded(b, base64.RawURLEncoding)
	}
	for _, b := range [][]byte{digits, big, little} {
		text := hex.AppendEncode(nil, b)
		all = append(all, text, bytes.ToUpper(text))
	}
	return all
}
