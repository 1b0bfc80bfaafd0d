// Package runner carries a plan out: it brings a cluster up, lets clients work while
// the nemesis strikes, heals, looks at everything once more, and has package judge
// judge what was recorded. Start with [Run].
package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"coup/cluster"
	"coup/cluster/systems"
	"coup/harness"
	"coup/judge"
	"coup/nemesis"
	"coup/plan"
	"coup/results"
	"coup/workloads"
)

// Options are what a run is given beside its plan.
type Options struct {
	Out string // the folder that run directories are made in
	// Progress is called several times a second, one call at a time; may be nil.
	Progress func(Progress)
	Log      *slog.Logger // nil: nothing is logged
	// Trace writes down what every machine does, which changes nothing of what
	// it does: package trace. Only simulated machines can be traced.
	Trace bool
	// Stuck is called when a simulated node's program loops for ever, on
	// another thread and with no way back: it must replace this process by one
	// that calls judge.Stuck. nil: such a run never ends.
	Stuck func(dir, node string, after time.Duration)
}

// Check says what can't be done with a plan.
func (o Options) Check(p plan.Plan) error {
	if o.Trace && p.Backend != plan.Simulated {
		return fmt.Errorf("only simulated machines can be traced (--backend sim), not those of the backend %s", p.Backend)
	}
	return nil
}

// Progress is what a run looks like at a moment.
type Progress struct {
	Phase          string
	Elapsed, Total time.Duration // of the load
	OK, Fail, Info int           // completed operations so far
	Leader         string
	Term           uint64
	Faults         []string // in force
}

const (
	servePatience    = 60 * time.Second      // for the cluster to come up
	finalPatience    = 60 * time.Second      // for reading everything once more; at least as long as the load
	lostPatience     = 10 * time.Second      // the same, of a cluster that has not served after healing
	agreeEvery       = time.Second           // the nodes' states while they have not come to the same position
	restartAfter     = time.Second           // a node that ended by itself is started again, as an init system would
	restAfterFailure = 20 * time.Millisecond // of a client that was told no, or nothing
	watchEvery       = 250 * time.Millisecond
	judgeEvery       = time.Second // with FailFast; looking takes its time as well
)

// Run carries out a resolved plan and judges what was recorded. It returns the
// run directory as soon as there is one, also with an error: what was recorded
// until then is there.
//
// When soft ends, the load ends early: the cluster is healed, read, gathered
// and judged all the same. When ctx ends, everything ends at once. Either way
// nothing is left running.
func Run(ctx, soft context.Context, p plan.Plan, o Options) (dir string, verdict judge.Verdict, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	sys, err := systems.Find(p.System)
	if err != nil {
		return "", verdict, err
	}
	work, err := workloads.Find(p.Workload)
	if err != nil {
		return "", verdict, err
	}
	if err := o.Check(p); err != nil {
		return "", verdict, &judge.InputError{Err: err}
	}
	store, err := results.Create(o.Out, time.Now())
	if err != nil {
		return "", verdict, err
	}
	r := &run{
		plan: p, sys: sys, work: work, o: o, store: store,
		keys: map[string]struct{}{}, inForce: map[int]string{}, lastSaid: map[string]time.Duration{},
		lastWords: map[string]string{},
	}
	r.stored = r.describe()
	err = results.WriteJSON(store.Dir, results.PlanFile, r.stored)
	if err == nil {
		err = backendOf(p.Backend).drive(r, func() error { return r.run(ctx, soft) })
	}
	if closeErr := store.Close(); err == nil { // what ended the run says more than what came of it
		err = closeErr
	}
	if err != nil {
		return store.Dir, verdict, errors.Join(err, r.cleaning)
	}
	r.enter("judge")
	verdict, err = judge.Judge(ctx, store.Dir)
	return store.Dir, verdict, errors.Join(err, r.cleaning)
}

// run is a run under way.
type run struct {
	plan   plan.Plan
	sys    cluster.System
	work   workloads.Workload
	o      Options
	store  *results.Run
	rt     harness.Runtime
	epoch  time.Time // what the nodes' clocks show at the start of the run; zero: nobody knows
	stored plan.Stored

	cluster cluster.Cluster
	nemesis *nemesis.Nemesis

	cleaning error // what was wrong with the removal of the cluster

	// With FailFast, while the load lasts:
	endLoad func()
	monitor workloads.Monitor // sees every line in order; nil if there is none for the workload

	mu        sync.Mutex // guards below
	progress  Progress
	found     bool // a violation, with FailFast
	up        bool // cluster and nemesis are there
	loadStart time.Duration
	inForce   map[int]string
	keys      map[string]struct{}
	awaited   map[string]struct{}      // functions that have to succeed until the run goes on
	lastSaid  map[string]time.Duration // node -> time of its newest event
	lastWords map[string]string        // node -> the line that says why its process is about to end
	release   string                   // what the node that booted last said it runs
}

