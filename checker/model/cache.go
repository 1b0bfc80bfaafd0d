package model

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"coup/harness"
)

// Cached is what a get from a cache returned: the entry, or the lease to fill it, or neither
// if somebody else has the lease. As JSON it is {"value": 5}, {"token": 7, "lease":
// nanoseconds} or {}.
type Cached struct {
	Value Maybe
	Token Maybe // names the lease
	// Lease is how long the client may count on it, from the moment at which it asked.
	Lease time.Duration
}

// Hit says whether there was an entry.
func (c Cached) Hit() bool { return c.Value.Set }

// String is e.g. "5", or "no entry, and the lease 7 for 1s".
func (c Cached) String() string {
	switch {
	case c.Value.Set:
		return c.Value.String()
	case c.Token.Set:
		return fmt.Sprintf("no entry, and the lease %d for %v", c.Token.Int, c.Lease)
	default:
		return "no entry, and no lease"
	}
}

type cachedJSON struct {
	Value *int64 `json:"value,omitempty"`
	Token *int64 `json:"token,omitempty"`
	Lease int64  `json:"lease,omitempty"`
}

// MarshalJSON writes an object; what is not there is left out.
func (c Cached) MarshalJSON() ([]byte, error) {
	j := cachedJSON{Lease: int64(c.Lease)}
	if c.Value.Set {
		j.Value = &c.Value.Int
	}
	if c.Token.Set {
		j.Token = &c.Token.Int
	}
	return json.Marshal(j)
}

// Fill is the input of the function fill of a cache: the lease by which it is done, the
// value, and how long the entry may be shown. As JSON it is {"token": 7, "value": 5, "ttl": nanoseconds}.
type Fill struct {
	Token int64         `json:"token"`
	Value int64         `json:"value"`
	TTL   time.Duration `json:"ttl"`
}

// String is e.g. "5 for 2s by the lease 7".
func (f Fill) String() string {
	return fmt.Sprintf("%d for %v by the lease %d", f.Value, f.TTL, f.Token)
}

// DecodeCache is the [harness.Decoder] of caches: get returns a [Cached], fill takes a
// [Fill], invalidate takes an int64, the version that the origin has from then on.
func DecodeCache(t harness.Type, f string, raw json.RawMessage) (any, error) {
	cached := func(raw json.RawMessage) (any, error) {
		var j cachedJSON
		if err := json.Unmarshal(raw, &j); err != nil || isNull(raw) || j.Lease < 0 || j.Value != nil && j.Token != nil {
			return nil, fmt.Errorf(`expected {"value": integer}, {"token": integer, "lease": nanoseconds} or {}, not %s`, short(raw))
		}
		c := Cached{Lease: time.Duration(j.Lease)}
		if j.Value != nil {
			c.Value = Just(*j.Value)
		}
		if j.Token != nil {
			c.Token = Just(*j.Token)
		}
		return c, nil
	}
	fill := func(raw json.RawMessage) (any, error) {
		var j struct{ Token, Value, TTL *int64 }
		if err := json.Unmarshal(raw, &j); err != nil || j.Token == nil || j.Value == nil || j.TTL == nil || *j.TTL < 0 {
			return nil, fmt.Errorf(`expected {"token": integer, "value": integer, "ttl": nanoseconds}, not %s`, short(raw))
		}
		return Fill{*j.Token, *j.Value, time.Duration(*j.TTL)}, nil
	}
	return decode(t, f, raw, "a cache", function{"get", nothing, cached}, function{"fill", fill, nothing}, function{"invalidate", anInt, nothing})
}

// cacheState is the entry of a key, and who may fill it.
type cacheState struct {
	value  Maybe
	leased bool
	token  int64
	lease  int64 // the Call of the get that gave it
}

