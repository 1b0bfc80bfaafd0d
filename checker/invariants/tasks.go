package invariants

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Tasks judges boards of tasks that workers do by leases and finish by fencing tokens: leases
// as of Gray and Cheriton (SOSP 1989), tokens as the sequencers of Burrows' Chubby (OSDI
// 2006). Tokens put the assignments of a board into one order, so that pairs of
// operations decide, and no search is needed. It looks for
//
//   - finished-twice: two finishes of a task were acknowledged;
//   - finished-with-old-token: a finish was acknowledged, though the task was by then in
//     the hands of a later worker;
//   - given-after-finish: a task was given to a worker after a finish of it was acknowledged;
//   - requeued-early: a task was given to another worker before the lease of the last one
//     could be over, counted from the moment at which the worker asked for it or for
//     its last acknowledged heartbeat;
//   - kept-by-old-token: a heartbeat was acknowledged after the task was given to
//     a later worker, or finished;
//   - token-not-larger: an assignment has a token that is not larger than that of one
//     which had ended before it began, or the same as any other;
//   - dependency-broken: a task was given to a worker before the task that it waits for
//     can have been finished;
//   - lost: a task was submitted and is neither finished nor among the unfinished;
//   - unfinished-again: a task whose finish was acknowledged is shown among the unfinished later;
//   - unexpected: a task was given to a worker that nobody had submitted.
//
// A take that found nothing, and one of which nobody knows what it took, say nothing: the
// latter can only keep others from getting the task. A lease may last longer than
// it was given for. Clocks of nodes may run a little faster than that of the history, so leases
// must be longer than that difference.
//
// A task that nobody can have finished makes the verdict unknown, if its board was
// not seen to be empty after everything was submitted. Details are [TaskDetails].
type Tasks struct{}

// TaskDetails are the Details of [Tasks]. Times are in nanoseconds.
type TaskDetails struct {
	Details
	// First is how long tasks waited for their first worker, from the answer to their
	// submission on; those that wait for another task are left out.
	First Waits `json:"first"`
	// Again is how long tasks waited for a new worker once the lease of the last one was
	// over, by the clock of the history; and AgainSilent since that worker was last heard.
	Again       Waits `json:"again"`
	AgainSilent Waits `json:"again_silent"`
	// Evenness is Jain's index of fairness of the tasks that each worker got for each time
	// that it asked: 1 if all got as much, 1/n if one of n got everything. 0: nobody got any.
	Evenness float64 `json:"evenness"`
	// Workers are how many workers that says it of: those that asked ten times or more.
	Workers int `json:"workers"`
}

// A worker that has hardly asked says nothing of how tasks are spread.
const leastAsked = 10

// Waits sum some times up.
type Waits struct {
	Count  int           `json:"count"`
	Median time.Duration `json:"median"`
	P99    time.Duration `json:"p99"`
	Worst  time.Duration `json:"worst"`
}

func waitsOf(all []time.Duration) Waits {
	if len(all) == 0 {
		return Waits{}
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[min(len(all)-1, int(q*float64(len(all))))] }
	return Waits{len(all), at(0.5), at(0.99), all[len(all)-1]}
}

// Name implements [harness.Checker].
func (Tasks) Name() string { return "tasks" }

var taskKinds = []string{
	"finished-twice", "finished-with-old-token", "given-after-finish", "requeued-early", "kept-by-old-token", "token-not-larger",
	"dependency-broken", "lost", "unfinished-again", "unexpected",
}

// job is what is known of one task.
type job struct {
	id       int64
	submit   *harness.Operation
	takes    []*harness.Operation // acknowledged, by their tokens
	beats    []*harness.Operation // acknowledged
	finishes []*harness.Operation // that may have happened
}

// board is all of one key.
type board struct {
	key   string
	jobs  map[int64]*job
	order []*job
	takes []*harness.Operation // acknowledged, with a task
	reads []*harness.Operation // acknowledged
	put   int                  // the position at which the last submission was over
	empty bool                 // it was seen to be empty after that
}

func (b *board) job(id int64) *job {
	j := b.jobs[id]
	if j == nil {
		j = &job{id: id}
		b.jobs[id] = j
		b.order = append(b.order, j)
	}
	return j
}

