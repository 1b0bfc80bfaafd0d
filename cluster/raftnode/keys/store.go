package keys

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Flaws are deliberate mistakes.
type Flaws struct {
	FailOpen  bool // while as many handshakes are under way as there may be, the next are left out
	OldTokens bool // a token that was good once stays good
	AnyName   bool // a certificate of the authority is one of a node, whatever its name
}

// Store is what a node knows of its keys. It is safe for concurrent use.
type Store struct {
	path  string
	peers []string // the names of all nodes
	flaws Flaws
	told  func(generation int) // of new keys that were read

	mu   sync.Mutex
	raw  []byte
	mark mark // of the file that raw was read from, or of one before
	now  *loaded
}

// Open reads the file of a node. told is called for each generation that is read from it
// later. A file that is not whole may be being written: it fails if it is not after a while.
func Open(path string, peers []string, flaws Flaws, told func(generation int)) (*Store, error) {
	raw, now, err := read(path)
	for range openTries {
		if err == nil {
			break
		}
		time.Sleep(openPause)
		raw, now, err = read(path)
	}
	if err != nil {
		return nil, fmt.Errorf("keys: %s: %w", path, err)
	}
	return &Store{path: path, peers: peers, flaws: flaws, told: told, raw: raw, now: now}, nil
}

const (
	openTries = 20
	openPause = 50 * time.Millisecond
)

func read(path string) (raw []byte, now *loaded, err error) {
	if raw, err = os.ReadFile(path); err == nil {
		now, err = decode(raw)
	}
	return raw, now, err
}

// current is what the file holds now. While it is being written, what it held before counts.
// It is read only if it may have changed.
func (s *Store) current() *loaded {
	before := markOf(s.path)
	if now := s.unchanged(before); now != nil {
		return now
	}
	raw, err := os.ReadFile(s.path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		return s.now
	}
	if bytes.Equal(raw, s.raw) {
		s.mark = before
		return s.now
	}
	next, err := decode(raw)
	if err != nil {
		return s.now
	}
	if s.flaws.OldTokens {
		for g, secret := range s.now.tokens {
			next.tokens[g] = secret
		}
	}
	fresh := next.generation != s.now.generation
	s.raw, s.now, s.mark = raw, next, before
	if fresh && s.told != nil {
		s.told(next.generation)
	}
	return next
}

// unchanged is what was read last, if the file is certainly still the same; else it is nil.
func (s *Store) unchanged(m mark) *loaded {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m == (mark{}) || m != s.mark {
		return nil
	}
	return s.now
}

// base is what all connections have in common. Tickets for later connections are off:
// each connection shows its certificate anew.
func base() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}, SessionTicketsDisabled: true,
		DynamicRecordSizingDisabled: true,
	}
}

// server is what a node shows and asks for, on one connection. admit says whether somebody
// whose certificate is in order may connect.
func (s *Store) server(admit func(Identity) error, who *Identity) *tls.Config {
	now := s.current()
	c := base()
	c.Certificates, c.ClientCAs, c.ClientAuth = []tls.Certificate{now.cert}, now.pool, tls.RequireAndVerifyClientCert
	c.VerifyConnection = func(cs tls.ConnectionState) (err error) {
		*who, err = identify(cs.PeerCertificates[0])
		if s.flaws.AnyName && err != nil {
			*who, err = Identity{Node, s.peers[0]}, nil
		}
		if err == nil {
			err = admit(*who)
		}
		return err
	}
	return c
}

// Peers admits nodes alone.
func (s *Store) Peers(i Identity) error {
	if i.Role != Node || !slices.Contains(s.peers, i.Name) {
		return fmt.Errorf("%s is none of the nodes", i.DNS())
	}
	return nil
}

// Anybody admits nodes, clients and operators.
func (s *Store) Anybody(i Identity) error {
	if i.Role == Node {
		return s.Peers(i)
	}
	return nil
}

// Dial makes a connection to another node out of one that carries anything, which it
// closes if it fails. The other must be the node of that name.
func (s *Store) Dial(ctx context.Context, conn net.Conn, peer string) (net.Conn, error) {
	now := s.current()
	c := base()
	c.Certificates, c.RootCAs, c.ServerName = []tls.Certificate{now.cert}, now.pool, Identity{Node, peer}.DNS()
	if s.flaws.AnyName {
		c.InsecureSkipVerify = true // and the authority is looked at here
		c.VerifyConnection = func(cs tls.ConnectionState) error { return signedBy(now, cs) }
	}
	out := tls.Client(conn, c)
	if err := out.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", peer, err)
	}
	return out, nil
}

var errToken = errors.New("a token that is not accepted")

// Allow says whether a request with this header Authorization may be answered.
func (s *Store) Allow(who Identity, header string) error {
	if who.Role == Node {
		return nil
	}
	text, ok := strings.CutPrefix(header, "Bearer ")
	number, _, two := strings.Cut(text, ".")
	generation, err := strconv.Atoi(number)
	if !ok || !two || err != nil {
		return errors.New("no token")
	}
	secret, ok := s.current().tokens[generation]
	if !ok || !hmac.Equal([]byte(text), []byte(Token(secret, generation, who))) {
		return errToken
	}
	return nil
}

// HandshakeTimeout is how long a handshake may take.
const HandshakeTimeout = 500 * time.Millisecond
