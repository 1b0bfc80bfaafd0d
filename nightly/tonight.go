package nightly

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"coup/harness"
	"coup/plan"
	"coup/results"
)

// Options are the options of a night, beside its files.
type Options struct {
	Out           string // the folder of this night and those before
	Shard, Shards int    // only the cells of this part, from 1, of so many; 0: all
	Workers       int    // simulated runs at a time; 0: as many as there are processors
	Fresh         bool   // begin a new night, also if the last one was not finished
	// Only these cells, or patterns of cells, each with its control; empty: all.
	Only []string
	// Runs of each cell, and of each that is the control of a defect, with the seeds from 1
	// on; 0: what the files say.
	Runs, ControlRuns int
	Build             string // what this coup was built from
	// Command runs coup with arguments, to its end. When soft ends it interrupts it, when ctx
	// ends it kills it. It must not outlive this process.
	Command func(ctx, soft context.Context, args ...string) (Ended, error)
	Say     func(string) // tells a line of progress; one call at a time
}

// Ended is how a command ended.
type Ended struct {
	Code int    // its exit code
	Said string // the end of what it said on both outputs
}

// night is a night under way.
type night struct {
	o    Options
	spec Spec
	past []Report // the nights before, the oldest first
	dir  string

	mu      sync.Mutex // guards below
	report  Report     // without outcomes
	records map[string]*Record
	looked  map[string]bool // fingerprints of failures that were looked at, or are
	broken  error           // why the night can't go on
	written time.Time       // when the pages were written
}

// job is one run of a cell.
type job struct {
	cell Cell
	run  int // from 1
}

func (j job) key() string { return keyOf(j.cell.Name, j.run) }

func (j job) simulated() bool { return j.cell.Plan.Backend == plan.Simulated }

// Files of a night.
const (
	BegunFile   = "begun.json"  // what was begun; see begun
	ReportFile  = "night.json"  // a Report
	StatusFile  = "status.json" // the part of it that a script asks for
	PageFile    = "index.html"
	SummaryFile = "summary.md"
	JUnitFile   = results.JUnitFile
	recordsDir  = "records"
	runsDir     = "runs"
	latest      = "latest"
)

// begun tells whether a night that was not finished is the same as the one that is asked for.
type begun struct {
	ID     string    `json:"id"`
	Digest string    `json:"digest"` // of its cells, its shard and the build
	Began  time.Time `json:"began"`
}

// Run runs the night of some files, or goes on with it if it was not finished. The report
// is there also with an error, as far as it goes. When soft ends, runs are interrupted, and
// the night can go on later.
func Run(ctx, soft context.Context, paths []string, o Options) (Report, error) {
	if o.Workers == 0 {
		o.Workers = runtime.NumCPU()
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return Report{}, err
	}
	unlock, err := lock(o.Out)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	n := &night{o: o, records: map[string]*Record{}, looked: map[string]bool{}}
	if err := n.begin(paths); err != nil {
		return Report{}, err
	}
	n.work(ctx, soft)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.broken == nil && soft.Err() == nil {
		n.report.Ended = time.Now().UTC().Truncate(time.Second)
	}
	r := n.reported()
	err = n.broken
	if writeErr := write(n.dir, r, n.past); err == nil {
		err = writeErr
	}
	if err == nil && !r.Ended.IsZero() {
		err = prune(o.Out, r.Keep, r.Ended)
	}
	return r, err
}

// InputError is what is wrong with the files of a night.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

// begin finds the night to go on with, or begins one.
func (n *night) begin(paths []string) error {
	var err error
	if n.past, err = Past(n.o.Out); err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	b := begun{ID: nextID(n.o.Out, now), Began: now}
	last := lastBegun(n.o.Out)
	goesOn := false
	if last.ID != "" && !n.o.Fresh && !slices.ContainsFunc(n.past, func(r Report) bool { return r.ID == last.ID }) {
		if n.spec, err = n.read(last.ID, paths); err != nil {
			return &InputError{err}
		}
		goesOn = n.digest() == last.Digest
	}
	if goesOn {
		b = last
	} else if n.spec, err = n.read(b.ID, paths); err != nil {
		return &InputError{err}
	}
	n.dir = filepath.Join(n.o.Out, b.ID)
	if err := os.MkdirAll(filepath.Join(n.dir, recordsDir), 0o755); err != nil {
		return err
	}
	b.Digest = n.digest()
	if err := results.WriteJSON(n.dir, BegunFile, b); err != nil {
		return err
	}
	if goesOn {
		if err := n.readRecords(); err != nil {
			return err
		}
		n.o.Say(fmt.Sprintf("goes on with the night %s, of which %d runs are done", b.ID, len(n.records)))
	}
	n.report = Report{Schema: Schema, Name: n.spec.Name, ID: b.ID, Cells: digest(n.spec.Cells), Build: n.o.Build, Shard: n.o.Shard, Shards: n.o.Shards,
		Began: b.Began, Must: n.spec.Must, Keep: n.spec.Keep, Entries: n.spec.Known, NamedCells: names(n.spec.Cells)}
	pointLatest(n.o.Out, b.ID)
	return n.writeAll()
}

