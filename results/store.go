// Package results is the run directory: what a run leaves behind, and what is read back to
// judge it again. Start with [Create] to write one, or [Locate] and [ReadHistory] to read
// one. Its sub-package report renders it.
//
// A run directory holds
//
//	plan.json      everything needed to run it again
//	history.jsonl  every operation, line by line as it happened
//	events.jsonl   what the nemesis did and what the nodes said about themselves
//	verdict.json   what the checkers found
//	report.html    the same for people
//	junit.xml      the same for CI servers
//	nodes/n1.log   the output of each node
//	capture/       the packets of each node, if that was asked for; see package capture
//	trace.jsonl.gz what every simulated machine did, if that was asked for; see package trace
package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"coup/cluster/capture"
	"coup/cluster/trace"
	"coup/harness"
)

// The names of the files in a run directory.
const (
	PlanFile    = "plan.json"
	HistoryFile = "history.jsonl"
	EventsFile  = "events.jsonl"
	VerdictFile = "verdict.json"
	ReportFile  = "report.html"
	TraceFile   = "trace.jsonl.gz"
	NodesDir    = "nodes"
	CaptureDir  = capture.Dir
	// Latest is a link to the newest run directory of a folder.
	Latest = "latest"
)

// flushEvery is how old a recorded line may become before it is written: what
// is lost if the process is killed.
const flushEvery = 100 * time.Millisecond

// Run is a run directory that is being written. Safe for concurrent use.
type Run struct {
	ID  string // unique; a name for what belongs to the run elsewhere
	Dir string

	History *harness.Recorder
	Events  *harness.Recorder

	files []*os.File
	trace *trace.Writer
	stop  chan struct{}
	done  chan struct{}

	mu       sync.Mutex
	flushErr error
	logs     map[string]*os.File
}

// Create makes a new run directory below out and points out/latest at it.
func Create(out string, now time.Time) (*Run, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, fmt.Errorf("results folder: %w", err)
	}
	r := &Run{stop: make(chan struct{}), done: make(chan struct{}), logs: map[string]*os.File{}}
	for {
		// The id also names what belongs to the run on an engine, which runs of
		// other machines and containers may share.
		r.ID = fmt.Sprintf("%s-%06x", now.UTC().Format("20060102-150405"), rand.Uint32()>>8)
		r.Dir = filepath.Join(out, r.ID)
		err := os.Mkdir(r.Dir, 0o755)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("results folder: %w", err)
		}
	}
	var err error
	if err = os.Mkdir(filepath.Join(r.Dir, NodesDir), 0o755); err != nil {
		return nil, err
	}
	if r.History, err = r.recorder(HistoryFile); err != nil {
		return nil, err
	}
	if r.Events, err = r.recorder(EventsFile); err != nil {
		return nil, err
	}
	// The link is a convenience, and some file systems have none.
	next := filepath.Join(out, fmt.Sprintf(".%s-%s", Latest, r.ID))
	if os.Symlink(r.ID, next) == nil && os.Rename(next, filepath.Join(out, Latest)) != nil {
		os.Remove(next)
	}
	go r.flushing()
	return r, nil
}

// Remove removes the directory of a run that is closed.
func (r *Run) Remove() {
	os.RemoveAll(r.Dir) // if that fails, there is one directory too many, and no harm
	MendLatest(filepath.Dir(r.Dir))
}

// MendLatest points out/latest at the newest run directory again, if the one that
// it names was removed.
func MendLatest(out string) {
	link := filepath.Join(out, Latest)
	if _, err := os.Stat(link); err == nil {
		return
	}
	os.Remove(link)
	plans, _ := filepath.Glob(filepath.Join(out, "*", PlanFile)) // the pattern is well formed
	if len(plans) > 0 {
		os.Symlink(filepath.Base(filepath.Dir(slices.Max(plans))), link) // a convenience, as in Create
	}
}

func (r *Run) recorder(name string) (*harness.Recorder, error) {
	f, err := r.create(name)
	if err != nil {
		return nil, err
	}
	return harness.NewRecorder(f), nil
}

