package serve

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"coup/cluster/capture"
	"coup/nightly"
	"coup/plan"
	"coup/results"
)

const evil = `<script>alert("x")</script>`

// folder holds a run, a run under way, a night, and ways that lead outside.
func folder(t testing.TB) string {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "runs")
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := plan.Default()
	p.Workload = evil
	stored, err := json.Marshal(plan.Stored{Plan: p, Run: "r", Started: time.Unix(1e9, 0), Captured: &capture.Set{Files: []capture.File{
		{Node: "n1", Name: "capture/n1.pcapng"}, {Node: evil, Name: "../../secret"}, {Node: "gone", Name: "capture/gone.pcapng"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	write("done/plan.json", string(stored))
	write("done/verdict.json", `{"valid": false, "results": [{"checker": "set", "valid": false, "summary": "`+strings.ReplaceAll(evil, `"`, `\"`)+`"}]}`)
	write("done/report.html", "the report")
	write("done/capture/n1.pcapng", "packets")
	write("live/plan.json", string(stored))
	write("live/history.jsonl", `{"time":1,"process":1,"type":"invoke","f":"read"}`+"\n"+`{"time":2,"process":1,"type":"ok","f":"read"}`+"\n"+`{"time":3,"process":2,"type":"ok","f":"read"}`+"\n"+`{"time":4,"process":3,"type":"invoke","f":"read"}`+"\n"+`{"ty`)
	write("live/events.jsonl", `{"time":1500000000,"kind":"phase","message":"load"}`+"\n"+`{"time":1600000000,"kind":"role","node":"n1","role":"leader","term":3}`+"\n"+`{"time":2000000000,"kind":"hold","id":1,"fault":"kill","target":"leader","nodes":["n2"]}`+"\n{")
	write("live/nodes/n1.log", evil)
	write("torn/plan.json", `{"plan"`)
	write("a night/n1/night.json", `{"schema":1,"name":"a\"b","id":"n1","began":"2030-01-01T00:00:00Z","status":{"exit_code":1,"sentence":"There is news","operations":7,"counts":{"new":1}},"cells":[{"cell":"c\n","runs":1,"figures":{"outage":1.5}}]}`)
	write("a night/n1/index.html", "the night")
	if err := os.WriteFile(filepath.Join(top, "secret"), []byte("SECRET"), 0o644); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"up": "..", "secret": "../secret", "absolute": filepath.Join(top, "secret"), "done/out": "../../secret", "round": "round", "latest": "done"} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Skip(err)
		}
	}
	return dir
}

func get(t testing.TB, h http.Handler, target, host string) (int, string, http.Header) {
	r := httptest.NewRequest("GET", "http://localhost/", nil)
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return 0, "", nil
	}
	r.URL, r.RequestURI = u, target
	if r.Host = "127.0.0.1:8080"; host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(b), w.Header()
}

func TestServe(t *testing.T) {
	h, err := New(folder(t), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		target string
		code   int
		has    []string
	}{
		{"/", 200, []string{"3 of 3", `href="/files/done/report.html"`, `href="/live/live"`, `href="/download/live"`, "under way", "coup replay", `href="/files/a%20night/n1/index.html"`, "There is news", "&lt;script&gt;", `packets: <a href="/files/done/capture/n1.pcapng" download>n1</a></small>`}},
		{"/files/done/capture/n1.pcapng", 200, []string{"packets"}},
		{"/?q=news+night", 200, []string{"1 of 3"}},
		{"/?q=" + url.QueryEscape(evil), 200, []string{"value=\"&lt;script&gt;"}},
		{"/files/done/report.html", 200, []string{"the report"}},
		{"/files/latest/report.html", 200, []string{"the report"}}, // a link that stays inside
		{"/files/a%20night/n1/index.html", 200, []string{"the night"}},
		{"/live/live", 200, []string{`"phase":"load"`, `"inForce":["kill leader: n2"]`, `"ok":2`, `\u003cscript\u003e`, "&lt;script&gt;", "connect-src &#39;self&#39;"}},
		{"/known/live", 200, []string{`"ok":2`, `"leaders":"n1, term 3"`, `"waiting":1`}},
		{"/known/torn", 404, nil},
		{"/live/done", 200, []string{`"over":true`, `"report":"/files/done/report.html"`}},
		{"/compare?run=done&run=latest", 200, []string{"2 runs compared", "&lt;script&gt;"}},
		{"/compare?run=done", 400, nil},
		{"/compare?run=done&run=live", 404, []string{"no verdict"}},
		{"/compare?run=done&run=nowhere", 404, nil},
		{"/compare?run=done&run=../secret", 404, nil},
		{"/download/torn", 404, nil},
		{"/live/torn", 404, nil},
		{"/files/done", 404, nil},
		{"/metrics", 200, []string{`coup_night_exit_code{night="a\"b"} 1`, `coup_night_cells{night="a\"b",class="new"} 1`, `cell="c\n"} 1.5`, "# EOF"}},
		{"/nowhere", 404, nil},
	} {
		code, body, _ := get(t, h, c.target, "")
		if code != c.code {
			t.Errorf("%s: %d", c.target, code)
		}
		for _, has := range c.has {
			if !strings.Contains(body, has) {
				t.Errorf("%s lacks %s: %s", c.target, has, body)
			}
		}
		if strings.Contains(body, evil) {
			t.Errorf("%s: what a file says is a script", c.target)
		}
	}
	if code, _, _ := get(t, h, "/", "evil.example:8080"); code != http.StatusForbidden {
		t.Errorf("another host's name is answered: %d", code)
	}
	if _, _, header := get(t, h, "/files/live/nodes/n1.log", ""); !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
		t.Errorf("a log is sent as %s", header.Get("Content-Type"))
	}
	for _, target := range []string{"/files/../secret", "/files/%2e%2e/secret", "/files/secret", "/files/absolute", "/files/up/secret", "/files/done/out", "/files//etc/passwd",
		"/files/done/..%2f..%2fsecret", "/live/up", "/known/up", "/download/up", "/download/..", "/compare?run=up&run=up", "/files/round", "/files/" + strings.Repeat("a/", 5000)} {
		if code, body, _ := get(t, h, target, ""); code == 200 || strings.Contains(body, "SECRET") {
			t.Errorf("%s: %d %s", target, code, body)
		}
	}
}

