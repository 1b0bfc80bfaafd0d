// Package gen holds generators and their combinators: plain values that say
// which operation comes next, to be tested without any cluster.
//
// Start with [Keys], [Rate] and [Until]. A workload composes them, for example five active keys with two hundred
// operations each, at five hundred operations a second, for a minute:
//
//	gen.Until(time.Minute, gen.Rate(500, gen.Keys(5, func(key string) harness.Generator {
//		return gen.Limit(200, readsAndWrites(key))
//	})))
package gen

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"coup/harness"
)

// Pending is the answer "nothing for you now, ask again after a completion".
var Pending = harness.Op{}

// Func is a generator that asks a function for every operation, without end.
type Func func(m harness.Moment) harness.Op

// Next implements harness.Generator.
func (f Func) Next(m harness.Moment) (harness.Op, harness.Generator) { return f(m), f }

// Update implements harness.Generator.
func (f Func) Update(harness.Moment, harness.Op) harness.Generator { return f }

// Limit ends g after n operations.
func Limit(n int, g harness.Generator) harness.Generator { return limit{n, g} }

type limit struct {
	left int
	g    harness.Generator
}

func (l limit) Next(m harness.Moment) (harness.Op, harness.Generator) {
	if l.left <= 0 {
		return harness.Op{}, nil
	}
	op, g := l.g.Next(m)
	if g == nil {
		return op, nil
	}
	if op.F != "" {
		l.left--
	}
	return op, limit{l.left, g}
}

func (l limit) Update(m harness.Moment, op harness.Op) harness.Generator {
	return limit{l.left, l.g.Update(m, op)}
}

// LimitHappened ends g after n operations that did not fail. Failed operations do not
// count; otherwise a node that refuses everything at once would use up the objects.
func LimitHappened(n int, g harness.Generator) harness.Generator { return limitHappened{limit{n, g}} }

type limitHappened struct{ limit }

func (l limitHappened) Next(m harness.Moment) (harness.Op, harness.Generator) {
	op, g := l.limit.Next(m)
	return op, wrap(g, func(g harness.Generator) harness.Generator { return limitHappened{g.(limit)} })
}

func (l limitHappened) Update(m harness.Moment, op harness.Op) harness.Generator {
	next := l.limit.Update(m, op).(limit)
	if op.Type == harness.Fail {
		next.left++
	}
	return limitHappened{next}
}

// Until ends g at the time end; an operation that would begin later is dropped.
func Until(end time.Duration, g harness.Generator) harness.Generator { return until{end, g} }

type until struct {
	end time.Duration
	g   harness.Generator
}

func (u until) Next(m harness.Moment) (harness.Op, harness.Generator) {
	if m.Time >= u.end {
		return harness.Op{}, nil
	}
	op, g := u.g.Next(m)
	if g == nil || op.F != "" && op.Time >= u.end {
		return harness.Op{}, nil
	}
	if op.F == "" && (op.Time == 0 || op.Time > u.end) {
		op.Time = u.end // so that a thread that waits notices the end
	}
	return op, until{u.end, g}
}

func (u until) Update(m harness.Moment, op harness.Op) harness.Generator {
	return until{u.end, u.g.Update(m, op)}
}

// Rate spaces the operations of g so that perSecond of them begin each second
// on average, at random intervals (a Poisson process): clients that do not know
// of each other. Operations that are late begin at once, so that a pause of the
// system shows as waiting and not as a lack of questions. A rate of 0 is no
// limit.
func Rate(perSecond float64, g harness.Generator) harness.Generator {
	if perSecond <= 0 {
		return g
	}
	return rate{interval: float64(time.Second) / perSecond, g: g}
}

type rate struct {
	interval float64 // nanoseconds on average
	due      time.Duration
	g        harness.Generator
}

func (r rate) Next(m harness.Moment) (harness.Op, harness.Generator) {
	op, g := r.g.Next(m)
	if g == nil || op.F == "" {
		return op, wrap(g, func(g harness.Generator) harness.Generator { return rate{r.interval, r.due, g} })
	}
	if r.due == 0 {
		r.due = m.Time
	}
	op.Time = max(op.Time, r.due)
	next := r.due + time.Duration(m.Rand.ExpFloat64()*r.interval)
	// After a long stand-still there is no point in catching up with more
	// than a second of missed operations.
	return op, rate{r.interval, max(next, m.Time-time.Second), g}
}

