package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/docker"
	"coup/internal/testbuild"
	"coup/internal/testengine"
)

// odd is a system of which every node has two containers, of different users, and
// everything else that a pod can have.
type odd struct{}

func (odd) Name() string                { return "odd" }
func (odd) Check(cluster.Options) error { return nil }
func (odd) Open(cluster.Access, string, cluster.Options) (cluster.Conn, error) {
	return nil, errors.New("not here")
}
func (odd) Roles(n int, _ cluster.Options) []cluster.Role {
	return []cluster.Role{{Name: "keeper", Nodes: 1}, {Name: "worker", Nodes: n - 1}}
}
func (odd) Pod(node cluster.Node, all []cluster.Node, _ cluster.Options) cluster.Pod {
	container := func(name, user, port, log, stop string) cluster.Container {
		return cluster.Container{
			Name: name, Image: "pod", Entrypoint: []string{"/pod"}, Args: []string{name, port, log},
			Env: []string{"COLOR=" + node.Role}, User: user, StopSignal: stop, Memory: 64 << 20, Pids: 32,
		}
	}
	return cluster.Pod{
		Containers: []cluster.Container{
			container("first", "1234:1234", ":8081", "/data/first.log", "SIGINT"),
			container("second", "4321:1234", ":8082", "/more/second.log", ""),
		},
		Ports: []cluster.Port{{Name: "one", Number: 8081}, {Name: "two", Number: 8082}, {Name: "hidden", Number: 8083, Peers: true}},
		Data:  []cluster.Dir{{Path: "/data", UID: 1234, GID: 1234, Mode: 0o775}, {Path: "/more", UID: 4321, GID: 1234}},
		Files: []cluster.File{
			{Path: "/data/conf/once", Content: []byte("fresh"), UID: 1234, GID: 1234, Mode: 0o664, Once: true},
			{Path: "/data/conf/always", Content: []byte(fmt.Sprint(len(all), " nodes")), UID: 1234, GID: 1234, Mode: 0o664},
		},
		Logs: []string{"/data/first.log", "/more/second.log"},
	}
}

// upOdd brings a cluster of two odd nodes up.
func upOdd(t *testing.T) (c *docker.Cluster, said func(line string) int, exits chan string) {
	testengine.Need(t)
	ctx := t.Context()
	program, err := testbuild.Build("coup/cluster/docker/testdata/pod", "CGO_ENABLED=0")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	w.WriteHeader(&tar.Header{Name: "pod", Mode: 0o755, Size: int64(len(content))})
	w.Write(content)
	w.Close()
	e, err := docker.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id, err := e.Import(ctx, "coup/test-pod:latest", &root, "for a test", "LABEL coup.image=1")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var lines []string
	exits = make(chan string, 10)
	c, err = docker.Up(ctx, e, docker.Config{
		Run: fmt.Sprintf("test-%d-%d", os.Getpid(), time.Now().UnixNano()), Nodes: 2, System: odd{},
		Binary: testengine.Binary(t), Images: map[string]string{"pod": id},
		Output: func(node string, line []byte) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, node+": "+string(line))
		},
		Exited: func(node string, code int) { exits <- fmt.Sprint(node, " ", code) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
		if t.Failed() {
			t.Logf("the nodes said:\n%s", strings.Join(lines, "\n"))
		}
	})
	return c, func(line string) (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, l := range lines {
			if l == line {
				n++
			}
		}
		return n
	}, exits
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("within 30 s it did not come true that %s", what)
		}
	}
}

