package runner

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"coup/harness"
	"coup/results"
)

// recorder records what happens in a run, and knows its progress. Safe for concurrent
// use.
type recorder struct {
	store    *results.Run
	log      *slog.Logger
	show     func(Progress) // may be nil
	rt       harness.Runtime
	duration time.Duration // of the load

	mu        sync.Mutex // guards below
	progress  Progress
	loadStart time.Duration
	inForce   map[int]string
	keys      map[string]struct{} // that clients have used
	awaited   map[string]struct{} // functions that must succeed before the run goes on
	shardOf   func(string) int    // the log that holds an object; nil: there is one, or nothing is awaited
	shards    map[int]bool        // logs that were asked for anything since then: whether anything succeeded
}

func newRecorder(store *results.Run, o Options, duration time.Duration) *recorder {
	return &recorder{store: store, log: o.Log, show: o.Progress, duration: duration,
		inForce: map[int]string{}, keys: map[string]struct{}{}}
}

// event records an event whose time is set.
func (r *recorder) event(e harness.Event) {
	what := e.Fault + ":" + e.Target
	r.mu.Lock()
	switch e.Kind {
	case harness.FaultHold:
		r.inForce[e.ID] = what + " " + strings.Join(e.Nodes, ",")
	case harness.FaultEnd:
		delete(r.inForce, e.ID)
	}
	r.mu.Unlock()
	switch e.Kind {
	case harness.FaultHold, harness.FaultMiss, harness.FaultSkip:
		r.log.Info("fault", "is", e.Kind, "fault", what, "nodes", strings.Join(e.Nodes, ","), "says", e.Message)
	case harness.FaultEnd:
		r.log.Info("fault", "is", e.Kind, "fault", what, "nodes", strings.Join(e.Nodes, ","))
	case harness.ExitEvent:
		r.log.Warn("a node ended by itself", "node", e.Node, "says", e.Message)
	}
	r.store.Events.RecordEvent(&e) // an error comes back with the next flush: store.Err
}

// enter begins a phase of the run.
func (r *recorder) enter(p harness.Phase) {
	r.phase(p)
	r.event(harness.Event{Time: r.rt.Now(), Kind: harness.PhaseEvent, Message: string(p)})
	r.showProgress()
}

// phase only shows what the run is about.
func (r *recorder) phase(p harness.Phase) {
	r.log.Info("phase", "is", string(p))
	r.mu.Lock()
	r.progress.Phase, r.progress.Doing = p, ""
	r.mu.Unlock()
	r.showProgress()
}

// doing shows what takes long in a phase.
func (r *recorder) doing(what string) {
	r.log.Info("phase", "does", what)
	r.mu.Lock()
	r.progress.Doing = what
	r.mu.Unlock()
	r.showProgress()
}

func (r *recorder) loadBegins() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loadStart = r.rt.Now()
	return r.loadStart
}

// operation records a line of the history. keys are the objects that it works on.
func (r *recorder) operation(op *harness.Op, keys []string) error {
	if err := r.store.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	switch op.Type {
	case harness.Invoke:
		for _, k := range keys {
			r.keys[k] = struct{}{}
		}
		if r.shardOf != nil && op.Key != "" {
			r.shards[r.shardOf(op.Key)] = r.shards[r.shardOf(op.Key)]
		}
	case harness.OK:
		if r.shardOf != nil && op.Key != "" {
			r.shards[r.shardOf(op.Key)] = true
		}
		r.progress.OK++
		delete(r.awaited, op.F)
	case harness.Fail:
		r.progress.Fail++
	case harness.Info:
		r.progress.Info++
	}
	r.mu.Unlock()
	return r.store.History.Record(op)
}

// await says which functions have to succeed from now on. Where nodes hold several logs,
// shardOf says which one an object is in, and something has to succeed in each that clients ask
// for anything.
func (r *recorder) await(fs []string, shardOf func(key string) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shardOf, r.shards = shardOf, map[int]bool{}
	r.awaited = map[string]struct{}{}
	for _, f := range fs {
		r.awaited[f] = struct{}{}
	}
}

// serves reports whether nothing is awaited any more.
func (r *recorder) serves() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.awaited) == 0 && !slices.Contains(slices.Collect(maps.Values(r.shards)), false)
}

// used are the objects that clients have used, k2 before k10.
func (r *recorder) used() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Keys(r.keys), byNumber)
}

// byNumber puts k2 before k10.
func byNumber(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// leads notes who leads, for the progress.
func (r *recorder) leads(node string, term uint64) {
	r.mu.Lock()
	r.progress.Leader, r.progress.Term = node, term
	r.mu.Unlock()
	r.showProgress()
}

func (r *recorder) showProgress() {
	if r.show == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.progress
	p.Elapsed, p.Total = max(0, r.rt.Now()-r.loadStart), r.duration
	p.Faults = slices.Sorted(maps.Values(r.inForce))
	r.show(p)
}
