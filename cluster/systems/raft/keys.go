package raft

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"coup/cluster"
	"coup/cluster/raftnode"
	"coup/cluster/raftnode/keys"
	"coup/harness"
)

var (
	_ cluster.Bound   = System{}
	_ cluster.Rotator = System{}
)

// withTLS reports whether nodes and clients show each other certificates.
func withTLS(o cluster.Options) bool { return o.Settings["tls"] == "true" }

// Bind implements cluster.Bound: the keys of a run are made here, and kept in memory.
func (System) Bind(o cluster.Options) cluster.System {
	if !withTLS(o) {
		return System{}
	}
	return System{newRing(o)}
}

// keysOf are the keys of a run, also if the system was not bound to it.
func (s System) keysOf(o cluster.Options) *ring {
	if s.ring != nil || !withTLS(o) {
		return s.ring
	}
	return newRing(o)
}

// ring has all keys of a run. It is safe for concurrent use.
type ring struct {
	seed      []byte
	now       func() time.Time
	authority *keys.Authority
	foreign   *keys.Authority // of strangers
	made      time.Time
	err       error // why there are none

	mu       sync.Mutex
	given    int // the newest generation that nodes were given
	used     int // the one that clients use
	revoked  int // the newest whose tokens no node accepts; -1: there is none
	rotating bool
	conns    uint64 // so many were made
}

const (
	// How long certificates are valid before and after they are made: longer than any run.
	validBefore, validAfter = 24 * time.Hour, 48 * time.Hour
)

func newRing(o cluster.Options) *ring {
	r := &ring{seed: []byte(o.Secret("keys")), now: o.Clock, revoked: -1}
	if r.now == nil {
		r.now = time.Now
	}
	r.made = r.now()
	from, until := r.made.Add(-validBefore), r.made.Add(validAfter)
	var err, err2 error
	r.authority, err = keys.NewAuthority(r.seed, "coup", from, until)
	r.foreign, err2 = keys.NewAuthority([]byte(o.Secret("keys of strangers")), "coup", from, until)
	r.err = errors.Join(err, err2)
	return r
}

// issue makes a certificate of the generation.
func (r *ring) issue(i keys.Identity, generation int) (tls.Certificate, error) {
	return r.authority.Issue(i.DNS(), generation, r.now().Add(-time.Hour), r.made.Add(validAfter))
}

// file is the keys of a node, with the generations of tokens that it accepts.
func (r *ring) file(node string, generation int, accept ...int) (cluster.File, error) {
	if r.err != nil {
		return cluster.File{}, r.err
	}
	cert, err := r.issue(keys.Identity{Role: keys.Node, Name: node}, generation)
	if err != nil {
		return cluster.File{}, err
	}
	return cluster.File{Path: dataDir + "/" + raftnode.KeysFile, Content: r.authority.NewBundle(cert, generation, accept...).Encode(), Mode: 0o600}, nil
}

// files are those of a pod: a node finds them when it starts for the first time.
func (r *ring) files(node string) []cluster.File {
	if r == nil {
		return nil
	}
	f, err := r.file(node, 0, 0)
	if err != nil {
		return nil // Open says why
	}
	f.Once = true
	return []cluster.File{f}
}

// put gives every node its file.
func (r *ring) put(ctx context.Context, c cluster.Cluster, generation int, accept ...int) error {
	into, ok := c.(cluster.Files)
	if !ok {
		return fmt.Errorf("%w: nothing can be put into the folders of these nodes", cluster.ErrUnavailable)
	}
	for _, n := range c.Nodes() {
		f, err := r.file(n.Name, generation, accept...)
		if err == nil {
			err = into.PutFiles(ctx, n.Name, []cluster.File{f})
		}
		if err != nil {
			return fmt.Errorf("keys of %s: %w", n.Name, err)
		}
	}
	return nil
}

// random is the randomness of one connection. It follows from the secrets of the run, so
// that simulated runs are the same each time. What it gives does not depend on
// reads of single bytes, which package crypto makes or does not make by chance.
type random struct{ *rand.ChaCha8 }

func (r random) Read(b []byte) (int, error) {
	if len(b) == 1 {
		b[0] = 0
		return 1, nil
	}
	return r.ChaCha8.Read(b)
}

func (r *ring) random() random {
	r.mu.Lock()
	r.conns++
	n := r.conns
	r.mu.Unlock()
	var seed [32]byte
	copy(seed[:], r.seed)
	return random{rand.NewChaCha8(mix(seed, n))}
}

func mix(seed [32]byte, n uint64) [32]byte {
	at := binary.LittleEndian.Uint64(seed[24:])
	binary.LittleEndian.PutUint64(seed[24:], at^n*0x9e3779b97f4a7c15)
	return seed
}

// config is what a client shows to a node and asks of it. cert may be nil.
func (r *ring) config(node string, cert *tls.Certificate) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}, DynamicRecordSizingDisabled: true,
		RootCAs: r.authority.Pool(), ServerName: keys.Identity{Role: keys.Node, Name: node}.DNS(),
		Time: r.now, Rand: r.random(),
	}
	if cert != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	return c
}

