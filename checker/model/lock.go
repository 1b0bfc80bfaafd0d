package model

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"coup/harness"
)

// Grant is what a process gets that acquires a lock or renews its lease.
type Grant struct {
	// Token, if there is one, is larger than that of every earlier holder, so that
	// whatever the lock protects can refuse those that come too late (a fencing
	// token).
	Token Maybe
	// Lease is after what time the lock may pass to others without having been
	// released, counted from the moment at which the process asked; zero: never.
	Lease time.Duration
}

type grantJSON struct {
	Token *int64 `json:"token,omitempty"`
	Lease int64  `json:"lease,omitempty"`
}

// AppendJSON appends g as JSON to b.
func (g Grant) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	if g.Token.Set {
		b = append(b, `"token":`...)
		b = strconv.AppendInt(b, g.Token.Int, 10)
		if g.Lease != 0 {
			b = append(b, ',')
		}
	}
	if g.Lease != 0 {
		b = append(b, `"lease":`...)
		b = strconv.AppendInt(b, int64(g.Lease), 10)
	}
	return append(b, '}')
}

// MarshalJSON writes {"token": 5, "lease": 10000000000}, the lease in
// nanoseconds; what is not there is left out.
func (g Grant) MarshalJSON() ([]byte, error) { return g.AppendJSON(nil), nil }

// UnmarshalJSON is the inverse of MarshalJSON. Null is a grant without anything.
func (g *Grant) UnmarshalJSON(b []byte) error {
	var j grantJSON
	if err := json.Unmarshal(b, &j); err != nil || j.Lease < 0 {
		return fmt.Errorf(`expected {"token": number, "lease": nanoseconds} or null, not %s`, short(b))
	}
	*g = Grant{Lease: time.Duration(j.Lease)}
	if j.Token != nil {
		g.Token = Just(*j.Token)
	}
	return nil
}

// String says what was granted, e.g. "token 5 for 10s".
func (g Grant) String() string {
	switch {
	case g.Token.Set && g.Lease > 0:
		return fmt.Sprintf("token %d for %v", g.Token.Int, g.Lease)
	case g.Token.Set:
		return fmt.Sprintf("token %d", g.Token.Int)
	case g.Lease > 0:
		return fmt.Sprintf("for %v", g.Lease)
	default:
		return "granted"
	}
}

// lockState is who holds a lock, by which lease, and the last token.
type lockState struct {
	held    bool
	process int
	lease   int64 // the Call of the operation that gave it
	token   Maybe
}

// Lock is a lock that knows who holds it, with acquire and renew, which
// return a [Grant], and release:
//
//   - acquire succeeds if nobody holds the lock, not even the process itself;
//   - its token, if it has one, is larger than all before it;
//   - renew and release succeed only for the process that holds the lock;
//   - lapse stands for the end of a lease. No process calls it; it is added to the
//     history. It may free the lock at any moment after the lease is over, if the lock is
//     still held by that lease, which is named by the Call of the operation that gave it.
//
// An operation that cannot succeed fails, and that says nothing about the lock.
func Lock() Model {
	return Model{
		Name:   "lock",
		Decode: DecodeLock,
		Init:   lockState{},
		Step: func(state any, op *harness.Operation) (any, bool) {
			now, ok := state.(lockState), op.Type == harness.OK
			mine := now.held && now.process == op.Process
			switch op.F {
			case "acquire":
				g := Granted(op)
				if now.held || g.Token.Set && now.token.Set && g.Token.Int <= now.token.Int {
					return state, !ok
				}
				if !g.Token.Set {
					g.Token = now.token
				}
				return lockState{true, op.Process, int64(op.Call), g.Token}, true
			case "renew":
				Granted(op)
				if !mine {
					return state, !ok
				}
				now.lease = int64(op.Call)
				return now, true
			case "release":
				if !mine {
					return state, !ok
				}
				return lockState{token: now.token}, true
			case Lapse:
				if !now.held || now.lease != op.Input.(int64) {
					return state, true
				}
				return lockState{token: now.token}, true
			}
			panic(unknownFunction(op.F, "a lock", "acquire, renew, release"))
		},
		Text: func(op *harness.Operation) string {
			switch {
			case op.F == Lapse:
				return "the lease is over"
			case op.Type == harness.OK && op.F != "release":
				return op.F + " -> " + Granted(op).String()
			default:
				return op.F
			}
		},
		Parts:    lockParts,
		Personal: true,
		prepare:  func(ops []harness.Operation) []harness.Operation { return withLapses(ops, lockLease) },
		Kind:     LockKind,
	}
}

