package invariants

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Jobs judges a system that runs what is handed to it: a job that was acknowledged has its
// effect, once; one that was certainly refused has none; and one of which nobody knows may or
// may not have it. Every look counts effects. Whether a job that had none will never have one is
// known from the last look, if that began after all submissions had ended and nothing waited or ran
// any more.
//
// A job without an effect is given up if the system says that it failed, and otherwise lost.
type Jobs struct {
	// Repeats allows a job to have its effect more than once.
	Repeats bool
	// Fails allows an acknowledged job to have no effect if the system says that it failed.
	Fails bool
}

// The levels of [Jobs], by what they promise of an acknowledged job.
const (
	ExactlyOnce = "exactly-once"  // one effect
	AtLeastOnce = "at-least-once" // one effect or more
	AtMostOnce  = "at-most-once"  // one effect, or it is said to have failed
	Accounted   = "accounted"     // one effect or more, or it is said to have failed
)

// Name implements [harness.Checker].
func (j Jobs) Name() string {
	switch {
	case j.Repeats && j.Fails:
		return Accounted
	case j.Repeats:
		return AtLeastOnce
	case j.Fails:
		return AtMostOnce
	}
	return ExactlyOnce
}

// Check implements [harness.Checker].
func (j Jobs) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	m := model.Jobs()
	err := check(h, "a system that runs jobs", func(op *harness.Operation) bool {
		switch op.F {
		case "submit":
			_, ok := op.Input.(int64)
			return ok
		case "look":
			_, ok := op.Output.(model.JobsSeen)
			return ok || op.Type != harness.OK
		}
		return false
	})
	if err != nil {
		return harness.Result{Checker: j.Name()}, err
	}
	f := find(m, h, "lost", "given-up", "refused-ran", "unexpected", "repeated")
	if j.Repeats {
		f.allow("repeated")
	}
	if j.Fails {
		f.allow("given-up")
	}
	f.allow("unfinished")
	groups := map[string][]*harness.Operation{} // those that failed, too
	for i := range h.Operations {
		op := &h.Operations[i]
		groups[op.Key] = append(groups[op.Key], op)
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		judgeJobs(f, key, groups[key])
	}
	r := f.result(j.Name(), "Jobs went wrong", fmt.Sprintf("Of %s, %d had their effect.", story.Plural(f.Counts["acknowledged"], "acknowledged job"), f.Counts["done"]))
	switch n := f.Numbers["unfinished"]; {
	case r.Valid != harness.Valid:
	case n > 0:
		r.Valid, r.Summary = harness.Unknown, fmt.Sprintf("%s had no effect yet when the run ended, and nobody saw the system at rest.", story.Plural(n, "acknowledged job"))
	case f.Counts["acknowledged"] == 0:
		r.Valid, r.Summary = harness.Unknown, "No job was acknowledged."
	case f.Counts["done"] == 0: // then nothing was tested but the ways in which jobs fail
		r.Valid, r.Summary = harness.Unknown, fmt.Sprintf("None of %s had its effect.", story.Plural(f.Counts["acknowledged"], "acknowledged job"))
	}
	return r, nil
}

func judgeJobs(f *findings, key string, ops []*harness.Operation) {
	submitted := map[int64]*harness.Operation{}
	effects := map[int64]int{}
	shown := map[int64]*harness.Operation{} // the look that showed the most effects of a job
	var order, odd []int64
	var last *harness.Operation // the last look, by its call
	end := -1                   // of all submissions
	for _, op := range ops {
		if op.F == "submit" {
			job := op.Input.(int64)
			submitted[job] = op
			order = append(order, job)
			end = max(end, op.Call)
			if op.Type == harness.OK {
				end = max(end, op.Return)
			}
			continue
		}
		if op.Type != harness.OK {
			continue
		}
		f.Counts["looks"]++
		if last == nil || op.Call > last.Call {
			last = op
		}
		for _, seen := range op.Output.(model.JobsSeen).Jobs {
			if seen.Effects > effects[seen.Job] {
				effects[seen.Job], shown[seen.Job] = seen.Effects, op
			}
		}
	}
	rest := last != nil && last.Call > end && last.Output.(model.JobsSeen).Busy == 0
	f.Counts["jobs"] += len(order)
	for _, job := range order {
		op, n := submitted[job], effects[job]
		if op.Type == harness.OK {
			f.Counts["acknowledged"]++
			if n > 0 {
				f.Counts["done"]++
			}
		}
		switch {
		case n > 0 && op.Type == harness.Fail:
			f.add("refused-ran", key, fmt.Sprintf("Job %d was refused, and had its effect.", job), op, shown[job])
		case n > 1:
			f.add("repeated", key, fmt.Sprintf("Job %d had its effect %s.", job, story.Times(n)), op, shown[job])
		case n == 1 || op.Type != harness.OK:
		case !rest:
			f.add("unfinished", key, fmt.Sprintf("Job %d was acknowledged, and nobody knows what became of it.", job), op)
		default:
			seen, known := last.Output.(model.JobsSeen).Of(job)
			switch {
			case seen.State == "failed":
				f.add("given-up", key, fmt.Sprintf("Job %d was acknowledged and never ran; the system says that it failed.", job), op, last)
			case known && seen.State != "":
				f.add("lost", key, fmt.Sprintf("Job %d was acknowledged, and had no effect though the system says that it is %s.", job, seen.State), op, last)
			default:
				f.add("lost", key, fmt.Sprintf("Job %d was acknowledged, and had no effect; the system says nothing of it.", job), op, last)
			}
		}
	}
	for job := range effects {
		if submitted[job] == nil {
			odd = append(odd, job)
		}
	}
	slices.Sort(odd)
	for _, job := range odd {
		f.add("unexpected", key, fmt.Sprintf("Job %d had an effect, and nobody ever submitted it.", job), shown[job])
	}
}
