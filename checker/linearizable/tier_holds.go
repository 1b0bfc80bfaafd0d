package linearizable

import (
	"cmp"
	"context"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// holdsTier decides locks in O(n log n), if all grants have fencing tokens or none
// has. It is exact, open operations and leases included.
//
// What a process did from an acquire on, until it released the lock or lost it, is
// called a hold. All of it took effect without any other process in between. So
// holds can be ordered like the clusters of a register (see zonesTier): with f the
// first return of a hold and s its last call, one hold must come before another if
// f of the first is before s of the second, and there is an order if and only if
// no two must each come before the other. Fencing tokens say which order it is.
//
// A hold ends with its release. If that is open, or the last lease may be over, it
// ends with whichever can come first, because to end earlier never contradicts
// anything. A hold that has neither never ends. Open acquires and renewals are
// left out: their process has done nothing since, so nothing rests on them. The
// exception is an open renewal of which it is known when its lease is over, as in the
// prefix of a history in which it was answered later: the hold may end with that lease.
// (Leases: Gray and Cheriton, "Leases", SOSP 1989.)
func holdsTier(_ context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	if m.Kind != model.LockKind {
		return decision{}, false, nil
	}
	holds, proof, ok := gatherHolds(ops)
	if !ok {
		return decision{}, false, nil
	}
	if proof == nil {
		var a, b *hold
		if a, b, ok = clash(holds); !ok {
			return decision{}, false, nil
		}
		if a != nil {
			proof = slices.Concat(a.ops, b.ops)
		}
	}
	if proof != nil {
		slices.Sort(proof)
		return decision{valid: harness.Invalid, proof: proof}, true, nil
	}
	order := make([]int32, 0, len(ops))
	for i := range holds {
		order = append(order, holds[i].ops...)
	}
	return decision{valid: harness.Valid, order: order}, true, nil
}

// hold is what a process did with a lock that it held.
type hold struct {
	ops   []int32 // in their order, with what ended it
	f, s  int     // the first return and the last call
	lease int64   // the last one
	token model.Maybe
	ended bool // its release is certain
}

// gatherHolds finds the holds. It returns a proof if a process renewed or
// released what it did not hold, and false if a process did two things at once.
func gatherHolds(ops []*harness.Operation) (holds []hold, proof []int32, ok bool) {
	const nothing = -1
	current := map[int]int{}    // by process
	busy := map[int]int{}       // by process: until when
	lapses := map[int64]int32{} // by lease
	unsure := map[int]int32{}   // open releases by hold
	renewals := map[int]int32{} // open renewals by hold
	for i, op := range ops {
		if op.F == model.Lapse {
			lapses[op.Input.(int64)] = int32(i)
			continue
		}
		if until, known := busy[op.Process]; known && op.Call < until {
			return nil, nil, false
		}
		busy[op.Process] = model.Returned(op)
		at, known := current[op.Process]
		if !known {
			at = nothing
		}
		if op.Type != harness.OK {
			switch {
			case at == nothing:
			case op.F == "release":
				unsure[at] = int32(i)
			case op.F == "renew":
				renewals[at] = int32(i)
			}
			continue
		}
		if op.F == "acquire" {
			current[op.Process] = len(holds)
			holds = append(holds, hold{ops: []int32{int32(i)}, f: op.Return, s: op.Call, lease: int64(op.Call), token: model.Granted(op).Token})
			continue
		}
		if at == nothing {
			return nil, []int32{int32(i)}, true
		}
		h := &holds[at]
		h.ops, h.s = append(h.ops, int32(i)), op.Call
		if op.F == "renew" {
			h.lease = int64(op.Call)
		} else {
			h.ended = true
			current[op.Process] = nothing
		}
	}
	for i := range holds {
		h := &holds[i]
		if h.ended {
			continue
		}
		end := none
		if op, known := unsure[i]; known {
			end = op
		}
		if op, known := lapses[h.lease]; known && (end == none || ops[op].Call < ops[end].Call) {
			end = op
		}
		if renewal, known := renewals[i]; known {
			if op, known := lapses[int64(ops[renewal].Call)]; known && (end == none || ops[op].Call < ops[end].Call) {
				h.ops, end = append(h.ops, renewal), op
			}
		}
		if h.s = harness.Open; end != none {
			h.ops, h.s = append(h.ops, end), ops[end].Call
		}
	}
	return holds, nil, true
}

// clash puts holds in order, or finds two of which each must come before the
// other. It returns false if some have tokens and others have none.
func clash(holds []hold) (a, b *hold, ok bool) {
	if len(holds) == 0 {
		return nil, nil, true
	}
	fenced := holds[0].token.Set
	if slices.ContainsFunc(holds, func(h hold) bool { return h.token.Set != fenced }) {
		return nil, nil, false
	}
	if !fenced {
		slices.SortFunc(holds, func(a, b hold) int { return cmp.Compare(min(a.f, a.s), min(b.f, b.s)) })
		var forward *hold // the last with f < s
		for i := range holds {
			h := &holds[i]
			if forward != nil && forward.f < h.s && h.f < forward.s {
				return forward, h, true
			}
			if h.f < h.s {
				forward = h
			}
		}
		return nil, nil, true
	}
	slices.SortFunc(holds, func(a, b hold) int { return cmp.Compare(a.token.Int, b.token.Int) })
	longest := &holds[0]
	for i := range holds[1:] {
		h := &holds[i+1]
		if h.token == holds[i].token {
			return &holds[i], h, true
		}
		if h.f < longest.s {
			return longest, h, true
		}
		if h.s > longest.s {
			longest = h
		}
	}
	return nil, nil, true
}
