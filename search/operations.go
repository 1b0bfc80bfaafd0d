package search

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"

	"coup/harness"
	"coup/harness/timeline"
	"coup/judge"
	"coup/plan"
)

// operationsOf lists the operations of a recorded run, without the final ones, so that
// a plan with this list runs as the recorded one did.
func operationsOf(dir string) ([]plan.Operation, error) {
	stored, h, _, err := judge.Read(dir)
	if err != nil {
		return nil, err
	}
	from, _ := timeline.Load(h)
	final := harness.Forever
	for _, e := range h.Events {
		if e.Enters(harness.PhaseFinal) {
			final = e.Time
		}
	}
	client := clientsOf(h.Operations, stored.Plan.Concurrency)
	var all []plan.Operation
	for _, op := range h.Operations {
		if op.Start >= final {
			break // operations are in the order of their invocations
		}
		c, ok := client[op.Process]
		if !ok {
			return nil, errors.New("the history has more processes than clients that lost one")
		}
		o := plan.Operation{At: plan.Duration(op.Start - from), Client: c, F: op.F, Key: op.Key}
		raw, err := json.Marshal(op.Input)
		if err == nil {
			err = o.Value.UnmarshalJSON(raw)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// clientsOf says which client each process belongs to: a client that gets no answer
// goes on as another process, with the next number; see harness.Run.
func clientsOf(ops []harness.Operation, clients int) map[int]int {
	of := map[int]int{}
	for p := range clients {
		of[p] = p
	}
	var lost []harness.Operation
	for _, op := range ops {
		if op.Type == harness.Info {
			lost = append(lost, op)
		}
	}
	slices.SortStableFunc(lost, func(a, b harness.Operation) int { return cmp.Compare(a.End, b.End) })
	next := clients
	for _, op := range lost {
		if c, ok := of[op.Process]; ok {
			of[next] = c
			next++
		}
	}
	return of
}
