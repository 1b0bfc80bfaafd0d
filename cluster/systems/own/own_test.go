package own

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/systems/own/line"
	"coup/harness"
)

// read reads a compose file that lies beside other files.
func read(t *testing.T, compose string, files map[string]string) (Source, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mine")
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o640)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "compose.yaml")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(file, []byte(compose), 0o644)); err != nil {
		t.Fatal(err)
	}
	return Read(t.Context(), file)
}

const whole = `
services:
  web:
    image: web:1
    depends_on: [db]
    build: {context: ., args: {A: b}}
    ports: ["8080:80"]
    networks: [default]
  db:
    image: ${IMAGE:-db}
    entrypoint: [db, --port=5432]
    command: serve --quiet 'two words' $$HOME
    environment: {B: "2", A: "1"}
    env_file: more.env
    user: "70:70"
    working_dir: /srv
    mem_limit: 256m
    pids_limit: 99
    stop_signal: SIGINT
    scale: 2
    cap_drop: [KILL]
    cap_add: [IPC_LOCK]
    ports: ["5432", "127.0.0.1:9000:9000"]
    expose: ["6000"]
    volumes: ["data:/data", "./db.conf:/etc/db/db.conf:ro", "./init:/init"]
    configs: [{source: c, target: /c.conf, mode: 0600, uid: "70"}]
    secrets: [s]
    restart: always
    labels: {a: b}
    healthcheck: {test: pg_isready}
configs: {c: {content: "inline $$x\n"}}
secrets: {s: {file: ./s.txt}}
volumes: {data: }
x-coup:
  leader: {command: [isleader], pattern: ^yes}
  timing: {start: 2m}
`

