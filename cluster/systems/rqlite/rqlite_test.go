package rqlite

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"coup/cluster"
	"coup/cluster/systems/rest"
	"coup/harness"
)

func set(name, value string) cluster.Options {
	return cluster.Options{Settings: map[string]string{name: value}}
}

func TestCheck(t *testing.T) {
	strong := set("level", "strong")
	strong.Reads = "linearizable"
	for _, o := range []cluster.Options{
		{}, {Reads: "linearizable"}, {Reads: "lease"}, {Reads: "stale"}, {Version: "8.32.3"}, strong,
		set("level", "none"), set("raft-timeout", "1s"), set("raft-snap", "100"),
	} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	conflict := set("level", "strong")
	conflict.Reads = "stale"
	for _, o := range []cluster.Options{
		{Bug: "x"}, {Reads: "none"}, {Version: "7.21.4"}, {Version: "8"}, {Version: "8.x.1"}, conflict,
		set("level", "auto"), set("raft-timeout", "1"), set("raft-election-timeout", "1ms"), set("on-disk", "true"),
	} {
		if err := (System{}).Check(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestPod(t *testing.T) {
	all := []cluster.Node{{Name: "n1", Host: "10.0.0.1"}, {Name: "n2", Host: "10.0.0.2"}, {Name: "n3", Host: "10.0.0.3"}}
	p := System{}.Pod(all[1], all, set("raft-snap", "100"))
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	args := strings.Join(p.Containers[0].Args, " ")
	for _, words := range []string{"-node-id n2", "-http-adv-addr 10.0.0.2:4001", "-bootstrap-expect 3", "-join 10.0.0.1:4002,10.0.0.2:4002,10.0.0.3:4002", "-raft-snap 100", "-raft-timeout 500ms"} {
		if !strings.Contains(args, words) {
			t.Errorf("no %q in %s", words, args)
		}
	}
	if args := p.Containers[0].Args; args[len(args)-1] != "/data/rqlite" || strings.Contains(strings.Join(args, " "), "-level linear") {
		t.Errorf("%q", args)
	}
}

func TestResult(t *testing.T) {
	seven := int64(7)
	for text, want := range map[string]struct {
		one *int64
		all []int64
		bad bool
	}{
		`{"columns":["v"],"types":["integer"]}`:  {nil, nil, false},
		`{"columns":["v"],"values":[[7]]}`:       {&seven, []int64{7}, false},
		`{"columns":["v"],"values":[[7],[-1]]}`:  {&seven, []int64{7, -1}, false},
		`{"columns":["v"],"values":[["seven"]]}`: {nil, nil, true},
		`{"columns":["v"],"values":[[7.5]]}`:     {nil, nil, true},
	} {
		var r result
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		one, err := r.one()
		all, err2 := r.all()
		if (err != nil) != want.bad || (err2 != nil) != want.bad || !want.bad && (!reflect.DeepEqual(one, want.one) || !reflect.DeepEqual(all, want.all)) {
			t.Errorf("%s: %v, %v, %v, %v", text, one, all, err, err2)
		}
	}
}

type access struct {
	cluster.Access
	address string
}

func (a access) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", a.address)
}

// What a node says of a write that failed is not taken for "it did not happen", and
// whatever is odd about an answer is an error.
func TestAnswers(t *testing.T) {
	said := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(said, "{") {
			io.WriteString(w, said)
		} else {
			http.Error(w, said, http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	conn, err := System{}.Open(access{address: s.Listener.Addr().String()}, "n1", cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := conn.(*connection)
	defer c.Close()
	for _, said = range []string{
		"leader not found", `{"error":"leadership lost while committing log"}`, `{"results":[{"error":"UNIQUE constraint failed"}]}`, `{"results":[]}`, `{"results":[{},{}]}`, `{`,
	} {
		if err := c.Write(t.Context(), "k", 1); err == nil || errors.Is(err, harness.ErrFail) {
			t.Errorf("a write that is answered by %s: %v", said, err)
		}
		if _, err := c.Read(t.Context(), "k"); !errors.Is(err, harness.ErrFail) {
			t.Errorf("a read that is answered by %s: %v", said, err)
		}
	}
	said = `{"results":[{"rows_affected":1}]}`
	if err := c.Write(t.Context(), "k", 1); err != nil {
		t.Error(err)
	}
	lost := &connection{http: rest.New(access{address: "127.0.0.1:1"}, "n1", "http"), home: "n1"}
	if err := lost.Write(t.Context(), "k", 1); !errors.Is(err, harness.ErrFail) {
		t.Errorf("nothing was asked: %v", err)
	}
}
