package checker

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"coup/harness"
)

// shape says what histories to make up.
type shape struct {
	ops       int
	processes int
	open      float64 // the share of operations that end info
	fail      float64 // and of those that end fail
	values    int     // how many different values are used; 0: each once
	faulty    float64 // the chance of each answer to be wrong
}

// madeUp is an operation under way in a made-up history.
type madeUp struct {
	op      harness.Operation
	took    bool // effect
	willing bool // to take effect
}

// generate makes up a history of one object as an honest system would answer
// it, but for the mistakes that the shape asks for: answers of another moment,
// effects that are lost or happen twice.
func generate(rng *rand.Rand, m Model, s shape) []harness.Operation {
	var done []harness.Operation
	open := make([]*madeUp, s.processes)
	sim := &simulated{rng: rng, faulty: s.faulty, vague: s.values > 0, holder: -1, mine: map[int]bool{}}
	pos, begun, process := 0, 0, s.processes
	names := make([]int, s.processes)
	for i := range names {
		names[i] = i
	}
	for begun < s.ops || slices.ContainsFunc(open, func(u *madeUp) bool { return u != nil }) {
		p := rng.IntN(s.processes)
		u := open[p]
		switch {
		case u == nil && begun < s.ops:
			u = &madeUp{willing: true, op: harness.Operation{Process: names[p], Call: pos, Return: harness.Open, Start: time.Duration(pos) * time.Millisecond}}
			sim.invent(m, &u.op, s.values)
			x := rng.Float64()
			switch {
			case x < s.open:
				u.op.Type = harness.Info
				u.willing = rng.IntN(2) == 0
			case x < s.open+s.fail:
				u.op.Type, u.willing = harness.Fail, false
			default:
				u.op.Type = harness.OK
			}
			open[p] = u
			begun++
			pos++
		case u == nil:
		case u.willing && !u.took && (rng.IntN(2) == 0 || u.op.Type != harness.OK):
			sim.perform(m, &u.op)
			u.took = true
		case u.op.Type == harness.Info:
			// It may take effect even after its process gave up.
			u.op.Output = nil
			done = append(done, u.op)
			open[p] = nil
			names[p], process = process, process+1
		case u.took || u.op.Type == harness.Fail:
			u.op.Return = pos
			u.op.End = time.Duration(pos) * time.Millisecond
			pos++
			done = append(done, u.op)
			open[p] = nil
		}
	}
	slices.SortFunc(done, func(a, b harness.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return done
}

// simulated is the object behind a made-up history.
type simulated struct {
	rng    *rand.Rand
	faulty float64
	vague  bool // compare-and-sets that fail may not tell what they saw
	last   int64
	now    []any // the state now and all before it
	queue  []int64
	set    []int64
	seen   []any // answers given before
	holder int   // the process that holds the lock, -1 if none does
	until  time.Duration
	clock  time.Duration
	mine   map[int]bool // processes that believe that they hold it
}

func (s *simulated) value(values int) int64 {
	if values > 0 {
		return int64(s.rng.IntN(values)) + 1
	}
	s.last++
	return s.last
}

// scattered is a number that is no larger for being made up later.
func scattered(v int64) int64 { return v * 0x9e3779b1 % 0xffffffff }

func (s *simulated) invent(m Model, op *harness.Operation, values int) {
	x := s.rng.IntN(10)
	switch m.kind {
	case registerKind:
		switch {
		case x < 4:
			op.F = "read"
		case x < 7:
			op.F, op.Input = "write", s.value(values)
		default:
			op.F = "cas"
			from := Maybe{}
			if len(s.now) > 0 && s.rng.IntN(4) > 0 {
				from = s.now[len(s.now)-1].(Maybe)
			} else if s.last > 0 {
				from = Just(s.rng.Int64N(s.last) + 1)
			} else if values > 0 && s.rng.IntN(2) == 0 {
				from = Just(s.value(values))
			}
			op.Input = CAS{From: from, To: s.value(values)}
		}
	case anyKind: // a string
		switch {
		case x < 4:
			op.F = "get"
		case x < 8:
			op.F, op.Input = "put", fmt.Sprint(s.value(values))
		default:
			op.F, op.Input = "append", fmt.Sprint(s.value(values))
		}
	case setKind:
		if x < 5 {
			op.F = "read"
		} else {
			op.F, op.Input = "add", s.value(values)
		}
	case listKind:
		if x < 5 {
			op.F = "read"
		} else {
			op.F, op.Input = "append", s.value(values)
		}
	case queueKind:
		if x < 5 {
			op.F = "dequeue"
		} else {
			op.F, op.Input = "enqueue", s.value(values)
		}
	case stackKind, priorityKind:
		if x < 5 {
			op.F = map[kind]string{stackKind: "pop", priorityKind: "delete-min"}[m.kind]
		} else {
			op.F, op.Input = m.kind.puts(), scattered(s.value(values))
		}
	case mutexKind:
		op.F = []string{"acquire", "release"}[x%2]
	case lockKind:
		switch {
		case !s.mine[op.Process] && !s.wrong() || x < 2:
			op.F = "acquire"
		case x < 4:
			op.F = "renew"
		default:
			op.F = "release"
		}
	case counterKind:
		if x < 5 {
			op.F = "read"
		} else {
			op.F, op.Input = "add", int64(s.rng.IntN(4)-1)
		}
	}
}

func (s *simulated) wrong() bool { return s.rng.Float64() < s.faulty }

// earlier is an answer of another moment.
func (s *simulated) answer(right any) any {
	s.seen = append(s.seen, right)
	if s.wrong() {
		return s.seen[max(0, len(s.seen)-1-s.rng.IntN(4))]
	}
	return right
}

func (s *simulated) perform(m Model, op *harness.Operation) {
	switch m.kind {
	case registerKind:
		now := Maybe{}
		if len(s.now) > 0 {
			now = s.now[len(s.now)-1].(Maybe)
		}
		if op.F == "write" {
			if !s.wrong() {
				s.now = append(s.now, Just(op.Input.(int64)))
			}
			return
		}
		saw := now
		if s.wrong() && len(s.now) > 0 {
			saw = s.now[max(0, len(s.now)-1-s.rng.IntN(3))].(Maybe)
		}
		op.Output = saw
		if c, ok := op.Input.(CAS); ok && c.From == saw {
			s.now = append(s.now, Just(c.To))
		} else if ok && s.vague && s.rng.IntN(2) == 0 {
			op.Output = Other{Than: c.From}
		}
	case anyKind:
		now := ""
		if len(s.now) > 0 {
			now = s.now[len(s.now)-1].(string)
		}
		switch {
		case op.F == "get":
			op.Output = s.answer(now)
		case s.wrong():
		case op.F == "put":
			s.now = append(s.now, op.Input)
		default:
			s.now = append(s.now, now+op.Input.(string))
		}
	case setKind:
		if op.F == "add" {
			if v := op.Input.(int64); !s.wrong() && !slices.Contains(s.set, v) {
				s.set = append(s.set, v)
			}
			return
		}
		read := slices.Clone(s.set)
		if s.wrong() && len(read) > 0 {
			i := s.rng.IntN(len(read))
			read = slices.Delete(read, i, i+1)
		}
		s.rng.Shuffle(len(read), func(i, j int) { read[i], read[j] = read[j], read[i] })
		op.Output = append([]int64{}, read...)
	case listKind:
		if op.F == "append" {
			if !s.wrong() {
				s.set = append(s.set, op.Input.(int64))
			}
			return
		}
		read := slices.Clone(s.set)
		if n := len(read); n > 1 && s.wrong() {
			read[n-1], read[n-2] = read[n-2], read[n-1]
		}
		if n := len(read); n > 0 && s.wrong() {
			read = read[:n-1]
		}
		op.Output = append([]int64{}, read...)
	case queueKind, stackKind, priorityKind:
		// The element that comes out next is at the front.
		if v, ok := op.Input.(int64); ok {
			if s.wrong() {
				return
			}
			at := len(s.queue)
			if m.kind == stackKind {
				at = 0
			}
			if m.kind == priorityKind {
				at, _ = slices.BinarySearch(s.queue, v)
			}
			s.queue = slices.Insert(s.queue, at, v)
			return
		}
		if s.wrong() && len(s.queue) > 1 {
			s.queue[0], s.queue[1] = s.queue[1], s.queue[0]
		}
		if len(s.queue) == 0 || s.wrong() && s.rng.IntN(2) == 0 {
			op.Output = Maybe{}
			return
		}
		op.Output = Just(s.queue[0])
		if !s.wrong() || s.rng.IntN(2) == 0 {
			s.queue = s.queue[1:]
		}
	case mutexKind, lockKind:
		s.lock(m, op)
	case counterKind:
		now := int64(0)
		if len(s.now) > 0 {
			now = s.now[len(s.now)-1].(int64)
		}
		if op.F == "add" {
			if !s.wrong() {
				s.now = append(s.now, now+op.Input.(int64))
			}
			return
		}
		op.Output = s.answer(now)
	}
	if op.Type != harness.OK {
		op.Output = nil
	}
}

// lock performs an operation on a mutex or a lock, or lets it fail. Clocks tell
// when operations were called.
func (s *simulated) lock(m Model, op *harness.Operation) {
	s.clock = max(s.clock, op.Start)
	if s.clock >= s.until && m.kind == lockKind {
		s.holder = -1
	}
	me := 0
	if m.kind == lockKind {
		me = op.Process
	}
	possible := s.holder == me
	if op.F == "acquire" {
		possible = s.holder < 0
	}
	if !possible && (!s.wrong() || m.kind == lockKind && s.rng.IntN(3) > 0) {
		if op.Type == harness.OK {
			op.Type = harness.Fail
		}
		s.mine[op.Process] = s.mine[op.Process] && s.holder == op.Process
		return
	}
	if op.F == "release" {
		s.mine[op.Process] = false
		s.holder = -1
		return
	}
	s.mine[op.Process], s.holder, s.until = true, me, time.Duration(harness.Open)
	if m.kind == mutexKind {
		return
	}
	g := Grant{}
	if !s.vague || s.rng.IntN(8) == 0 {
		s.last++
		g.Token = Just(s.last)
		if s.wrong() && s.rng.IntN(3) == 0 {
			g.Token.Int -= s.rng.Int64N(3)
		}
	}
	if s.rng.IntN(4) > 0 {
		g.Lease = time.Duration(s.rng.IntN(12)+1) * time.Millisecond
		s.until = op.Start + g.Lease
	}
	op.Output = g
}

// bruteForce tries every order and every fate of open operations. It is as
// simple as it can be, and exponential.
func bruteForce(m Model, ops []*harness.Operation) bool {
	done := make([]bool, len(ops))
	var try func(state any) bool
	try = func(state any) bool {
		left, first := false, harness.Open
		for i, op := range ops {
			if !done[i] && op.Type == harness.OK {
				left, first = true, min(first, op.Return)
			}
		}
		if !left {
			return true
		}
		for i, op := range ops {
			if done[i] || op.Call > first {
				continue
			}
			if next, ok := m.Step(state, op); ok {
				done[i] = true
				if try(next) {
					return true
				}
				done[i] = false
			}
		}
		return false
	}
	return try(m.Init)
}

var (
	histories = flag.Int("histories", 600, "how many made-up histories each differential test judges")
	seed      = flag.Uint64("seed", 1, "what made-up histories are made from")
)

// swapAnswers lets two operations of one function return each other's answers.
func swapAnswers(rng *rand.Rand, ops []harness.Operation) {
	var answered []int
	for i := range ops {
		if ops[i].Output != nil {
			answered = append(answered, i)
		}
	}
	if len(answered) < 2 {
		return
	}
	a := &ops[answered[rng.IntN(len(answered))]]
	for range 4 {
		if b := &ops[answered[rng.IntN(len(answered))]]; b.F == a.F {
			a.Output, b.Output = b.Output, a.Output
		}
	}
}

func describe(m Model, ops []*harness.Operation) string {
	var b strings.Builder
	for i, op := range ops {
		until := "..."
		if r := ret(op); r != harness.Open {
			until = fmt.Sprint(r)
		}
		fmt.Fprintf(&b, "%3d  %4d-%-4s %s %s\n", i, op.Call, until, m.describe(op), op.Type)
	}
	return b.String()
}
