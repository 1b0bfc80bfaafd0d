// Package serve shows the runs and nights of a folder in a browser. Start with [New].
//
// It opens nothing outside its folder, whatever a path or a symbolic link says (package os,
// Root). It writes nothing, and reads folders that are being written.
package serve

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"coup/harness"
	"coup/judge"
	"coup/nightly"
	"coup/plan"
	"coup/results"
	"coup/results/report"
)

//go:embed list.html.tmpl live.html.tmpl
var files embed.FS

var templates = template.Must(template.ParseFS(files, "*.tmpl"))

const (
	mostEntries = 5000     // of the list
	deepest     = 6        // folders below the one that is shown
	mostJSON    = 64 << 20 // bytes of a file that is parsed
	tailBytes   = 16 << 10 // of a log
)

// server is an http.Handler. Safe for concurrent use.
type server struct {
	root *os.Root
	name string
	any  bool // whatever host a request names
}

// New shows what is below a folder. A browser asks by the name of a host; unless anyHost, only names of
// this machine itself are answered, so that no page of another host can ask through the browser.
func New(dir string, anyHost bool) (http.Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &server{root, dir, anyHost}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.list)
	mux.HandleFunc("GET /live/{path...}", s.live)
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("GET /files/{path...}", s.file)
	return s.guard(mux), nil
}

func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if ip := net.ParseIP(strings.Trim(host, "[]")); !s.any && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "this server answers to its own machine only", http.StatusForbidden)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// file sends one file. Pages of coup are sent as pages, which say themselves that they load nothing
// from elsewhere; everything else is text or a download.
func (s *server) file(w http.ResponseWriter, r *http.Request) {
	name := path.Clean(r.PathValue("path"))
	if !fs.ValidPath(name) {
		http.NotFound(w, r)
		return
	}
	f, err := s.open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	kind := "text/plain; charset=utf-8"
	switch base := path.Base(name); {
	case base == results.ReportFile || base == nightly.PageFile:
		kind = "text/html; charset=utf-8"
		w.Header().Set("Content-Security-Policy", "sandbox allow-scripts allow-popups; default-src 'unsafe-inline' data:; connect-src 'none'")
	case strings.HasSuffix(base, ".gz"):
		kind = "application/gzip"
	}
	w.Header().Set("Content-Type", kind)
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// entry is a run or a night of the list.
type entry struct {
	Path    string
	Night   bool
	Title   string
	Verdict string // or "under way"
	Says    string
	When    time.Time
	Again   string
	Live    bool
}

// entries are the runs and nights below the folder, the newest first. What can't be read yet is left out.
func (s *server) entries() (all []entry) {
	fs.WalkDir(s.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it is gone by now, or not ours to read
		}
		if d.IsDir() && (strings.Count(p, "/") >= deepest || len(all) >= mostEntries) {
			return fs.SkipDir
		}
		if d.IsDir() {
			return nil
		}
		switch d.Name() {
		case results.PlanFile:
			if e, ok := s.run(path.Dir(p)); ok {
				all = append(all, e)
			}
		case nightly.ReportFile:
			var r nightly.Report
			if s.read(p, &r) == nil {
				all = append(all, entry{Path: path.Dir(p), Night: true, Title: "night of " + r.Name, When: r.Began, Says: r.Status.Sentence,
					Verdict: map[int]string{nightly.CodeGreen: "green", nightly.CodeNews: "news", nightly.CodeUnknown: "unknown", nightly.CodeError: "error"}[r.Status.Code]})
			}
		}
		return nil
	})
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Or(b.When.Compare(a.When), cmp.Compare(a.Path, b.Path)) })
	return all
}

func (s *server) run(dir string) (entry, bool) {
	var stored plan.Stored
	if s.read(path.Join(dir, results.PlanFile), &stored) != nil || stored.Run == "" {
		return entry{}, false
	}
	e := entry{Path: dir, Title: stored.Title(), When: stored.Started, Again: stored.Again(path.Join(s.name, dir))}
	var v judge.Verdict
	if err := s.read(path.Join(dir, results.VerdictFile), &v); err != nil {
		e.Verdict, e.Live = "no verdict", true
		return e, true
	}
	e.Verdict, e.Says = v.Valid.String(), v.Sentence()
	return e, true
}

// open opens a regular file. Anything else, such as a pipe, could hold whoever opens it.
func (s *server) open(name string) (*os.File, error) {
	info, err := s.root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	return s.root.Open(name)
}

func (s *server) read(name string, v any) error {
	f, err := s.open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return json.NewDecoder(io.LimitReader(f, mostJSON)).Decode(v)
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	words := strings.Fields(strings.ToLower(r.FormValue("q")))
	all := s.entries()
	shown := slices.DeleteFunc(slices.Clone(all), func(e entry) bool {
		text := strings.ToLower(strings.Join([]string{e.Title, e.Verdict, e.Says, e.Path}, " "))
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	})
	s.show(w, "list.html.tmpl", map[string]any{"Name": s.name, "Asked": r.FormValue("q"), "All": len(all), "Entries": shown})
}