func TestPod(t *testing.T) {
	t.Parallel()
	c, said, exits := upOdd(t)
	ctx := t.Context()
	answer := func(conn io.ReadCloser, err error) string {
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		b, _ := io.ReadAll(conn)
		return strings.TrimSpace(string(b))
	}
	dial := func(node, port string) string { conn, err := c.Dial(ctx, node, port); return answer(conn, err) }
	serves := func(port, name string) func() bool { return func() bool { return dial("n2", port) == name } }

	nodes := c.Nodes()
	if len(nodes) != 2 || nodes[0].Role != "keeper" || nodes[1].Role != "worker" {
		t.Errorf("nodes %v", nodes)
	}
	for _, line := range []string{
		`n1: first uid 1234 color keeper once "fresh" always "2 nodes"`,
		`n2: first uid 1234 color worker once "fresh" always "2 nodes"`,
		`n1: first writes a log`, `n2: second writes a log`,
	} {
		eventually(t, "a node says "+line, func() bool { return said(line) == 1 })
	}
	eventually(t, "both containers answer at the node's address", func() bool { return serves("one", "first")() && serves("two", "second")() })
	if got := dial("n2", "hidden"); !strings.Contains(got, "peers alone") {
		t.Errorf("a port for peers: %s", got)
	}
	if got := dial("n2", "three"); !strings.Contains(got, "there is one, two, hidden") {
		t.Errorf("a port that there is not: %s", got)
	}
	eventually(t, "an address as the nodes know it leads to its node", func() bool {
		conn, err := c.DialAddress(ctx, nodes[1].Host+":8082")
		return answer(conn, err) == "second"
	})
	if _, err := c.DialAddress(ctx, "192.0.2.1:8082"); err == nil {
		t.Error("the address of no node can be dialled")
	}

	if out, err := c.Exec(ctx, "n1", "second", "/pod", "echo", "hello", "there"); err != nil || string(out) != "hello there\n" {
		t.Errorf("a command said %q, %v", out, err)
	}
	if _, err := c.Exec(ctx, "n1", "", "/pod", "echo", "fail"); !errors.Is(err, cluster.ErrExec) || !strings.Contains(err.Error(), "code 3: told to fail") {
		t.Errorf("a command that fails: %v", err)
	}
	if _, err := c.Exec(ctx, "n1", "third", "/pod"); err == nil {
		t.Error("a command ran in a container that there is not")
	}

	// A clean stop: each by its own signal, the last one started first.
	evidence, err := c.Stop(ctx, "n2")
	if err != nil || !strings.Contains(evidence, "gone") {
		t.Errorf("stop: %q, %v", evidence, err)
	}
	for _, line := range []string{"n2: first ended by interrupt", "n2: second ended by terminated"} {
		eventually(t, "a node says "+line, func() bool { return said(line) == 1 })
	}
	if err := c.Start(ctx, "n2"); err != nil {
		t.Fatal(err)
	}
	again := func(container string) func() bool {
		return func() bool {
			return slices.ContainsFunc([]string{"first", "second"}, func(by string) bool {
				return said(fmt.Sprintf(`n2: first uid 1234 color worker once "written by %s" always "2 nodes"`, by)) == 1
			})
		}
	}
	eventually(t, "a file of the system's own stays, and another one is written anew", again("first"))
	eventually(t, "both answer after a start", func() bool { return serves("one", "first")() && serves("two", "second")() })

	// Kill ends all processes, whoever's they are.
	if evidence, err := c.Kill(ctx, "n2"); err != nil || strings.Count(evidence, "(pod)") != 2 {
		t.Errorf("kill: %q, %v", evidence, err)
	}
	if err := c.Start(ctx, "n2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both answer after a kill", func() bool { return serves("one", "first")() && serves("two", "second")() })
	if evidence, err := c.Pause(ctx, "n2"); err != nil || strings.Count(evidence, "(pod)") != 2 {
		t.Errorf("pause: %q, %v", evidence, err)
	}
	if err := c.Resume(ctx, "n2"); err != nil {
		t.Error(err)
	}
	if len(exits) > 0 {
		t.Errorf("%s ended unasked", <-exits)
	}

	// One container that ends by itself leaves the other alone, and is started again.
	if err := c.Signal(ctx, "n2", "second", "SIGTERM"); err != nil {
		t.Fatal(err)
	}
	select {
	case exit := <-exits:
		if exit != "n2 0" {
			t.Errorf("it ended as %s", exit)
		}
	case <-time.After(time.Minute):
		t.Error("nobody noticed that a container ended")
	}
	if got := dial("n2", "one"); got != "first" {
		t.Errorf("the other container answers %q", got)
	}
	if err := c.Start(ctx, "n2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the container answers again", serves("two", "second"))
}
