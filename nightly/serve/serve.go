// Package serve shows the runs and nights of a folder in a browser. Start with [New].
//
// It opens nothing outside its folder, whatever a path or a symbolic link says (package os,
// Root). It writes nothing, and reads folders that are being written.
package serve

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"coup/nightly"
	"coup/plan"
	"coup/results"
	"coup/results/report"
)

//go:embed list.html.tmpl
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{"address": address}).ParseFS(files, "*.tmpl"))

// mostChosen runs are compared at once.
const mostChosen = 50

// server is an http.Handler. Safe for concurrent use.
type server struct {
	folder  *results.Folder
	name    string
	any     bool // whatever host a request names
	list    list
	watches watches
	busy    chan struct{} // who reads whole runs: few at a time
}

// New shows what is below a folder. A browser asks by the name of a host; unless anyHost, only names of
// this machine itself are answered, so that no page of another host can ask through the browser.
func New(dir string, anyHost bool) (http.Handler, error) {
	folder, err := results.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	s := &server{folder: folder, name: dir, any: anyHost, busy: make(chan struct{}, 2)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.showList)
	mux.HandleFunc("GET /live/{path...}", s.showLive)
	mux.HandleFunc("GET /known/{path...}", s.known)
	mux.HandleFunc("GET /compare", s.compare)
	mux.HandleFunc("GET /download/{path...}", s.download)
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
	opened, err := s.folder.Open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer opened.Close()
	info, err := opened.Stat()
	f, ok := opened.(io.ReadSeeker)
	if err != nil || !ok || info.IsDir() {
		http.NotFound(w, r)
		return
	}
	kind := "text/plain; charset=utf-8"
	switch base := path.Base(name); {
	case base == results.ReportFile || base == nightly.PageFile:
		kind = "text/html; charset=utf-8"
		w.Header().Set("Content-Security-Policy", "sandbox allow-scripts allow-popups allow-downloads; default-src 'unsafe-inline' data:; connect-src 'none'")
	case strings.HasSuffix(base, ".pcapng"):
		kind = "application/x-pcapng"
	case strings.HasSuffix(base, ".gz"):
		kind = "application/gzip"
	}
	w.Header().Set("Content-Type", kind)
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// show writes a page of the list.
func (s *server) show(w http.ResponseWriter, name string, data map[string]any) {
	style, err := report.Style()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	data["Style"] = template.CSS(style)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	templates.ExecuteTemplate(w, name, data) // who has gone needs no error
}

// runAt opens the run directory that a request names. Nothing leads out of it. Close it.
func (s *server) runAt(dir string) (*results.Folder, string, error) {
	dir = path.Clean(dir)
	run, err := s.folder.Sub(dir)
	return run, dir, err
}

// look reads what is new in the run directory that a request names.
func (s *server) look(w http.ResponseWriter, r *http.Request) (known report.Known, stored plan.Stored, dir string, ok bool) {
	run, dir, err := s.runAt(r.PathValue("path"))
	if err != nil {
		http.NotFound(w, r)
		return known, stored, dir, false
	}
	defer run.Close()
	if known, stored, err = s.watches.of(dir).look(run); err != nil {
		http.NotFound(w, r)
		return known, stored, dir, false
	}
	if _, err := fs.Stat(run, results.ReportFile); err == nil && known.Over {
		known.Report = address("files", dir, results.ReportFile)
	}
	return known, stored, dir, true
}

// address is the path of a page of this server.
func address(kind string, of ...string) string {
	return (&url.URL{Path: "/" + kind + "/" + path.Join(of...)}).EscapedPath()
}

// known tells what is known of a run under way, as JSON.
func (s *server) known(w http.ResponseWriter, r *http.Request) {
	known, _, _, ok := s.look(w, r)
	if !ok {
		return
	}
	b, err := json.Marshal(known)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(b) // who has gone needs no error
}

// showLive shows a run under way: the page asks again and again what is known.
func (s *server) showLive(w http.ResponseWriter, r *http.Request) {
	known, stored, dir, ok := s.look(w, r)
	if !ok {
		return
	}
	stored.Plan.Nodes = min(stored.Plan.Nodes, mostNodes)
	var page bytes.Buffer
	err := report.WriteLive(&page, report.Live{Title: stored.Title(), Command: stored.Again(path.Join(s.name, dir)), Dir: path.Join(s.name, dir), Started: stored.Started,
		Nodes: stored.NodeNames(), Source: address("known", dir), Download: address("download", dir), Known: known})
	s.send(w, page.Bytes(), err)
}

// send sends a page that says itself what it may load.
func (s *server) send(w http.ResponseWriter, page []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
	w.Write(page) // who has gone needs no error
}

// compare shows the runs that a request names side by side.
func (s *server) compare(w http.ResponseWriter, r *http.Request) {
	r.ParseForm() // what makes no sense is not there
	names := r.Form["run"]
	if len(names) < 2 {
		http.Error(w, "Choose at least two runs.", http.StatusBadRequest)
		return
	}
	var runs []nightly.RunFolder
	for _, name := range names[:min(len(names), mostChosen)] {
		run, dir, err := s.runAt(name)
		if err != nil {
			http.Error(w, fmt.Sprintf("There is no run %q.", name), http.StatusNotFound)
			return
		}
		defer run.Close()
		runs = append(runs, nightly.RunFolder{Name: path.Join(s.name, dir), Report: address("files", dir, results.ReportFile), Files: run})
	}
	if !s.mayRead(w, r) {
		return
	}
	defer func() { <-s.busy }()
	c, err := nightly.Compare(r.Context(), runs)
	var input *nightly.InputError
	if errors.As(err, &input) {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	var page bytes.Buffer
	if err == nil {
		err = c.WritePage(&page)
	}
	s.send(w, page.Bytes(), err)
}

// mayRead waits until the request may read whole runs; false if it is gone before.
func (s *server) mayRead(w http.ResponseWriter, r *http.Request) bool {
	select {
	case s.busy <- struct{}{}:
		return true
	case <-r.Context().Done():
		return false
	}
}

// metrics writes what the newest night of each name came to, in the format of OpenMetrics.
func (s *server) metrics(w http.ResponseWriter, _ *http.Request) {
	newest := map[string]nightly.Report{}
	for _, e := range s.entries() {
		var r nightly.Report
		if !e.Night || results.DecodeJSON(s.folder, path.Join(e.Path, nightly.ReportFile), &r) != nil || r.Began.Before(newest[r.Name].Began) {
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
