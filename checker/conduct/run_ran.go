package conduct

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Ran checks that the run tested what it was meant to test: that the faults had an
// effect and that clients got something done. Otherwise the run is unknown, even if all
// other checkers call it valid. Its Details are [RanDetails].
type Ran struct {
	Faults         []string // kinds of faults that must have had an effect at least once, e.g. kill
	Misses         int      // how many faults may have no effect
	MinOK          int      // the least number of operations of the load that must have succeeded; zero: 1
	MinPerFunction int      // the same for each function that was tried or is needed; zero: 1
	Needs          []string // functions that must have been tried
	Conditional    []string // functions that need not have succeeded, unless they are needed
}

// RanDetails are the Details of [Ran].
type RanDetails struct {
	OK        int              `json:"ok"`
	Fail      int              `json:"fail"`
	Info      int              `json:"info"`
	Functions []FunctionCounts `json:"functions"` // by name
	Faults    int              `json:"faults"`    // that were tried
	Bit       int              `json:"bit"`       // of them were seen to bite
	Missed    []MissedFault    `json:"missed"`
	Lacking   []string         `json:"lacking"` // what makes the run unknown, in words
}

// FunctionCounts says how the operations of one function ended.
type FunctionCounts struct {
	F    string `json:"f"`
	OK   int    `json:"ok"`
	Fail int    `json:"fail"`
	Info int    `json:"info"`
}

// MissedFault is a fault that was tried and not seen to bite.
type MissedFault struct {
	ID     int           `json:"id"`
	Fault  string        `json:"fault"`
	Target string        `json:"target,omitempty"`
	Time   time.Duration `json:"time"` // nanoseconds since the start of the run
	Reason string        `json:"reason"`
}

// Name implements [harness.Checker].
func (Ran) Name() string { return "ran" }

// Judges implements [harness.Judging].
func (Ran) Judges() harness.Subject { return harness.TheTest }

// Check implements [harness.Checker].
func (c Ran) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "ran", Valid: harness.Valid}
	d := RanDetails{Functions: []FunctionCounts{}, Missed: []MissedFault{}, Lacking: []string{}}
	byF := map[string]*FunctionCounts{}
	for _, f := range c.Needs {
		byF[f] = &FunctionCounts{F: f}
	}
	over := timeline.LoadOver(h)
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.Start >= over {
			continue // operations after healing, and the final ones, are no load
		}
		f := byF[op.F]
		if f == nil {
			f = &FunctionCounts{F: op.F}
			byF[op.F] = f
		}
		count(op.Type, &d.OK, &d.Fail, &d.Info)
		count(op.Type, &f.OK, &f.Fail, &f.Info)
	}
	for _, f := range byF {
		d.Functions = append(d.Functions, *f)
	}
	slices.SortFunc(d.Functions, func(a, b FunctionCounts) int { return cmp.Compare(a.F, b.F) })

	if least := max(1, c.MinOK); d.OK < least {
		d.Lacking = append(d.Lacking, fmt.Sprintf("%s succeeded, and %d must", story.Plural(d.OK, "operation"), least))
	} else {
		for _, f := range d.Functions {
			free := slices.Contains(c.Conditional, f.F) && !slices.Contains(c.Needs, f.F)
			if least := max(1, c.MinPerFunction); f.OK < least && !free {
				d.Lacking = append(d.Lacking, fmt.Sprintf("of %d operations %s %d succeeded, and %d must", f.OK+f.Fail+f.Info, f.F, f.OK, least))
			}
		}
	}

	bit := map[string]bool{}
	for _, f := range timeline.Faults(h, 0) {
		if f.Skipped {
			continue
		}
		d.Faults++
		if f.Hold >= 0 {
			d.Bit++
			bit[f.Fault] = true
			continue
		}
		reason := f.Missed
		if reason == "" {
			reason = "it was never seen to bite"
		}
		d.Missed = append(d.Missed, MissedFault{ID: f.ID, Fault: f.Fault, Target: f.Target, Time: f.Start, Reason: reason})
	}
	for _, f := range c.Faults {
		if !bit[f] {
			d.Lacking = append(d.Lacking, fmt.Sprintf("the fault %s never bit", f))
		}
	}
	if len(d.Missed) > c.Misses {
		m := d.Missed[0]
		d.Lacking = append(d.Lacking, fmt.Sprintf("%d of %s did not bite, the first (%s, at %s) because: %s",
			len(d.Missed), story.Plural(d.Faults, "fault"), m.Fault, story.Seconds(m.Time), m.Reason))
	}

	r.Details = d
	if len(d.Lacking) > 0 {
		r.Valid = harness.Unknown
		r.Summary = "The run did not test what it was meant to: " + strings.Join(d.Lacking, "; ") + "."
	} else {
		r.Summary = fmt.Sprintf("%s succeeded, %d failed, of %d nobody knows; %d of %s bit.",
			story.Plural(d.OK, "operation"), d.Fail, d.Info, d.Bit, story.Plural(d.Faults, "fault"))
	}
	return r, nil
}