// Lapse is the function of the operations that stand for the end of a lease.
const Lapse = "lapse"

// Granted is what op was granted, nothing if it returned nothing.
func Granted(op *harness.Operation) Grant {
	if op.Output == nil {
		return Grant{}
	}
	return op.Output.(Grant)
}

// lockParts are the pieces that a history of a lock can do without: an acquire with
// everything that its process did until its next acquire, and the ends of the leases
// granted in it. An open acquire is a piece by itself.
func lockParts(ops []harness.Operation) [][]int {
	var parts [][]int
	latest := map[int]int{}   // by process: its part
	leases := map[int64]int{} // by the call of what gave it: the part
	for i := range ops {
		op := &ops[i]
		at, known := latest[op.Process]
		if op.F == Lapse {
			at, known = leases[op.Input.(int64)]
		} else if op.F == "acquire" || !known {
			at, known = len(parts), true
			latest[op.Process] = at
			parts = append(parts, nil)
		}
		if !known {
			at = len(parts)
			parts = append(parts, nil)
		}
		leases[int64(op.Call)] = at
		parts[at] = append(parts[at], i)
	}
	return parts
}

// lockLease is how long the lease lasts that op was granted on a lock; 0: there is no end.
func lockLease(op *harness.Operation) time.Duration {
	if op.Type != harness.OK || op.F != "acquire" && op.F != "renew" {
		return 0
	}
	return Granted(op).Lease
}

// withLapses adds an operation for the end of each lease that was granted, as leaseOf says. It may take
// effect at any moment after the lease is over, or never. A lease counts from the
// moment at which the process asked for it, since the lock may count from then on. The
// clock is the one that measured the history. Clocks of nodes may run a little faster,
// so leases must be longer than that difference. Positions are numbered anew.
func withLapses(ops []harness.Operation, leaseOf func(*harness.Operation) time.Duration) []harness.Operation {
	type mark struct {
		at   int // the position
		time time.Duration
		op   int
		kind uint8 // in this order: a lapse that comes before the position, a call, a return
	}
	const lapsed, called, returned = 0, 1, 2
	var marks []mark
	for i := range ops {
		marks = append(marks, mark{ops[i].Call, ops[i].Start, i, called})
		if ops[i].Return != harness.Open {
			marks = append(marks, mark{ops[i].Return, ops[i].End, i, returned})
		}
	}
	byPosition := func(a, b mark) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.kind, b.kind), cmp.Compare(a.op, b.op))
	}
	slices.SortFunc(marks, byPosition)
	latest := make([]time.Duration, len(marks)) // the latest time so far
	for n, m := range marks {
		latest[n] = m.time
		if n > 0 {
			latest[n] = max(latest[n], latest[n-1])
		}
	}
	whole := slices.Clone(ops)
	for i := range ops {
		op := &ops[i]
		lease := leaseOf(op)
		if lease == 0 {
			continue
		}
		due := op.Start + lease
		if due < op.Start {
			continue // it lasts beyond all time
		}
		n, _ := slices.BinarySearch(latest, due)
		if n == len(latest) {
			continue // it is after all that happened
		}
		at := max(marks[n].at, op.Call+1)
		marks = append(marks, mark{at, due, len(whole), lapsed})
		whole = append(whole, harness.Operation{
			Process: op.Process, F: Lapse, Key: op.Key, Input: int64(i), Type: harness.Info,
			Return: harness.Open, Start: due, End: due, Node: op.Node,
		})
	}
	slices.SortFunc(marks, byPosition)
	for position, m := range marks {
		if m.kind == returned {
			whole[m.op].Return = position
		} else {
			whole[m.op].Call = position
		}
	}
	for i := len(ops); i < len(whole); i++ {
		whole[i].Input = int64(whole[whole[i].Input.(int64)].Call)
	}
	slices.SortFunc(whole, func(a, b harness.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return whole
}
