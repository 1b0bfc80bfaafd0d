package serve

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"coup/harness"
	"coup/judge"
	"coup/plan"
	"coup/results"
	"coup/results/report"
)

const (
	mostWatched = 16          // runs
	unasked     = time.Minute // after which a run is watched no more
	perLook     = 16 << 20    // bytes of a file that are read at a time: what is left is read at the next
	tailBytes   = 4 << 10     // of a log
	tailLines   = 20          // of these
	mostLogs    = 40
	quietAfter  = 30 * time.Second
	mostNodes   = 1000
)

// watch reads a run under way, as it is written. Safe for concurrent use.
type watch struct {
	mu              sync.Mutex
	asked           time.Time // guarded by the mutex of watches
	run             string    // its id: another run may come to stand in the same place
	progress        *report.Progress
	history, events results.Tail
	unread          int // lines that make no sense
	changed         time.Time
}

// watches are the runs that somebody looks at: few, and each in bounded memory. Safe for
// concurrent use.
type watches struct {
	mu  sync.Mutex
	all map[string]*watch // by directory
}

// of is the watch of a directory, which begins if there is none.
func (w *watches) of(dir string) *watch {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.all == nil {
		w.all = map[string]*watch{}
	}
	oldest := ""
	for d, k := range w.all {
		if now.Sub(k.asked) > unasked {
			delete(w.all, d)
		} else if oldest == "" || k.asked.Before(w.all[oldest].asked) {
			oldest = d
		}
	}
	k := w.all[dir]
	if k == nil {
		if len(w.all) >= mostWatched {
			delete(w.all, oldest)
		}
		k = &watch{}
		w.all[dir] = k
	}
	k.asked = now
	return k
}

// look reads what is new in a run directory, and tells what is known of the run. It fails
// if there is no run.
func (k *watch) look(run fs.FS) (known report.Known, stored plan.Stored, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := results.DecodeJSON(run, results.PlanFile, &stored); err != nil {
		return known, stored, err
	}
	if stored.Run == "" {
		return known, stored, errors.New("it is no run")
	}
	// Whether there is a verdict is looked up first: then all that it is about is there.
	var v judge.Verdict
	verdict := results.DecodeJSON(run, results.VerdictFile, &v)
	if k.progress == nil || k.run != stored.Run {
		k.begin(stored)
	}
	more, err := k.read(run)
	if errors.Is(err, results.ErrReplaced) {
		k.begin(stored)
		more, err = k.read(run)
	}
	if err != nil && !errors.Is(err, results.ErrReplaced) && !errors.Is(err, fs.ErrNotExist) {
		return known, stored, err
	}
	known = k.progress.Known(verdict == nil && !more)
	known.Behind = more
	switch {
	case verdict == nil:
		known.Over, known.Verdict = !more, v.Valid.String()
		_, says, _ := strings.Cut(v.Sentence(), ": ")
		known.Says = cmp.Or(says, "It is over.")
	case known.Phase == string(harness.PhaseDone):
		known.Says = "The run is done, and is being judged."
	case known.Found > 0:
		known.Says = "A violation was found."
	case stored.Plan.FailFast:
		known.Says = "No violation was found so far."
	default:
		known.Says = "What clients are answered is judged when the run is over. (With --fail-fast it is judged on the way.)"
	}
	if more {
		known.Notes = append(known.Notes, "There is more in the files, which is being read.")
	}
	if n := k.unread + int(k.history.Unread+k.events.Unread); n > 0 {
		known.Notes = append(known.Notes, fmt.Sprintf("Lines that make no sense and were left out: %d.", n))
	}
	if quiet := time.Since(k.changed); !known.Over && quiet > quietAfter && !k.changed.IsZero() {
		known.Notes = append(known.Notes, fmt.Sprintf("Nothing was written for %s: whoever ran it may have ended.", quiet.Round(time.Second)))
	}
	known.Logs = logs(run)
	return known, stored, nil
}

func (k *watch) begin(stored plan.Stored) {
	k.run, k.history, k.events, k.unread = stored.Run, results.Tail{}, results.Tail{}, 0
	stored.Plan.Nodes = min(stored.Plan.Nodes, mostNodes) // the file may be anything
	k.progress = report.NewProgress(stored.NodeNames(), stored.Tells)
}

// read reads what is new in the files.
func (k *watch) read(run fs.FS) (more bool, err error) {
	lines := func(tail *results.Tail, name string, add func([]byte) bool) {
		left, failed := tail.Read(run, name, perLook, func(line []byte) {
			if !add(line) {
				k.unread++
			}
		})
		more, err = more || left, cmp.Or(err, failed)
		if info, failed := fs.Stat(run, name); failed == nil && info.ModTime().After(k.changed) {
			k.changed = info.ModTime()
		}
	}
	lines(&k.events, results.EventsFile, k.progress.EventLine)
	lines(&k.history, results.HistoryFile, k.progress.HistoryLine)
	return more, err
}

// logs are the ends of what the nodes wrote.
func logs(run fs.FS) []report.Log {
	all := []report.Log{}
	nodes, _ := fs.ReadDir(run, results.NodesDir) // there may be none yet
	for _, n := range nodes {
		if len(all) == mostLogs {
			break
		}
		if n.Type().IsRegular() {
			all = append(all, report.Log{Name: strings.TrimSuffix(n.Name(), ".log"), Text: tail(run, path.Join(results.NodesDir, n.Name()))})
		}
	}
	return all
}

// tail are the last whole lines of a file.
func tail(run fs.FS, name string) string {
	f, err := run.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	at, ok := f.(io.ReaderAt)
	if err != nil || !ok || info.IsDir() {
		return ""
	}
	from := max(0, info.Size()-tailBytes)
	b, err := io.ReadAll(io.NewSectionReader(at, from, tailBytes))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.ToValidUTF8(string(b), "�"), "\n")
	if from > 0 && len(lines) > 1 {
		lines = lines[1:] // its beginning is not there
	}
	if n := len(lines); lines[n-1] == "" {
		lines = lines[:n-1]
	}
	return strings.Join(slices.Clip(lines[max(0, len(lines)-tailLines):]), "\n")
}