func (r *run) describe() plan.Stored {
	s := plan.Stored{
		Plan: r.plan, Run: r.store.ID, Started: time.Now().UTC().Truncate(time.Second), Coup: "unknown",
		Go: runtime.Version(), CPUs: runtime.NumCPU(),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		s.Coup = info.Main.Version
	}
	return s
}

// event records an event whose time is set.
func (r *run) event(e harness.Event) {
	r.mu.Lock()
	what := e.Fault + ":" + e.Target
	switch e.Kind {
	case harness.FaultHold:
		r.inForce[e.ID] = what + " " + strings.Join(e.Nodes, ",")
	case harness.FaultEnd:
		delete(r.inForce, e.ID)
	case harness.BootEvent:
		r.release = e.Message
	case harness.PhaseEvent:
		r.progress.Phase = e.Message
	}
	r.mu.Unlock()
	switch e.Kind {
	case harness.FaultHold, harness.FaultMiss, harness.FaultSkip:
		r.o.Log.Info("fault", "is", e.Kind, "fault", what, "nodes", strings.Join(e.Nodes, ","), "says", e.Message)
	case harness.FaultEnd:
		r.o.Log.Info("fault", "is", e.Kind, "fault", what, "nodes", strings.Join(e.Nodes, ","))
	case harness.ExitEvent:
		r.o.Log.Warn("a node ended by itself", "node", e.Node, "says", e.Message)
	}
	r.store.Events.RecordEvent(&e) // an error comes back with the next flush: store.Err
}

func (r *run) enter(phase string) {
	r.o.Log.Info("phase", "is", phase)
	r.event(harness.Event{Time: r.rt.Now(), Kind: harness.PhaseEvent, Message: phase})
	r.show()
}

func (r *run) run(ctx, soft context.Context) (err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	r.enter("setup")
	r.cluster, err = backendOf(r.plan.Backend).up(ctx, r)
	if err != nil {
		return err
	}
	defer func() {
		// What was started must go, also when the context is what ended the run.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if closeErr := r.cluster.Close(clean); closeErr != nil {
			r.cleaning = fmt.Errorf("the run is over, but not everything of it could be removed (coup gc tries again): %w", closeErr)
		}
	}()
	if err := results.WriteJSON(r.store.Dir, results.PlanFile, r.stored); err != nil {
		return err
	}
	r.nemesis = &nemesis.Nemesis{Cluster: r.cluster, System: r.sys, Runtime: r.rt, Record: r.event}
	r.mu.Lock()
	r.up = true
	r.mu.Unlock()
	if err := r.awaitService(soft); err != nil {
		return err
	}
	r.mu.Lock()
	r.stored.Raft = r.release
	r.mu.Unlock()
	if err := results.WriteJSON(r.store.Dir, results.PlanFile, r.stored); err != nil {
		return err
	}

	watch, stopWatching := context.WithCancel(ctx)
	watched := harness.Spawn(r.rt, func() { r.watch(watch) })
	defer watched()
	defer r.rt.Wake()
	defer stopWatching()

	r.mu.Lock()
	r.loadStart = r.rt.Now()
	r.mu.Unlock()
	next, err := r.load(ctx, soft)
	if err != nil {
		return err
	}
	if soft.Err() != nil {
		r.event(harness.Event{Time: r.rt.Now(), Kind: harness.InterruptEvent, Message: fmt.Sprintf(
			"The run was interrupted: its load should have lasted %s, and all of it was over after %.0f s.", r.plan.Time, (r.rt.Now() - r.loadStart).Seconds())})
	}
	r.enter("final")
	if err := r.final(ctx, next); err != nil {
		return err
	}
	// What the watch saw before must not be recorded after the end states.
	stopWatching()
	r.rt.Wake()
	watched()
	r.enter("agree")
	r.awaitAgreement(ctx)
	r.enter("done")
	return ctx.Err()
}