// Cache is an entry of a cache that is filled by whoever has the lease to:
//
//   - get returns the entry if there is one. A get that finds none may be given the lease, if nobody
//     has it. An entry may go away at any moment: a get that found none says that it did.
//   - fill succeeds only with the lease in force, and ends it;
//   - invalidate removes the entry and ends the lease;
//   - lapse stands for the end of a lease, as in [Lock].
//
// When an entry must be gone, the model does not say, nor how old its value may be: that is
// [coup/checker/invariants.Cache].
func Cache() Model {
	return Model{
		Name:   "cache entry",
		Decode: DecodeCache,
		Init:   cacheState{},
		Step: func(state any, op *harness.Operation) (any, bool) {
			now, ok := state.(cacheState), op.Type == harness.OK
			switch op.F {
			case "get":
				if !ok {
					return state, true // whatever lease it was given, nobody uses
				}
				got := op.Output.(Cached)
				switch {
				case got.Hit():
					return state, now.value == got.Value
				case !got.Token.Set:
					now.value = Maybe{}
					return now, true
				}
				return cacheState{leased: true, token: got.Token.Int, lease: int64(op.Call)}, !now.leased
			case "fill":
				in := op.Input.(Fill)
				if !now.leased || now.token != in.Token {
					return state, !ok
				}
				return cacheState{value: Just(in.Value)}, true
			case "invalidate":
				_ = op.Input.(int64)
				return cacheState{}, true
			case Lapse:
				if now.leased && now.lease == op.Input.(int64) {
					return cacheState{value: now.value}, true
				}
				return state, true
			}
			panic(unknownFunction(op.F, "a cache", "get, fill, invalidate"))
		},
		ReadOnly: func(op *harness.Operation) bool {
			return op.F == "get" && (op.Type != harness.OK || op.Output.(Cached).Hit())
		},
		Text: func(op *harness.Operation) string {
			switch in := op.Input.(type) {
			case Fill:
				return "fill " + in.String()
			case int64:
				if op.F == Lapse {
					return "the lease is over"
				}
				return "invalidate what is older than " + strconv.FormatInt(in, 10)
			}
			if got, ok := op.Output.(Cached); ok {
				return "get -> " + got.String()
			}
			return op.F
		},
		Words:   cacheWords,
		Parts:   cacheParts,
		prepare: func(ops []harness.Operation) []harness.Operation { return withLapses(ops, cacheLease) },
	}
}

func cacheLease(op *harness.Operation) time.Duration {
	if op.Type != harness.OK || op.F != "get" {
		return 0
	}
	return op.Output.(Cached).Lease
}

func cacheWords(op *harness.Operation, key string) (did, wish, got string) {
	switch in := op.Input.(type) {
	case Fill:
		as := fmt.Sprintf(" %s with %s", key, in)
		return "filled" + as, "fill" + as, ""
	case int64:
		since := fmt.Sprintf(" %s, whose origin had version %d from then on", key, in)
		return "invalidated" + since, "invalidate" + since, ""
	}
	if out, ok := op.Output.(Cached); ok {
		got = "got " + out.String()
	}
	return "looked for " + key, "look for " + key, got
}

// cacheParts are the pieces that a history of a cache can do without: a get that found an
// entry or was not given the lease; and a get that was, with the end of the lease, what was
// filled by it, and the gets that may have shown that.
func cacheParts(ops []harness.Operation) [][]int {
	var parts [][]int
	leases := map[int64]int{} // by the call of the get: the part
	tokens := map[int64]int{} // by token
	filled := map[int64][]int{}
	add := func(to map[int64]int, key int64, i int) {
		if at, known := to[key]; known {
			parts[at] = append(parts[at], i)
		}
	}
	for i := range ops {
		op := &ops[i]
		if op.F != "get" {
			continue
		}
		if got, ok := op.Output.(Cached); ok && got.Token.Set {
			leases[int64(op.Call)], tokens[got.Token.Int] = len(parts), len(parts)
		}
		parts = append(parts, []int{i})
	}
	for i := range ops {
		switch op := &ops[i]; op.F {
		case Lapse:
			add(leases, op.Input.(int64), i)
		case "fill":
			in := op.Input.(Fill)
			add(tokens, in.Token, i)
			if at, known := tokens[in.Token]; known {
				filled[in.Value] = append(filled[in.Value], at)
			}
		}
	}
	for i := range ops {
		if got, ok := ops[i].Output.(Cached); ok && got.Hit() {
			for _, at := range filled[got.Value.Int] {
				parts[at] = append(parts[at], i)
			}
		}
	}
	return parts
}
