package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
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
	for _, o := range []cluster.Options{{}, {Reads: "linearizable"}, {Reads: "stale"}, {Version: "3.3.6"}, {Version: "v3.4.2"}, set("replication", "1"), set("session-timeout", "5000"), set("journal-timeout", "3000")} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{{Bug: "x"}, {Reads: "lease"}, {Version: "2.10.2"}, {Version: "3"}, set("replication", "0"), set("session-timeout", "3"), set("x", "1")} {
		if err := (System{}).Check(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

var all = []cluster.Node{{Name: "n1", Host: "10.0.0.1", Role: jvm.Manager}, {Name: "n2", Host: "10.0.0.2", Role: jvm.Manager}, {Name: "n3", Host: "10.0.0.3", Role: jvm.Worker}}

func TestPod(t *testing.T) {
	for i, want := range []struct{ containers, command string }{
		{"zookeeper journalnode namenode failover", "-format"}, {"zookeeper journalnode namenode failover", "-bootstrapStandby"}, {"zookeeper journalnode datanode", "DataNode"},
	} {
		p := System{}.Pod(all[i], all, cluster.Options{})
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		var names []string
		commands := ""
		for _, c := range p.Containers {
			names = append(names, c.Name)
			commands += strings.Join(c.Entrypoint, " ")
		}
		if got := strings.Join(names, " "); got != want.containers || !strings.Contains(commands, want.command) {
			t.Errorf("%s has %s: %s", all[i].Name, got, commands)
		}
		// A name node waits for journal nodes as long as it is told to, and a data node for name nodes only for seconds.
		if hasty := strings.Contains(string(p.Files[0].Content), "ipc.client.rpc-timeout.ms"); hasty != (all[i].Role == jvm.Worker) {
			t.Errorf("%s: %s", all[i].Name, p.Files[0].Content)
		}
		if site := string(p.Files[1].Content); !strings.Contains(site, "<value>nn1,nn2</value>") || !strings.Contains(site, "qjournal://10.0.0.1:8485;10.0.0.2:8485;10.0.0.3:8485/coup") {
			t.Error(site)
		}
	}
}

// access is the way to a name node, n2, and a data node, by their addresses.
type access struct {
	cluster.Access
	name, data string
}

func (access) Nodes() []cluster.Node { return all }
func (a access) Dial(ctx context.Context, node, _ string) (net.Conn, error) {
	if node != "n2" {
		return nil, errors.New("it is down")
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", a.name)
}
func (a access) DialAddress(ctx context.Context, address string) (net.Conn, error) {
	to := map[string]string{"10.0.0.2:9870": a.name, "10.0.0.3:9864": a.data}[address]
	var d net.Dialer
	return d.DialContext(ctx, "tcp", to)
}

// wrong is an answer that is an exception.
func wrong(w http.ResponseWriter, name string) {
	w.WriteHeader(http.StatusForbidden)
	name, why, _ := strings.Cut(name, ": ")
	fmt.Fprintf(w, `{"RemoteException": {"exception": %q, "message": "why %s\nand where"}}`, name, why)
}

func TestStorage(t *testing.T) {
	var asked []string
	said := map[string]string{} // exceptions by operation, "data" for those of the data node
	name := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path == "/jmx" {
			io.WriteString(w, `{"beans": [{"State": "active"}]}`)
			return
		}
		op := q.Get("op")
		asked = append(asked, op)
		switch {
		case said[op] != "":
			wrong(w, said[op])
		case op == "MKDIRS":
			io.WriteString(w, `{"boolean": true}`)
		case op == "LISTSTATUS":
			io.WriteString(w, `{"FileStatuses": {"FileStatus": [{"pathSuffix": "a"}, {"pathSuffix": "b"}]}}`)
		case q.Get("noredirect") == "true":
			fmt.Fprintf(w, `{"Location": "http://10.0.0.3:9864/webhdfs/v1/x?op=%s&namenoderpcaddress=coup"}`, op)
		}
	}))
	defer name.Close()
	at := "" // the name node that the data node is to ask
	data := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at = r.URL.Query().Get("namenoderpcaddress")
		if said["data"] != "" {
			wrong(w, said["data"])
		} else if r.Method == http.MethodGet {
			io.WriteString(w, "content")
		}
	}))
	defer data.Close()
	open := func(o cluster.Options) *connection {
		c, err := System{}.Open(access{name: name.Listener.Addr().String(), data: data.Listener.Addr().String()}, "n1", o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.(*connection)
	}
	c, hasty := open(cluster.Options{Client: "p1"}), open(cluster.Options{Reads: "stale"})
	write := func() error { return c.WriteObject(t.Context(), "d", "a", []byte("content")) }
	add := func() error { return c.AppendObject(t.Context(), "d", "a", []byte("content")) }
	rename := func() error { return c.RenameObject(t.Context(), "d", "a", "b") }
	if err := errors.Join(write(), add(), rename()); err != nil {
		t.Error(err)
	}
	if want := []string{"MKDIRS", "CREATE", "RENAME", "APPEND", "RENAME"}; !slices.Equal(asked, want) || c.Node() != "n2" {
		t.Errorf("%s was asked %v, want %v", c.Node(), asked, want)
	}
	for _, x := range []struct {
		op, exception string
		do            func() error
		fails         bool
	}{
		{"CREATE", "StandbyException", write, true}, {"data", "IOException", write, true}, // a draft is seen by nobody
		{"RENAME", "StandbyException", write, true}, {"RENAME", "IOException", write, false},
		{"RENAME", "FileNotFoundException", rename, true}, {"RENAME", "RetriableException", rename, false},
		{"APPEND", "StandbyException", add, true}, {"data", "AlreadyBeingCreatedException", add, true}, {"data", "IOException", add, false},
		{"data", "FileNotFoundException: Failed to append to non-existent file /x", add, true},
		// The bytes may be there: the file was replaced before it was closed, or no name node leads any more.
		{"data", "FileNotFoundException: File does not exist: /x", add, false}, {"data", "StandbyException", add, false},
	} {
		clear(said)
		said[x.op] = x.exception
		if err := x.do(); err == nil || errors.Is(err, harness.ErrFail) != x.fails || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %s: %v", x.op, x.exception, err)
		}
	}
	clear(said)
	for _, one := range []struct {
		*connection
		want []string
		at   string
	}{{c, []string{"SETTIMES", "LISTSTATUS", "SETTIMES", "OPEN"}, "10.0.0.2:8020"}, {hasty, []string{"LISTSTATUS", "OPEN"}, "coup"}} {
		asked = nil
		names, err := one.ListObjects(t.Context(), "d")
		content, found, err2 := one.ReadObject(t.Context(), "d", "a")
		if err != nil || err2 != nil || !slices.Equal(names, []string{"a", "b"}) || !found || string(content) != "content" || !slices.Equal(asked, one.want) || at != one.at {
			t.Errorf("%v, %v, %s, %v; asked %v, and then %s", names, err, content, err2, asked, at)
		}
	}
	for _, which := range []string{"OPEN", "data"} {
		clear(said)
		said[which] = "FileNotFoundException"
		if _, found, err := c.ReadObject(t.Context(), "d", "a"); found || err != nil {
			t.Errorf("no file: %v, %v", found, err)
		}
	}
	clear(said)
	said["SETTIMES"] = "StandbyException" // who can't write is not read
	if _, _, err := c.ReadObject(t.Context(), "d", "a"); !errors.Is(err, harness.ErrFail) {
		t.Error(err)
	}
	if _, err := c.ListObjects(t.Context(), "d"); !errors.Is(err, harness.ErrFail) {
		t.Error(err)
	}
}

// What is done once is done until it works, and counts as done if somebody else did it.
func TestOnce(t *testing.T) {
	if got, want := once("/d", "2", []string{"java", "X"}), "[ -e /d ] || { until 'java' 'X'; do [ $? = 2 ] && break; sleep 1; done; : > /d; }; "; got != want {
		t.Error(got)
	}
}