// tellsWhy says whether a line of a node's output is the one in which a Go program,
// or the simulated machine that it is on, says why it ends.
func tellsWhy(line []byte) bool {
	for _, begins := range []string{"panic: ", "fatal error: ", "machine: the program failed: "} {
		if bytes.HasPrefix(line, []byte(begins)) {
			return true
		}
	}
	return false
}

// longestWords is as much as is told of it, in bytes.
const longestWords = 200

// output takes a line that a node wrote.
func (r *run) output(node string, line []byte) {
	r.store.NodeLog(node, line) // a node's log is worth having, but not worth a run
	if tellsWhy(line) {
		r.mu.Lock()
		if r.lastWords[node] == "" { // what follows is of no other cause
			r.lastWords[node] = string(line[:min(len(line), longestWords)])
		}
		r.mu.Unlock()
	}
	reader, ok := r.sys.(cluster.EventReader)
	if !ok {
		return
	}
	e, wall, ok := reader.Event(node, line)
	if !ok {
		return
	}
	e.Time = r.rt.Now() // by whose clock a node's is wrong, if nodes have clocks of their own
	if !r.epoch.IsZero() {
		// A wall clock can be set back while the run goes on. A node's lines come
		// in order, and none before it was written.
		r.mu.Lock()
		e.Time = min(max(r.lastSaid[node], wall.Sub(r.epoch)), e.Time)
		r.lastSaid[node] = e.Time
		r.mu.Unlock()
	}
	r.event(e)
}

// gaveUp starts a node again that ended because its disk had failed it, as an
// init system would: again and again until it stays.
func (r *run) gaveUp(ctx context.Context, node, why string) {
	r.event(harness.Event{Time: r.rt.Now(), Kind: harness.GiveUpEvent, Node: node, Message: why})
	if !r.isUp() {
		return // no fault strikes before
	}
	taken := r.nemesis.Take(node) // no strike can hit what is not there
	r.rt.Start(func() {
		for {
			harness.Sleep(ctx, r.rt, r.rt.Now()+restartAfter)
			if ctx.Err() != nil {
				return
			}
			if taken = taken || r.nemesis.Take(node); taken {
				break
			}
		}
		r.cluster.Start(ctx, node)
		r.nemesis.Free(node)
	})
}

// exited starts a node again that ended though nobody had ended it.
func (r *run) exited(ctx context.Context, node string, code int) {
	r.mu.Lock()
	words := r.lastWords[node]
	delete(r.lastWords, node)
	r.mu.Unlock()
	if words != "" {
		words = ", " + words
	}
	r.event(harness.Event{Time: r.rt.Now(), Kind: harness.ExitEvent, Node: node,
		Message: fmt.Sprintf("exit code %d%s; its last words are in %s", code, words, filepath.Join(results.NodesDir, node+".log"))})
	r.rt.Start(func() {
		harness.Sleep(ctx, r.rt, r.rt.Now()+restartAfter)
		for !r.isUp() && ctx.Err() == nil { // it ended while others were still being made
			harness.Sleep(ctx, r.rt, r.rt.Now()+restartAfter)
		}
		if ctx.Err() == nil && !r.nemesis.Has(node) {
			r.cluster.Start(ctx, node) // if it can't be started, the checkers will miss it
		}
	})
}

// isUp reports whether r.cluster and r.nemesis are there.
func (r *run) isUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.up
}

// awaitService returns when one node leads and a majority follows it.
func (r *run) awaitService(ctx context.Context) error {
	until := r.rt.Now() + servePatience
	for {
		all := nemesis.Statuses(ctx, r.rt, r.sys, r.cluster)
		leader, _ := nemesis.LeaderOf(all)
		following := 0
		for _, s := range all {
			if leader != "" && s.Leader == leader {
				following++
			}
		}
		switch {
		case following > r.plan.Nodes/2:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("interrupted before the cluster served: %w", ctx.Err())
		case r.rt.Now() > until:
			return fmt.Errorf("no leader within %v: %d of %d nodes answer; see %s",
				servePatience, len(all), r.plan.Nodes, filepath.Join(r.store.Dir, results.NodesDir))
		}
		harness.Sleep(ctx, r.rt, r.rt.Now()+20*time.Millisecond)
	}
}