// Check implements [harness.Checker].
func (t Tasks) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	err := check(h, "a board of tasks", func(op *harness.Operation) bool {
		ok := op.Type == harness.OK
		switch op.F {
		case "submit":
			_, fits := op.Input.(model.Submitted)
			return fits
		case "take":
			_, fits := op.Output.(model.Assignment)
			return fits || op.Output == nil
		case "beat":
			_, fits := op.Input.(model.Assignment)
			_, answered := op.Output.(model.Assignment)
			return fits && (answered || !ok)
		case "finish":
			_, fits := op.Input.(model.Assignment)
			return fits
		case "read":
			_, fits := op.Output.([]int64)
			return fits || !ok
		}
		return false
	})
	if err != nil {
		return harness.Result{Checker: t.Name()}, err
	}
	a := taskAnalysis{findings: find(model.Tasks(), h, taskKinds...)}
	a.allow("undrained")
	for _, b := range boardsOf(h) {
		a.judge(b)
	}
	a.spread(h)
	r := a.result(t.Name(), "Tasks went wrong", a.fine())
	r.Details = TaskDetails{
		Details: a.Details, First: waitsOf(a.first), Again: waitsOf(a.again), AgainSilent: waitsOf(a.silent),
		Evenness: a.evenness, Workers: a.workers,
	}
	if n := a.Numbers["undrained"]; r.Valid == harness.Valid && n > 0 {
		r.Valid, r.Summary = harness.Unknown, fmt.Sprintf("Nobody knows what became of %s: no board was seen to be empty in the end.", story.Plural(n, "task"))
	}
	if r.Valid == harness.Valid && a.Counts["finished"] == 0 {
		r.Valid, r.Summary = harness.Unknown, "No task was finished."
	}
	return r, nil
}

type taskAnalysis struct {
	*findings
	first, again, silent []time.Duration
	evenness             float64
	workers              int
}

func (a *taskAnalysis) fine() string {
	s := fmt.Sprintf("Each of %s was finished once", story.Plural(a.Counts["finished"], "task"))
	if n := len(a.again); n > 0 {
		slices.Sort(a.again)
		s += fmt.Sprintf(", %d of them given to a new worker, at the median %s and at worst %s after the lease of the old one was over", a.Counts["given-again"], story.Seconds(a.again[n/2]), story.Seconds(a.again[n-1]))
	}
	s += "."
	if a.workers > 1 {
		s += fmt.Sprintf(" Tasks were spread over %d workers with a fairness of %.2f (1: all got as much when they asked).", a.workers, a.evenness)
	}
	return s
}

// boardsOf gathers what was done to each board.
func boardsOf(h *harness.History) (all []*board) {
	byKey := map[string]*board{}
	for i := range h.Operations {
		op := &h.Operations[i]
		b := byKey[op.Key]
		if b == nil {
			b = &board{key: op.Key, jobs: map[int64]*job{}}
			byKey[op.Key] = b
			all = append(all, b)
		}
		if op.Type == harness.Fail {
			continue
		}
		ok := op.Type == harness.OK
		switch in := op.Input.(type) {
		case model.Submitted:
			b.job(in.Task).submit = op
			if b.put = max(b.put, op.Call); ok {
				b.put = max(b.put, op.Return)
			}
		case model.Assignment:
			if op.F == "finish" {
				b.job(in.Task).finishes = append(b.job(in.Task).finishes, op)
			} else if ok {
				b.job(in.Task).beats = append(b.job(in.Task).beats, op)
			}
		}
		switch got := op.Output.(type) {
		case model.Assignment:
			if op.F == "take" {
				b.takes = append(b.takes, op)
				b.job(got.Task).takes = append(b.job(got.Task).takes, op)
			}
		case []int64:
			b.reads = append(b.reads, op)
		}
	}
	for _, b := range all {
		for _, j := range b.order {
			slices.SortStableFunc(j.takes, func(x, y *harness.Operation) int { return cmp.Compare(tokenOf(x), tokenOf(y)) })
		}
		for _, r := range b.reads {
			b.empty = b.empty || r.Call > b.put && len(r.Output.([]int64)) == 0
		}
	}
	return all
}

