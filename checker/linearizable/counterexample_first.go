package linearizable

import (
	"context"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// firstBad finds the operation whose answer is the first that nothing explains: all
// that had been answered before it can be explained. It also returns what was known of
// the object at that moment. Where that takes long to find, it returns nil and k.
func firstBad(b context.Context, m model.Model, k *keyed) (*harness.Operation, *keyed) {
	// Where the first bad answer may be anywhere, some ten prefixes have to be judged.
	most := 2_000
	if k.until > 0 {
		most = 20_000
	}
	if len(k.Ops) > most && k.tier != "turns" {
		return nil, k
	}
	b, work := allow(b, attemptWork)
	defer work.end()
	var returns []int
	for _, op := range k.Ops {
		if at := model.Returned(op); at != harness.Open {
			returns = append(returns, at)
		}
	}
	slices.Sort(returns)
	given := false
	judge := func(n int) decision {
		ops := k.upTo(returns[n])
		work.spend(int64(len(ops)) / 4)
		d, err := decide(b, m, ops)
		given = given || err != nil || d.valid == harness.Unknown
		return d
	}
	// The prefix up to returns[hi] fails, as found says. Those before lo do not. Mostly
	// the first one that fails is at an end or near it: at which, near says.
	lo, hi, found := 0, len(returns)-1, k.decision
	const anywhere, atStart, atEnd = 0, 1, 2
	near := anywhere
	place := func(at int) int { n, _ := slices.BinarySearch(returns, at); return n }
	switch complete := k.proofComplete(); {
	case k.tier == "turns": // it walks through the history, and ends where it fails
		lo, hi = place(k.until), place(k.until)
	case k.until > 0: // up to there it can be explained, even with all that was answered later
		lo, near = place(k.until), atStart
	case complete > 0: // mostly it fails as soon as its proof is complete
		if n := place(complete); n < hi {
			if d := judge(n); d.valid == harness.Invalid {
				hi, found = n, d
			} else {
				lo, near = n+1, atStart
			}
		}
		if near != atStart {
			near = atEnd
		}
	}
	if given {
		return nil, k
	}
	for step := 1; lo < hi; step *= 2 {
		mid := lo + (hi-lo)/2
		switch near {
		case atStart:
			mid = min(lo+step-1, hi-1)
		case atEnd:
			mid = max(hi-step, lo)
		}
		d := judge(mid)
		switch {
		case given:
			return nil, k
		case d.valid == harness.Invalid:
			hi, found = mid, d
			if near == atStart {
				near = anywhere
			}
		default:
			lo = mid + 1
			if near == atEnd {
				near = anywhere
			}
		}
	}
	at := slices.IndexFunc(k.Ops, func(op *harness.Operation) bool { return model.Returned(op) == returns[hi] })
	if returns[hi] == k.until {
		return k.Ops[at], k
	}
	early := &keyed{Object: model.Object{Key: k.Key, Ops: k.upTo(returns[hi])}, decision: found, work: k.work}
	// What began after the last answer explains nothing.
	early.proof = slices.DeleteFunc(slices.Clone(found.proof), func(i int32) bool { return int(i) >= len(early.Ops) })
	return k.Ops[at], early
}

// upTo is what was known of the object right after a position. Operations keep their
// places.
func (k *keyed) upTo(at int) []*harness.Operation {
	n, _ := slices.BinarySearchFunc(k.Ops, at+1, func(op *harness.Operation, call int) int { return op.Call - call })
	ops := slices.Clone(k.Ops[:n])
	for i, op := range ops {
		if op.Return > at {
			ops[i] = &model.Prefix([]harness.Operation{*op}, at)[0]
		}
	}
	return ops
}

// proofComplete is the position by which all operations of the proof had returned, 0
// if there is no proof.
func (k *keyed) proofComplete() (last int) {
	for _, i := range k.proof {
		if at := model.Returned(k.Ops[i]); at != harness.Open {
			last = max(last, at)
		}
	}
	return last
}