func (r *run) test(g harness.Generator, first int) harness.Test {
	nodes := r.cluster.Nodes()
	return harness.Test{
		Runtime: r.rt, Generator: g, Concurrency: r.plan.Concurrency, Seed: r.plan.Seed,
		Timeout: time.Duration(r.plan.Timeout), Backoff: restAfterFailure, FirstProcess: first,
		Open: func(thread, process int) (harness.Client, error) {
			o := r.plan.Options()
			o.Client = fmt.Sprintf("p%d", process)
			c, err := r.sys.Open(r.cluster, nodes[thread%len(nodes)].Name, o)
			if err != nil {
				return nil, err
			}
			if !r.work.Supports(c) {
				return nil, fmt.Errorf("%s can't do what the workload %s asks for", r.plan.System, r.plan.Workload)
			}
			return r.work.Client(c), nil
		},
		Record: r.record,
	}
}

func (r *run) record(op *harness.Op) error {
	if err := r.store.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	switch op.Type {
	case harness.Invoke:
		for _, k := range r.work.Objects(*op) {
			r.keys[k] = struct{}{}
		}
	case harness.OK:
		r.progress.OK++
		delete(r.awaited, op.F)
	case harness.Fail:
		r.progress.Fail++
	case harness.Info:
		r.progress.Info++
	}
	r.mu.Unlock()
	if err := r.store.History.Record(op); err != nil {
		return err
	}
	if r.monitor != nil {
		// What can't be watched is left to the checkers: an error is no finding.
		if f, err := r.monitor.Observe(*op); err == nil && f != nil {
			r.endAt(f.Time, fmt.Sprintf("%s: %s", f.Key, f.Text))
		}
	}
	return nil
}

// load lets clients and nemesis work, and the clients go on until the cluster,
// healed, serves them again.
func (r *run) load(ctx, soft context.Context) (next int, err error) {
	r.enter("load")
	loading, end := context.WithCancel(soft)
	defer end()
	working, rest := context.WithCancel(ctx)
	defer rest()
	if r.plan.FailFast {
		r.endLoad, r.monitor = end, r.work.Monitor()
		defer func() { r.monitor = nil }()
		judged := harness.Spawn(r.rt, func() { r.judgeOnTheWay(loading) })
		defer judged()
		defer r.rt.Wake()
		defer end()
	}
	var broken error
	healed := harness.Spawn(r.rt, func() {
		broken = r.trouble(ctx, loading, working, end, rest)
		rest()
		r.rt.Wake()
	})
	g, err := r.plan.Generator(r.work, r.loadStart)
	if err == nil {
		next, err = harness.Run(ctx, working, r.test(g, 0))
	}
	rest()
	if err != nil || r.plan.Operations == nil {
		end() // clients that end early end the nemesis too, unless all that is listed was done
	}
	r.rt.Wake()
	healed()
	return next, errors.Join(err, broken)
}

// trouble lets the nemesis work until loading is over, which it ends in time,
// heals the cluster, and waits until it serves. A violation gives the clients rest at once.
// working ends with the clients' work.
func (r *run) trouble(ctx, loading, working context.Context, end, rest func()) error {
	struck := harness.Spawn(r.rt, func() { r.nemesis.Run(loading, r.plan.Entries()) })
	harness.Sleep(loading, r.rt, r.loadStart+time.Duration(r.plan.Time))
	end()
	if r.hasFound() {
		rest()
	}
	r.rt.Wake()
	struck()
	r.enter("heal")
	err := r.nemesis.Heal(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	r.enter("serve")
	r.awaitSuccesses(ctx, working)
	// What is left is for the checkers to judge.
	if err := r.nemesis.Reinstate(ctx); err != nil && ctx.Err() == nil {
		r.o.Log.Warn("not healed", "says", err)
		r.event(harness.Event{Time: r.rt.Now(), Kind: harness.UnhealedEvent, Message: err.Error()})
	}
	return nil
}

// awaitSuccesses returns when every function that the workload needs has
// succeeded once, or when they have had all the time they must do it in. Clients
// with a list ask for nothing else: it returns when working ends.
func (r *run) awaitSuccesses(ctx, working context.Context) {
	listed := r.plan.Operations != nil
	r.mu.Lock()
	r.awaited = map[string]struct{}{}
	for _, f := range r.work.Needs {
		if !listed {
			r.awaited[f] = struct{}{}
		}
	}
	r.mu.Unlock()
	until := r.rt.Now() + time.Duration(r.plan.ServeWithin) + time.Second // a little more proves more
	for {
		if r.serves() && (!listed || working.Err() != nil) || r.hasFound() || r.rt.Now() > until || ctx.Err() != nil {
			return
		}
		harness.Sleep(ctx, r.rt, r.rt.Now()+20*time.Millisecond)
	}
}

// serves reports whether nothing is awaited any more.
func (r *run) serves() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.awaited) == 0
}