// tokenOf is the token that an operation got, or that it was invoked with.
func tokenOf(op *harness.Operation) int64 {
	for _, v := range []any{op.Output, op.Input} {
		switch v := v.(type) {
		case model.Assignment:
			return v.Token
		case model.Delivery:
			return v.Token
		}
	}
	return 0
}

func (a *taskAnalysis) judge(b *board) {
	a.tokens(b.key, b.takes)
	for _, j := range b.order {
		a.finishes(b, j)
		a.leases(b, j)
		a.dependency(b, j)
		a.fate(b, j)
	}
}

// tokens looks for a token that is not larger than one before. The operations that got
// them are in the order of their calls.
func (f *findings) tokens(key string, byCall []*harness.Operation) {
	byReturn := slices.Clone(byCall)
	slices.SortFunc(byReturn, func(x, y *harness.Operation) int { return cmp.Compare(x.Return, y.Return) })
	seen := map[int64]*harness.Operation{}
	var largest *harness.Operation // of those that had ended
	next := 0
	for _, take := range byCall {
		for ; next < len(byReturn) && byReturn[next].Return < take.Call; next++ {
			if largest == nil || tokenOf(byReturn[next]) > tokenOf(largest) {
				largest = byReturn[next]
			}
		}
		token := tokenOf(take)
		switch other := seen[token]; {
		case other != nil:
			f.add("token-not-larger", key, fmt.Sprintf("Processes %d and %d were both given the token %d.", other.Process, take.Process, token), other, take)
		case largest != nil && token < tokenOf(largest):
			f.add("token-not-larger", key, fmt.Sprintf("Process %d was given the token %d after process %d had been given %d.", take.Process, token, largest.Process, tokenOf(largest)), largest, take)
		}
		if seen[token] == nil {
			seen[token] = take
		}
	}
}

// finishes looks at who finished a task, and who got it later.
func (a *taskAnalysis) finishes(b *board, j *job) {
	var done *harness.Operation // the acknowledged finish that ended first
	for _, f := range j.finishes {
		if f.Type != harness.OK {
			continue
		}
		if done != nil {
			a.add("finished-twice", b.key, fmt.Sprintf("Processes %d and %d were both told that they have finished task %d.", done.Process, f.Process, j.id), done, f)
		}
		if done == nil || f.Return < done.Return {
			done = f
		}
		if n := len(j.takes); n > 0 {
			if last := j.takes[n-1]; tokenOf(last) > tokenOf(f) && last.Call <= f.Return {
				a.add("finished-with-old-token", b.key, fmt.Sprintf("Process %d finished task %d with token %d, though process %d has it with token %d.", f.Process, j.id, tokenOf(f), last.Process, tokenOf(last)), last, f)
			}
		}
	}
	if done == nil {
		return
	}
	a.Counts["finished"]++
	for _, take := range j.takes {
		if take.Call > done.Return {
			a.add("given-after-finish", b.key, fmt.Sprintf("Task %d was given to process %d, though process %d had finished it.", j.id, take.Process, done.Process), done, take)
			break
		}
	}
	for _, beat := range j.beats {
		if beat.Call > done.Return {
			a.add("kept-by-old-token", b.key, fmt.Sprintf("Process %d keeps task %d, which process %d had finished.", beat.Process, j.id, done.Process), done, beat)
			break
		}
	}
}

// leases looks at each passing of a task from one worker to the next.
func (a *taskAnalysis) leases(b *board, j *job) {
	a.Counts["beats"] += len(j.beats)
	if n := len(j.takes); n > 0 {
		a.Counts["assignments"] += n
		if n > 1 {
			a.Counts["given-again"]++
		}
		if s := j.submit; s != nil && s.Type == harness.OK && !s.Input.(model.Submitted).After.Set {
			a.first = append(a.first, max(0, j.takes[0].End-s.End))
		}
	}
	for i := 1; i < len(j.takes); i++ {
		old, take := j.takes[i-1], j.takes[i]
		if tokenOf(old) == tokenOf(take) {
			continue
		}
		kept, until, heard := old, old.Start+old.Output.(model.Assignment).Lease, old.End
		for _, beat := range j.beats {
			if tokenOf(beat) != tokenOf(old) {
				continue
			}
			heard = max(heard, beat.End)
			if over := beat.Start + beat.Output.(model.Assignment).Lease; over > until {
				kept, until = beat, over
			}
			if beat.Call > take.Return {
				a.add("kept-by-old-token", b.key, fmt.Sprintf("Process %d keeps task %d with token %d, though process %d has it with token %d.", beat.Process, j.id, tokenOf(beat), take.Process, tokenOf(take)), take, beat)
			}
		}
		if take.End < until {
			a.add("requeued-early", b.key, fmt.Sprintf("Task %d was given to process %d %s before the lease of process %d was over.", j.id, take.Process, story.Seconds(until-take.End), old.Process), kept, take)
			continue
		}
		a.again, a.silent = append(a.again, take.End-until), append(a.silent, take.End-heard)
	}
}