// secured makes a connection out of one that carries anything, which it closes if it fails.
func secured(conn net.Conn, c *tls.Config, deadline time.Time) (*tls.Conn, error) {
	out := tls.Client(conn, c)
	err := conn.SetDeadline(deadline)
	if err == nil {
		err = out.Handshake() // without a context, so that no goroutine is started: see cluster.Conn
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return out, nil
}

// credentials are those of somebody who may ask; nil: nobody asks for any.
type credentials struct {
	ring *ring
	who  keys.Identity
}

func (r *ring) credentials(role keys.Role, name string) *credentials {
	if r == nil {
		return nil
	}
	return &credentials{r, keys.Identity{Role: role, Name: name}}
}

// operator is the harness itself.
func (s System) operator() *credentials { return s.ring.credentials(keys.Operator, "harness") }

// dial connects to a node.
func (c *credentials) dial(way dialNode) dialNode {
	if c == nil {
		return way
	}
	return func(ctx context.Context, node string) (net.Conn, error) {
		if c.ring.err != nil {
			return nil, c.ring.err
		}
		cert, err := c.ring.issue(c.who, c.ring.generation())
		if err != nil {
			return nil, err
		}
		conn, err := way(ctx, node)
		if err != nil {
			return nil, err
		}
		deadline, _ := ctx.Deadline()
		return secured(conn, c.ring.config(node, &cert), deadline)
	}
}

// header is that of a request.
func (c *credentials) header() string {
	if c == nil {
		return ""
	}
	return "Bearer " + c.ring.token(c.ring.generation(), c.who)
}

func (r *ring) token(generation int, of keys.Identity) string {
	return keys.Token(r.authority.TokenSecret(generation), generation, of)
}

// generation is the one that clients use now.
func (r *ring) generation() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}

// withdrawn is the newest generation whose tokens no node accepts; -1: there is none.
func (r *ring) withdrawn() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.revoked
}

// CanRotate implements cluster.Rotator.
func (System) CanRotate(o cluster.Options) error {
	if !withTLS(o) {
		return errors.New("its nodes have no keys: --set tls=true")
	}
	return nil
}

// Rotate implements cluster.Rotator.
func (s System) Rotate(ctx context.Context, c cluster.Cluster) (evidence string, err error) {
	r := s.ring
	if r == nil {
		return "", errors.New("the nodes have no keys")
	}
	r.mu.Lock()
	busy := r.rotating || r.used != r.given
	if !busy {
		r.rotating = true
		r.given++
	}
	old, next := r.used, r.given
	r.mu.Unlock()
	if busy {
		return "", errors.New("the keys are being rotated already")
	}
	if err := r.put(ctx, c, next, next, old); err != nil {
		return "", err
	}
	show, silent, err := r.shown(ctx, c, next)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	r.used = next
	r.mu.Unlock()
	evidence = fmt.Sprintf("keys of generation %d are in the folders of all nodes; %s show the new certificates without a restart", next, strings.Join(show, ", "))
	if len(silent) > 0 {
		evidence += fmt.Sprintf(", and %s did not answer", strings.Join(silent, ", "))
	}
	return evidence, nil
}

// Withdraw implements cluster.Rotator.
func (s System) Withdraw(ctx context.Context, c cluster.Cluster) error {
	r := s.ring
	if r == nil {
		return errors.New("the nodes have no keys")
	}
	r.mu.Lock()
	next := r.given
	r.mu.Unlock()
	if err := r.put(ctx, c, next, next); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used, r.revoked, r.rotating = next, next-1, false
	return nil
}

const (
	showPatience = 300 * time.Millisecond // with one node
	showRounds   = 3                      // in which nodes that are silent are asked again
)

// shown says which nodes show certificates of a generation, and which say nothing. It waits
// until at least one does.
func (r *ring) shown(ctx context.Context, c cluster.Access, generation int) (show, silent []string, err error) {
	for round := 1; ; round++ {
		show, silent = nil, nil
		for _, n := range c.Nodes() {
			if err = r.shows(ctx, c, n.Name, generation); err == nil {
				show = append(show, n.Name)
			} else {
				silent = append(silent, n.Name)
			}
		}
		if len(silent) == 0 || len(show) > 0 && round >= showRounds {
			return show, silent, nil
		}
		if ctx.Err() != nil {
			return nil, nil, fmt.Errorf("no node shows its new certificate: %w", err)
		}
	}
}

// shows returns nil if a node shows a certificate of a generation. It asks for nothing.
func (r *ring) shows(ctx context.Context, c cluster.Access, node string, generation int) error {
	left, ok := harness.Left(ctx)
	if !ok {
		left = defaultTimeout
	}
	until := deadlineIn(ctx, min(left, showPatience))
	conn, err := c.Dial(dialing{ctx, until}, node, clients)
	if err != nil {
		return err
	}
	cert, err := r.issue(keys.Identity{Role: keys.Operator, Name: "harness"}, generation)
	if err != nil {
		conn.Close()
		return err
	}
	out, err := secured(conn, r.config(node, &cert), until)
	if err != nil {
		return err
	}
	defer conn.Close()
	if leaf := out.ConnectionState().PeerCertificates[0]; leaf.SerialNumber.Cmp(keys.Serial(generation)) != 0 {
		return fmt.Errorf("%s shows a certificate with the serial number %v", node, leaf.SerialNumber)
	}
	return nil
}

// deadlineIn is a time by the clock of ctx.
func deadlineIn(ctx context.Context, d time.Duration) time.Time { return harness.Clock(ctx).Add(d) }
