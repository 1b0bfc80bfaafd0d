package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"coup/checker/conduct"
	"coup/harness"
)

// traceWindow is a stretch of the run whose trace the page holds: one around
// each moment that matters.
type traceWindow struct {
	Title    string
	From, To time.Duration
	Proof    int        // the number of the counterexample; -1: none
	Ops      []tracedOp // of the counterexample, that touch it
	keys     map[string]bool
	At       time.Duration // when that happened which the title names
	rank     int           // what matters most comes first where not all fit
	cause    *cause        // what the counterexample goes back to, if that is in here
}

// cause is the likely cause of a counterexample.
type cause struct {
	at   time.Duration
	text string
}

// causeOf is the earliest fault that was on during the operations of the counterexample
// or between them; a fault that hit one of their nodes is preferred. Without one it is
// the last fault that had ended. Without any fault it is the operation that the others
// contradict first, and the result is nil.
func causeOf(p proof, faults []*fault) *cause {
	if len(p.Witness) == 0 {
		return nil
	}
	first, last := time.Duration(p.Witness[0].Start), time.Duration(0)
	for _, w := range p.Witness {
		first, last = min(first, time.Duration(w.Start)), max(last, time.Duration(w.Start), time.Duration(w.End))
	}
	var best *fault
	weight := func(f *fault) int {
		switch {
		case f.End < first:
			return 1
		case !slices.ContainsFunc(p.Witness, func(w harness.Witness) bool { return w.Node != "" && f.Touches(w.Node) }):
			return 2
		default:
			return 3
		}
	}
	for _, f := range faults {
		if f.Skipped || f.Missed != "" || f.Start > last {
			continue
		}
		// Of the faults that had ended the last one counts, of the others the first.
		if best == nil || weight(f) > weight(best) || weight(f) == weight(best) && weight(f) == 1 && f.End > best.End {
			best = f
		}
	}
	if best == nil {
		return nil
	}
	text := best.Label()
	if v := best.Victims(); v != "" {
		text += " (" + v + ")"
	}
	return &cause{best.Start, text} // it was only seen to bite later
}

// tracedOp is an operation of a counterexample.
type tracedOp struct {
	Process    int
	Text       string
	Type       string
	Node       string
	Start, End time.Duration // End -1: never
}

const (
	mostWindows   = 8
	longestWindow = 4 * time.Second
	aroundOp      = 150 * time.Millisecond // shown before and behind an operation
	aroundOthers  = 300 * time.Millisecond // and what else happened
	contextOf     = 3 * time.Second        // how far from an operation the rest is looked for
	joinGap       = 500 * time.Millisecond // what is closer than this is one window
)

// chooseWindows finds the moments that matter: the operations of the
// counterexamples, and the strikes and elections around them; without a
// counterexample the failovers, else the strikes, else how the load begins.
// left says how many there was no room for.
func chooseWindows(in *Input, proofs []proof, changes []conduct.Failover, faults []*fault, end time.Duration) (all []traceWindow, left int) {
	for _, p := range proofs {
		for _, w := range windowsOf(p, causeOf(p, faults), in.Events, end) {
			told := slices.ContainsFunc(all, func(o traceWindow) bool { return len(w.Ops) == 0 && o.From <= w.From && o.To >= w.To })
			if len(proofs) > 1 && p.Key != "" && len(w.Ops) > 0 {
				w.Title = p.Key + ": " + w.Title
			}
			if !told || w.cause != nil && p.Index == 0 {
				all = append(all, w)
			}
		}
	}
	if len(all) == 0 {
		for _, f := range changes {
			name := fmt.Sprintf("failover from %s to %s", f.Old, f.New)
			all = append(all, traceWindow{Title: name, Proof: -1, At: f.At, From: f.At - aroundOthers, To: f.At + min(max(f.Elected, f.Served, 0), longestWindow) + aroundOthers, rank: 1})
		}
	}
	if len(all) == 0 {
		for _, f := range faults {
			if !f.Skipped {
				all = append(all, traceWindow{Title: f.Label(), Proof: -1, At: f.Start, From: f.Start - aroundOthers, To: f.Start + time.Second, rank: 1})
			}
		}
	}
	if len(all) == 0 {
		at := time.Duration(0)
		for _, e := range in.Events {
			if e.Enters(harness.PhaseLoad) {
				at = e.Time
			}
		}
		all = append(all, traceWindow{Title: "the beginning", Proof: -1, At: at, From: at, To: at + time.Second})
	}
	for i := range all {
		all[i].From, all[i].To = max(all[i].From, 0), min(all[i].To, end)
	}
	if len(all) > mostWindows {
		// Where the page opens its trace comes first.
		opens := func(w traceWindow) int {
			if w.cause != nil && w.Proof == 0 {
				return 0
			}
			return 1
		}
		slices.SortStableFunc(all, func(a, b traceWindow) int {
			return cmp.Or(opens(a)-opens(b), cmp.Compare(a.rank, b.rank))
		})
		left = len(all) - mostWindows
		all = all[:mostWindows]
	}
	slices.SortStableFunc(all, func(a, b traceWindow) int { return cmp.Compare(a.From, b.From) })
	return all, left
}

