package keys

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// town is an authority with the file of n1 and a gate before it.
type town struct {
	*Authority
	t     *testing.T
	file  string
	store *Store
	gate  *Gate
	told  []int
}

var peers = []string{"n1", "n2"}

func newTown(t *testing.T, flaws Flaws, admit func(*Store) func(Identity) error) *town {
	t.Helper()
	now := time.Now()
	a, err := NewAuthority([]byte("secret"), "coup", now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	w := &town{Authority: a, t: t, file: filepath.Join(t.TempDir(), "keys.json")}
	w.give("n1", 0, 0)
	if w.store, err = Open(w.file, peers, flaws, func(g int) { w.told = append(w.told, g) }); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.gate = NewGate(l, w.store, admit(w.store))
	go func() {
		for {
			c, err := w.gate.Accept()
			if err != nil {
				return
			}
			who := c.(*Conn)
			fmt.Fprintf(c, "%s %s %v", who.Who.Role, who.Who.Name, who.Unchecked)
			c.Close()
		}
	}()
	t.Cleanup(func() { w.gate.Close() })
	return w
}

func (w *town) give(node string, generation int, accept ...int) {
	w.t.Helper()
	cert := w.issue(Identity{Node, node}.DNS(), generation, time.Hour)
	if err := os.WriteFile(w.file, w.NewBundle(cert, generation, accept...).Encode(), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) issue(dns string, generation int, until time.Duration) tls.Certificate {
	w.t.Helper()
	cert, err := w.Issue(dns, generation, time.Now().Add(-2*time.Hour), time.Now().Add(until))
	if err != nil {
		w.t.Fatal(err)
	}
	return cert
}

func (w *town) dial() net.Conn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.gate.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

// knock is what the gate says to whoever shows a certificate; "" if it lets nobody in.
func (w *town) knock(cert *tls.Certificate) string {
	c := base()
	c.RootCAs, c.ServerName = w.Pool(), "n1.node.coup"
	if cert != nil {
		c.Certificates = []tls.Certificate{*cert}
	}
	conn := tls.Client(w.dial(), c)
	b, err := io.ReadAll(conn)
	if told := (*net.OpError)(nil); err != nil && !errors.As(err, &told) {
		w.t.Errorf("neither let in nor refused: %v", err)
	}
	return string(b)
}

func (w *town) anybody(dns string) string {
	cert := w.issue(dns, 0, time.Hour)
	return w.knock(&cert)
}

func TestGate(t *testing.T) {
	clients := newTown(t, Flaws{}, func(s *Store) func(Identity) error { return s.Anybody })
	nodes := newTown(t, Flaws{}, func(s *Store) func(Identity) error { return s.Peers })
	careless := newTown(t, Flaws{AnyName: true}, func(s *Store) func(Identity) error { return s.Anybody })
	for _, c := range []struct {
		town *town
		dns  string
		want string
	}{
		{clients, "p3.client.coup", "client p3 false"},
		{clients, "n2.node.coup", "node n2 false"},
		{clients, "harness.operator.coup", "operator harness false"},
		{clients, "n3.node.coup", ""}, // there are two
		{clients, "backup.other.coup", ""},
		{clients, "p3.client.coup.example", ""},
		{clients, ".client.coup", ""},
		{clients, "client.coup", ""},
		{nodes, "n2.node.coup", "node n2 false"},
		{nodes, "p3.client.coup", ""},
		{nodes, "harness.operator.coup", ""},
		{nodes, "n3.node.coup", ""},
		{careless, "backup.other.coup", "node n1 false"},
		{careless, "p3.client.coup", "client p3 false"},
	} {
		if got := c.town.anybody(c.dns); got != c.want {
			t.Errorf("%s: %q, want %q", c.dns, got, c.want)
		}
	}
	old := clients.issue("p3.client.coup", 0, -time.Minute)
	foreign, err := NewAuthority([]byte("another secret"), "coup", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := foreign.Issue("p3.client.coup", 0, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for name, cert := range map[string]*tls.Certificate{"none": nil, "expired": &old, "of another authority": &theirs} {
		for _, w := range []*town{clients, nodes, careless} {
			if got := w.knock(cert); got != "" {
				t.Errorf("a certificate that is %s: %q", name, got)
			}
		}
	}
}

// Handshakes that do not go on keep nobody out, however many they are. A gate that fails
// open lets the next one in.
func TestSlowHandshakes(t *testing.T) {
	for _, open := range []bool{false, true} {
		w := newTown(t, Flaws{FailOpen: open}, func(s *Store) func(Identity) error { return s.Anybody })
		for range MostHandshakes + 8 {
			if _, err := io.WriteString(w.dial(), "\x16\x03\x01"); err != nil {
				t.Fatal(err)
			}
		}
		for { // until all of them have arrived
			w.gate.mu.Lock()
			full := len(w.gate.waiting) == MostHandshakes
			w.gate.mu.Unlock()
			if full {
				break
			}
			time.Sleep(time.Millisecond)
		}
		want := ""
		if open {
			want = "  true"
		}
		if got := w.knock(nil); got != want {
			t.Errorf("without a certificate: %q, want %q", got, want)
		}
		if !open {
			if got := w.anybody("p3.client.coup"); got != "client p3 false" {
				t.Errorf("a client: %q", got)
			}
		}
	}
}

// What a node is given counts from the next connection and request on. What is not whole
// counts for nothing.
func TestRotation(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		w := newTown(t, Flaws{OldTokens: keeps}, func(s *Store) func(Identity) error { return s.Anybody })
		who := Identity{Client, "p3"}
		token := func(g int) string { return "Bearer " + Token(w.TokenSecret(g), g, who) }
		accepted := func() (s string) {
			for g := range 3 {
				if w.store.Allow(who, token(g)) == nil {
					s += fmt.Sprint(g)
				}
			}
			return s
		}
		var said []string
		said = append(said, accepted())
		w.give("n1", 1, 0, 1)
		said = append(said, accepted())
		half, err := os.ReadFile(w.file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(w.file, half[:len(half)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		said = append(said, accepted())
		w.give("n1", 1, 1)
		said = append(said, accepted())
		w.give("n1", 2, 2)
		said = append(said, accepted())
		want := "0 01 01 1 2"
		if keeps {
			want = "0 01 01 01 012"
		}
		if got := strings.Join(said, " "); got != want || fmt.Sprint(w.told) != "[1 2]" {
			t.Errorf("accepted %s, want %s; told %v", got, want, w.told)
		}
		c := base()
		c.RootCAs, c.ServerName, c.Certificates = w.Pool(), "n1.node.coup", []tls.Certificate{w.issue("p3.client.coup", 0, time.Hour)}
		conn := tls.Client(w.dial(), c)
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().PeerCertificates[0].SerialNumber; got.Cmp(Serial(2)) != 0 {
			t.Errorf("shows the certificate %v", got)
		}
	}
}

func TestAllow(t *testing.T) {
	w := newTown(t, Flaws{}, func(s *Store) func(Identity) error { return s.Anybody })
	token := Token(w.TokenSecret(0), 0, Identity{Client, "p3"})
	for _, c := range []struct {
		who    Identity
		header string
		want   bool
	}{
		{Identity{Client, "p3"}, "Bearer " + token, true},
		{Identity{Client, "p4"}, "Bearer " + token, false},
		{Identity{Operator, "p3"}, "Bearer " + token, false},
		{Identity{Client, "p3"}, token, false},
		{Identity{Client, "p3"}, "", false},
		{Identity{Client, "p3"}, "Bearer 0.", false},
		{Identity{Client, "p3"}, "Bearer 0" + token, false},
		{Identity{Client, "p3"}, "Bearer x", false},
		{Identity{Client, "p3"}, "Bearer " + Token(w.TokenSecret(1), 1, Identity{Client, "p3"}), false},
		{Identity{Client, "p3"}, "Bearer " + Token(w.TokenSecret(1), 0, Identity{Client, "p3"}), false},
		{Identity{Node, "n2"}, "", true},
	} {
		if err := w.store.Allow(c.who, c.header); (err == nil) != c.want {
			t.Errorf("%s with %q: %v", c.who.DNS(), c.header, err)
		}
	}
}

// A node dials no other than the one that it means.
func TestDial(t *testing.T) {
	w := newTown(t, Flaws{}, func(s *Store) func(Identity) error { return s.Peers })
	if conn, err := w.store.Dial(context.Background(), w.dial(), "n1"); err != nil {
		t.Error(err)
	} else if b, _ := io.ReadAll(conn); string(b) != "node n1 false" {
		t.Errorf("%q", b)
	}
	if _, err := w.store.Dial(context.Background(), w.dial(), "n2"); err == nil || !strings.Contains(err.Error(), "n2") {
		t.Errorf("n1 passes for n2: %v", err)
	}
	w.store.flaws.AnyName = true
	if _, err := w.store.Dial(context.Background(), w.dial(), "n2"); err != nil {
		t.Errorf("with the flaw: %v", err)
	}
}

func TestFilesThatAreNotWhole(t *testing.T) {
	w := newTown(t, Flaws{}, func(s *Store) func(Identity) error { return s.Peers })
	good := w.NewBundle(w.issue("n1.node.coup", 0, time.Hour), 0, 0)
	for name, change := range map[string]func(*Bundle){
		"no authority":    func(b *Bundle) { b.Authority = "" },
		"no certificate":  func(b *Bundle) { b.Certificate = "x" },
		"no key":          func(b *Bundle) { b.Key = nil },
		"another's key":   func(b *Bundle) { b.Key = make([]byte, 32) },
		"half a key":      func(b *Bundle) { b.Key = b.Key[:16] },
		"bad certificate": func(b *Bundle) { b.Certificate = strings.Replace(b.Certificate, "M", "N", 1) },
	} {
		b := good
		change(&b)
		if _, err := decode(b.Encode()); err == nil {
			t.Errorf("%s is not found", name)
		}
	}
	if _, err := decode(good.Encode()); err != nil {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "nothing"), peers, Flaws{}, nil); err == nil {
		t.Error("a file that is not there is opened")
	}
}

func FuzzDecode(f *testing.F) {
	now := time.Now()
	a, err := NewAuthority([]byte("secret"), "coup", now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	cert, err := a.Issue("n1.node.coup", 0, now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(a.NewBundle(cert, 3, 2, 3).Encode())
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decode(b)
		if err == nil && (l.cert.Leaf == nil || l.pool == nil) {
			t.Error("what was read is not whole")
		}
	})
}
