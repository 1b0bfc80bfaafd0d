package runner

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coup/checker/conduct"
	"coup/cluster/systems/raft"
	"coup/harness"
	"coup/results"
)

// A node that ends by itself makes the run unknown, by name and with the line in
// which its program said why.
func TestLastWords(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"panic":         {[]string{"all is well", "panic: on purpose", "panic: again", "goroutine 1 [running]:"}, "exit code 2, panic: on purpose; "},
		"out of memory": {[]string{"fatal error: runtime: out of memory"}, "exit code 2, fatal error: runtime: out of memory; "},
		"nothing":       {[]string{"don't panic: all is well"}, "exit code 2; "},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := results.Create(t.TempDir(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // nothing is started again
			rec := newRecorder(store, Options{Log: slog.New(slog.DiscardHandler)}, time.Second)
			rec.rt = harness.NewRuntime()
			n := newNodes(raft.System{}, store, rec)
			for _, l := range c.lines {
				n.output("n2", []byte(l))
			}
			n.exited(ctx, "n2", 2)
			n.exited(ctx, "n2", 1) // the next process has said nothing
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			h, _, err := results.ReadHistory(store.Dir, filepath.Join(store.Dir, results.HistoryFile), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(h.Events) != 2 || !strings.HasPrefix(h.Events[0].Message, c.want) || !strings.HasPrefix(h.Events[1].Message, "exit code 1; ") {
				t.Fatalf("events %+v, want %q", h.Events, c.want)
			}
			v, err := conduct.Alive{}.Check(t.Context(), h)
			if err != nil || v.Valid != harness.Unknown || !strings.Contains(v.Summary, "the first was n2") || !strings.Contains(v.Summary, c.want) {
				t.Errorf("%v %q, %v", v.Valid, v.Summary, err)
			}
		})
	}
}

// A node that ends again and again before the cluster has served is told with its last words.
func TestNeverUp(t *testing.T) {
	store, err := results.Create(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nothing is started again
	var logged strings.Builder
	rec := newRecorder(store, Options{Log: slog.New(slog.NewTextHandler(&logged, nil))}, time.Second)
	rec.rt = harness.NewRuntime()
	n := newNodes(raft.System{}, store, rec)
	n.output("n1", []byte("all is well"))
	for range 5 {
		n.output("n2", []byte("starting"))
		n.output("n2", []byte("cannot open /data"))
		n.output("n2", []byte("  "))
		n.exited(ctx, "n2", 70)
	}
	n.output("n2", []byte("starting"))
	const want = `n2 ended by itself again and again (5 times, with exit code 70); its last words are "cannot open /data"`
	if got := n.neverUp(5); got != want || n.neverUp(6) != "" {
		t.Errorf("%s, want %s; after one more: %q", got, want, n.neverUp(6))
	}
	if got := strings.Count(logged.String(), "ended by itself"); got != toldStarts {
		t.Errorf("%d warnings, want %d", got, toldStarts)
	}
	n.exited(ctx, "n3", 1)
	if n.served(); n.neverUp(1) != "" {
		t.Error("what was before the cluster served counts")
	}
	n.output("n2", []byte("starting"))
	n.exited(ctx, "n2", 1)
	if got := strings.Count(logged.String(), "ended by itself"); n.neverUp(1) != "" || got != toldStarts+2 {
		t.Errorf("%q, %d warnings", n.neverUp(1), got)
	}
}

// Where nodes hold several logs, the run goes on when each that is asked serves.
func TestAwaitsEachShard(t *testing.T) {
	store, err := results.Create(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	rec := newRecorder(store, Options{Log: slog.New(slog.DiscardHandler)}, time.Second)
	op := func(how harness.Type, key string) {
		t.Helper()
		if err := rec.operation(&harness.Op{Type: how, F: "read", Key: key, Process: len(key)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	op(harness.Invoke, "k3") // before
	rec.await([]string{"read"}, func(key string) int { return int(key[1] - '0') })
	op(harness.Invoke, "k1")
	op(harness.OK, "k1")
	if !rec.serves() {
		t.Error("nobody asked the other shards")
	}
	op(harness.Invoke, "k2")
	op(harness.Fail, "k2")
	if rec.serves() {
		t.Error("a shard serves nobody")
	}
	op(harness.Invoke, "k2")
	op(harness.OK, "k2")
	if !rec.serves() {
		t.Error("all shards have served")
	}
	rec.await([]string{"read"}, nil)
	op(harness.Invoke, "k1")
	op(harness.OK, "k2")
	if !rec.serves() {
		t.Error("there is one log")
	}
}
