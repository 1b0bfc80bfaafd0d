package model

import (
	"encoding/json"
	"fmt"
	"slices"

	"coup/harness"
)

// FencedMutex is a [Lock] without leases, as Jepsen's tests of Hazelcast have it:
// only the process that holds it can release it, and the token of an acquire, if it
// has one, is larger than all before.
func FencedMutex() Model {
	m := Lock()
	m.Name = "fenced-mutex"
	return m
}

// reentrantState is who holds a reentrant mutex, how often, and the tokens.
type reentrantState struct {
	times   int
	process int
	token   Maybe // with which it is held
	last    Maybe // the last one that was given
}

// ReentrantMutex is a mutex that its holder can acquire again, as in Jepsen's tests
// of Hazelcast, and must release as often. limit bounds how often it can be held at
// once, 0: any number of times. If acquires tell fencing tokens, those of the first
// acquire of a holder grow, and those of the same holder's next ones stay the same.
func ReentrantMutex(limit int) Model {
	return Model{
		Name:   "reentrant-mutex",
		Decode: DecodeLock,
		Init:   reentrantState{},
		Step: func(state any, op *harness.Operation) (any, bool) {
			now, ok := state.(reentrantState), op.Type == harness.OK
			mine := now.times > 0 && now.process == op.Process
			switch op.F {
			case "acquire":
				g := Granted(op)
				switch {
				case now.times > 0 && !mine, limit > 0 && now.times == limit:
					return state, !ok
				case mine:
					if g.Token.Set && now.token.Set && g.Token != now.token || g.Token.Set && !now.token.Set && now.last.Set && g.Token.Int <= now.last.Int {
						return state, !ok
					}
				case g.Token.Set && now.last.Set && g.Token.Int <= now.last.Int:
					return state, !ok
				}
				now.times++
				now.process = op.Process
				if g.Token.Set {
					now.token, now.last = g.Token, g.Token
				}
				return now, true
			case "release":
				if !mine {
					return state, !ok
				}
				if now.times--; now.times == 0 {
					now.process, now.token = 0, Maybe{}
				}
				return now, true
			}
			panic(unknownFunction(op.F, "a reentrant mutex", "acquire, release"))
		},
		Text:     Lock().Text,
		Personal: true,
	}
}

// DecodeSemaphore is the [harness.Decoder] of semaphores: acquire and release take
// how many permits, one if that is not said.
func DecodeSemaphore(t harness.Type, f string, raw json.RawMessage) (any, error) {
	permits := func(raw json.RawMessage) (any, error) {
		if absent(raw) {
			return int64(1), nil
		}
		v, err := parseInt(raw)
		if err == nil && v < 0 {
			err = fmt.Errorf("expected how many permits, not %d", v)
		}
		return v, err
	}
	return decode(t, f, raw, "a semaphore", function{"acquire", permits, anything}, function{"release", permits, anything})
}

func anything(json.RawMessage) (any, error) { return nil, nil }

// Semaphore has a number of permits, with acquire and release. A process can only
// release what it holds, as in Jepsen's tests of Hazelcast.
func Semaphore(permits int64) Model {
	return Model{
		Name:   "semaphore",
		Decode: DecodeSemaphore,
		Init:   "",
		Step: func(state any, op *harness.Operation) (any, bool) {
			n := op.Input.(int64)
			held := state.(string) // pairs of a process and how many it holds, by process
			total, mine, at, there := int64(0), int64(0), len(held)/16, false
			for i := range len(held) / 16 {
				process, has := elementAt(held, 2*i), elementAt(held, 2*i+1)
				total += has
				if process >= int64(op.Process) && !there {
					at = min(at, i)
				}
				if process == int64(op.Process) {
					mine, there = has, true
				}
			}
			switch op.F {
			case "acquire":
				if total+n > permits {
					return state, op.Type != harness.OK
				}
				mine += n
			case "release":
				if mine < n {
					return state, op.Type != harness.OK
				}
				mine -= n
			default:
				panic(unknownFunction(op.F, "a semaphore", "acquire, release"))
			}
			after := held[16*at:]
			if there {
				after = held[16*at+16:]
			}
			entry := ""
			if mine > 0 {
				entry = appendElement(appendElement("", int64(op.Process)), mine)
			}
			return held[:16*at] + entry + after, true
		},
		Text:     func(op *harness.Operation) string { return fmt.Sprintf("%s %d", op.F, op.Input) },
		Personal: true,
	}
}