// show writes a page.
func (s *server) show(w http.ResponseWriter, name string, data map[string]any) {
	style, err := report.Style()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	data["Style"] = template.CSS(style)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	templates.ExecuteTemplate(w, name, data) // who has gone needs no error
}

// live shows a run under way: what its files say so far.
func (s *server) live(w http.ResponseWriter, r *http.Request) {
	dir := path.Clean(r.PathValue("path"))
	if !fs.ValidPath(dir) {
		http.NotFound(w, r)
		return
	}
	e, ok := s.run(dir)
	if !ok {
		http.NotFound(w, r)
		return
	}
	counts := map[string]int{}
	s.lines(path.Join(dir, results.HistoryFile), func(line []byte) {
		var op struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(line, &op) == nil && op.Type != "invoke" {
			counts[op.Type]++
		}
	})
	phase, leader, violation := "", "", ""
	var last time.Duration
	inForce := map[int]string{}
	s.lines(path.Join(dir, results.EventsFile), func(line []byte) {
		var ev harness.Event
		if json.Unmarshal(line, &ev) != nil {
			return // a line that is only half written
		}
		last = max(last, ev.Time)
		switch ev.Kind {
		case harness.PhaseEvent:
			phase = ev.Message
		case harness.LeaderEvent:
			leader = fmt.Sprintf("%s, term %d", ev.Leader, ev.Term)
		case harness.RoleEvent:
			if ev.Role == "leader" {
				leader = fmt.Sprintf("%s, term %d", ev.Node, ev.Term)
			}
		case harness.FaultHold:
			inForce[ev.ID] = ev.Fault + ":" + ev.Target + " " + strings.Join(ev.Nodes, ",")
		case harness.FaultEnd:
			delete(inForce, ev.ID)
		case harness.ViolationEvent:
			violation = cmp.Or(violation, ev.Message)
		}
	})
	logs := map[string]string{}
	nodes, _ := fs.ReadDir(s.root.FS(), path.Join(dir, results.NodesDir)) // there may be none yet
	for _, n := range nodes {
		if n.Type().IsRegular() {
			logs[n.Name()] = s.tail(path.Join(dir, results.NodesDir, n.Name()))
		}
	}
	s.show(w, "live.html.tmpl", map[string]any{"Run": e, "Counts": counts, "Phase": phase, "Leader": leader, "Violation": violation,
		"Faults": inForce, "Logs": logs, "At": fmt.Sprintf("%.1f s", last.Seconds())})
}

// lines calls do with each whole line of a file.
func (s *server) lines(name string, do func([]byte)) {
	f, err := s.open(name)
	if err != nil {
		return
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostJSON))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(b)) {
		do([]byte(line))
	}
}

func (s *server) tail(name string) string {
	f, err := s.open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		b, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-tailBytes), tailBytes))
		if err == nil {
			return strings.ToValidUTF8(string(b), "�")
		}
	}
	return ""
}

// metrics writes what the newest night of each name came to, in the format of OpenMetrics.
func (s *server) metrics(w http.ResponseWriter, _ *http.Request) {
	newest := map[string]nightly.Report{}
	for _, e := range s.entries() {
		var r nightly.Report
		if !e.Night || s.read(path.Join(e.Path, nightly.ReportFile), &r) != nil || r.Began.Before(newest[r.Name].Began) {
			continue
		}
		newest[r.Name] = r
	}
	var names []string
	for name := range newest {
		names = append(names, name)
	}
	slices.Sort(names)
	w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
	gauge := func(metric, help string, each func(r nightly.Report, night string)) {
		fmt.Fprintf(w, "# TYPE %s gauge\n# HELP %s %s\n", metric, metric, help)
		for _, name := range names {
			each(newest[name], `night="`+label(name)+`"`)
		}
	}
	gauge("coup_night_exit_code", "Exit code of the newest night.", func(r nightly.Report, night string) {
		fmt.Fprintf(w, "coup_night_exit_code{%s} %d\n", night, r.Status.Code)
	})
	gauge("coup_night_began_timestamp_seconds", "When it began.", func(r nightly.Report, night string) {
		fmt.Fprintf(w, "coup_night_began_timestamp_seconds{%s} %d\n", night, r.Began.Unix())
	})
	gauge("coup_night_operations", "Operations that succeeded.", func(r nightly.Report, night string) {
		fmt.Fprintf(w, "coup_night_operations{%s} %d\n", night, r.Status.Operations)
	})
	gauge("coup_night_cells", "Cells of each class.", func(r nightly.Report, night string) {
		for _, c := range nightly.Classes {
			fmt.Fprintf(w, "coup_night_cells{%s,class=\"%s\"} %d\n", night, c, r.Status.Counts[c])
		}
	})
	gauge("coup_cell_longest_outage_seconds", "Longest time without a success.", func(r nightly.Report, night string) {
		for _, o := range r.Outcomes {
			if o.Runs > 0 {
				fmt.Fprintf(w, "coup_cell_longest_outage_seconds{%s,cell=\"%s\"} %g\n", night, label(o.Cell), o.Figures.Outage)
			}
		}
	})
	fmt.Fprint(w, "# EOF\n")
}

// label escapes the value of a label.
func label(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "�"))
}