// dependency looks whether a task was given before the one that it waits for was finished.
func (a *taskAnalysis) dependency(b *board, j *job) {
	if j.submit == nil || len(j.takes) == 0 {
		return
	}
	after := j.submit.Input.(model.Submitted).After
	if !after.Set {
		return
	}
	a.Counts["dependent"]++
	var finish *harness.Operation // the one that did it, or that began first of those that may have
	if before := b.jobs[after.Int]; before != nil {
		for _, f := range before.finishes {
			sure := f.Type == harness.OK
			if finish == nil || sure && finish.Type != harness.OK || sure == (finish.Type == harness.OK) && f.Call < finish.Call {
				finish = f
			}
		}
	}
	first := slices.MinFunc(j.takes, func(x, y *harness.Operation) int { return cmp.Compare(x.Return, y.Return) })
	switch {
	case finish == nil:
		a.add("dependency-broken", b.key, fmt.Sprintf("Task %d was given to process %d, and task %d, for which it waits, was never finished.", j.id, first.Process, after.Int), j.submit, first)
	case finish.Call > first.Return:
		a.add("dependency-broken", b.key, fmt.Sprintf("Task %d was given to process %d, and nobody had asked to finish task %d, for which it waits.", j.id, first.Process, after.Int), j.submit, first, finish)
	}
}

// fate looks what became of a task.
func (a *taskAnalysis) fate(b *board, j *job) {
	if j.submit == nil {
		if len(j.takes) > 0 {
			a.add("unexpected", b.key, fmt.Sprintf("Process %d was given task %d, which nobody has submitted.", j.takes[0].Process, j.id), j.takes[0])
		}
		return
	}
	begun := harness.Open // no finish of the task has begun before
	var done *harness.Operation
	for _, f := range j.finishes {
		begun = min(begun, f.Call)
		if f.Type == harness.OK && (done == nil || f.Return < done.Return) {
			done = f
		}
	}
	sure := j.submit.Type == harness.OK
	if sure {
		a.Counts["submitted"]++
	}
	for _, r := range b.reads {
		has := slices.Contains(r.Output.([]int64), j.id)
		switch {
		case has && done != nil && r.Call > done.Return:
			a.add("unfinished-again", b.key, fmt.Sprintf("Process %d was shown task %d as unfinished, though process %d had finished it.", r.Process, j.id, done.Process), done, r)
			return
		case !has && sure && r.Call > j.submit.Return && begun > r.Return:
			a.add("lost", b.key, fmt.Sprintf("Task %d was submitted, nobody had asked to finish it, and process %d did not see it among the unfinished.", j.id, r.Process), j.submit, r)
			return
		}
	}
	if begun == harness.Open && sure && !b.empty {
		a.add("undrained", b.key, fmt.Sprintf("Task %d was submitted, and nobody knows what became of it.", j.id))
	}
}

// spread measures how evenly tasks are spread over workers.
func (a *taskAnalysis) spread(h *harness.History) {
	asked, got := map[int]int{}, map[int]int{}
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.F != "take" || op.Type != harness.OK {
			continue
		}
		asked[op.Process]++
		if _, ok := op.Output.(model.Assignment); ok {
			got[op.Process]++
		}
	}
	var sum, squares float64
	for process, n := range asked {
		if n < leastAsked {
			continue
		}
		x := float64(got[process]) / float64(n)
		a.workers++
		sum, squares = sum+x, squares+x*x
	}
	if squares > 0 {
		a.evenness = sum * sum / (float64(a.workers) * squares)
	}
}
