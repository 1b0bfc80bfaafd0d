package yarn

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
	"time"

	"coup/cluster"
	"coup/cluster/systems/jvm"
	"coup/harness"
)

func set(name, value string) cluster.Options {
	return cluster.Options{Settings: map[string]string{name: value}}
}

func TestCheck(t *testing.T) {
	for _, o := range []cluster.Options{{}, {Reads: "linearizable"}, {Version: "3.3.6"}, {Version: "v3.4.2"}, set("submit", "accepted"), set("attempts", "1"), set("node-timeout", "5000")} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{{Bug: "x"}, {Reads: "stale"}, {Version: "2.10.2"}, {Version: "3"}, set("submit", "no"), set("attempts", "0"), set("session-timeout", "3"), set("x", "1")} {
		if err := (System{}).Check(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if y := (System{}); y.Loses(cluster.Options{}) != "" || y.Loses(set("submit", "accepted")) == "" || y.Isolation(cluster.Options{}) != "accounted" || y.Isolation(set("attempts", "1")) != "at-most-once" {
		t.Error("what it promises")
	}
}

var all = []cluster.Node{{Name: "n1", Host: "10.0.0.1", Role: jvm.Manager}, {Name: "n2", Host: "10.0.0.2", Role: jvm.Manager}, {Name: "n3", Host: "10.0.0.3", Role: jvm.Worker}}

func TestPod(t *testing.T) {
	for i, want := range []string{"<name>yarn.resourcemanager.ha.id</name><value>rm1</value>", "<name>yarn.resourcemanager.ha.id</name><value>rm2</value>", "<name>yarn.nodemanager.address</name><value>10.0.0.3:8041</value>"} {
		p := System{}.Pod(all[i], all, cluster.Options{})
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		if site := string(p.Files[1].Content); !strings.Contains(site, want) || !strings.Contains(site, "<value>rm1,rm2</value>") {
			t.Errorf("no %q in %s", want, site)
		}
	}
}

type access struct {
	cluster.Access
	server string
}

func (access) Nodes() []cluster.Node { return all }
func (a access) Dial(ctx context.Context, node, _ string) (net.Conn, error) {
	if node != "n2" {
		return nil, errors.New("it is down")
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", a.server)
}
func (access) Exec(context.Context, string, string, ...string) ([]byte, error) {
	return []byte("k-1\n"), nil
}

func TestJobs(t *testing.T) {
	code, state := http.StatusAccepted, "ACCEPTED"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/ws/v1/cluster/info":
			io.WriteString(w, `{"clusterInfo": {"haState": "ACTIVE"}}`)
		case strings.HasSuffix(r.URL.Path, "/new-application"):
			io.WriteString(w, `{"application-id": "application_1_1"}`)
		case strings.HasSuffix(r.URL.Path, "/state"):
			fmt.Fprintf(w, `{"state": %q}`, state)
		case r.Method == http.MethodPost:
			w.WriteHeader(code)
		default:
			io.WriteString(w, `{"apps": {"app": [{"name": "k-1", "state": "FINISHED", "finalStatus": "SUCCEEDED"}, {"name": "k-2", "state": "NEW_SAVING"}, {"name": "x-3", "state": "RUNNING"}, {"name": "k-4", "state": "FINISHED", "finalStatus": "FAILED"}]}}`)
		}
	}))
	defer s.Close()
	open := func(o cluster.Options) *connection {
		c, err := System{}.Open(access{server: s.Listener.Addr().String()}, "n1", o)
		if err != nil {
			t.Fatal(err)
		}
		return c.(*connection)
	}
	c, hasty := open(cluster.Options{}), open(set("submit", "accepted"))
	if err := c.SubmitJob(t.Context(), "k", 1); err != nil {
		t.Error(err)
	}
	state = "NEW_SAVING"
	if err := hasty.SubmitJob(t.Context(), "k", 1); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := c.SubmitJob(ctx, "k", 1); err == nil || errors.Is(err, harness.ErrFail) {
		t.Errorf("an application that is not saved yet: %v", err)
	}
	for code = range map[int]bool{http.StatusTemporaryRedirect: true, http.StatusInternalServerError: true} {
		if err := c.SubmitJob(t.Context(), "k", 1); err == nil || errors.Is(err, harness.ErrFail) != (code == http.StatusTemporaryRedirect) {
			t.Errorf("%d: %v", code, err)
		}
	}
	seen, err := c.LookAtJobs(t.Context(), "k")
	if err != nil || seen.Busy != 2 || len(seen.Jobs) != 3 || seen.Jobs[1] != (cluster.JobSeen{State: cluster.JobFinished, Effects: 1}) || seen.Jobs[2].State != cluster.JobWaiting || seen.Jobs[4].State != cluster.JobFailed {
		t.Errorf("%+v, %v", seen, err)
	}
}