func (r rate) Update(m harness.Moment, op harness.Op) harness.Generator {
	return rate{r.interval, r.due, r.g.Update(m, op)}
}

// Stage is a part of an open-loop load: for as long as it lasts, the rate goes evenly from
// one number of operations a second to another.
type Stage struct {
	For      time.Duration
	From, To float64
}

// Arrivals makes the operations of g an open-loop load that begins at start: each is due
// at a moment that does not depend on how earlier ones fare (a Poisson process whose rate
// follows the stages; after the last one its last rate goes on). An operation for which no
// process is free then begins when one is, and keeps its moment as its Due.
func Arrivals(start time.Duration, stages []Stage, g harness.Generator) harness.Generator {
	return arrivals{start: start, stages: stages, g: g}
}

type arrivals struct {
	start, due time.Duration // due: of the next operation, since the start of the run; 0: not drawn yet
	stages     []Stage
	g          harness.Generator
}

func (a arrivals) Next(m harness.Moment) (harness.Op, harness.Generator) {
	op, g := a.g.Next(m)
	if g != nil && op.F != "" {
		if a.due == 0 {
			a.due = a.after(a.start, m.Rand.ExpFloat64())
		}
		op.Time = max(op.Time, a.due)
		op.Due = op.Time
		a.due = a.after(a.due, m.Rand.ExpFloat64())
	}
	return op, wrap(g, func(g harness.Generator) harness.Generator { a.g = g; return a })
}

func (a arrivals) Update(m harness.Moment, op harness.Op) harness.Generator {
	a.g = a.g.Update(m, op)
	return a
}

// after is the moment until which n operations are expected after t. With n drawn from the
// exponential distribution it is the next arrival of a Poisson process with a rate that
// changes (Cinlar: Introduction to Stochastic Processes, 1975, by inversion).
func (a arrivals) after(t time.Duration, n float64) time.Duration {
	end, last := a.start, 0.0
	for _, s := range a.stages {
		begin := end
		end, last = begin+s.For, s.To
		if t >= end {
			continue
		}
		slope := (s.To - s.From) / s.For.Seconds()
		rate, left := s.From+slope*(t-begin).Seconds(), (end - t).Seconds()
		if expected := (rate + s.To) / 2 * left; n > expected {
			t, n = end, n-expected
			continue
		}
		return t + seconds(2*n/(rate+math.Sqrt(max(0, rate*rate+2*slope*n))))
	}
	return t + seconds(n/last)
}

// seconds is a duration, at least a nanosecond so that time goes on, and at most a year.
func seconds(s float64) time.Duration {
	const year = 365 * 24 * time.Hour
	if !(s < year.Seconds()) {
		return year
	}
	return max(1, time.Duration(s*float64(time.Second)))
}

func wrap(g harness.Generator, f func(harness.Generator) harness.Generator) harness.Generator {
	if g == nil {
		return nil
	}
	return f(g)
}

// Pause is a time in which nobody asks for anything.
type Pause struct{ From, To time.Duration }

// Pauses lets g rest in each of the pauses, which are in order and do not overlap. Some
// defects only show when a system has nothing to do for a while.
func Pauses(of []Pause, g harness.Generator) harness.Generator {
	if len(of) == 0 {
		return g
	}
	return pauses{of, g}
}

type pauses struct {
	of []Pause
	g  harness.Generator
}

func (p pauses) Next(m harness.Moment) (harness.Op, harness.Generator) {
	for len(p.of) > 0 && p.of[0].To <= m.Time {
		p.of = p.of[1:]
	}
	if len(p.of) == 0 {
		return p.g.Next(m)
	}
	wait := harness.Op{Time: p.of[0].To}
	if m.Time >= p.of[0].From {
		return wait, p
	}
	op, g := p.g.Next(m)
	if g != nil && op.F != "" && op.Time >= p.of[0].From {
		return wait, p // g is asked again after the pause
	}
	return op, wrap(g, func(g harness.Generator) harness.Generator { return pauses{p.of, g} })
}

func (p pauses) Update(m harness.Moment, op harness.Op) harness.Generator {
	return pauses{p.of, p.g.Update(m, op)}
}

