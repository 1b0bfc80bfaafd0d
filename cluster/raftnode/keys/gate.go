package keys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// MostHandshakes is how many handshakes may be under way at a gate. One more ends the one
// that has lasted longest: slow ones keep nobody out.
const MostHandshakes = 32

// Gate is a listener that hands out connections whose handshake is over.
type Gate struct {
	net.Listener
	store *Store
	admit func(Identity) error

	admitted chan *Conn
	closed   chan struct{}
	once     sync.Once
	failure  error // why there will be no more connections; read after closed

	mu      sync.Mutex
	waiting []net.Conn // whose handshake is under way, the oldest first
}

// Conn is a connection of somebody who was let in.
type Conn struct {
	*tls.Conn
	Who Identity
	// Unchecked: nobody looked at who it is (see Flaws.FailOpen).
	Unchecked bool
}

// NewGate puts a gate before a listener, which it closes in the end. admit says who may
// connect of those whose certificate is in order: see Store.Peers, Store.Anybody.
func NewGate(l net.Listener, store *Store, admit func(Identity) error) *Gate {
	g := &Gate{Listener: l, store: store, admit: admit, admitted: make(chan *Conn), closed: make(chan struct{})}
	go g.run()
	return g
}

func (g *Gate) run() {
	for {
		conn, err := g.Listener.Accept()
		if err != nil && !errors.Is(err, net.ErrClosed) {
			time.Sleep(10 * time.Millisecond) // one that failed is not all
			continue
		}
		if err != nil {
			g.failure = err
			g.end()
			return
		}
		g.mu.Lock()
		full := len(g.waiting) >= MostHandshakes
		if full && g.store.flaws.FailOpen {
			g.mu.Unlock()
			go g.unchecked(conn)
			continue
		}
		if full {
			g.waiting[0].Close()
			g.waiting = slices.Delete(g.waiting, 0, 1)
		}
		g.waiting = append(g.waiting, conn)
		g.mu.Unlock()
		go g.handshake(conn)
	}
}

func (g *Gate) handshake(conn net.Conn) {
	var who Identity
	ok := g.shake(conn, g.store.server(g.admit, &who))
	g.mu.Lock()
	if i := slices.Index(g.waiting, conn); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	g.mu.Unlock()
	if ok != nil {
		g.hand(&Conn{Conn: ok, Who: who})
	}
}

// shake returns nil if the handshake failed; then the connection is closed.
func (g *Gate) shake(conn net.Conn, c *tls.Config) *tls.Conn {
	ctx, cancel := context.WithTimeout(context.Background(), HandshakeTimeout)
	defer cancel()
	out := tls.Server(conn, c)
	if err := out.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil
	}
	return out
}

// unchecked lets anybody in (Flaws.FailOpen).
func (g *Gate) unchecked(conn net.Conn) {
	c := base()
	c.Certificates = []tls.Certificate{g.store.current().cert}
	if out := g.shake(conn, c); out != nil {
		g.hand(&Conn{Conn: out, Unchecked: true})
	}
}

func (g *Gate) hand(c *Conn) {
	select {
	case g.admitted <- c:
	case <-g.closed:
		c.Close()
	}
}

// Accept implements net.Listener.
func (g *Gate) Accept() (net.Conn, error) {
	select {
	case c := <-g.admitted:
		return c, nil
	case <-g.closed:
		return nil, g.failure
	}
}

func (g *Gate) end() {
	g.once.Do(func() { close(g.closed) })
}

// Close implements net.Listener.
func (g *Gate) Close() error {
	err := g.Listener.Close() // which ends run
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.waiting {
		c.Close()
	}
	return err
}

// signedBy says whether the certificate of the other side is one of the authority.
func signedBy(l *loaded, cs tls.ConnectionState) error {
	_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: l.pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}
