package invariants

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// LongFork looks for two reads of the same registers of which one shows one write and
// not the other, and the other read the other way round: snapshot isolation forbids
// that, parallel snapshot isolation does not (Jepsen's long-fork test). Each register
// is written once; operations are transactions ([model.Txn]) that write one register,
// or read several.
type LongFork struct{}

// Name implements [harness.Checker].
func (LongFork) Name() string { return "long-fork" }

// Check implements [harness.Checker].
func (l LongFork) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	m := model.Model{Name: "register", Text: model.MultiRegister().Text}
	err := check(h, "registers", func(op *harness.Operation) bool {
		_, in := op.Input.(model.Txn)
		_, out := op.Output.(model.Txn)
		return in && (out || op.Type != harness.OK)
	})
	if err != nil {
		return harness.Result{Checker: l.Name()}, err
	}
	f := find(m, h, "long-fork")
	unclear := func(format string, args ...any) (harness.Result, error) {
		return harness.Result{Checker: l.Name(), Valid: harness.Unknown, Summary: fmt.Sprintf(format, args...), Details: f.Details}, nil
	}
	written := map[string]bool{}
	type read struct {
		op    *harness.Operation
		seen  []string // of the registers that it read those that had been written, in order
		whole model.Txn
	}
	var groups []string
	reads := map[string][]read{} // by the registers that are read
	values := map[string]int64{}
	for i := range h.Operations {
		op := &h.Operations[i]
		in := op.Input.(model.Txn)
		writes := 0
		for _, s := range in {
			if s.F != "w" {
				continue
			}
			writes++
			if written[s.Key] {
				return unclear("It cannot be judged: %s is written more than once.", s.Key)
			}
			written[s.Key] = true
		}
		if writes > 0 && len(in) > 1 {
			return unclear("It cannot be judged: process %d does not only write one register, nor only reads.", op.Process)
		}
		if writes > 0 || op.Type != harness.OK || len(in) == 0 {
			continue
		}
		r := read{op: op, whole: op.Output.(model.Txn)}
		var keys []string
		for _, s := range r.whole {
			keys = append(keys, s.Key)
			if !s.Seen.Set {
				continue
			}
			if v, known := values[s.Key]; known && v != s.Seen.Int {
				return unclear("It cannot be judged: %s holds %d and %d, and should be written once.", s.Key, v, s.Seen.Int)
			}
			values[s.Key] = s.Seen.Int
			r.seen = append(r.seen, s.Key)
		}
		slices.Sort(keys)
		slices.Sort(r.seen)
		group := strings.Join(keys, "\x00")
		if reads[group] == nil {
			groups = append(groups, group)
		}
		reads[group] = append(reads[group], r)
		f.Counts["reads"]++
	}
	// Reads that can be put in order make a chain, in which each shows all that those
	// with fewer writes show. If there is none, two neighbours show it.
	for _, group := range groups {
		rs := reads[group]
		slices.SortStableFunc(rs, func(a, b read) int { return cmp.Compare(len(a.seen), len(b.seen)) })
		for i := range len(rs) - 1 {
			a, b := rs[i], rs[i+1]
			only := func(x, y read) string {
				for _, k := range x.seen {
					if _, there := slices.BinarySearch(y.seen, k); !there {
						return k
					}
				}
				return ""
			}
			if x, y := only(a, b), only(b, a); x != "" && y != "" {
				f.add("long-fork", "", fmt.Sprintf("Process %d was shown %s and not %s, and process %d was shown %s and not %s: no order of the two writes explains both.",
					a.op.Process, x, y, b.op.Process, y, x), a.op, b.op)
			}
		}
	}
	r := f.result(l.Name(), "Reads contradict each other", fmt.Sprintf("%s agree on one order of the writes.", story.Plural(f.Counts["reads"], "read")))
	if r.Valid == harness.Valid && f.Counts["reads"] == 0 {
		r.Valid, r.Summary = harness.Unknown, "Nobody read anything."
	}
	return r, nil
}
