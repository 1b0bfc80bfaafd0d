package serve

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/plan"
	"coup/results"
)

// unpacked are the files of an archive.
func unpacked(t testing.TB, body string) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || !fs.ValidPath(h.Name) {
			t.Errorf("the archive has %q of type %c", h.Name, h.Typeflag)
		}
		all[h.Name] = string(b)
	}
}

// A run that is being written is no error, whatever stands in its files and however they are
// called, and nothing from outside is told.
func FuzzRun(f *testing.F) {
	good, err := json.Marshal(plan.Stored{Plan: plan.Default(), Run: "r", Started: time.Unix(1e9, 0)})
	if err != nil {
		f.Fatal(err)
	}
	history := []byte(`{"time":1,"process":1,"type":"invoke","f":"read"}` + "\n" + `{"time":2,"process":1,"type":"ok","f":"read"}` + "\n" + `{"ti`)
	events := []byte(`{"time":15,"kind":"role","node":"n1","role":"leader"}` + "\n" + `{"time":20,"kind":"hold","id":1,"fault":"kill","nodes":["n2"]}` + "\n" + `{"time":25,"kind":"state","node":"n1","role":"leader"}` + "\n")
	f.Add(good, history, events, []byte(`{"valid":true}`), "n1.log", "../../secret", uint8(0))
	f.Add([]byte(`{"run":"x","plan":{"nodes":9000000000000000000}}`), []byte(`{"time":9223372036854775807,"process":1,"type":"ok"}`+"\n"+`{"time":-9223372036854775808,"process":-1,"type":"info"}`+"\n"), events, []byte(`{"valid":false,"results":[{"checker":"failovers","details":{"failovers":[{"cause":"fault","served":-5}]}}]}`), "..", "..", uint8(1))
	f.Add(good, bytes.Repeat([]byte("x"), 100), []byte(`{"kind":"phase","message":"load","time":1e30}`+"\n"), []byte(`{"valid":`), "a?b#c%2f.log", "/etc/passwd", uint8(2))
	f.Add(good, history, events, []byte{}, "history.jsonl", "nodes", uint8(3))
	dir := folder(f)
	h, err := New(dir, false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, stored, history, events, verdict []byte, name, link string, how uint8) {
		run := filepath.Join(dir, "fuzzed")
		defer os.RemoveAll(run)
		nodes := filepath.Join(run, results.NodesDir)
		if err := os.MkdirAll(nodes, 0o755); err != nil {
			t.Skip(err)
		}
		put := func(name string, b []byte) { // what can't be written is not there
			os.WriteFile(filepath.Join(run, name), b, 0o644)
		}
		escaped := url.PathEscape(name)
		often := []string{"/known/fuzzed", "/files/fuzzed/" + escaped, "/files/fuzzed/link"}
		all := append(slices.Clone(often), "/live/fuzzed", "/", "/metrics", "/compare?run=fuzzed&run=done", "/download/fuzzed", "/files/fuzzed/nodes/"+escaped, "/known/fuzzed/"+escaped, "/live/"+escaped,
			"/?q="+url.QueryEscape(name), "/compare?run=done&run="+url.QueryEscape(link))
		look := func(targets []string) {
			t.Helper()
			for _, target := range targets {
				code, body, _ := get(t, h, target, "")
				if code >= 500 || strings.Contains(body, "SECRET") || strings.Contains(body, evil) {
					t.Errorf("%q: %d: %.2000s", target, code, body)
				}
				if code == 200 && strings.HasPrefix(target, "/known/") && !json.Valid([]byte(body)) {
					t.Errorf("%q: no JSON: %.2000s", target, body)
				}
				if code == 200 && strings.HasPrefix(target, "/download/") {
					for name, text := range unpacked(t, body) {
						if strings.Contains(text, "SECRET") {
							t.Errorf("%q: %s has what is outside", target, name)
						}
					}
				}
			}
		}
		put(results.PlanFile, stored)
		put(results.EventsFile, events[:len(events)/2])
		put(results.HistoryFile, history[:len(history)/3])
		look(often)
		put(results.EventsFile, events)
		put(results.HistoryFile, history)
		if base := filepath.Base(name); base != "." && base != "/" && fs.ValidPath(base) {
			put(filepath.Join(results.NodesDir, base), history)
		}
		os.Symlink(link, filepath.Join(run, "link"))
		os.Symlink(link, filepath.Join(nodes, "linked.log"))
		look(all[:8])
		switch how % 4 {
		case 0:
			put(results.VerdictFile, verdict)
			put(results.ReportFile, verdict)
		case 1: // another file in the same place
			os.Remove(filepath.Join(run, results.HistoryFile))
			put(results.HistoryFile, events)
		case 2: // a file that leads outside, or is none
			os.Remove(filepath.Join(run, results.EventsFile))
			os.Symlink(link, filepath.Join(run, results.EventsFile))
			os.Remove(filepath.Join(run, results.PlanFile))
			os.Symlink("../../secret", filepath.Join(run, results.PlanFile))
		case 3:
			os.RemoveAll(nodes)
			os.Symlink(link, nodes)
			os.Remove(filepath.Join(run, results.VerdictFile))
			if err := os.Mkdir(filepath.Join(run, results.VerdictFile), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				t.Skip(err)
			}
		}
		look(all)
		os.RemoveAll(run)
		look(often)
	})
}
