package testhistory

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"coup/checker/model"
	"coup/harness"
)

// Shape says what histories to make up.
type Shape struct {
	Ops       int
	Processes int
	Open      float64 // the share of operations that end info
	Fail      float64 // and of those that end fail
	Values    int     // how many different values are used; 0: each once
	Faulty    float64 // the chance of each answer to be wrong
}

// madeUp is an operation under way in a made-up history.
type madeUp struct {
	op      harness.Operation
	took    bool // effect
	willing bool // to take effect
}

// Generate makes up a history of one object as an honest system would answer
// it, but for the mistakes that the shape asks for: answers of another moment,
// effects that are lost or happen twice.
func Generate(rng *rand.Rand, m model.Model, s Shape) []harness.Operation {
	var done []harness.Operation
	open := make([]*madeUp, s.Processes)
	sim := &simulated{rng: rng, faulty: s.Faulty, vague: s.Values > 0, holder: -1, mine: map[int]bool{}}
	pos, begun, process := 0, 0, s.Processes
	names := make([]int, s.Processes)
	for i := range names {
		names[i] = i
	}
	for begun < s.Ops || slices.ContainsFunc(open, func(u *madeUp) bool { return u != nil }) {
		p := rng.IntN(s.Processes)
		u := open[p]
		switch {
		case u == nil && begun < s.Ops:
			u = &madeUp{willing: true, op: harness.Operation{Process: names[p], Call: pos, Return: harness.Open, Start: time.Duration(pos) * time.Millisecond}}
			sim.invent(m, &u.op, s.Values)
			x := rng.Float64()
			switch {
			case x < s.Open:
				u.op.Type = harness.Info
				u.willing = rng.IntN(2) == 0
			case x < s.Open+s.Fail:
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

func (s *simulated) invent(m model.Model, op *harness.Operation, values int) {
	x := s.rng.IntN(10)
	switch m.Kind {
	case model.RegisterKind:
		switch {
		case x < 4:
			op.F = "read"
		case x < 7:
			op.F, op.Input = "write", s.value(values)
		default:
			op.F = "cas"
			from := model.Maybe{}
			if len(s.now) > 0 && s.rng.IntN(4) > 0 {
				from = s.now[len(s.now)-1].(model.Maybe)
			} else if s.last > 0 {
				from = model.Just(s.rng.Int64N(s.last) + 1)
			} else if values > 0 && s.rng.IntN(2) == 0 {
				from = model.Just(s.value(values))
			}
			op.Input = model.CAS{From: from, To: s.value(values)}
		}
	case model.KVKind:
		switch {
		case x < 4:
			op.F = "get"
		case x < 8:
			op.F, op.Input = "put", fmt.Sprintf("%d.", s.value(values))
		default:
			op.F, op.Input = "append", fmt.Sprintf("%d.", s.value(values))
		}
	case model.SetKind:
		if x < 5 {
			op.F = "read"
		} else {
			op.F, op.Input = "add", s.value(values)
		}
	case model.ListKind:
		if x < 5 {
			op.F = "read"
		} else {
			op.F, op.Input = "append", s.value(values)
		}
	case model.QueueKind:
		if x < 5 {
			op.F = "dequeue"
		} else {
			op.F, op.Input = "enqueue", s.value(values)
		}
	case model.StackKind, model.PriorityKind:
		if x < 5 {
			op.F = map[model.Kind]string{model.StackKind: "pop", model.PriorityKind: "delete-min"}[m.Kind]
		} else {
			op.F, op.Input = m.Kind.Puts(), scattered(s.value(values))
		}
	case model.MutexKind:
		op.F = []string{"acquire", "release"}[x%2]
	case model.LockKind:
		switch {
		case !s.mine[op.Process] && !s.wrong() || x < 2:
			op.F = "acquire"
		case x < 4:
			op.F = "renew"
		default:
			op.F = "release"
		}
	case model.CounterKind:
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

func (s *simulated) perform(m model.Model, op *harness.Operation) {
	switch m.Kind {
	case model.RegisterKind:
		now := model.Maybe{}
		if len(s.now) > 0 {
			now = s.now[len(s.now)-1].(model.Maybe)
		}
		if op.F == "write" {
			if !s.wrong() {
				s.now = append(s.now, model.Just(op.Input.(int64)))
			}
			return
		}
		saw := now
		if s.wrong() && len(s.now) > 0 {
			saw = s.now[max(0, len(s.now)-1-s.rng.IntN(3))].(model.Maybe)
		}
		op.Output = saw
		if c, ok := op.Input.(model.CAS); ok && c.From == saw {
			s.now = append(s.now, model.Just(c.To))
		} else if ok && s.vague && s.rng.IntN(2) == 0 {
			op.Output = model.Other{Than: c.From}
		}
	case model.KVKind:
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
	case model.SetKind:
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
	case model.ListKind:
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
	case model.QueueKind, model.StackKind, model.PriorityKind:
		// The element that comes out next is at the front.
		if v, ok := op.Input.(int64); ok {
			if s.wrong() {
				return
			}
			at := len(s.queue)
			if m.Kind == model.StackKind {
				at = 0
			}
			if m.Kind == model.PriorityKind {
				at, _ = slices.BinarySearch(s.queue, v)
			}
			s.queue = slices.Insert(s.queue, at, v)
			return
		}
		if s.wrong() && len(s.queue) > 1 {
			s.queue[0], s.queue[1] = s.queue[1], s.queue[0]
		}
		if len(s.queue) == 0 || s.wrong() && s.rng.IntN(2) == 0 {
			op.Output = model.Maybe{}
			return
		}
		op.Output = model.Just(s.queue[0])
		if !s.wrong() || s.rng.IntN(2) == 0 {
			s.queue = s.queue[1:]
		}
	case model.MutexKind, model.LockKind:
		s.lock(m, op)
	case model.CounterKind:
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
func (s *simulated) lock(m model.Model, op *harness.Operation) {
	s.clock = max(s.clock, op.Start)
	if s.clock >= s.until && m.Kind == model.LockKind {
		s.holder = -1
	}
	me := 0
	if m.Kind == model.LockKind {
		me = op.Process
	}
	possible := s.holder == me
	if op.F == "acquire" {
		possible = s.holder < 0
	}
	if !possible && (!s.wrong() || m.Kind == model.LockKind && s.rng.IntN(3) > 0) {
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
	if m.Kind == model.MutexKind {
		return
	}
	g := model.Grant{}
	if !s.vague || s.rng.IntN(8) == 0 {
		s.last++
		g.Token = model.Just(s.last)
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

// BruteForce tries every order and every fate of open operations. It is as
// simple as it can be, and exponential.
func BruteForce(m model.Model, ops []*harness.Operation) bool {
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
	Histories = flag.Int("histories", 600, "how many made-up histories each differential test judges")
	Seed      = flag.Uint64("seed", 1, "what made-up histories are made from")
)

// SwapAnswers lets two operations of one function return each other's answers.
func SwapAnswers(rng *rand.Rand, ops []harness.Operation) {
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

// Describe writes operations a line each, with their positions.
func Describe(m model.Model, ops []*harness.Operation) string {
	var b strings.Builder
	for i, op := range ops {
		until := "..."
		if r := model.Returned(op); r != harness.Open {
			until = fmt.Sprint(r)
		}
		fmt.Fprintf(&b, "%3d  %4d-%-4s %s %s\n", i, op.Call, until, m.Describe(op), op.Type)
	}
	return b.String()
}