// Bag is a queue without order, as Knossos' unordered-queue: a dequeue returns any
// element that is in it, nothing if there is none.
func Bag() Model {
	return Model{
		Name:   "unordered-queue",
		Decode: DecodeQueue,
		Init:   "",
		Step: func(state any, op *harness.Operation) (any, bool) {
			now := state.(string) // the elements in ascending order
			n := len(now) / 8
			find := func(v int64) int {
				for i := range n {
					if elementAt(now, i) >= v {
						return i
					}
				}
				return n
			}
			switch op.F {
			case "enqueue":
				i := find(op.Input.(int64))
				return appendElement(now[:8*i], op.Input.(int64)) + now[8*i:], true
			case "dequeue":
				if op.Type != harness.OK { // checkers leave it out where that is no loss
					return state, true
				}
				got := op.Output.(Maybe)
				if !got.Set {
					return state, n == 0
				}
				i := find(got.Int)
				if i == n || elementAt(now, i) != got.Int {
					return state, false
				}
				return now[:8*i] + now[8*i+8:], true
			}
			panic(unknownFunction(op.F, "an unordered queue", "enqueue, dequeue"))
		},
		ReadOnly: tookNothing,
		look:     looksAtElement("an unordered queue", "enqueue", "dequeue"),
		Text:     Queue().Text,
		Parts:    elementParts,
		Kind:     BagKind,
	}
}

// MultiRegister is several registers that one operation reads and writes at once, as
// Knossos has it: the function txn takes and returns a [Txn] of the steps r and w. A
// register holds nothing before the first write.
func MultiRegister() Model {
	type entry struct {
		key   string
		value int64
	}
	return Model{
		Name:   "multi-register",
		Decode: DecodeRegisterTxn,
		Init:   "",
		Step: func(state any, op *harness.Operation) (any, bool) {
			if op.F != "txn" {
				panic(unknownFunction(op.F, "several registers", "txn"))
			}
			steps := op.Input.(Txn)
			if op.Type == harness.OK {
				steps = op.Output.(Txn)
			}
			// The state is, in the order of the keys, of each its length, itself and its value.
			var now []entry
			for s := state.(string); s != ""; {
				n := int(elementAt(s, 0))
				now = append(now, entry{s[8 : 8+n], elementAt(s[8+n:], 0)})
				s = s[16+n:]
			}
			for _, m := range steps {
				at, there := slices.BinarySearchFunc(now, m.Key, func(e entry, k string) int {
					switch {
					case e.key < k:
						return -1
					case e.key > k:
						return 1
					}
					return 0
				})
				switch {
				case m.F == "w" && there:
					now[at].value = m.Value
				case m.F == "w":
					now = slices.Insert(now, at, entry{m.Key, m.Value})
				case op.Type != harness.OK:
				case there != m.Seen.Set || there && now[at].value != m.Seen.Int:
					return state, false
				}
			}
			after := ""
			for _, e := range now {
				after = appendElement(appendElement(after, int64(len(e.key)))+e.key, e.value)
			}
			return after, true
		},
		ReadOnly: func(op *harness.Operation) bool {
			return !slices.ContainsFunc(op.Input.(Txn), func(m Micro) bool { return m.F == "w" })
		},
		Text: func(op *harness.Operation) string {
			s := op.Input.(Txn).Asked()
			if got, ok := op.Output.(Txn); ok && got.Answered() != "" {
				s += " -> " + got.Answered()
			}
			return s
		},
	}
}
