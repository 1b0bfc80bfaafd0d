package spark

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"coup/cluster"
	"coup/cluster/systems/jvm"
	"coup/harness"
)

func set(name, value string) cluster.Options {
	return cluster.Options{Settings: map[string]string{name: value}}
}

func TestCheck(t *testing.T) {
	for _, o := range []cluster.Options{{}, {Reads: "linearizable"}, {Version: "4.0.0"}, {Version: "v4.1.0"}, set("supervise", "false"), set("cores", "1"), set("session-timeout", "10000")} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{{Bug: "x"}, {Reads: "stale"}, {Version: "3.5.1"}, {Version: "4"}, set("supervise", "yes"), set("cores", "0"), set("session-timeout", "3"), set("x", "1")} {
		if err := (System{}).Check(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if y := (System{}); y.Loses(cluster.Options{}) != "" || y.Loses(set("supervise", "false")) == "" || y.Isolation(cluster.Options{}) != "at-least-once" || y.Isolation(set("supervise", "false")) != "" {
		t.Error("what it promises")
	}
}

var all = []cluster.Node{{Name: "n1", Host: "10.0.0.1", Role: jvm.Manager}, {Name: "n2", Host: "10.0.0.2", Role: jvm.Manager}, {Name: "n3", Host: "10.0.0.3", Role: jvm.Worker}}

func TestPod(t *testing.T) {
	for i, want := range []string{"master.Master --host 10.0.0.1", "master.Master --host 10.0.0.2", "spark://10.0.0.1:7077,10.0.0.2:7077"} {
		p := System{}.Pod(all[i], all, cluster.Options{})
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		for _, want := range []string{want, "-Dspark.worker.timeout=10"} { // a worker sends four heartbeats in this time
			if args := strings.Join(p.Containers[1].Entrypoint, " "); !strings.Contains(args, want) {
				t.Errorf("no %q in %s", want, args)
			}
		}
	}
}

// access is the way to masters that say what the test tells them to.
type access struct {
	cluster.Access
	servers map[string]string // by node and port
}

func (m access) Nodes() []cluster.Node { return all }
func (m access) Dial(ctx context.Context, node, port string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", m.servers[node+port])
}
func (m access) Exec(context.Context, string, string, ...string) ([]byte, error) {
	return []byte("k-1\nk-1\n"), nil
}

func TestJobs(t *testing.T) {
	status, said, code := "ALIVE", "", 200
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"status": %q, "activedrivers": [{"id": "driver-1"}]}`, status)
	}))
	defer web.Close()
	rest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(code)
			io.WriteString(w, said)
		}
	}))
	defer rest.Close()
	a := access{servers: map[string]string{"n1web": "127.0.0.1:1", "n2web": web.Listener.Addr().String(), "n2rest": rest.Listener.Addr().String()}}
	conn, err := System{}.Open(a, "n1", cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := conn.(*connection)
	for _, x := range []struct {
		code       int
		said       string
		fine, fail bool
	}{
		{200, `{"success": true, "submissionId": "driver-1"}`, true, false},
		{200, `{"success": false, "message": "Current state is not alive: STANDBY. Can only accept driver submissions in ALIVE state."}`, false, true},
		{500, `{"message": "Current state is not alive: STANDBY."}`, false, true},
		{200, `{"success": false, "message": "something else"}`, false, false},
		{500, `{}`, false, false},
		{200, `{`, false, false},
	} {
		code, said = x.code, x.said
		if err := c.SubmitJob(t.Context(), "k", 1); (err == nil) != x.fine || errors.Is(err, harness.ErrFail) != x.fail {
			t.Errorf("%d %s: %v", x.code, x.said, err)
		}
	}
	if seen, err := c.LookAtJobs(t.Context(), "k"); err != nil || seen.Busy != 1 || seen.Jobs[1].Effects != 2 || c.Node() != "n2" {
		t.Errorf("%+v, %v", seen, err)
	}
	status = "STANDBY"
	if err := c.SubmitJob(t.Context(), "k", 1); !errors.Is(err, harness.ErrFail) {
		t.Errorf("no master leads: %v", err)
	}
	if _, err := c.LookAtJobs(t.Context(), "k"); err == nil {
		t.Error("a look without a leader")
	}
}