// read reads the files of the night, as its options change them.
func (n *night) read(id string, paths []string) (Spec, error) {
	spec, err := Read(id, paths...)
	if err != nil {
		return spec, err
	}
	return spec.chosen(n.o.Only, n.o.Runs, n.o.ControlRuns)
}

func names(cells []Cell) (all []string) {
	for _, c := range cells {
		all = append(all, c.Name)
	}
	return all
}

// digest is that of what is run: cells, shard and build.
func (n *night) digest() string { return digest(n.spec.Cells, n.o.Shard, n.o.Shards, n.o.Build) }

func digest(of ...any) string {
	b, err := json.Marshal(of)
	if err != nil {
		b = fmt.Append(nil, of...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// idLayout is how a night is named: by when it began.
const idLayout = "20060102-150405"

// nextID names a night so that it comes after all others of a folder.
func nextID(out string, now time.Time) string {
	all, _ := filepath.Glob(filepath.Join(out, "[0-9]*")) // the pattern is well formed
	for _, dir := range all {
		if t, err := time.Parse(idLayout, filepath.Base(dir)); err == nil && !t.Before(now.Truncate(time.Second)) {
			now = t.Add(time.Second)
		}
	}
	return now.Format(idLayout)
}

func lastBegun(out string) (b begun) {
	all, _ := filepath.Glob(filepath.Join(out, "[0-9]*", BegunFile)) // the pattern is well formed
	if len(all) == 0 {
		return b
	}
	dir := filepath.Dir(slices.Max(all))
	if results.ReadJSON(dir, BegunFile, &b) != nil || b.ID != filepath.Base(dir) {
		return begun{}
	}
	return b
}

// pointLatest is a convenience, and some file systems have no links.
func pointLatest(out, id string) {
	next := filepath.Join(out, "."+latest)
	os.Remove(next)
	if os.Symlink(id, next) == nil && os.Rename(next, filepath.Join(out, latest)) != nil {
		os.Remove(next)
	}
}

func (n *night) readRecords() error {
	files, err := filepath.Glob(filepath.Join(n.dir, recordsDir, "*.json"))
	if err != nil {
		return err
	}
	for _, f := range files {
		var r Record
		if err := results.ReadJSON(filepath.Dir(f), filepath.Base(f), &r); err != nil {
			return err
		}
		n.records[keyOf(r.Cell, r.Run)] = &r
		if r.Triage != nil {
			n.looked[r.Fingerprint] = true
		}
	}
	return nil
}

// mine are the cells of this shard.
func (n *night) mine() []Cell {
	if n.o.Shards == 0 {
		return n.spec.Cells
	}
	var mine []Cell
	for i, c := range n.spec.Cells {
		if i%n.o.Shards == n.o.Shard-1 {
			mine = append(mine, c)
		}
	}
	return mine
}

// work does all jobs: simulated ones by several workers, those in containers one at a time
// beside them.
func (n *night) work(ctx, soft context.Context) {
	var simulated, contained []job
	for _, j := range inOrder(n.mine(), n.spec.Must.Run, n.past) {
		if j.simulated() {
			simulated = append(simulated, j)
		} else {
			contained = append(contained, j)
		}
	}
	var workers sync.WaitGroup
	var mu sync.Mutex
	lane := func(left *[]job) {
		for {
			mu.Lock()
			if len(*left) == 0 {
				mu.Unlock()
				return
			}
			j := (*left)[0]
			*left = (*left)[1:]
			mu.Unlock()
			n.do(ctx, soft, j)
		}
	}
	for range max(1, n.o.Workers) {
		workers.Go(func() { lane(&simulated) })
	}
	workers.Go(func() { lane(&contained) })
	workers.Wait()
}

// do does what is left of a job, unless the night is over.
func (n *night) do(ctx, soft context.Context, j job) {
	n.mu.Lock()
	rec := n.records[j.key()]
	over := n.broken != nil || soft.Err() != nil || ctx.Err() != nil ||
		rec == nil && n.spec.Budget > 0 && time.Since(n.report.Began) > n.spec.Budget
	n.mu.Unlock()
	if over {
		return
	}
	news := rec == nil
	if rec == nil {
		if rec = n.run(ctx, soft, j); rec == nil || !n.save(rec) {
			return
		}
	}
	if n.asksForLook(j.cell, rec) {
		news = true
		triage := n.triage(ctx, soft, j, rec)
		if soft.Err() != nil || ctx.Err() != nil {
			return // it was interrupted; the night that goes on looks again
		}
		more := *rec
		more.Triage = &triage
		rec = &more
		if !n.save(rec) {
			return
		}
	}
	n.drop(j, rec)
	if news {
		n.tell(j, rec)
	}
}

// otherSeed is far from the seeds that files name.
const otherSeed = 1_000_000

// run makes the runs of a job, until one of them counts. It is nil if that was
// interrupted, or the night can't go on.
func (n *night) run(ctx, soft context.Context, j job) *Record {
	rec := &Record{Cell: j.cell.Name, Run: j.run, Seed: j.cell.Seeds[j.run-1], Began: time.Now().UTC().Truncate(time.Second), Valid: harness.Unknown}
	if j.cell.Problem != "" {
		rec.Error = j.cell.Problem
		return rec
	}
	folder := filepath.Join(n.dir, runsDir, j.key())
	begun := time.Now()
	// A contrast that was valid stays so, if what was tried after it proves nothing.
	missed := func() *Record {
		if rec.Missed > 0 && (rec.Error != "" || rec.Valid == harness.Unknown) {
			rec.Valid, rec.Error, rec.Sentence, rec.Dir = harness.Valid, "", "", ""
		}
		return rec
	}
	for {
		rec.Attempts++
		err := n.attempt(ctx, soft, j, folder, rec)
		rec.Seconds = float64(time.Since(begun).Milliseconds()) / 1000
		if soft.Err() != nil || ctx.Err() != nil {
			os.RemoveAll(folder)
			return nil
		}
		if err != nil || rec.Error != "" {
			if full := diskFull(n.dir, err); full != nil {
				os.RemoveAll(folder)
				n.stop(full)
				return nil
			}
			if err != nil {
				rec.Error = err.Error()
			}
			if rec.Dir == "" {
				os.RemoveAll(folder) // there is no run in it
			}
			return missed()
		}
		switch {
		case j.simulated():
			return rec
		case rec.Valid == harness.Unknown:
			if rec.Attempts-rec.Missed > n.spec.Look.Unknown {
				return missed()
			}
		case j.cell.Expect == ExpectInvalid && rec.Valid == harness.Valid && j.cell.Defect == nil: // of a defect, the share of runs that show it is told
			if rec.Missed++; rec.Missed > *n.spec.Look.Gone || n.spec.Budget > 0 && time.Since(n.report.Began) > n.spec.Budget {
				return rec
			}
			rec.Seed += otherSeed
		default:
			return rec
		}
	}
}

// attempt is one run of coup. The record tells what it came to; an error is that of the night.
func (n *night) attempt(ctx, soft context.Context, j job, folder string, rec *Record) error {
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o755)); err != nil {
		return err
	}
	p := j.cell.Plan
	p.Nemesis, p.Seed = slices.Clone(p.Nemesis), rec.Seed
	if err := p.Resolve(); err != nil {
		rec.Error = err.Error()
		return nil
	}
	file, err := os.Create(filepath.Join(folder, "plan.yaml"))
	if err != nil {
		return err
	}
	if err := errors.Join(p.WritePlan(file), file.Close()); err != nil {
		return err
	}
	ended, err := n.command(ctx, soft, p, append([]string{"run", "--plan", file.Name(), "--out", folder}, nodeOf(j.cell)...)...)
	if err != nil {
		return err
	}
	if rec.look(n.dir, folder) && ended.Code <= 2 {
		return nil
	}
	rec.Valid, rec.Error = harness.Unknown, cmp.Or(lastLine(ended.Said), fmt.Sprintf("coup run ended with exit code %d and no verdict", ended.Code))
	return nil
}

func nodeOf(c Cell) []string {
	if c.Node == "" {
		return nil
	}
	return []string{"--node", c.Node}
}

// command runs coup on a plan, within a bound: what hangs must not hang the night.
func (n *night) command(ctx, soft context.Context, p plan.Plan, args ...string) (Ended, error) {
	bound := 4*time.Duration(p.Time) + 10*time.Duration(p.CheckTime) + 20*time.Minute
	soft, endSoft := context.WithTimeout(soft, bound)
	defer endSoft()
	ctx, end := context.WithTimeout(ctx, bound+5*time.Minute)
	defer end()
	ended, err := n.o.Command(ctx, soft, args...)
	if err == nil && errors.Is(soft.Err(), context.DeadlineExceeded) {
		ended = Ended{255, fmt.Sprintf("it did not end within %v", bound)}
	}
	return ended, err
}

// lastLine is the last line of what a command said that is an error of coup, or the last one.
func lastLine(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	for _, line := range slices.Backward(lines) {
		if text, ok := strings.CutPrefix(line, "coup: "); ok {
			return text
		}
	}
	return lines[len(lines)-1]
}

// probeSize is how much must fit on the disk for a failure not to be blamed on it.
const probeSize = 8 << 20

// diskFull is an error if the disk of a folder is full.
func diskFull(dir string, why error) error {
	if !errors.Is(why, syscall.ENOSPC) {
		name := filepath.Join(dir, ".probe")
		err := os.WriteFile(name, make([]byte, probeSize), 0o644)
		os.Remove(name)
		if !errors.Is(err, syscall.ENOSPC) {
			return nil
		}
	}
	return fmt.Errorf("the disk that holds %s is full: free some space and run the same command again, and the night goes on where it was", dir)
}

// save writes a record. It is false if the night can't go on.
func (n *night) save(r *Record) bool {
	err := results.WriteJSON(filepath.Join(n.dir, recordsDir), keyOf(r.Cell, r.Run)+".json", r)
	if err != nil {
		if full := diskFull(n.dir, err); full != nil {
			err = full
		}
		n.stop(err)
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.records[keyOf(r.Cell, r.Run)] = r
	return true
}

// stop ends the night: no further run begins.
func (n *night) stop(why error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.broken == nil {
		n.broken = why
	}
}

// drop removes the directory of a run that is kept as figures only.
func (n *night) drop(j job, rec *Record) {
	if rec.Dir == "" || classOf(j.cell, rec, n.spec.Known, n.report.Began) != Expected {
		return
	}
	less := *rec
	less.Dir = ""
	if n.save(&less) { // first, so that no record names what is not there
		os.RemoveAll(filepath.Join(n.dir, runsDir, j.key()))
	}
}

// tell tells of a run, and writes the pages now and then.
func (n *night) tell(j job, rec *Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	said := rec.Sentence
	if rec.Error != "" {
		said = "no verdict: " + rec.Error
	}
	n.o.Say(fmt.Sprintf("%d of %d: %s, seed %d: %s (%s)", len(n.records), runsOf(n.mine()), rec.Cell, rec.Seed, said, classOf(j.cell, rec, n.spec.Known, n.report.Began)))
	if time.Since(n.written) > pageEvery {
		if err := n.writeAll(); err != nil && n.broken == nil {
			n.broken = err
		}
	}
}

// pageEvery is how often the pages are written while the night goes on.
const pageEvery = 10 * time.Second

func runsOf(cells []Cell) (n int) {
	for _, c := range cells {
		n += len(c.Seeds)
	}
	return n
}

// writeAll writes the pages as things stand.
func (n *night) writeAll() error {
	n.written = time.Now()
	return write(n.dir, n.reported(), n.past)
}

// reported is the report as things stand.
func (n *night) reported() Report {
	var all []Outcome
	for _, c := range n.mine() {
		var records []*Record
		for i := range c.Seeds {
			if r := n.records[keyOf(c.Name, i+1)]; r != nil {
				records = append(records, r)
			}
		}
		all = append(all, outcomeOf(c, records, n.spec.Known, n.report.Began))
	}
	return n.report.with(all, n.past)
}
