// Package search runs plans many times. Start with one of these: [Hunt] looks for a seed that fails, [Replay]
// runs again what was recorded, [Shrink] finds the smallest plan that fails the same
// way, and [TryBug] looks for a planted bug.
package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"coup/harness"
	"coup/judge"
	"coup/plan"
	"coup/runner"
)

// HuntOptions are the options of a hunt, beside its plan.
type HuntOptions struct {
	From, To uint64 // the seeds, both included
	Workers  int    // runs at a time; 0: one
	// KeepGoing goes on after the first failure.
	KeepGoing bool
	// Draw, if it is not nil, makes the plan of a seed; see [Explore].
	Draw func(plan.Plan) (plan.Plan, error)
	// Start starts a worker: a process of its own that calls HuntWorker with its
	// input and output. wait is called when nothing more will be written to it.
	Start func() (in io.WriteCloser, out io.Reader, wait func() error, err error)
	// Done is called after every run, one call at a time.
	Done func(Hunted)
}

// Hunted is the result of one seed.
type Hunted struct {
	Seed        uint64           `json:"seed"`
	Valid       harness.Validity `json:"valid"`
	Fingerprint string           `json:"fingerprint,omitempty"`
	Dir         string           `json:"dir,omitempty"` // kept unless the run was valid
	Sentence    string           `json:"sentence"`
	Drawn       string           `json:"drawn,omitempty"` // the command that runs the plan that was drawn for the seed
	Simulated   time.Duration    `json:"simulated"`       // how long the run was, by its own clock
	Error       string           `json:"error,omitempty"`
}

// job is what a worker reads.
type job struct {
	Plan plan.Plan `json:"plan"`
	Out  string    `json:"out"`
}

// Hunt runs a plan with many seeds. It ends at the first run that is not valid, or with
// Draw at the first violation (unless KeepGoing is set), when the seeds are used up, or when soft ends. Each
// result goes to Done; the error is never that of a run.
func Hunt(ctx, soft context.Context, p plan.Plan, out string, o HuntOptions) error {
	var mu sync.Mutex // guards below
	next, over := o.From, false
	var errs []error
	take := func() (seed uint64, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if over || next > o.To || next < o.From || soft.Err() != nil || ctx.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	tell := func(h Hunted) {
		mu.Lock()
		defer mu.Unlock()
		if h.Error != "" {
			errs = append(errs, fmt.Errorf("seed %d: %s", h.Seed, h.Error))
			over = true
			return
		}
		// Of plans that are drawn, some ask for too much, and prove nothing.
		failed := h.Valid == harness.Invalid || h.Valid == harness.Unknown && o.Draw == nil
		over = over || failed && !o.KeepGoing
		o.Done(h)
	}
	var workers sync.WaitGroup
	for range max(1, o.Workers) {
		workers.Go(func() {
			for {
				more, err := huntWith(take, tell, p, out, o)
				if err != nil {
					mu.Lock()
					errs = append(errs, err)
					over = true
					mu.Unlock()
				}
				if !more || err != nil {
					return
				}
			}
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}

// huntWith starts a worker and gives it seeds. more is true if the worker ended, after
// the result of its last seed, while there are seeds left.
func huntWith(take func() (uint64, bool), tell func(Hunted), p plan.Plan, out string, o HuntOptions) (more bool, err error) {
	seed, ok := take()
	if !ok {
		return false, nil
	}
	in, answers, wait, err := o.Start()
	if err != nil {
		return false, fmt.Errorf("start a worker: %w", err)
	}
	// A worker that has done its work is no error, however its process ends.
	defer func() {
		in.Close()
		wait()
	}()
	requests, results := json.NewEncoder(in), json.NewDecoder(answers)
	for ; ok; seed, ok = take() {
		p := p
		p.Seed = seed
		if o.Draw != nil {
			if p, err = o.Draw(p); err != nil {
				return false, err
			}
		}
		if err := p.Resolve(); err != nil {
			return false, err
		}
		if requests.Encode(job{p, out}) != nil {
			return false, fmt.Errorf("seed %d: the worker has gone", seed)
		}
		var h Hunted
		if err := results.Decode(&h); err != nil {
			return false, fmt.Errorf("seed %d: the worker ended without an answer: %w", seed, err)
		}
		if h.Seed = seed; o.Draw != nil {
			h.Drawn = p.Command()
		}
		tell(h)
		if h.Error == "" && h.Simulated < 0 {
			return true, nil // it said that it can't go on
		}
	}
	return false, nil
}

// HuntWorker reads plans, runs them and writes the results, until there are no more
// plans. It removes the run directories of valid runs.
func HuntWorker(ctx, soft context.Context, in io.Reader, out io.Writer, o runner.Options) error {
	jobs, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var j job
		if err := jobs.Decode(&j); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := answers.Encode(huntOne(ctx, soft, j, o)); err != nil {
			return err
		}
	}
}

func huntOne(ctx, soft context.Context, j job, o runner.Options) Hunted {
	o.Out = j.Out
	dir, v, err := runner.Run(ctx, soft, j.Plan, o)
	h := Hunted{Seed: j.Plan.Seed, Dir: dir}
	if err == nil {
		h.Simulated, err = lasted(dir)
	}
	if err != nil {
		h.Error = err.Error()
		return h
	}
	h.Valid, h.Fingerprint, h.Sentence = v.Valid, Fingerprint(v, dir), v.Sentence()
	if v.Valid == harness.Valid {
		os.RemoveAll(dir) // if that fails, there is one directory too many, and no harm
		h.Dir = ""
	}
	return h
}

// WriteStuck writes the result of a run whose simulated node is in an endless loop, as
// HuntWorker would. The worker has to end after that.
func WriteStuck(ctx context.Context, out io.Writer, dir, node string, after time.Duration) error {
	v, err := judge.Stuck(ctx, dir, node, after)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(Hunted{Valid: v.Valid, Fingerprint: Fingerprint(v, dir), Sentence: v.Sentence(), Dir: dir, Simulated: -1})
}
