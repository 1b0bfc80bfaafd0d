package results_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"coup/harness"
	"coup/results"
)

func decode(_ harness.Type, _ string, raw json.RawMessage) (any, error) { return string(raw), nil }

func create(t *testing.T, out string) *results.Run {
	t.Helper()
	r, err := results.Create(out, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRunIsReadBack(t *testing.T) {
	out := t.TempDir()
	r := create(t, out)
	for _, op := range []harness.Op{
		{Time: 1, Type: harness.Invoke, F: "read", Key: "k"},
		{Time: 2, Type: harness.OK, F: "read", Key: "k", Value: int64(3), Node: "n1"},
	} {
		if err := r.History.Record(&op); err != nil {
			t.Fatal(err)
		}
	}
	// Events come in late and out of order.
	for _, e := range []harness.Event{{Time: 9, Kind: harness.BootEvent, Node: "n1"}, {Time: 4, Kind: harness.BootEvent, Node: "n2"}} {
		if err := r.Events.RecordEvent(&e); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.NodeLog("n1", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	latest := filepath.Join(out, "latest")
	if got, err := filepath.EvalSymlinks(latest); err != nil || filepath.Base(got) != r.ID {
		t.Errorf("latest is %s (%v), want %s", got, err, r.ID)
	}
	dir, history, err := results.Locate(latest)
	if err != nil {
		t.Fatal(err)
	}
	h, torn, err := results.ReadHistory(dir, history, decode)
	if err != nil || torn != "" {
		t.Fatal(torn, err)
	}
	if len(h.Operations) != 1 || h.Operations[0].Output != "3" || h.Operations[0].Node != "n1" {
		t.Errorf("operations %+v", h.Operations)
	}
	if len(h.Events) != 2 || h.Events[0].Node != "n2" {
		t.Errorf("events %+v, want them in the order of time", h.Events)
	}
	if b, err := os.ReadFile(filepath.Join(r.Dir, results.NodesDir, "n1.log")); err != nil || string(b) != "hello\n" {
		t.Errorf("node log %q, %v", b, err)
	}
}

func TestRunsSideBySideHaveTheirOwnDirectories(t *testing.T) {
	out := t.TempDir()
	now := time.Now()
	ids := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r, err := results.Create(out, now)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			mu.Lock()
			defer mu.Unlock()
			if ids[r.ID] {
				t.Errorf("two runs are called %s", r.ID)
			}
			ids[r.ID] = true
		})
	}
	wg.Wait()
}

func TestLinesReachTheDiskSoon(t *testing.T) {
	r := create(t, t.TempDir())
	defer r.Close()
	op := harness.Op{Type: harness.Invoke, F: "read", Key: "k"}
	if err := r.History.Record(&op); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.Dir, results.HistoryFile)
	for give := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			return
		}
		if time.Now().After(give) {
			t.Fatal("a recorded line did not reach the disk")
		}
	}
}

func TestCreateSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := results.Create(file, time.Now()); err == nil || !strings.Contains(err.Error(), "results folder") {
		t.Errorf("error %v", err)
	}
}

func TestWriteFileIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	write := func(s string, fail error) error {
		return results.WriteFile(dir, "x", func(w io.Writer) error {
			io.WriteString(w, s)
			return fail
		})
	}
	if err := write("first", nil); err != nil {
		t.Fatal(err)
	}
	if err := write("second", errors.New("broken")); err == nil {
		t.Error("the error was lost")
	}
	if b, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || string(b) != "first" {
		t.Errorf("%q, %v: the old content must stay", b, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".x-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := results.Locate(dir); err == nil || !strings.Contains(err.Error(), "is not a run directory: it holds no history.jsonl") {
		t.Errorf("an empty folder: %v", err)
	}
	history := filepath.Join(dir, results.HistoryFile)
	if err := os.WriteFile(history, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if d, h, err := results.Locate(history); d != "" || h != history || err != nil {
		t.Errorf("a history by itself: %q %q %v", d, h, err)
	}
	if err := os.WriteFile(filepath.Join(dir, results.PlanFile), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if d, h, err := results.Locate(history); d != dir || h != history || err != nil {
		t.Errorf("the history of a run: %q %q %v", d, h, err)
	}
	if _, _, err := results.Locate(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("nothing was found nowhere")
	}
}

// Whatever a killed run or a broken disk left behind is read or refused with
// the name of the file, and what is read makes sense.
func FuzzReadHistory(f *testing.F) {
	invoke := `{"time":1,"process":0,"type":"invoke","f":"read","key":"k","value":null}` + "\n"
	f.Add([]byte(invoke+`{"time":2,"process":0,"type":"ok","f":"read","key":"k","value":3}`+"\n"), []byte(`{"time":9,"kind":"boot","node":"n1"}`+"\n"))
	f.Add([]byte(invoke+`{"time":2,"proc`), []byte(`{"time":9,"kind":"boot"}`+"\n"+`{"time":4,"kind":"bo`))
	f.Add([]byte("garbage"), []byte("\x00"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, history, events []byte) {
		path := filepath.Join(dir, results.HistoryFile)
		for name, content := range map[string][]byte{path: history, filepath.Join(dir, results.EventsFile): events} {
			if err := os.WriteFile(name, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		h, torn, err := results.ReadHistory(dir, path, decode)
		if err != nil {
			if !strings.Contains(err.Error(), dir) {
				t.Fatalf("an error that does not say where: %v", err)
			}
			return
		}
		if torn != "" && bytes.HasSuffix(history, []byte("\n")) {
			t.Fatalf("%s, but it ends with a line break", torn)
		}
		for i, op := range h.Operations {
			if op.Return <= op.Call || i > 0 && op.Call <= h.Operations[i-1].Call {
				t.Fatalf("operation %d: call %d, return %d", i, op.Call, op.Return)
			}
		}
		for i := range h.Events {
			if i > 0 && h.Events[i].Time < h.Events[i-1].Time {
				t.Fatal("events out of order")
			}
		}
	})
}

func TestMendLatest(t *testing.T) {
	out := t.TempDir()
	results.MendLatest(out) // nothing is there, and nothing is made
	if _, err := os.Lstat(filepath.Join(out, "latest")); err == nil {
		t.Error("a link to nothing")
	}
	var dirs []string
	for i := range 3 {
		r, err := results.Create(out, time.Date(2030, 1, 1, 0, 0, i, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(results.WriteJSON(r.Dir, results.PlanFile, struct{}{}), r.Close()); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, r.Dir)
	}
	for _, want := range []int{2, 1, 0} {
		results.MendLatest(out)
		if got, err := filepath.EvalSymlinks(filepath.Join(out, "latest")); err != nil || filepath.Base(got) != filepath.Base(dirs[want]) {
			t.Errorf("latest is %s (%v), want %s", got, err, dirs[want])
		}
		if err := os.RemoveAll(dirs[want]); err != nil {
			t.Fatal(err)
		}
	}
}
