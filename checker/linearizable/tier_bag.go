package linearizable

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"coup/checker/model"
	"coup/harness"
)

// bagTier decides queues without order. It is exact, open operations included.
//
// If nobody found the queue empty, elements have nothing to do with each other, open
// dequeues can be left out, and all enqueues can take effect as soon as they are
// called and all dequeues right before they return. So there is an order if and only
// if of each value the n-th dequeue to return does so after n enqueues were called:
// O(n log n).
//
// Otherwise an empty queue is needed at some moments, and what an open dequeue took
// is a choice. Then the search is over queues in which each open dequeue takes one
// given element, or none (see openDequeues).
func bagTier(b context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	if m.Kind != model.BagKind {
		return decision{}, false, nil
	}
	puts, takes := map[int64][]int32{}, map[int64][]int32{}
	var values []int64
	var open []int32
	empty := false
	for i, op := range ops {
		got, answered := op.Output.(model.Maybe)
		switch {
		case op.F == "enqueue":
			v := op.Input.(int64)
			puts[v] = append(puts[v], int32(i))
		case !answered:
			open = append(open, int32(i))
		case !got.Set:
			empty = true
		default:
			if takes[got.Int] == nil {
				values = append(values, got.Int)
			}
			takes[got.Int] = append(takes[got.Int], int32(i))
		}
	}
	for _, v := range values {
		slices.SortFunc(takes[v], func(a, b int32) int { return cmp.Compare(ops[a].Return, ops[b].Return) })
		for n, take := range takes[v] {
			if n < len(puts[v]) && ops[puts[v][n]].Call < ops[take].Return {
				continue
			}
			proof := slices.Concat(takes[v][:n+1], puts[v])
			slices.Sort(proof)
			return decision{valid: harness.Invalid, proof: proof}, true, nil
		}
	}
	if empty {
		return bagSearch(b, m, ops, open)
	}
	order := make([]int32, 0, len(ops))
	for i, op := range ops {
		if op.F == "enqueue" || op.Type == harness.OK {
			order = append(order, int32(i))
		}
	}
	at := func(i int32) int {
		if ops[i].F == "enqueue" {
			return ops[i].Call
		}
		return ops[i].Return
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(at(a), at(b)) })
	return decision{valid: harness.Valid, order: order}, true, nil
}

// taken is the input of an operation that stands for an open dequeue of one value.
type taken struct {
	dequeue int // which of the open ones
	value   int64
}

// bagSearch decides by a search. An open dequeue may have taken any value that was put
// in more often than others are known to have taken it. It is replaced by one operation
// for each of these values; the state lets only one of them take effect.
func bagSearch(b context.Context, m model.Model, ops []*harness.Operation, open []int32) (decision, bool, error) {
	surplus := map[int64]int{}
	var values []int64
	for _, op := range ops {
		if v, puts := op.Input.(int64); puts {
			if surplus[v]++; surplus[v] == 1 {
				values = append(values, v)
			}
		}
	}
	for _, op := range ops {
		if got, ok := op.Output.(model.Maybe); ok && got.Set {
			surplus[got.Int]--
		}
	}
	choices := m
	choices.Kind = model.AnyKind
	type state struct {
		bag  any
		used string // for each open dequeue whether it took something
	}
	choices.Init = state{bag: m.Init, used: strings.Repeat(" ", len(open))}
	choices.Step = func(s any, op *harness.Operation) (any, bool) {
		now := s.(state)
		t, ok := op.Input.(taken)
		if !ok {
			next, ok := m.Step(now.bag, op)
			return state{next, now.used}, ok
		}
		if now.used[t.dequeue] != ' ' {
			return s, true
		}
		next, ok := m.Step(now.bag, &harness.Operation{F: "dequeue", Type: harness.OK, Output: model.Just(t.value)})
		if !ok {
			return s, true
		}
		return state{next, now.used[:t.dequeue] + "x" + now.used[t.dequeue+1:]}, true
	}
	var work []*harness.Operation
	next := 0 // of the open ones
	for i, op := range ops {
		if next == len(open) || open[next] != int32(i) {
			work = append(work, op)
			continue
		}
		for _, v := range values {
			if surplus[v] > 0 {
				work = append(work, &harness.Operation{
					Process: op.Process, F: "dequeue", Input: taken{next, v}, Type: harness.Info, Call: op.Call, Return: harness.Open,
				})
			}
		}
		next++
	}
	d, ok, err := justInTimeTier(b, choices, work)
	if err == nil && !ok {
		explained := d.explained
		d, ok, err = searchTier(b, choices, work)
		d.explained = explained
	}
	// Its order and its proof are of other operations.
	return decision{valid: d.valid, explained: d.explained, until: d.until}, ok, err
}
