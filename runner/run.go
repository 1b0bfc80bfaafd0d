// Package runner carries a plan out: it brings a cluster up, lets clients work while
// the nemesis strikes, heals, looks at everything once more, and has package judge
// judge what was recorded. Start with [Run].
package runner

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"

	"coup/cluster"
	"coup/harness"
	"coup/judge"
	"coup/nemesis"
	"coup/plan"
	"coup/results"
	"coup/workloads"
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
	sys := o.System
	if sys == nil {
		if sys, err = p.FindSystem(); err != nil {
			return "", verdict, err
		}
	}
	work, err := p.Judged()
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
	r := newRun(p, sys, work, o, store)
	err = r.storePlan()
	if err == nil {
		err = backendOf(p.Backend).drive(r, func() error { return r.run(ctx, soft) })
	}
	if closeErr := store.Close(); err == nil { // the error that ended the run says more than this one
		err = closeErr
	}
	if err != nil && r.cluster == nil && errors.Is(err, cluster.ErrUnavailable) {
		store.Remove() // it holds nothing: nothing ran
		return "", verdict, err
	}
	if err != nil {
		return store.Dir, verdict, errors.Join(err, r.cleaning)
	}
	r.rec.phase("judge")
	verdict, err = judge.Judge(ctx, store.Dir)
	return store.Dir, verdict, errors.Join(err, r.cleaning)
}

// run is a run under way: what it is of, and the parts that it goes through.
type run struct {
	plan    plan.Plan
	options cluster.Options // for the harness's own connections to the system
	sys     cluster.System
	work    workloads.Workload
	o       Options
	store   *results.Run
	stored  plan.Stored

	rt      harness.Runtime // from here on: while the backend drives the run
	cluster cluster.Cluster
	nemesis *nemesis.Nemesis

	rec   *recorder
	nodes *nodes
	found *finding // a violation, while the load lasts; only looked for with FailFast

	cleaning error // of removing the cluster
}

func newRun(p plan.Plan, sys cluster.System, work workloads.Workload, o Options, store *results.Run) *run {
	r := &run{plan: p, options: p.Options(), sys: sys, work: work, o: o, store: store}
	r.options.Seed = secretSeed(p)
	r.options.Note = func(line string) { store.NodeLog(clientsLog, []byte(line)) } // as for a node's log
	r.stored = plan.Stored{
		Plan: p, Run: store.ID, Started: time.Now().UTC().Truncate(time.Second), Coup: "unknown",
		Go: runtime.Version(), CPUs: runtime.NumCPU(),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		r.stored.Coup = info.Main.Version
	}
	r.stored.Describe(sys)
	r.found = &finding{}
	r.rec = newRecorder(store, o, time.Duration(p.Time))
	r.nodes = newNodes(sys, store, r.rec)
	return r
}

// clientsLog is what the log of what clients say of themselves is called, among those of
// the nodes.
const clientsLog = "clients"

// secretSeed is what the secrets of the run are made from. On simulated machines it
// follows from the run's seed, as everything there.
func secretSeed(p plan.Plan) []byte {
	if p.Backend == plan.Simulated {
		return binary.BigEndian.AppendUint64(nil, p.Seed)
	}
	seed := make([]byte, 32)
	rand.Read(seed) // it never fails: see package crypto/rand
	return seed
}

// begin sets the clock of the rest of the run. epoch is what the nodes' clocks show at
// its start; zero: nobody knows.
func (r *run) begin(rt harness.Runtime, epoch time.Time) {
	r.rt, r.rec.rt, r.nodes.epoch = rt, rt, epoch
	r.sys = cluster.Bind(r.sys, r.options)
}

func (r *run) storePlan() error {
	return results.WriteJSON(r.store.Dir, results.PlanFile, r.stored)
}

// run goes through the phases of a run.
func (r *run) run(ctx, soft context.Context) (err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	r.rec.enter(harness.PhaseSetup)
	stopMachine := r.watchMachine()
	defer stopMachine()
	r.cluster, err = backendOf(r.plan.Backend).up(ctx, r)
	if err != nil {
		return err
	}
	defer func() {
		// What was started must be removed, even if the run ended because of its context.
		over := context.WithoutCancel(ctx)
		r.captured(ctx) // not if somebody wants to leave at once
		clean, cancel := context.WithTimeout(over, time.Minute)
		defer cancel()
		if closeErr := r.cluster.Close(clean); closeErr != nil {
			r.cleaning = fmt.Errorf("the run is over, but not everything of it could be removed (coup gc tries again): %w", closeErr)
		}
	}()
	if err := r.storePlan(); err != nil {
		return err
	}
	r.nemesis = &nemesis.Nemesis{Cluster: r.cluster, System: r.sys, Runtime: r.rt, Record: r.rec.event, Shards: r.shards()}
	r.nodes.areUp(r.cluster, r.nemesis)
	if err := r.awaitService(soft); err != nil {
		return err
	}
	r.stored.Release = r.nodes.saidRelease()
	if err := r.storePlan(); err != nil {
		return err
	}

	watch, stopWatching := context.WithCancel(ctx)
	watched := harness.Spawn(r.rt, func() { r.watch(watch) })
	defer watched()
	defer r.rt.Wake()
	defer stopWatching()

	loadStart := r.rec.loadBegins()
	next, err := r.load(ctx, soft, loadStart)
	if err != nil {
		return err
	}
	if soft.Err() != nil {
		r.rec.event(harness.Event{Time: r.rt.Now(), Kind: harness.InterruptEvent, Message: fmt.Sprintf(
			"The run was interrupted: its load should have lasted %s, and all of it was over after %.0f s.", r.plan.Time, (r.rt.Now() - loadStart).Seconds())})
	}
	r.rec.enter(harness.PhaseFinal)
	if err := r.final(ctx, next); err != nil {
		return err
	}
	// Nothing that the watch saw before may be recorded after the final states.
	stopWatching()
	r.rt.Wake()
	watched()
	r.rec.enter(harness.PhaseAgree)
	r.awaitAgreement(ctx)
	stopMachine() // nothing is told of a run that is over
	r.rec.enter(harness.PhaseDone)
	return ctx.Err()
}
