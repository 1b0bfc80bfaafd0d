package results_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"coup/harness"
	"coup/results"
)

// small mounts a file system of so many bytes, which are a multiple of a page.
func small(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A disk that fills up during a run is said in one line, and what was recorded until then
// is read back, but for the line that did not fit.
func TestDiskFillsUp(t *testing.T) {
	r := create(t, small(t, "64k"))
	recorded := 0
	for ; r.Err() == nil; recorded++ {
		if recorded > 10_000 {
			t.Fatal("the disk takes everything")
		}
		op := harness.Op{Type: harness.Invoke, Process: recorded, F: "read", Key: "k"}
		if err := r.History.Record(&op); err != nil || r.History.Flush() != nil {
			break
		}
		if err := r.NodeLog("n1", []byte(strings.Repeat("x", 100))); err != nil && !errors.As(err, new(*results.FullError)) {
			t.Fatalf("a node's log: %v", err)
		}
	}
	err := r.Close()
	var full *results.FullError
	if !errors.As(err, &full) || full.Dir != r.Dir || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v", err)
	}
	if s := err.Error(); strings.Contains(s, "\n") || !strings.Contains(s, "is full: free some space and run again") {
		t.Errorf("told %q", s)
	}
	if err := results.WriteJSON(r.Dir, results.VerdictFile, strings.Repeat("x", 64<<10)); !errors.As(err, &full) {
		t.Errorf("a file: %v", err)
	}
	if left, err := os.ReadDir(r.Dir); err != nil || len(left) != 3 { // history, events, nodes
		t.Errorf("left are %v, %v", left, err)
	}
	h, _, err := results.ReadHistory(r.Dir, filepath.Join(r.Dir, results.HistoryFile), decode)
	if err != nil || len(h.Operations) == 0 || len(h.Operations) > recorded {
		t.Errorf("%d of %d operations were read back, %v", len(h.Operations), recorded, err)
	}
}