// windowsOf are the windows of one counterexample. What lies far apart, such as
// a write and the read that misses it half a minute later, is in several.
func windowsOf(p proof, c *cause, events []harness.Event, end time.Duration) []traceWindow {
	if len(p.Witness) == 0 {
		return nil
	}
	keys := map[string]bool{}
	if p.Key != "" {
		keys[p.Key] = true
	}
	var all []traceWindow
	add := func(title string, at, from, to time.Duration, rank int, ops ...tracedOp) {
		all = append(all, traceWindow{Title: title, Proof: p.Index, At: at, From: from, To: min(to, from+longestWindow), Ops: ops, keys: keys, rank: rank})
	}
	first, last := end, time.Duration(0)
	for _, w := range p.Witness {
		if w.Key != "" {
			keys[w.Key] = true
		}
		op := tracedOp{w.Process, w.Text, typeName(w.Type), w.Node, time.Duration(w.Start), -1}
		if w.End >= 0 && (w.Type == harness.OK || w.Type == harness.Fail) {
			op.End = time.Duration(w.End)
		}
		first, last = min(first, op.Start), max(last, op.Start, op.End)
		add(op.Text, op.Start, op.Start-aroundOp, min(max(op.Start, op.End), op.Start+time.Second)+aroundOp, 0, op)
		if op.End > op.Start+2*time.Second {
			add(op.Text, op.End, op.End-aroundOp, op.End+aroundOp, 0, op)
		}
	}
	for _, e := range events {
		if e.Time < first-contextOf || e.Time > last+contextOf {
			continue
		}
		switch {
		case e.Kind == harness.FaultHold:
			add(e.Fault+" "+e.Target, e.Time, e.Time-aroundOthers, e.Time+aroundOthers, 2)
		case e.Kind == harness.FaultEnd:
			add("healing of "+e.Fault, e.Time, e.Time-aroundOthers, e.Time+aroundOthers, 3)
		case e.Kind == harness.RoleEvent && e.Role == "leader":
			add(fmt.Sprintf("%s leads%s term %d", e.Node, ofShard(e.Shard), e.Term), e.Time, e.Time-aroundOthers, e.Time+aroundOthers, 1)
		}
	}
	if c != nil {
		add(c.text, c.at, c.at-aroundOthers, c.at+aroundOthers, 1)
	}
	joined := joinWindows(all)
	for i := range joined {
		if w := &joined[i]; c != nil && w.From <= c.at && c.at <= w.To {
			w.cause = c
			break
		}
	}
	return joined
}

// joinWindows joins those that are close to each other, as long as they are
// short enough to be read together.
func joinWindows(all []traceWindow) (joined []traceWindow) {
	slices.SortStableFunc(all, func(a, b traceWindow) int { return cmp.Compare(a.From, b.From) })
	for _, w := range all {
		if len(joined) > 0 {
			last := &joined[len(joined)-1]
			if to := max(last.To, w.To); w.From < last.To+joinGap && to-last.From <= longestWindow {
				last.To = to
				last.Ops = append(last.Ops, w.Ops...)
				if w.rank < last.rank {
					last.rank, last.Title, last.At = w.rank, w.Title, w.At
				} else if w.rank == 0 {
					last.Title = plural(len(last.Ops), "operation") + " of the counterexample"
				}
				continue
			}
			// Two windows never overlap, nor is anything told twice.
			if w.From < last.To {
				if w.From = last.To; w.To <= w.From {
					last.Ops = append(last.Ops, w.Ops...)
					continue
				}
			}
		}
		joined = append(joined, w)
	}
	return joined
}