// What is downloaded are the files of the run, and nothing that a link names.
func TestDownload(t *testing.T) {
	h, err := New(folder(t), false)
	if err != nil {
		t.Fatal(err)
	}
	code, body, header := get(t, h, "/download/done", "")
	if code != 200 || header.Get("Content-Disposition") != "attachment; filename=done.tar.gz" {
		t.Fatalf("%d, %v", code, header)
	}
	files := unpacked(t, body)
	if len(files) != 4 || files["done/report.html"] != "the report" || files["done/capture/n1.pcapng"] != "packets" || !strings.Contains(files["done/plan.json"], `"run":"r"`) {
		t.Errorf("%v", files)
	}
	for _, target := range []string{"/download/up", "/download/a night/n1", "/download/nowhere"} {
		if code, _, _ := get(t, h, strings.ReplaceAll(target, " ", "%20"), ""); code != 404 {
			t.Errorf("%s: %d", target, code)
		}
	}
}

func FuzzPaths(f *testing.F) {
	for _, s := range []string{"/download/done", "/download/up", "/download/.", "/compare?run=done&run=..", "/compare?run=done&run=latest&run=%00", "/known/live", "/known/../up", "/files/../secret", "/live/%2e%2e/", "/files/up/secret", "/?q=%00", "/files/done/\x00", "/metrics"} {
		f.Add(s)
	}
	h, err := New(folder(f), false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, target string) {
		code, body, header := get(t, h, target, "")
		if code >= 500 || strings.Contains(body, "SECRET") || strings.Contains(body, evil) && !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
			t.Errorf("%q: %d: %s", target, code, body)
		}
		if header.Get("Content-Disposition") != "" {
			for name, text := range unpacked(t, body) {
				if strings.Contains(text, "SECRET") {
					t.Errorf("%q: %s has what is outside", target, name)
				}
			}
		}
	})
}

// A folder that is being written is no error.
func TestServeWhileWriting(t *testing.T) {
	dir := folder(t)
	h, err := New(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	var writer sync.WaitGroup
	done := make(chan struct{})
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			run := filepath.Join(dir, "written")
			os.MkdirAll(run, 0o755)
			results.WriteJSON(run, results.PlanFile, plan.Stored{Plan: plan.Default(), Run: "w"})
			os.WriteFile(filepath.Join(run, results.HistoryFile), []byte(`{"type":"ok"}`)[:i%13], 0o644)
			if i%3 == 0 {
				os.RemoveAll(run)
			}
		}
	})
	for range 200 {
		for _, target := range []string{"/", "/live/written", "/files/written/history.jsonl", "/metrics"} {
			if code, _, _ := get(t, h, target, ""); code != 200 && code != 404 {
				t.Errorf("%s: %d", target, code)
			}
		}
	}
	close(done)
	writer.Wait()
	if nightly.Schema != 1 {
		t.Error("the night of this test is of another schema")
	}
}
