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
