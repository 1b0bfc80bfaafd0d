package raft

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/raftnode/keys"
	"coup/harness"
)

// town is a cluster of nodes that only ask who one is. What is dead does not answer.
type town struct {
	cluster.Cluster
	t     *testing.T
	files map[string]string
	ports map[string]string
	dead  map[string]bool
}

type connKey struct{}

func newTown(t *testing.T, sys System, o cluster.Options, flaws keys.Flaws) *town {
	w := &town{t: t, files: map[string]string{}, ports: map[string]string{}, dead: map[string]bool{}}
	for _, n := range w.Nodes() {
		w.files[n.Name] = filepath.Join(t.TempDir(), "keys.json")
		if err := w.PutFiles(t.Context(), n.Name, sys.Pod(n, w.Nodes(), o).Files); err != nil {
			t.Fatal(err)
		}
		store, err := keys.Open(w.files[n.Name], []string{"n1", "n2"}, flaws, nil)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{
			ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
			Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				c := r.Context().Value(connKey{}).(*keys.Conn)
				if !c.Unchecked && store.Allow(c.Who, r.Header.Get("Authorization")) != nil {
					rw.WriteHeader(http.StatusUnauthorized)
					fmt.Fprint(rw, `{"error": "refused: no", "happened": "no"}`)
					return
				}
				fmt.Fprint(rw, `{"value": 7}`)
			})}
		go s.Serve(keys.NewGate(l, store, store.Anybody))
		t.Cleanup(func() { s.Close() })
		w.ports[n.Name] = l.Addr().String()
	}
	return w
}

func (w *town) Nodes() []cluster.Node {
	return []cluster.Node{{Name: "n1", Host: "n1"}, {Name: "n2", Host: "n2"}}
}

func (w *town) Dial(ctx context.Context, node, _ string) (net.Conn, error) {
	if w.dead[node] {
		return nil, errors.New("nobody there")
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", w.ports[node])
}

func (w *town) PutFiles(_ context.Context, node string, files []cluster.File) error {
	return os.WriteFile(w.files[node], files[0].Content, 0o600)
}

var withKeys = cluster.Options{Settings: map[string]string{"tls": "true"}, Seed: []byte("seed"), Client: "p1"}

func openTown(t *testing.T, flaws keys.Flaws) (*town, System, *guarded) {
	t.Helper()
	sys := System{}.Bind(withKeys).(System)
	w := newTown(t, sys, withKeys, flaws)
	c, err := sys.Open(w, "n1", withKeys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return w, sys, c.(*guarded)
}

// Nobody is let in but clients, before keys are rotated, meanwhile and afterwards.
func TestStrangersAreRefused(t *testing.T) {
	w, sys, c := openTown(t, keys.Flaws{})
	refused := func(when string, old error) {
		t.Helper()
		for i, way := range cluster.Ways() {
			value := int64(i)
			for _, write := range []*int64{nil, &value} {
				answer, err := c.Intrude(within(t, 10*time.Second), way, "k", write)
				want := cluster.ErrRefused
				if way == cluster.OldToken {
					want = old
				}
				if answer != "" || !errors.Is(err, want) || !errors.Is(err, harness.ErrFail) {
					t.Errorf("%s, %s: %q, %v", when, way, answer, err)
				}
			}
		}
		if v, err := c.Read(within(t, 10*time.Second), "k"); err != nil || *v != 7 {
			t.Errorf("%s, a client: %v", when, err)
		}
	}
	refused("in the beginning", harness.ErrFail)
	w.dead["n2"] = true
	said, err := sys.Rotate(within(t, 20*time.Second), w)
	if err != nil || !strings.Contains(said, "n1 show the new certificates") || !strings.Contains(said, "n2 did not answer") {
		t.Errorf("%q, %v", said, err)
	}
	if _, err := sys.Rotate(within(t, 20*time.Second), w); err == nil {
		t.Error("keys are rotated twice at once")
	}
	refused("while both tokens are good", harness.ErrFail)
	if err := sys.Withdraw(within(t, 20*time.Second), w); err != nil {
		t.Error(err)
	}
	refused("after the old tokens were withdrawn", cluster.ErrRefused)
	w.dead["n1"] = true
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if said, err := sys.Rotate(short, w); err == nil {
		t.Errorf("no node answers, and %q", said)
	}
	w.dead = map[string]bool{}
	if err := sys.Withdraw(within(t, 20*time.Second), w); err != nil {
		t.Error(err)
	}
	refused("after a rotation that nobody has seen", cluster.ErrRefused)
}

// Each flaw lets in who comes that way, and says so.
func TestStrangersAreLetIn(t *testing.T) {
	for way, flaws := range map[string]keys.Flaws{
		cluster.WrongName: {AnyName: true}, cluster.OldToken: {OldTokens: true}, cluster.Flood: {FailOpen: true},
	} {
		w, sys, c := openTown(t, flaws)
		_, err := sys.Rotate(within(t, 20*time.Second), w)
		if err = errors.Join(err, sys.Withdraw(within(t, 20*time.Second), w)); err != nil {
			t.Fatal(err)
		}
		for _, other := range cluster.Ways() {
			answer, err := c.Intrude(within(t, 10*time.Second), other, "k", nil)
			if other == way && (err != nil || !strings.Contains(answer, `200 OK {"value": 7}`)) {
				t.Errorf("%+v, %s: %q, %v", flaws, other, answer, err)
			}
			if other != way && !errors.Is(err, cluster.ErrRefused) {
				t.Errorf("%+v, %s: %q, %v", flaws, other, answer, err)
			}
		}
	}
}

func TestSystemsWithoutKeys(t *testing.T) {
	sys := System{}
	if err := sys.CanRotate(cluster.Options{}); err == nil {
		t.Error("there is nothing to rotate")
	}
	if sys.CanRotate(withKeys) != nil || sys.Check(withKeys) != nil {
		t.Error("keys are refused")
	}
	c, err := sys.Open(nil, "n1", cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.(cluster.Stranger); ok {
		t.Error("there is nobody to keep out")
	}
	if files := (sys.Pod(cluster.Node{Name: "n1"}, nil, cluster.Options{})).Files; files != nil {
		t.Errorf("files %v", files)
	}
}