// create makes a file that Close closes.
func (r *Run) create(name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(r.Dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err == nil {
		r.files = append(r.files, f)
	}
	return f, err
}

// Trace begins the trace of the run. It is called once at most.
func (r *Run) Trace() (*trace.Writer, error) {
	f, err := r.create(TraceFile)
	if err != nil {
		return nil, err
	}
	r.trace = trace.NewWriter(f)
	return r.trace, nil
}

func (r *Run) flushing() {
	defer close(r.done)
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			r.flush()
		case <-r.stop:
			r.flush()
			return
		}
	}
}

func (r *Run) flush() {
	err := errors.Join(r.History.Flush(), r.Events.Flush())
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flushErr == nil && err != nil {
		r.flushErr = explain(r.Dir, err)
	}
}

// Err is the first error with which a line could not be written.
func (r *Run) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flushErr
}

// FullError says that a run directory could not be written because its disk is full.
// What was written before stands, and can be read. It wraps [syscall.ENOSPC].
type FullError struct{ Dir string }

// Error implements error.
func (e *FullError) Error() string {
	return fmt.Sprintf("the disk that holds %s is full: free some space and run again", e.Dir)
}

// Unwrap gives what the system said.
func (e *FullError) Unwrap() error { return syscall.ENOSPC }

func explain(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return &FullError{Dir: dir}
	}
	return err
}

// NodeLog appends a line to the log of a node.
func (r *Run) NodeLog(node string, line []byte) error {
	r.mu.Lock()
	f := r.logs[node]
	if f == nil {
		var err error
		f, err = os.OpenFile(filepath.Join(r.Dir, NodesDir, node+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			r.mu.Unlock()
			return explain(r.Dir, err)
		}
		r.logs[node] = f
	}
	r.mu.Unlock()
	_, err := f.Write(append(line[:len(line):len(line)], '\n'))
	return explain(r.Dir, err)
}

// Close writes what is left and closes all files.
func (r *Run) Close() error {
	close(r.stop)
	<-r.done
	errs := []error{r.Err()}
	if r.trace != nil {
		if err := r.trace.Close(); err != nil {
			errs = append(errs, fmt.Errorf("trace: %w", explain(r.Dir, err)))
		}
	}
	for _, f := range r.files {
		errs = append(errs, f.Close())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.logs {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// WriteJSON writes v to a file of a run directory, whole or not at all.
func WriteJSON(dir, name string, v any) error {
	return WriteFile(dir, name, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	})
}

// WriteFile writes a file of a run directory, whole or not at all.
func WriteFile(dir, name string, write func(io.Writer) error) (err error) {
	// Not os.CreateTemp: all files of a run get the mode that the umask leaves.
	f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf(".%s-%x", name, rand.Uint64())), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return explain(dir, err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = explain(dir, err)
		}
	}()
	if err = errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}

// ReadJSON reads a file of a run directory.
func ReadJSON(dir, name string, v any) error {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Locate finds the run directory and the history that a path of the user's
// means: a run directory, or a history by itself (dir is "" then).
func Locate(path string) (dir, history string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", "", err
	}
	if !info.IsDir() {
		dir = filepath.Dir(path)
		if _, err := os.Stat(filepath.Join(dir, PlanFile)); err != nil || filepath.Base(path) != HistoryFile {
			dir = ""
		}
		return dir, path, nil
	}
	history = filepath.Join(path, HistoryFile)
	if _, err := os.Stat(history); err != nil {
		return "", "", fmt.Errorf("%s is not a run directory: it holds no %s", path, HistoryFile)
	}
	return path, history, nil
}

// ReadHistory reads a recorded history and, if dir is not "", the events that
// belong to it. torn says what was cut off and left out, or is "".
func ReadHistory(dir, history string, decode harness.Decoder) (h *harness.History, torn string, err error) {
	h = &harness.History{}
	f, err := os.Open(history)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	ops, cut, err := harness.ReadOperations(f, decode)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", history, err)
	}
	if cut {
		torn = fmt.Sprintf("the last line of %s is incomplete and was left out", history)
	}
	h.Operations = ops
	if dir == "" {
		return h, torn, nil
	}
	events := filepath.Join(dir, EventsFile)
	g, err := os.Open(events)
	if errors.Is(err, fs.ErrNotExist) {
		return h, torn, nil
	}
	if err != nil {
		return nil, "", err
	}
	defer g.Close()
	h.Events, _, err = harness.ReadEvents(g)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", events, err)
	}
	harness.SortEvents(h.Events)
	return h, torn, nil
}