// DrawPauses draws pauses from a seed, until the time end after from: each lasts between
// half and one and a half times length, and as much time passes between two as between half and one and a
// half times every.
func DrawPauses(seed uint64, every, length, from, end time.Duration) (all []Pause) {
	if every <= 0 || length <= 0 {
		return nil
	}
	r := rand.New(rand.NewPCG(seed, 0x9a05e)) // not the numbers that faults are drawn from
	around := func(d time.Duration) time.Duration {
		return time.Duration((0.5 + r.Float64()) * float64(d)).Round(time.Millisecond)
	}
	for at := from + around(every); at < end; {
		p := Pause{at, at + around(length)}
		all = append(all, p)
		at = p.To + around(every)
	}
	return all
}

// Keys works on n objects at a time, chosen at random for each operation. The
// operations of an object come from generate; when they are exhausted, a new
// object takes its place: k0, k1, k2, ... without end. Objects are independent
// of each other, which is what lets a checker judge long runs.
func Keys(n int, generate func(key string) harness.Generator) harness.Generator {
	k := keys{generate: generate, next: n, active: make([]object, n)}
	for i := range k.active {
		k.active[i] = k.object(i)
	}
	return k
}

type keys struct {
	generate func(key string) harness.Generator
	active   []object
	next     int
}

type object struct {
	key string
	g   harness.Generator
}

func (k keys) object(i int) object {
	key := "k" + strconv.Itoa(i)
	return object{key, k.generate(key)}
}

func (k keys) Next(m harness.Moment) (harness.Op, harness.Generator) {
	i := m.Rand.IntN(len(k.active))
	op, g := k.active[i].g.Next(m)
	if g == nil {
		k = k.with(i, k.object(k.next))
		k.next++
		if op, g = k.active[i].g.Next(m); g == nil {
			return harness.Op{}, nil // generate makes empty generators: there is nothing to do
		}
	}
	op.Key = k.active[i].key
	return op, k.with(i, object{op.Key, g})
}

func (k keys) Update(m harness.Moment, op harness.Op) harness.Generator {
	i := slices.IndexFunc(k.active, func(o object) bool { return o.key == op.Key })
	if i < 0 {
		return k
	}
	return k.with(i, object{op.Key, k.active[i].g.Update(m, op)})
}

func (k keys) with(i int, o object) keys {
	k.active = slices.Clone(k.active)
	k.active[i] = o
	return k
}

// Retry performs each of ops again and again, until done is true for its completion. No
// operation of the list is under way twice at the same time.
func Retry(ops []harness.Op, done func(op harness.Op) bool) harness.Generator {
	return retry{todo: ops, done: done}
}

type retry struct {
	todo []harness.Op
	busy int
	done func(op harness.Op) bool
}

func (r retry) Next(harness.Moment) (harness.Op, harness.Generator) {
	if len(r.todo) == 0 {
		if r.busy == 0 {
			return harness.Op{}, nil
		}
		return Pending, r
	}
	op := r.todo[0]
	return op, retry{r.todo[1:], r.busy + 1, r.done}
}

func (r retry) Update(_ harness.Moment, op harness.Op) harness.Generator {
	r.busy--
	if !r.done(op) {
		// The operation is invoked again with the argument of before, not with the answer. An
		// operation that was answered and is not done (a dequeue) has no argument.
		again := harness.Op{F: op.F, Key: op.Key}
		if op.Type != harness.OK {
			again.Value = op.Value
		}
		r.todo = append(slices.Clone(r.todo), again)
	}
	return r
}

// Listed gives each thread its own operations, of[thread], one after the other:
// each at its Time, or as soon as the one before it has ended. It has nothing
// left when all of them were begun.
func Listed(of [][]harness.Op) harness.Generator { return listed{of} }

type listed struct{ of [][]harness.Op }

func (l listed) Next(m harness.Moment) (harness.Op, harness.Generator) {
	if m.Thread < len(l.of) && len(l.of[m.Thread]) > 0 {
		op := l.of[m.Thread][0]
		of := slices.Clone(l.of)
		of[m.Thread] = of[m.Thread][1:]
		return op, listed{of}
	}
	if slices.ContainsFunc(l.of, func(ops []harness.Op) bool { return len(ops) > 0 }) {
		return Pending, l
	}
	return harness.Op{}, nil
}

func (l listed) Update(harness.Moment, harness.Op) harness.Generator { return l }
