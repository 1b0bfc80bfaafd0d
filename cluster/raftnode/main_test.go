//go:build !wasip1

package raftnode

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// freePorts returns addresses nobody listens on. They are below those that the
// kernel gives to outgoing connections, so that no connection of another test takes
// one before the node does.
func freePorts(t *testing.T, n int) (out []string) {
	t.Helper()
	for tries := 0; len(out) < n; tries++ {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 20_000+rand.IntN(12_000)))
		if err == nil {
			defer l.Close()
			out = append(out, l.Addr().String())
		} else if tries > 1000 {
			t.Fatal(err)
		}
	}
	return out
}

var testClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// process is a node as the program runs it, on the disk and over TCP.
type process struct {
	out  *lockedBuffer
	log  *lockedBuffer
	stop chan os.Signal
	done chan error
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	f, err := parseFlags(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{out: &lockedBuffer{}, log: &lockedBuffer{}, stop: make(chan os.Signal, 1), done: make(chan error, 1)}
	go func() { p.done <- run(f, p.stop, p.out, p.log) }()
	return p
}

func (p *process) end(t *testing.T) {
	t.Helper()
	p.stop <- os.Interrupt
	select {
	case err := <-p.done:
		if err != nil {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("does not end")
	}
	if !p.out.has(func(e Event) bool { return e.Kind == EventShutdown }) {
		t.Error("no word of the shutdown")
	}
}

// Three nodes with their disks: they elect a leader although the third does
// not resolve yet, keep what they were told over restarts of all, and start
// from their snapshots.
func TestProcesses(t *testing.T) {
	t.Parallel()
	ports := freePorts(t, 4)
	dir := t.TempDir()
	peers := fmt.Sprintf("n1=%s/%s,n2=%s/%s,n3=no-such-host.invalid:7000/8000",
		ports[0], port(ports[1]), ports[2], port(ports[3]))
	start := func(i int) *process {
		return startProcess(t,
			"--id", fmt.Sprint("n", i), "--peers", peers, "--data", filepath.Join(dir, fmt.Sprint("n", i)),
			"--listen-peer", ports[2*i-2], "--listen-client", ports[2*i-1], "--forward",
			"--heartbeat", "1s", "--election", "1s", "--lease", "800ms", // a busy machine deposes nobody sooner
			"--snapshot-threshold", "20", "--snapshot-interval", "10ms", "--trailing", "5")
	}
	post := func(path, body string) (got Response) {
		t.Helper()
		eventually(t, path, func() bool {
			r, err := testClient.Post("http://"+ports[1]+path, "application/json", strings.NewReader(body))
			if err != nil {
				return false
			}
			defer r.Body.Close()
			var f *Failure
			got, f = DecodeAnswer(r.StatusCode, r.Body)
			return f == nil
		})
		return got
	}
	a, b := start(1), start(2)
	for i := range 60 {
		post(PathSetAdd, fmt.Sprintf(`{"key":"s","value":%d,"client":"x","seq":%d}`, i, i+1))
	}
	for _, p := range []*process{a, b} {
		eventually(t, "a snapshot", func() bool {
			return p.out.has(func(e Event) bool { return e.Kind == EventSnapshot && e.Index > 20 })
		})
	}
	a.end(t)
	b.end(t)
	a, b = start(1), start(2)
	if n := len(post(PathSetRead, `{"key":"s"}`).Values); n != 60 {
		t.Errorf("%d elements after a restart of all, want 60", n)
	}
	// The last write, repeated after the restart, is known.
	post(PathSetAdd, `{"key":"s","value":1000,"client":"x","seq":60}`)
	if n := len(post(PathSetRead, `{"key":"s"}`).Values); n != 60 {
		t.Errorf("%d elements after a repeated write, want 60", n)
	}
	for _, p := range []*process{a, b} {
		eventually(t, "a start from the snapshot", func() bool {
			return p.out.has(func(e Event) bool { return e.Kind == EventRestore && e.Index > 20 })
		})
	}
	a.end(t)
	b.end(t)
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := freePorts(t, 2)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(t.TempDir(), "locked")
	d, err := openDisk(locked, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	for name, c := range map[string]struct {
		peer, client, data string
		want               string
	}{
		"client port taken": {free[0], taken.Addr().String(), t.TempDir(), "address already in use"},
		"peer port taken":   {taken.Addr().String(), free[1], t.TempDir(), "address already in use"},
		"data is a file":    {free[0], free[1], file, "data directory"},
		"data is in a file": {free[0], free[1], filepath.Join(file, "x"), "data directory"},
		"data is locked":    {free[0], free[1], locked, "another process uses it"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, log bytes.Buffer
			code := Main([]string{"--id=n1", "--peers=n1=127.0.0.1:1", "--data=" + c.data, "--listen-peer=" + c.peer, "--listen-client=" + c.client, "--log-level=error"}, &out, &log)
			if code != 1 || !strings.Contains(log.String(), c.want) || strings.Count(log.String(), "\n") != 1 {
				t.Errorf("exit status %d: %s", code, log.String())
			}
		})
	}
}

func TestUsage(t *testing.T) {
	good := []string{"--id=n1", "--peers=n1=a:1,n2=b:1/2", "--data=/d"}
	if f, err := parseFlags(good, io.Discard); err != nil {
		t.Error(err)
	} else if f.peers[0].Client != "a:8000" || f.peers[1] != (Peer{Name: "n2", Addr: "b:1", Client: "b:2"}) {
		t.Errorf("peers: %+v", f.peers)
	}
	for name, args := range map[string][]string{
		"no flags":       {},
		"no peers":       {"--id=n1", "--data=/d"},
		"not a member":   append([]string{"--id=n9"}, good[1:]...),
		"no id":          good[1:],
		"no data":        good[:2],
		"argument":       append(good[:3:3], "now"),
		"unknown flag":   append(good[:3:3], "--speed=9"),
		"no duration":    append(good[:3:3], "--heartbeat=9"),
		"lease too long": append(good[:3:3], "--lease=9s"),
		"retry 0":        append(good[:3:3], "--retry=0s"),
		"no pipeline":    append(good[:3:3], "--in-flight=1"),
		"bug":            append(good[:3:3], "--bug=none"),
		"level":          append(good[:3:3], "--log-level=shout"),
		"listen":         append(good[:3:3], "--listen-client=8000"),
		"peer twice":     {"--id=n1", "--peers=n1=a:1,n1=b:1", "--data=/d"},
		"address twice":  {"--id=n1", "--peers=n1=a:1,n2=a:1", "--data=/d"},
		"no port":        {"--id=n1", "--peers=n1=a", "--data=/d"},
		"no host":        {"--id=n1", "--peers=n1=:1", "--data=/d"},
		"no name":        {"--id=n1", "--peers=a:1", "--data=/d"},
	} {
		var out, log bytes.Buffer
		if code := Main(args, &out, &log); code != 2 || strings.Count(log.String(), "\n") != 1 || out.Len() != 0 {
			t.Errorf("%s: exit status %d, %q, %q", name, code, out.String(), log.String())
		}
	}
	var out, log bytes.Buffer
	if code := Main([]string{"--help"}, &out, &log); code != 0 || !strings.Contains(out.String(), "Example") || log.Len() != 0 {
		t.Errorf("help: exit status %d, %q", code, log.String())
	}
}

// The status is there while the node has no leader.
func TestStatusWithoutLeader(t *testing.T) {
	t.Parallel()
	ports := freePorts(t, 2)
	p := startProcess(t, "--id=n1", "--peers=n1="+ports[0]+",n2=no-such-host.invalid:7000", "--data="+t.TempDir(),
		"--listen-peer="+ports[0], "--listen-client="+ports[1])
	eventually(t, "a status", func() bool {
		r, err := testClient.Get("http://" + ports[1] + PathStatus)
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	p.end(t)
}
