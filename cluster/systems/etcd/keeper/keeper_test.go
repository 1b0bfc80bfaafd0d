//go:build linux

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestMain is the test, or the etcd of a test: see fake.
func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		os.Exit(fake(keeper{flags: os.Args[1:]}))
	}
	os.Exit(m.Run())
}

// fake is an etcd that writes its flags down, and then does what the next line of the
// file plan says: it makes a log or not, and ends with a code or waits to be told.
func fake(k keeper) int {
	dir := filepath.Dir(k.flag("data-dir"))
	plan, _ := os.ReadFile(filepath.Join(dir, "plan"))
	lines := strings.Split(string(plan), "\n")
	done, _ := os.OpenFile(filepath.Join(dir, "done"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	before, _ := os.ReadFile(filepath.Join(dir, "done"))
	fmt.Fprintln(done, k.flag("initial-cluster-state"), k.flag("initial-cluster"), k.hasData())
	step := strings.Fields(lines[strings.Count(string(before), "\n")])
	if step[0] == "log" {
		wal := filepath.Join(k.flag("data-dir"), "member", "wal")
		os.MkdirAll(wal, 0o755)
		os.WriteFile(filepath.Join(wal, "0.wal"), nil, 0o644)
	}
	if step[1] == "waits" {
		<-asked
		return 5
	}
	if len(step) > 2 {
		fmt.Fprintf(os.Stderr, "{\"msg\":\"listener failed\",\"error\":%q}\n", strings.Join(step[2:], " "))
	}
	code := 0
	fmt.Sscan(step[1], &code)
	return code
}

// node is a keeper of a node n2 whose etcd follows the plan.
func node(t *testing.T, peer string, plan ...string) (k keeper, dir string) {
	t.Helper()
	t.Setenv(child, "1")
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plan"), []byte(strings.Join(plan, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	return keeper{flags: []string{
		"--name=n2", "--data-dir=" + filepath.Join(dir, "etcd"), "--initial-cluster=n1=" + peer + ",n2=http://me:1",
		"--initial-cluster-state=new", "--initial-advertise-peer-urls=http://me:1", "--log-level=info",
	}}, dir
}

func started(t *testing.T, dir string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "done"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

const first, again = "new n1=http://none:1,n2=http://me:1 false", "new n1=http://none:1,n2=http://me:1 true"

func TestEtcdThatEndsByItself(t *testing.T) {
	for _, plan := range []string{"log 2", "log 1", "nothing 1", "log 1 bind failed", "log 2 server is stopping"} {
		k, dir := node(t, "http://none:1", plan)
		if code := k.keep(); fmt.Sprint(code) != strings.Fields(plan)[1] {
			t.Errorf("%s: code %d", plan, code)
		}
		if got := started(t, dir); !slices.Equal(got, []string{first}) {
			t.Errorf("%s: started %q", plan, got)
		}
	}
	// A restart changes nothing of how it is started: it has its data.
	k, dir := node(t, "http://none:1", "log 3", "log 4")
	if a, b := k.keep(), k.keep(); a != 3 || b != 4 {
		t.Errorf("codes %d and %d", a, b)
	}
	if got := started(t, dir); !slices.Equal(got, []string{first, again}) {
		t.Errorf("started %q", got)
	}
}

const (
	one      = `{"id":1,"peerURLs":["http://n1:1"],"name":"n1","clientURLs":["http://n1:2"]}`
	old      = `{"id":2,"peerURLs":["http://me:1"],"name":"n2"}`
	added    = `{"id":3,"peerURLs":["http://me:1"],"isLearner":true}`
	started3 = `{"id":3,"peerURLs":["http://me:1"],"isLearner":true,"name":"n2"}`
)

// A node whose member was removed waits for a new one, whatever peers say that are behind.
func TestAMemberThatWasRemoved(t *testing.T) {
	var asked atomic.Int64
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		switch answers := []string{"[" + one + "," + old + "]", "[" + one + "]", "no JSON"}; {
		case r.URL.Path != "/members":
			http.NotFound(w, r)
		case n <= int64(len(answers)):
			fmt.Fprint(w, answers[n-1])
		default:
			fmt.Fprint(w, "["+one+","+added+"]")
		}
	}))
	defer peer.Close()
	k, dir := node(t, peer.URL, "log 0", "nothing 1", "nothing 2", "log 1 server is stopping", "log 6", "log 7")
	begin := "new n1=" + peer.URL + ",n2=http://me:1"
	const join = "existing other0=http://n1:1,n2=http://me:1"
	if code := k.keep(); code != 2 {
		t.Errorf("code %d of an etcd that broke down while it joined", code)
	}
	if got, want := started(t, dir), []string{begin + " false", join + " false", join + " false"}; !slices.Equal(got, want) || asked.Load() < 4 {
		t.Errorf("started %q, want %q, after %d looks", got, want, asked.Load())
	}
	// A restart before it had data, a second removal, and a restart with data.
	a, b := k.keep(), k.keep()
	if a != 6 || b != 7 {
		t.Errorf("codes %d and %d", a, b)
	}
	if got, want := started(t, dir)[3:], []string{join + " false", join + " false", begin + " true"}; !slices.Equal(got, want) {
		t.Errorf("started %q, want %q", got, want)
	}
}

