package rest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"coup/cluster"
	"coup/harness"
)

// access dials one server, whatever node is asked for, or fails.
type access struct {
	cluster.Access
	address string
}

func (a access) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if a.address == "" {
		return nil, errors.New("no way")
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", a.address)
}

// hangsUp is the address of a port that takes connections and ends them.
func hangsUp(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestDo(t *testing.T) {
	var posts atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
		}
		b, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/echo":
			w.Write([]byte(`{"Said":"` + strings.ReplaceAll(string(b), `"`, "'") + `","Type":"` + r.Header.Get("Content-Type") + `"}`))
		case "/moved":
			http.Redirect(w, r, "/echo", http.StatusTemporaryRedirect)
		case "/cut":
			w.Header().Set("Content-Length", "100")
			w.Write([]byte(`{}`))
		case "/words":
			w.Write([]byte("no JSON"))
		case "/hangup":
			panic(http.ErrAbortHandler)
		default:
			http.Error(w, "who?", http.StatusNotFound)
		}
	}))
	defer s.Close()
	c := New(access{address: s.Listener.Addr().String()}, "n1", "http")
	defer c.Close()
	var answer struct{ Said, Type string }
	if err := c.Do(t.Context(), http.MethodPost, "/echo", map[string]int{"a": 1}, &answer); err != nil || answer.Said != "{'a':1}" || answer.Type != "application/json" {
		t.Errorf("%+v, %v", answer, err)
	}
	if err := c.Do(t.Context(), http.MethodPut, "/echo", []byte("as it is"), &answer); err != nil || answer.Said != "as it is" || answer.Type != "" {
		t.Errorf("%+v, %v", answer, err)
	}
	for path, code := range map[string]int{"/none": 404, "/moved": 307, "/cut": 0, "/words": 0, "/hangup": 0} {
		before := posts.Load()
		err := c.Do(t.Context(), http.MethodPost, path, nil, &answer)
		var said *StatusError
		if errors.As(err, &said) != (code > 0) || code > 0 && said.Code != code || err == nil || errors.Is(err, harness.ErrFail) || posts.Load() != before+1 {
			t.Errorf("%s: %v, asked %d times", path, err, posts.Load()-before)
		}
	}
	// What may have an effect is sent to a node only that answers.
	for path, sent := range map[string]int64{"/hangup": 1, "/echo": 0} {
		down := path == "/echo"
		at := New(access{address: s.Listener.Addr().String()}, "n1", "http")
		if down {
			at = New(access{address: hangsUp(t)}, "n1", "http")
		}
		before := posts.Load()
		if err := at.Do(t.Context(), http.MethodPost, path, []byte("x"), nil); err == nil || errors.Is(err, harness.ErrFail) != down || posts.Load() != before+sent {
			t.Errorf("%s: %v, %d sent", path, err, posts.Load()-before)
		}
	}
	lost := New(access{}, "n2", "http")
	if err := lost.Do(t.Context(), http.MethodGet, "/", nil, nil); !errors.Is(err, harness.ErrFail) {
		t.Errorf("no connection: %v", err)
	}
}
