package serve

import (
	"cmp"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"coup/cluster/capture"
	"coup/judge"
	"coup/nightly"
	"coup/plan"
	"coup/results"
)

const (
	mostEntries = 5000    // that are known
	mostShown   = 500     // of these
	mostSeen    = 200_000 // files and folders that are looked at
	deepest     = 6       // folders below the one that is shown
	fresh       = time.Minute
)

// entry is a run or a night of the list.
type entry struct {
	Path    string
	Night   bool
	Title   string
	Verdict string // or "under way", or "no verdict"
	Class   string // of its colour
	Says    string
	When    time.Time
	Again   string
	Judged  bool           // there is a verdict
	Packets []capture.File // that were captured
}

// list remembers what the files say, as long as they are the same. Safe for concurrent use.
type list struct {
	mu    sync.Mutex
	known map[string]remembered // by file
}

type remembered struct {
	of    [2]stamp
	entry entry
}

// stamp tells whether a file is the same as before.
type stamp struct {
	size int64
	time time.Time
}

func stampOf(fsys fs.FS, name string) stamp {
	info, err := fs.Stat(fsys, name)
	if err != nil || info.IsDir() {
		return stamp{size: -1}
	}
	return stamp{info.Size(), info.ModTime()}
}

// entries are the runs and nights below the folder, the newest first. What can't be read yet is left out.
func (s *server) entries() (all []entry) {
	s.list.mu.Lock()
	defer s.list.mu.Unlock()
	known := map[string]remembered{}
	seen := 0
	fs.WalkDir(s.folder, ".", func(p string, d fs.DirEntry, err error) error {
		if seen++; seen > mostSeen || len(all) >= mostEntries {
			return fs.SkipAll
		}
		if err != nil {
			return nil // it is gone by now, or not ours to read
		}
		if d.IsDir() {
			if strings.Count(p, "/") >= deepest || d.Name() == results.NodesDir {
				return fs.SkipDir
			}
			return nil
		}
		var read func(string) (entry, bool)
		other := ""
		switch d.Name() {
		case results.PlanFile:
			read, other = s.run, path.Join(path.Dir(p), results.VerdictFile)
		case nightly.ReportFile:
			read = s.night
		default:
			return nil
		}
		now := [2]stamp{stampOf(s.folder, p), stampOf(s.folder, other)}
		e, ok := s.list.known[p]
		if !ok || e.of != now {
			e.of = now
			if e.entry, ok = read(path.Dir(p)); !ok {
				return nil
			}
		}
		known[p] = e
		if !e.entry.Night && !e.entry.Judged {
			s.underWay(&e.entry)
		}
		all = append(all, e.entry)
		return nil
	})
	s.list.known = known
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Or(b.When.Compare(a.When), cmp.Compare(a.Path, b.Path)) })
	return all
}

// night reads the entry of a night.
func (s *server) night(dir string) (entry, bool) {
	var r nightly.Report
	if results.DecodeJSON(s.folder, path.Join(dir, nightly.ReportFile), &r) != nil {
		return entry{}, false
	}
	words := map[int][2]string{nightly.CodeGreen: {"green", "valid"}, nightly.CodeNews: {"news", "invalid"}, nightly.CodeUnknown: {"unknown", "unknown"}, nightly.CodeError: {"error", "unknown"}}
	word := words[r.Status.Code]
	return entry{Path: dir, Night: true, Title: "night of " + r.Name, When: r.Began, Says: r.Status.Sentence, Verdict: word[0], Class: word[1]}, true
}

// run reads the entry of a run.
func (s *server) run(dir string) (entry, bool) {
	var stored plan.Stored
	if results.DecodeJSON(s.folder, path.Join(dir, results.PlanFile), &stored) != nil || stored.Run == "" {
		return entry{}, false
	}
	e := entry{Path: dir, Title: stored.Title(), When: stored.Started, Again: stored.Again(path.Join(s.name, dir))}
	if c := stored.Captured; c != nil {
		for _, f := range c.Files[:min(len(c.Files), mostNodes+1)] { // the file may be anything
			if name := path.Join(capture.Dir, path.Base(f.Name)); name == f.Name && stampOf(s.folder, path.Join(dir, name)).size >= 0 {
				e.Packets = append(e.Packets, f)
			}
		}
	}
	var v judge.Verdict
	if err := results.DecodeJSON(s.folder, path.Join(dir, results.VerdictFile), &v); err == nil {
		e.Verdict, e.Judged = v.Valid.String(), true
		e.Class = strings.ReplaceAll(e.Verdict, " ", "-")
		_, e.Says, _ = strings.Cut(v.Sentence(), ": ")
	}
	return e, true
}

// underWay tells a run that is being written from one that ended without a verdict.
func (s *server) underWay(e *entry) {
	e.Verdict = "no verdict"
	for _, name := range []string{results.EventsFile, results.HistoryFile, results.PlanFile} {
		if at := stampOf(s.folder, path.Join(e.Path, name)); at.size >= 0 && time.Since(at.time) < fresh {
			e.Verdict = "under way"
		}
	}
}

// showList shows the runs and nights that have all words that are asked for.
func (s *server) showList(w http.ResponseWriter, r *http.Request) {
	words := strings.Fields(strings.ToLower(r.FormValue("q")))
	all := s.entries()
	found := slices.DeleteFunc(slices.Clone(all), func(e entry) bool {
		text := strings.ToLower(strings.Join([]string{e.Title, e.Verdict, e.Says, e.Path}, " "))
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	})
	s.show(w, "list.html.tmpl", map[string]any{"Name": s.name, "Asked": r.FormValue("q"), "All": len(all), "Found": len(found), "Full": len(all) >= mostEntries,
		"Entries": found[:min(len(found), mostShown)]})
}