func TestRead(t *testing.T) {
	s, err := read(t, whole, map[string]string{"more.env": "C=3\n", "db.conf": "port 1\n", "init/a.sql": "a", "init/b/c.sql": "c", "s.txt": "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Notes) != 2 || !strings.Contains(s.Notes[0], "services.db.labels has no effect") || !strings.Contains(s.Notes[1], "services.db.restart has no effect") {
		t.Errorf("notes %q", s.Notes)
	}
	// The source is all that it takes, also after a time as JSON in plan.json.
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var again Source
	if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(s, again) {
		t.Fatalf("%v\n%+v\n%+v", err, s, again)
	}
	sys, err := New(again, Client{Command: line.Command{Line: "true"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Check(cluster.Options{}); err != nil {
		t.Error(err)
	}
	if got := cluster.NodesOf(sys, sys.Nodes(), cluster.Options{}); !reflect.DeepEqual(got, []cluster.Node{{Name: "db-1", Role: "db"}, {Name: "db-2", Role: "db"}, {Name: "web", Role: "web"}}) {
		t.Errorf("nodes %+v", got)
	}
	db, web := sys.Pod(cluster.Node{Role: "db"}, nil, cluster.Options{}), sys.Pod(cluster.Node{Role: "web"}, nil, cluster.Options{})
	want := cluster.Pod{
		Containers: []cluster.Container{{
			Name: "main", Image: "db", Entrypoint: []string{"db", "--port=5432"}, Args: []string{"serve", "--quiet", "two words", "$HOME"},
			Env: []string{"A=1", "B=2", "C=3"}, User: "70:70", WorkDir: "/srv", Memory: 256 << 20, Pids: 99, StopSignal: "SIGINT", Writable: true,
			Capabilities: []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "NET_BIND_SERVICE", "SETGID", "SETUID", "IPC_LOCK"},
		}},
		Ports: []cluster.Port{{Name: "5432", Number: 5432}, {Name: "9000", Number: 9000}, {Name: "6000", Number: 6000, Peers: true}},
		Data:  []cluster.Dir{{Path: "/data", Filled: true}, {Path: "/init"}},
		Files: []cluster.File{
			{Path: "/etc/db/db.conf", Content: []byte("port 1\n"), Mode: 0o640},
			{Path: "/init/a.sql", Content: []byte("a"), Mode: 0o640}, {Path: "/init/b/c.sql", Content: []byte("c"), Mode: 0o640},
			{Path: "/c.conf", Content: []byte("inline $x\n"), Mode: 0o600, UID: 70}, {Path: "/run/secrets/s", Content: []byte("secret")},
		},
	}
	if !reflect.DeepEqual(db, want) {
		t.Errorf("db is\n%+v, want\n%+v", db, want)
	}
	if len(web.Ports) != 1 || web.Ports[0].Number != 80 {
		t.Errorf("web is %+v", web)
	}
	local := sys.Local()
	if len(local) != 2 || local[0].Reference != "db" || local[0].Context != "" || local[1].Reference != "web:1" || local[1].Context != s.Base || local[1].Dockerfile != "Dockerfile" || local[1].Args[0] != "A=b" {
		t.Errorf("images %+v", local)
	}
	if sys.Timing(cluster.Options{}).Start != 2*time.Minute || sys.of("db").health[2] != "pg_isready" || sys.Name() != "mine" {
		t.Errorf("%+v", sys)
	}
	if _, ok := sys.System().(cluster.Informer); !ok {
		t.Error("nobody can be asked who leads")
	}
}

// The images that coup has recipes for need no registry.
func TestRecipes(t *testing.T) {
	for reference, want := range map[string]string{"redis": "redis", "coup/etcd:3.5.21": "etcd 3.5.21", "etcd": "etcd", "postgresql-of-mine": "", "registry.example/redis": "", "raft": ""} {
		r := recipe(reference)
		got := ""
		if r != nil {
			got = strings.TrimSpace(r.Name + " " + r.Version)
		}
		if !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q, want %q", reference, got, want)
		}
	}
}

// What coup can't carry out is refused in one line that names the key.
func TestRefused(t *testing.T) {
	t.Setenv("COUP_TEST_UNSET", "")
	os.Unsetenv("COUP_TEST_UNSET")
	one := func(lines string) string {
		return "services:\n  a:\n    image: i\n    ports: [\"1\"]\n    " + lines + "\n"
	}
	for compose, want := range map[string]string{
		one("frobnicate: 1"):                                                  "frobnicate",
		one("cpus: 1"):                                                        "services.a.cpus can't be carried out",
		one("privileged: true"):                                               "services.a.privileged can't be carried out",
		one("network_mode: host"):                                             "services.a.network_mode can't be carried out",
		one("container_name: xyz"):                                            "services.a.container_name can't be carried out",
		one("sysctls: {a: 1}"):                                                "services.a.sysctls can't be carried out",
		one("ulimits: {nofile: 5}"):                                           "services.a.ulimits can't be carried out",
		one("extra_hosts: [\"x:1.2.3.4\"]"):                                   "services.a.extra_hosts can't be carried out",
		one("deploy: {placement: {constraints: [a]}}"):                        "services.a.deploy.placement can't be carried out",
		one("deploy: {mode: global}"):                                         "services.a.deploy.mode",
		one("deploy: {resources: {limits: {cpus: \"1\"}}}"):                   "services.a.deploy.resources.limits.cpus can't be carried out",
		one("networks: {default: {aliases: [b]}}"):                            "services.a.networks.default.aliases can't be carried out",
		one("cap_add: [NET_ADMIN]"):                                           "services.a.cap_add: with NET_ADMIN",
		one("cap_add: [CAP_SYS_ADMIN]"):                                       "services.a.cap_add: with CAP_SYS_ADMIN",
		one("tmpfs: /run"):                                                    "services.a.tmpfs can't be carried out",
		one("volumes: [\"./none:/x\"]"):                                       "services.a.volumes: none is not there",
		one("volumes: [\"./bin:/x\"]"):                                        "services.a.volumes: bin is no text",
		one("volumes: [{type: tmpfs, target: /x}]"):                           "services.a.volumes: a node has /tmp in memory",
		one("healthcheck: {test: [RUN, x]}"):                                  "healthcheck.test must start",
		one("scale: 0"):                                                       "services.a.scale",
		one("configs: [none]"):                                                "none",
		one("read_only: true\n    configs: [c]\nconfigs: {c: {content: x}}"):  "services.a: the file /c is in none",
		one("command: ${COUP_TEST_UNSET}"):                                    "the variable COUP_TEST_UNSET is not set",
		one("depends_on: {b: {condition: service_healthy}}\n  b: {image: i}"): "services.a.depends_on.b.condition can't be carried out",
		one("volumes: [\"vol:/x\"]\n  b: {image: i, volumes: [\"vol:/x\"]}\nvolumes: {vol: {}}"): "services.b.volumes: a also has the volume vol",
		one("networks: [n]\n  b: {image: i}\nnetworks: {n: {}}"):                                 "services.b.networks can't be carried out",
		one("networks: [n]\nnetworks: {n: {internal: true}}"):                                    "networks.n.internal can't be carried out",
		one("volumes: [\"vol:/x\"]\nvolumes: {vol: {external: true}}"):                           "volumes.vol.external can't be carried out",
		one("ports: [\"53/udp\"]"):                                                               "",
		"services:\n  a:\n    image: i\n    ports: [\"53:53/udp\"]\n":                            "services.a.ports: clients use TCP",
		"services:\n  a: {command: x}\n":                                                         "a",
		"services: {}\n":                                                                         "",
		"nothing":                                                                                "",
		one("command: x\nx-coup: {leader: {}}"):                                                  "x-coup.leader: it is told by exactly one of",
		one("command: x\nx-coup: {leader: {command: [a], http: {port: 1, path: /}}}"):            "exactly one of",
		one("command: x\nx-coup: {leader: {log: {leads: a}}}"):                                   "x-coup.leader: log.follows: a pattern is missing",
		one("command: x\nx-coup: {leader: {log: {leads: '(', follows: a}}}"):                     "x-coup.leader: log.leads: error parsing",
		one("command: x\nx-coup: {leader: {http: {port: 1}}}"):                                   "x-coup.leader: http",
		one("command: x\nx-coup: {leeder: {}}"):                                                  "x-coup: ",
		one("command: x\nx-coup: {timing: {start: soon}}"):                                       "x-coup: ",
	} {
		s, err := read(t, compose, map[string]string{"bin": "\xff\xfe"})
		if err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q (%+v)", compose, err, want, s)
		}
	}
	_, err := read(t, one("cpus: 1\n    privileged: true\n  b: {image: i, tmpfs: /run}\nvolumes: {vol: {external: true}}"), nil)
	if err == nil || len(strings.Split(err.Error(), "\n")) != 4 {
		t.Errorf("%v, want a line for each refusal", err)
	}
	if _, err := Read(t.Context(), "no/such/compose.yaml"); err == nil || !strings.Contains(err.Error(), "is not there") {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	system := func(compose string, c Client) *System {
		s, err := read(t, compose, nil)
		if err != nil {
			t.Fatal(err)
		}
		sys, err := New(s, c)
		if err != nil {
			t.Fatal(err)
		}
		return sys
	}
	good := Client{Command: line.Command{Line: "true"}}
	served := "services: {a: {image: i, ports: [\"1\"]}}"
	for name, c := range map[string]struct {
		sys  *System
		o    cluster.Options
		want string
	}{
		"good":       {system(served, good), cluster.Options{}, ""},
		"no ports":   {system("services: {a: {image: i, expose: [\"1\"]}}", good), cluster.Options{}, "no service has ports"},
		"no program": {system(served, Client{Command: line.Command{Line: "coup-no-such-program"}}), cluster.Options{}, "can't be found"},
		"version":    {system(served, good), cluster.Options{Version: "1"}, "no versions"},
		"settings":   {system(served, good), cluster.Options{Settings: map[string]string{"a": "b"}}, "settings"},
		"names":      {system("services: {a: {image: i, scale: 2, ports: [\"1\"]}, a-1: {image: i}}", good), cluster.Options{}, "two nodes would be called a-1"},
	} {
		if err := c.sys.Check(c.o); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// nodes are a cluster of servers on this machine.
type nodes struct {
	all  []cluster.Node
	at   map[string]string // name/port -> address
	exec func(node string, argv []string) ([]byte, error)
}

func (n nodes) Nodes() []cluster.Node { return n.all }
func (n nodes) Dial(ctx context.Context, node, port string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", n.at[node+"/"+port])
}
func (n nodes) DialAddress(context.Context, string) (net.Conn, error) { return nil, errors.New("no") }
func (n nodes) Address(node, port string) (string, error)             { return n.at[node+"/"+port], nil }
func (n nodes) Exec(_ context.Context, node, _ string, argv ...string) ([]byte, error) {
	return n.exec(node, argv)
}

func TestLeaders(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/yes":
			w.Write([]byte("state: leader\n"))
		case "/no":
			w.Write([]byte("state: replica\n"))
		default:
			http.Error(w, "leader", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	at := strings.TrimPrefix(server.URL, "http://")
	access := nodes{all: []cluster.Node{{Name: "a", Role: "a"}, {Name: "b", Role: "b"}}, at: map[string]string{"a/80": at, "b/80": "127.0.0.1:1"},
		exec: func(node string, argv []string) ([]byte, error) {
			switch {
			case node == "b":
				return nil, errors.New("it is dead")
			case argv[0] == "fails":
				return []byte("leader\n"), cluster.ErrExec
			}
			return []byte("role:\nleader of all\n"), nil
		}}
	role := func(how, node string) string {
		s, err := read(t, "services:\n  a: {image: i, ports: [\"80\"]}\n  b: {image: i, ports: [\"80\"]}\nx-coup: {leader: "+how+"}\n", nil)
		if err != nil {
			t.Fatal(err)
		}
		sys, err := New(s, Client{})
		if err != nil {
			t.Fatal(err)
		}
		status, err := sys.System().(cluster.Informer).Status(t.Context(), access, node)
		if err != nil {
			return "none"
		}
		return status.Role
	}
	for how, want := range map[string]string{
		"{command: [works]}":                                        "leader",
		"{command: [works], pattern: ^leader}":                      "leader",
		"{command: [works], pattern: ^replica}":                     "follower",
		"{command: [fails], pattern: leader}":                       "follower",
		"{http: {port: 80, path: /yes}}":                            "leader",
		"{http: {port: 80, path: /yes, pattern: 'leader$'}}":        "leader",
		"{http: {port: 80, path: /no, pattern: 'leader$'}}":         "follower",
		"{http: {port: 80, path: /unavailable, pattern: 'leader'}}": "follower",
		"{log: {leads: x, follows: y}}":                             "none",
	} {
		if got := role(how, "a"); got != want {
			t.Errorf("%s: %s, want %s", how, got, want)
		}
		if got := role(how, "b"); got != "none" {
			t.Errorf("%s, of a dead node: %s", how, got)
		}
	}
}

// Where no node leads, it is told why, of each.
func TestNobodyLeads(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	at := strings.TrimPrefix(server.URL, "http://")
	access := nodes{all: []cluster.Node{{Name: "a", Role: "a"}, {Name: "b", Role: "b"}}, at: map[string]string{"a/80": at, "b/80": at},
		exec: func(node string, argv []string) ([]byte, error) {
			switch argv[0] {
			case "fails":
				return nil, fmt.Errorf("fails on %s: %w with code 1: no such flag", node, cluster.ErrExec)
			case "true":
				return nil, nil
			case "missing":
				return nil, fmt.Errorf("missing on %s: %w", node, cluster.ErrNoProgram)
			}
			return []byte("role: replica\n"), nil
		}}
	for how, want := range map[string]string{
		"{command: [fails]}":                   "(a, b: the command failed with code 1: no such flag)",
		"{command: [works], pattern: ^leader}": `(a, b: what works wrote does not match (?m)^leader: "role: replica")`,
		"{command: [\"true\"]}":                "says of every node that it leads (a, b)",
		"{command: [missing]}":                 "who leads can't be found out: missing on a: the container has no such program",
		"{http: {port: 80, path: /leaderr}}":   "(a, b: /leaderr is answered with 404 Not Found)",
		"{log: {leads: x, follows: y}}":        "(a, b: no line matched (?m)x or (?m)y)",
	} {
		s, err := read(t, "services:\n  a: {image: i, ports: [\"80\"]}\n  b: {image: i, ports: [\"80\"]}\nx-coup: {leader: "+how+"}\n", nil)
		if err != nil {
			t.Fatal(err)
		}
		sys, err := New(s, Client{})
		if err != nil {
			t.Fatal(err)
		}
		err = sys.Ready(t.Context(), access, cluster.Options{})
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, cluster.ErrNoProgram) != strings.Contains(how, "missing") {
			t.Errorf("%s: %v, want %s", how, err, want)
		}
	}
}

// The newest line tells what a node is, and the newest leader is the one.
func TestLeaderByLines(t *testing.T) {
	s, err := read(t, "services:\n  a: {image: i, expose: [\"80\"]}\n  b: {image: i, expose: [\"80\"]}\nx-coup: {leader: {log: {leads: 'now leader', follows: 'now follower'}}}\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := New(s, Client{})
	if err != nil {
		t.Fatal(err)
	}
	sys := made.System().(logged)
	access := nodes{all: []cluster.Node{{Name: "a", Role: "a"}, {Name: "b", Role: "b"}}}
	for i, c := range []struct{ node, text, a, b string }{
		{"a", "hello", "none", "none"}, {"a", "12:00 now leader", "leader", "none"}, {"b", "now follower of a", "leader", "follower"},
		{"b", "now leader", "leader", "leader"}, {"a", "now follower of b", "follower", "leader"},
	} {
		e, _, ok := sys.Event(c.node, []byte(c.text))
		if ok != (c.text != "hello") || ok && (e.Kind != harness.RoleEvent || e.Node != c.node) {
			t.Errorf("%d: %+v, %v", i, e, ok)
		}
		for node, want := range map[string]string{"a": c.a, "b": c.b} {
			status, err := sys.Status(t.Context(), access, node)
			if got := status.Role; err == nil && got != want || err != nil && want != "none" {
				t.Errorf("%d, %s: %+v, %v, want %s", i, node, status, err, want)
			}
		}
	}
	a, _ := sys.Status(t.Context(), access, "a")
	b, _ := sys.Status(t.Context(), access, "b")
	if b.Term <= a.Term {
		t.Errorf("the newest leader is not told: %+v, %+v", a, b)
	}
}