// hasFound reports whether a violation was found while the load lasted.
func (r *run) hasFound() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.found
}

// endAt ends the load because a violation was found; the first one counts.
func (r *run) endAt(at time.Duration, found string) {
	r.mu.Lock()
	late := r.found
	r.found = true
	r.mu.Unlock()
	if late {
		return
	}
	r.event(harness.Event{Time: at, Kind: harness.ViolationEvent, Message: found})
	r.o.Log.Info("violation", "says", found)
	r.endLoad()
	r.rt.Wake()
}

// judgeOnTheWay ends the load when what was recorded so far shows a violation
// that the monitor of the operations can't see, such as two leaders in a term.
// It looks less often as the history grows, so that the looking takes no more
// than a small multiple of what the last look takes.
func (r *run) judgeOnTheWay(ctx context.Context) {
	begun := r.rt.Now()
	for ctx.Err() == nil {
		if err := errors.Join(r.store.History.Flush(), r.store.Events.Flush()); err != nil {
			return // the run ends of it by itself
		}
		if found := judge.Violation(ctx, r.store.Dir); found != "" && ctx.Err() == nil {
			r.endAt(r.rt.Now(), found)
			return
		}
		harness.Sleep(ctx, r.rt, r.rt.Now()+max(judgeEvery, (r.rt.Now()-begun)/10))
	}
}

// final looks at everything once more.
func (r *run) final(ctx context.Context, first int) error {
	r.mu.Lock()
	keys := slices.SortedFunc(maps.Keys(r.keys), byNumber)
	r.mu.Unlock()
	patience := max(finalPatience, time.Duration(r.plan.Time))
	if !r.serves() && !r.hasFound() {
		patience = lostPatience
	}
	bounded, cancel := r.rt.WithTimeout(ctx, patience)
	defer cancel()
	_, err := harness.Run(ctx, bounded, r.test(r.work.Final(keys), first))
	return err
}

// byNumber puts k2 before k10.
func byNumber(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// awaitAgreement waits until all nodes report the same position in the log, or
// have had all the time that they may take, and records their states.
func (r *run) awaitAgreement(ctx context.Context) {
	begun := r.rt.Now()
	until := begun + time.Duration(r.plan.ServeWithin) + time.Second // a little more proves more
	for next := begun; ; {
		all := nemesis.Statuses(ctx, r.rt, r.sys, r.cluster)
		agree := len(all) == r.plan.Nodes
		for _, s := range all {
			agree = agree && s.Applied == all[0].Applied
		}
		over := agree || r.rt.Now() > until || ctx.Err() != nil
		if over || r.rt.Now() >= next {
			r.recordStates(all)
			next += agreeEvery
		}
		if over {
			return
		}
		harness.Sleep(ctx, r.rt, r.rt.Now()+100*time.Millisecond)
	}
}

func (r *run) recordStates(all []cluster.Status) {
	now := r.rt.Now() // one look, one time
	for _, s := range all {
		r.event(harness.Event{Time: now, Kind: harness.StateEvent, Node: s.Node, Role: s.Role,
			Term: s.Term, Leader: s.Leader, Applied: s.Applied, Hash: s.Hash})
	}
}

// watch records the nodes' states as the run goes on, and shows the progress.
func (r *run) watch(ctx context.Context) {
	for ctx.Err() == nil {
		all := nemesis.Statuses(ctx, r.rt, r.sys, r.cluster)
		r.recordStates(all)
		r.mu.Lock()
		r.progress.Leader, r.progress.Term = nemesis.LeaderOf(all)
		r.mu.Unlock()
		r.show()
		harness.Sleep(ctx, r.rt, r.rt.Now()+watchEvery)
	}
}

func (r *run) show() {
	if r.o.Progress == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.progress
	p.Elapsed, p.Total = max(0, r.rt.Now()-r.loadStart), time.Duration(r.plan.Time)
	p.Faults = slices.Sorted(maps.Values(r.inForce))
	r.o.Progress(p)
}