// A volume may be mounted at the data directory: it can be neither removed nor renamed.
func TestAVolumeAtTheDataDirectory(t *testing.T) {
	k, dir := node(t, "http://127.0.0.1:1", "log 3")
	data := k.flag("data-dir")
	inside := func(kept os.FileInfo, want int) {
		t.Helper()
		now, err := os.Stat(data)
		all, readErr := os.ReadDir(data)
		if err != nil || readErr != nil || !os.SameFile(kept, now) || len(all) != want {
			t.Errorf("%v, %v: the same directory: %v; it holds %v", err, readErr, os.SameFile(kept, now), all)
		}
	}
	left := filepath.Join(data, "member", "snap")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	kept, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	if code := k.keep(); code != 3 {
		t.Errorf("code %d", code)
	}
	inside(kept, 1)
	if _, err := os.Stat(left); err == nil {
		t.Error("what was left without a log is still there")
	}
	if err := k.forget(); err != nil || k.hasData() {
		t.Errorf("%v, data: %v", err, k.hasData())
	}
	inside(kept, 0)
	if _, err := os.Stat(filepath.Join(dir, "etcd.removed")); err != nil {
		t.Error(err)
	}
}

func TestSignals(t *testing.T) {
	soon := func(dir string) {
		for range 1000 { // until etcd or the node waits
			_, removed := os.Stat(filepath.Join(dir, "etcd.removed"))
			_, data := os.Stat(filepath.Join(dir, "etcd", "member", "wal", "0.wal"))
			if (removed == nil) != (data == nil) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}
	k, dir := node(t, "http://127.0.0.1:1", "log waits")
	go soon(dir)
	if code := k.keep(); code != 5 {
		t.Errorf("code %d of an etcd that was told to end", code)
	}
	// Its etcd ends at once, before anybody asks.
	k, dir = node(t, "http://127.0.0.1:1", "nothing 0")
	go soon(dir)
	if code := k.keep(); code != 0 {
		t.Errorf("code %d of a node that was told to end while it waited", code)
	}
}

func TestWatch(t *testing.T) {
	for _, parts := range [][]string{{"server is stopping"}, {"a ser", "ver is sto", "pping"}, {strings.Repeat("x", 99) + "server is stoppin", "g", "more"}} {
		var got strings.Builder
		w := &watch{to: &got, words: []byte("server is stopping")}
		for _, p := range parts {
			w.Write([]byte(p))
		}
		if !w.seen || got.String() != strings.Join(parts, "") {
			t.Errorf("%q: %q, %v", parts, got.String(), w.seen)
		}
	}
	w := &watch{to: io.Discard, words: []byte("server is stopping")}
	if w.Write([]byte("server is stop")); w.seen {
		t.Error("words that are not there are seen")
	}
}

func TestList(t *testing.T) {
	for answer, want := range map[string]string{
		"[" + one + "," + added + "]":        "other0=http://n1:1,n2=http://me:1",
		"[" + added + "," + one + "]":        "n2=http://me:1,other1=http://n1:1",
		"[" + one + "," + old + "]":          "",
		"[" + one + "," + started3 + "]":     "",
		"[" + one + "]":                      "",
		"[]":                                 "",
		"null":                               "",
		`[{"peerURLs":[],"isLearner":true}]`: "",
		`[{"peerURLs":["http://me:1"]}]`:     "", // a voter that has not started
		`[{"peerURLs":["http://me:1","x"],"isLearner":true}]`: "",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, answer) }))
		got, ok := list(s.Client(), s.URL, "http://me:1", "n2")
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, %v, want %q", answer, got, ok, want)
		}
		s.Close()
		if _, ok := list(s.Client(), s.URL, "http://me:1", "n2"); ok {
			t.Error("a peer that is gone lists a member")
		}
	}
}
