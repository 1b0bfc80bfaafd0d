package linearizable

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

// A reader of stories: it knows every sentence that a counterexample may consist
// of, and holds each against the whole history from which the counterexample was
// cut. It knows nothing of how the story was made, only its words. Each operation of
// a made-up history begins and ends at a moment of its own, so that a moment says
// which one is meant.
type reader struct {
	m     model.Model
	ops   []*harness.Operation // the whole history, in the order of the calls
	told  []harness.Operation  // those that the story told of so far, but for what failed
	last  *harness.Operation   // the one that it told of last
	fails int64                // those that failed
	any   bool                 // whatever the object was before
	short bool                 // some were left out
}

const endless = time.Duration(1 << 62)

// ended is when op took effect at the latest.
func ended(op *harness.Operation) time.Duration {
	if op.Type != harness.OK {
		return endless
	}
	return op.End
}

// sentence is a form of sentences, and what makes one true.
type sentence struct {
	form *regexp.Regexp
	true func(r *reader, words []string) bool
}

// name is what objects of a model are called in sentences.
func name(m model.Model) string {
	if m.Kind == model.KVKind {
		return "key-value store"
	}
	return strings.ReplaceAll(m.Name, "-", " ")
}

func form(s string) *regexp.Regexp {
	s = strings.NewReplacer(
		"TIMES", `(once|\d+ times)`, "TIME", `(\d+\.\d{3} s)`, "NUM", `(-?\d+)`, "VALUE", `(-?\d+|nothing)`, "OBJECT", `the [a-z -]+`,
		"EXCEPT", `(?:, except in (one|\d+) attempts? that failed)?`,
	).Replace(s)
	return regexp.MustCompile("^(?:" + s + ")$")
}

func seconds(s string) time.Duration {
	f, _ := strconv.ParseFloat(strings.TrimSuffix(s, " s"), 64)
	return time.Duration(f*1000+0.5) * time.Millisecond
}

func number(s string) int64 {
	switch s {
	case "", "no":
		return 0
	case "one", "once", "only one":
		return 1
	}
	n, _ := strconv.ParseInt(strings.Fields(strings.TrimPrefix(s, "only "))[0], 10, 64)
	return n
}

// brought is the value that op brings into the object if it happens.
func brought(op *harness.Operation) (v int64, happens, ok bool) {
	switch in := op.Input.(type) {
	case int64:
		return in, op.Type != harness.Fail, true
	case model.CAS:
		return in.To, op.Type == harness.Info || op.Type == harness.OK && op.Output == any(in.From), true
	}
	return 0, false, false
}

// bring are the operations that bring v, or would have if they had not failed.
func (r *reader) bring(v int64, happen bool) (ops []*harness.Operation) {
	for _, op := range r.ops {
		if w, happens, ok := brought(op); ok && w == v && happens == happen {
			ops = append(ops, op)
		}
	}
	return ops
}

func (r *reader) startingAt(at time.Duration) *harness.Operation {
	for _, op := range r.ops {
		if op.Start == at {
			return op
		}
	}
	return nil
}

func (r *reader) endingAt(at time.Duration) *harness.Operation {
	for _, op := range r.ops {
		if op.Type == harness.OK && op.End == at {
			return op
		}
	}
	return nil
}

func took(op *harness.Operation, v int64) bool { return op.Output == any(model.Just(v)) }

func shows(op *harness.Operation, v int64) bool {
	all, _ := op.Output.([]int64)
	return slices.Contains(all, v)
}

// effect is what a completed operation on a register found it to be.
func found(op *harness.Operation) (v model.Maybe, ok bool) {
	v, ok = op.Output.(model.Maybe)
	return v, ok && op.Type == harness.OK
}

var sentences = []sentence{
	{form(`Whatever OBJECT held before that:|Whether OBJECT was held before that or not:`), func(r *reader, _ []string) bool {
		r.any = true
		return true
	}},
	{form(`The first \d+ operations? are left out here\.`), func(r *reader, _ []string) bool {
		r.short = true
		return true
	}},
	{form(`At TIME the lease of process NUM was over; from then on OBJECT may have passed to others\.`), func(r *reader, w []string) bool {
		return slices.ContainsFunc(r.ops, func(op *harness.Operation) bool {
			g, _ := op.Output.(model.Grant)
			return op.Process == int(number(w[2])) && g.Lease > 0 && op.Start+g.Lease == seconds(w[1])
		})
	}},
	{form(`At TIME(, after that,)? process NUM (.*)\.`), (*reader).operation},
	{form(`Nobody had begun to [a-z]+ NUM [a-z]+ OBJECT by TIMEEXCEPT\.`), func(r *reader, w []string) bool {
		v, by := number(w[1]), seconds(w[2])
		shown := r.endingAt(by)
		begun := func(op *harness.Operation) bool { return op.Start < by && op != shown }
		failed := int64(0)
		for _, op := range r.bring(v, false) {
			if begun(op) && op != shown {
				failed++
			}
		}
		got, _ := found(shown)
		return !slices.ContainsFunc(r.bring(v, true), begun) && failed == number(w[3]) && (got == model.Just(v) || shows(shown, v))
	}},
	{form(`When process NUM began at TIME, OBJECT was no longer empty: NUM was there by TIME\.`), func(r *reader, w []string) bool {
		read, by := r.startingAt(seconds(w[2])), r.endingAt(seconds(w[4]))
		saw, ok := found(read)
		return read.Process == int(number(w[1])) && ok && !saw.Set && by.End < read.Start && r.thereBy(by, number(w[3]))
	}},
	{form(`When process NUM began at TIME, NUM was gone: NUM was there by TIME, and from TIME to TIME nobody was writing NUM to OBJECTEXCEPT\.`), func(r *reader, w []string) bool {
		read, by := r.startingAt(seconds(w[2])), r.endingAt(seconds(w[5]))
		v, other, since, until := number(w[3]), number(w[4]), seconds(w[6]), seconds(w[7])
		saw, ok := found(read)
		if !ok || saw != model.Just(v) || number(w[8]) != v || read.Process != int(number(w[1])) || read.End != until || by.End > read.Start || !r.thereBy(by, other) {
			return false
		}
		// The other value was there at some time after since.
		later := by.Start >= since
		if got, ok := found(by); ok && got == model.Just(other) && !later {
			later = !slices.ContainsFunc(r.bring(other, true), func(op *harness.Operation) bool { return op.Start < since })
		}
		during := func(end func(*harness.Operation) time.Duration) func(op *harness.Operation) bool {
			return func(op *harness.Operation) bool { return op != read && op.Start < until && end(op) > since }
		}
		failed := int64(0)
		for _, op := range r.bring(v, false) {
			if op != read && during(func(op *harness.Operation) time.Duration { return op.End })(op) {
				failed++
			}
		}
		return later && failed == number(w[9]) && !slices.ContainsFunc(r.bring(v, true), during(ended))
	}},
	{form(`When process NUM began at TIME, NUM was gone: it was written only once and was there by TIME, and NUM was there at some time from TIME to TIME\.`), func(r *reader, w []string) bool {
		read, seen, by := r.startingAt(seconds(w[2])), r.endingAt(seconds(w[4])), r.endingAt(seconds(w[7]))
		v, other, since := number(w[3]), number(w[5]), seconds(w[6])
		saw, ok := found(read)
		if !ok || saw != model.Just(v) || len(r.bring(v, true)) != 1 || !r.thereBy(seen, v) || !r.thereBy(by, other) || seen.End > since || by.End > read.Start {
			return false
		}
		got, _ := found(by)
		return by.Start >= since || got == model.Just(other) && !slices.ContainsFunc(r.bring(other, true), func(op *harness.Operation) bool { return op.Start < since })
	}},
	{form(`Processes NUM and NUM both replaced NUM, which was written only once\.`), func(r *reader, w []string) bool {
		return len(r.bring(number(w[3]), true)) == 1 && r.bothReplaced(number(w[1]), number(w[2]), model.Just(number(w[3])))
	}},
	{form(`Processes NUM and NUM both found OBJECT empty and wrote to it\.`), func(r *reader, w []string) bool {
		return r.bothReplaced(number(w[1]), number(w[2]), model.Maybe{})
	}},
	{form(`NUM stands more than once in what process NUM read at TIME\.`), func(r *reader, w []string) bool {
		n := 0
		for _, v := range r.endingAt(seconds(w[3])).Output.([]int64) {
			if v == number(w[1]) {
				n++
			}
		}
		return n > 1
	}},
	{form(`NUM was in OBJECT by TIME, before process NUM began to read at TIME, and is missing in its answer(.*)\.`), func(r *reader, w []string) bool {
		v, by, read := number(w[1]), r.endingAt(seconds(w[2])), r.startingAt(seconds(w[4]))
		if w, _, ok := brought(by); !shows(by, v) && (!ok || w != v) {
			return false
		}
		if by.End > read.Start || shows(read, v) || read.Type != harness.OK {
			return false
		}
		if w[5] == " and ever after" {
			return !slices.ContainsFunc(r.ops, func(op *harness.Operation) bool { return op.Start > read.Start && shows(op, v) })
		}
		again := form(`; the read of process NUM at TIME shows it again`).FindStringSubmatch(w[5])
		return again != nil && shows(r.endingAt(seconds(again[2])), v) && r.endingAt(seconds(again[2])).Start > read.Start
	}},
	{form(`By TIME, NUM had come out TIMES, and nobody had begun to put it in(?: more than TIMES)?EXCEPT\.`), func(r *reader, w []string) bool {
		by, v := seconds(w[1]), number(w[2])
		in, out := int64(0), int64(0)
		if r.failedBefore(r.bring(v, false), by) != number(w[5]) {
			return false
		}
		for _, op := range r.bring(v, true) {
			if op.Start < by {
				in++
			}
		}
		for _, op := range r.ops {
			if took(op, v) && op.End <= by {
				out++
			}
		}
		return in == number(w[4]) && out == number(w[3]) && out > in
	}},
	{form(`NUM was in OBJECT before anybody began to enqueue NUMEXCEPT, and still there when NUM was out, at TIME\.`), func(r *reader, w []string) bool {
		v, other, by := number(w[1]), number(w[2]), seconds(w[5])
		in := r.inBy(v)
		if r.failedBefore(r.bring(other, false), in) != number(w[3]) {
			return false
		}
		for _, op := range r.bring(other, true) {
			if op.Start < in {
				return false
			}
		}
		return other == number(w[4]) && took(r.endingAt(by), other) && r.certainly(v, in, by)
	}},
	{form(`NUM was in OBJECT all the while that process NUM found it empty, from TIME to TIME\.`), func(r *reader, w []string) bool {
		empty := r.startingAt(seconds(w[3]))
		got, ok := found(empty)
		return ok && !got.Set && empty.End == seconds(w[4]) && r.inBy(number(w[1])) < empty.Start && r.certainly(number(w[1]), r.inBy(number(w[1])), empty.End)
	}},
	{form(`NUM elements, NUM among them, were in OBJECT before process NUM found it empty \(TIME to TIME\), and (?:nobody can have taken them out by then|of unknown result only (one|\d+) [a-z-]+ had begun by then)\.`), func(r *reader, w []string) bool {
		empty := r.startingAt(seconds(w[4]))
		open := int64(0)
		out := map[int64]bool{}
		in := map[int64]bool{}
		for _, op := range r.ops {
			if op.Input == nil && op.Start < empty.End && op.Type == harness.Info {
				open++
			}
			if got, ok := found(op); ok && got.Set && op.Start < empty.End {
				out[got.Int] = true
			}
			if v, _, ok := brought(op); ok && op.Type == harness.OK && op.End < empty.Start {
				in[v] = true
			}
		}
		missing := int64(0)
		for v := range in {
			if !out[v] && len(r.bring(v, true)) == 1 {
				missing++
			}
		}
		v := number(w[2])
		return missing == number(w[1]) && open == number(w[6]) && in[v] && !out[v] && missing > open
	}},
	{form(`What had been added and acknowledged when process NUM began to read at TIME, and what else may have been added until it ended, allows no (less|more) than NUM; it got NUM\.`), func(r *reader, w []string) bool {
		read := r.startingAt(seconds(w[2]))
		low, high := int64(0), int64(0)
		for _, op := range r.ops {
			v, happens, ok := brought(op)
			switch {
			case !ok || !happens || op.Start > read.End:
			case ended(op) < read.Start:
				low, high = low+v, high+v
			default:
				low, high = low+min(v, 0), high+max(v, 0)
			}
		}
		got := read.Output.(int64)
		return got == number(w[5]) && (w[3] == "less" && low == number(w[4]) && got < low || w[3] == "more" && high == number(w[4]) && got > high)
	}},
	{form(`Process NUM got NUM after process NUM had got NUM, and nobody had begun to subtract anything by TIMEEXCEPT\.`), func(r *reader, w []string) bool {
		then := r.endingAt(seconds(w[5]))
		failed := int64(0)
		for _, op := range r.ops {
			v, happens, ok := brought(op)
			switch {
			case !ok || v >= 0 || op.Start > then.End:
			case happens:
				return false
			default:
				failed++
			}
		}
		return failed == number(w[6]) && then.Output == any(number(w[2])) && slices.ContainsFunc(r.ops, func(op *harness.Operation) bool {
			return op.Output == any(number(w[4])) && op.Process == int(number(w[3])) && op.End < then.Start && number(w[4]) > number(w[2])
		})
	}},
	{form(`(?:By TIME|From TIME to TIME), NUM (acquire|release)s? (?:had succeeded, and|began and succeeded, while) (no|only one|only NUM) (acquire|release)s? (?:had begunEXCEPT\.|(?:was|were) under wayEXCEPT; one has to come between any two of them\.)`), func(r *reader, w []string) bool {
		from, to := time.Duration(-1), seconds(w[1]+w[3])
		if w[2] != "" {
			from = seconds(w[2])
		}
		did, other, failed := int64(0), int64(0), int64(0)
		for _, op := range r.ops {
			switch {
			case op.Type == harness.Fail:
				if op.F == w[8] && op.Start < to && op.End > from {
					failed++
				}
			case op.F == w[5] && op.Start >= from && ended(op) <= to:
				did++
			case op.F == w[8] && op.Start < to && ended(op) > from:
				other++
			}
		}
		most := other + 1
		if w[2] == "" && w[5] == "release" {
			most = other
		}
		return w[5] != w[8] && failed == number(w[9]+w[10]) && did == number(w[4]) && other == number(w[6]) && did > most
	}},
	{form(`Process NUM did not hold OBJECT when its (renewal|release) at TIME succeeded\.`), func(r *reader, w []string) bool {
		did := r.endingAt(seconds(w[3]))
		last := ""
		for _, op := range r.ops {
			if op.Process == did.Process && op.Start < did.Start && op.Type == harness.OK && op.F != "renew" {
				last = op.F
			}
		}
		return last != "acquire" && did.F == called(w[2]) && did.Process == int(number(w[1]))
	}},
	{form(`Processes NUM and NUM were both given token NUM\.`), func(r *reader, w []string) bool {
		a, b := r.given(w[1], w[3]), r.given(w[2], w[3])
		return len(a) > 0 && len(b) > 0 && (w[1] != w[2] || len(a) > 1)
	}},
	{form(`Process NUM was given token NUM after process NUM had been given token NUM\.`), func(r *reader, w []string) bool {
		for _, then := range r.given(w[1], w[2]) {
			for _, first := range r.given(w[3], w[4]) {
				if first.End < then.Start && number(w[4]) > number(w[2]) {
					return true
				}
			}
		}
		return false
	}},
	{form(`At TIME processes NUM and NUM both held OBJECT: process NUM had been given it by TIME and had not begun to release it, nor had its lease run out\.`), func(r *reader, w []string) bool {
		at, first := r.endingAt(seconds(w[1])), r.endingAt(seconds(w[5]))
		return first.Process == int(number(w[2])) && at.Process == int(number(w[3])) && first.End < at.End && at.F == "acquire" && r.holds(first, at.End) && r.holds(at, at.End)
	}},
	{form(`Process NUM held OBJECT at least from TIME to TIME, since its (renewal|release) succeeded; in that time process NUM was given it\.`), func(r *reader, w []string) bool {
		first, proof := r.endingAt(seconds(w[2])), r.startingAt(seconds(w[3]))
		for _, op := range r.ops {
			if op.Process == first.Process && op.Start > first.End && op.Start < proof.Start && op.F != "renew" && op.Type != harness.Fail {
				return false
			}
		}
		return first.F == "acquire" && first.Process == proof.Process && proof.F == called(w[4]) && proof.Type == harness.OK &&
			slices.ContainsFunc(r.ops, func(op *harness.Operation) bool {
				return op.F == "acquire" && op.Process == int(number(w[5])) && op.Start > first.End && ended(op) < proof.Start
			})
	}},
	{form(`The first answer that nothing explains is that of process NUM at TIME \((.*)\)\.`), func(r *reader, w []string) bool {
		bad := r.endingAt(seconds(w[2]))
		var all []harness.Operation // what failed is known not to have happened
		for _, op := range r.ops {
			all = append(all, *op)
		}
		object := r.m.Partition(all)[0]
		all = nil
		at := 0
		for _, op := range object.Ops {
			all = append(all, *op)
			if op.Start == bad.Start {
				at = op.Return
			}
		}
		decided := func(at int) harness.Validity {
			v, err := Decide(context.Background(), r.m, model.Pointers(model.Prefix(all, at)))
			if err != nil {
				return harness.Unknown
			}
			return v
		}
		return bad.Process == int(number(w[1])) && w[3] == r.m.Describe(bad) && decided(at) == harness.Invalid && decided(at-1) == harness.Valid
	}},
	{form(`If (the attempt that was|one of the attempts that were) answered with fail took effect all the same, that answer is the fault: a client has to answer info unless it is certain that nothing happened\.`), func(r *reader, w []string) bool {
		return r.fails == 1 && w[1] == "the attempt that was" || r.fails > 1 && w[1] != "the attempt that was"
	}},
	{form(`No correct [a-z -]+ can give this answer\.`), (*reader).unexplained},
	{form(`No order of (?:these|the other) NUM operations explains all the answers, where each takes effect at one moment between its start and its end(, or, if that was not told, at any moment after its start or never)?\.`), func(r *reader, w []string) bool {
		n := len(r.told)
		if r.m.Kind == model.MutexKind && n == 0 { // one line says it
			return true
		}
		open := slices.ContainsFunc(r.told, func(op harness.Operation) bool { return op.Type != harness.OK })
		return r.short || (r.fails > 0) == strings.Contains(w[0], "the other") && int(number(w[1])) == n && open == (w[2] != "") && r.unexplained(nil)
	}},
}

// thereBy says whether a value was in a register at some time of an operation.
func (r *reader) thereBy(by *harness.Operation, v int64) bool {
	got, ok := found(by)
	w, happens, puts := brought(by)
	return by.Type == harness.OK && (ok && got == model.Just(v) || puts && happens && w == v)
}

// failedBefore counts those of the operations, which failed, that began before a time.
func (*reader) failedBefore(ops []*harness.Operation, by time.Duration) (n int64) {
	for _, op := range ops {
		if op.Start < by {
			n++
		}
	}
	return n
}

func (r *reader) bothReplaced(a, b int64, v model.Maybe) bool {
	var who []int64
	for _, op := range r.ops {
		if c, ok := op.Input.(model.CAS); ok && op.Type == harness.OK && c.From == v && op.Output == any(v) {
			who = append(who, int64(op.Process))
		}
	}
	slices.Sort(who)
	pair := []int64{min(a, b), max(a, b)}
	if a == b {
		i, _ := slices.BinarySearch(who, a)
		return i+1 < len(who) && who[i] == a && who[i+1] == a
	}
	return slices.Contains(who, pair[0]) && slices.Contains(who, pair[1])
}

// inBy is when an element had been put in for the first time.
func (r *reader) inBy(v int64) time.Duration {
	in := endless
	for _, op := range r.bring(v, true) {
		in = min(in, ended(op))
	}
	return in
}

// certainly says whether an element that was in from a moment on cannot have been out by another.
func (r *reader) certainly(v int64, from, until time.Duration) bool {
	later, open := false, false
	for _, op := range r.ops {
		if took(op, v) && op.Start < until {
			return false
		}
		later = later || took(op, v)
		open = open || op.Input == nil && op.Type == harness.Info && op.Start < until
	}
	return from < until && len(r.bring(v, true)) == 1 && (later || !open)
}

// called is the function of a lock that has this noun.
func called(noun string) string {
	return map[string]string{"renewal": "renew", "release": "release"}[noun]
}

func (r *reader) given(process, token string) (ops []*harness.Operation) {
	for _, op := range r.ops {
		g, ok := op.Output.(model.Grant)
		if ok && op.F == "acquire" && op.Process == int(number(process)) && g.Token == model.Just(number(token)) {
			ops = append(ops, op)
		}
	}
	return ops
}

// holds says whether the process of an acquire certainly still held the lock at a moment.
func (r *reader) holds(acquire *harness.Operation, at time.Duration) bool {
	last := acquire
	for _, op := range r.ops {
		switch {
		case op.Process != acquire.Process || op.Start <= acquire.Start || op.Start > at:
		case op.F != "renew":
			return false
		case op.Type == harness.OK && op.End > at: // it may have taken effect already
			if g, _ := op.Output.(model.Grant); g.Lease > 0 && op.Start+g.Lease <= at {
				return false
			}
		case op.Type == harness.OK:
			last = op
		}
	}
	g, _ := last.Output.(model.Grant)
	return acquire.End <= at && (g.Lease == 0 || last.Start+g.Lease > at)
}

// operation is a sentence that tells what one operation did.
func (r *reader) operation(w []string) bool {
	op := r.startingAt(seconds(w[1]))
	if op == nil || op.Process != int(number(w[3])) {
		return false
	}
	if w[2] != "" {
		if r.last == nil || r.last.Type == harness.Info || r.last.End > op.Start {
			return false
		}
	}
	r.last = op
	did := func(past, wish string, open bool) string {
		if open {
			return "began to " + wish
		}
		return past
	}
	told := *op
	rest := w[4]
	at := fmt.Sprintf(" at %.3f s", op.End.Seconds())
	open := strings.HasPrefix(rest, "began to ")
	want := ""
	switch in := op.Input.(type) {
	case int64:
		past, ok := map[string]string{"write": "wrote", "add": "added", "append": "appended", "enqueue": "enqueued", "push": "pushed", "insert": "inserted", "acquire": "acquired", "release": "released"}[op.F]
		if !ok {
			return false
		}
		to := map[string]string{"enqueue": "in", "push": "on", "insert": "into", "acquire": "permits of", "release": "permits of"}[op.F]
		if to == "permits of" && in == 1 {
			to = "permit of"
		}
		want = did(past, op.F, open) + fmt.Sprintf(" %d %s the %s", in, cmp.Or(to, "to"), name(r.m))
		if !open {
			want += ", acknowledged"
		}
	case string:
		past, ok := map[string]string{"put": "put", "append": "appended"}[op.F]
		if !ok {
			return false
		}
		to := map[string]string{"put": "into"}[op.F]
		want = did(past, op.F, open) + fmt.Sprintf(" %q %s the %s", in, cmp.Or(to, "to"), name(r.m))
		if !open {
			want += ", acknowledged"
		}
	case model.Txn:
		out, _ := op.Output.(model.Txn)
		for i, m := range in {
			switch {
			case i > 0 && i == len(in)-1:
				want += " and "
			case i > 0:
				want += ", "
			}
			if want += map[bool]string{true: "wrote", false: "read"}[m.F == "w"]; m.F == "w" {
				want += fmt.Sprintf(" %d to", m.Value)
			}
			if want += " " + m.Key; m.F == "r" && !open {
				want += " as " + out[i].Saw()
			}
		}
		if want += ", acknowledged"; open {
			want = "began to " + strings.TrimSuffix(strings.ReplaceAll(want, "wrote", "write"), ", acknowledged")
		}
	case model.CAS:
		change := fmt.Sprintf("the %s from %s to %d by compare-and-set", name(r.m), in.From, in.To)
		switch saw := op.Output.(type) {
		case model.Maybe:
			want = did("changed ", "change ", open) + change
			if !open && saw == in.From {
				want += ", acknowledged"
			} else if !open {
				want = "tried to change " + change + " and was told that it held " + saw.String()
			}
		case model.Other:
			want = did("tried to change ", "change ", open) + change
			if !open {
				want += " and was told that it held something other than " + in.From.String()
			}
		default:
			want = did("?", "change ", open) + change
		}
	case nil:
		name := "the " + name(r.m)
		asks := map[string][2]string{
			"read": {"read " + name, "read " + name}, "get": {"read " + name, "read " + name}, "dequeue": {"dequeued from " + name, "dequeue from " + name},
			"pop": {"popped from " + name, "pop from " + name}, "delete-min": {"took the smallest out of " + name, "take the smallest out of " + name},
			"acquire": {"acquired " + name, "acquire " + name}, "release": {"released " + name, "release " + name}, "renew": {"renewed its lease of " + name, "renew its lease of " + name},
		}[op.F]
		want = did(asks[0], asks[1], open)
		if open {
			break
		}
		switch out := op.Output.(type) {
		case nil:
			want += ", acknowledged"
		case model.Maybe:
			if op.F != "read" && !out.Set {
				want += " and was told that it was empty"
			} else {
				want += " and got " + out.String()
			}
		case int64:
			want += fmt.Sprintf(" and got %d", out)
		case string:
			want += fmt.Sprintf(" and got %q", out)
		case model.Grant:
			want = map[string]string{"acquire": "asked for " + name + " and was given it (", "renew": "asked to keep " + name + " and was given it on ("}[op.F] + out.String() + ")"
		case []int64:
			rest = strings.TrimSuffix(rest, at)
			part, more, cut := strings.Cut(strings.TrimPrefix(rest, want+" and got "), " and ")
			if strings.Contains(part, "...") { // a long list, which is not told in full
				r.short = true
				told.Output = out
				r.told = append(r.told, told)
				return true
			}
			var some []int64
			for _, f := range strings.Fields(strings.Trim(part, "[]")) {
				if !shows(op, number(f)) {
					return false
				}
				some = append(some, number(f))
			}
			told.Output = append([]int64{}, some...)
			r.told = append(r.told, told)
			if cut {
				return more == fmt.Sprintf("%d more that do not matter here", len(out)-len(some)) && len(out) > len(some)
			}
			return slices.Equal(some, out)
		}
	}
	if op.Type == harness.Fail {
		r.fails++
		if want += ", which failed" + at; op.Error != "" {
			want += fmt.Sprintf(" with %q", op.Error)
		}
		return rest == want && open
	}
	if open {
		told.Type, told.Output, told.Return = harness.Info, nil, harness.Open
		want += map[harness.Type]string{harness.OK: ", which was answered" + at, harness.Info: ", and never learned what became of it"}[op.Type]
	} else {
		want += at
	}
	r.told = append(r.told, told)
	return rest == want
}

// unexplained says whether what was told cannot be explained.
func (r *reader) unexplained([]string) bool {
	states := []any{r.m.Init}
	if r.any {
		states = firstStates(r.m, r.told)
	}
	view := model.Pointers(r.told)
	if r.m.Kind == model.LockKind {
		// The ends of leases are told in sentences of their own; the model finds them again.
		objects := r.m.Partition(r.told)
		if len(objects) == 0 {
			return false
		}
		view = objects[0].Ops
	}
	for _, s := range states {
		m := r.m
		m.Init = s
		if len(r.told) <= 9 {
			if m.Kind == model.BagKind && bagBruteForce(view) || m.Kind != model.BagKind && testhistory.BruteForce(m, view) {
				return false
			}
		} else if v, err := Decide(context.Background(), startingIn(m, s), view); err != nil || v != harness.Invalid {
			return false
		}
	}
	return true
}

// read finds the first sentence of a story that is not true, "" if all are.
func (r *reader) read(story []string) string {
next:
	for _, text := range story {
		for _, s := range sentences {
			if w := s.form.FindStringSubmatch(text); w != nil {
				if !s.true(r, w) {
					return text
				}
				continue next
			}
		}
		return "a sentence of no known form: " + text
	}
	return ""
}

// nonsense says that a compare-and-set was told that it saw something other than
// what it did not ask for.
func nonsense(op harness.Operation) bool {
	c, ok := op.Input.(model.CAS)
	other, vague := op.Output.(model.Other)
	return ok && vague && other.Than != c.From
}

// subject is a model and how histories of it are made up, most of which it does not explain.
type subject struct {
	model.Model
	generate func(rng *rand.Rand, made int) []harness.Operation
}

func subjects() (all []subject) {
	shapes := []testhistory.Shape{
		{Ops: 8, Processes: 4, Open: 0.2, Fail: 0.1, Faulty: 0.4},
		{Ops: 16, Processes: 3, Open: 0.1, Fail: 0.1, Faulty: 0.2},
		{Ops: 16, Processes: 4, Open: 0.1, Fail: 0.1, Values: 4, Faulty: 0.25},
		{Ops: 40, Processes: 4, Open: 0.05, Fail: 0.05, Values: 3, Faulty: 0.1},
		{Ops: 40, Processes: 5, Open: 0.05, Fail: 0.1, Faulty: 0.1},
	}
	for _, m := range allModels {
		all = append(all, subject{m, func(rng *rand.Rand, made int) []harness.Operation {
			ops := testhistory.Generate(rng, m, shapes[made%len(shapes)])
			if made%2 == 1 {
				testhistory.SwapAnswers(rng, ops)
			}
			return ops
		}})
	}
	for _, h := range append(holders(), guessed{model.Bag(), func(rng *rand.Rand, op *harness.Operation) {
		op.F, op.Input = "enqueue", int64(rng.IntN(6))
		if rng.IntN(2) == 0 {
			op.F, op.Input, op.Output = "dequeue", nil, model.Maybe{Int: int64(rng.IntN(6)), Set: true}
			if rng.IntN(4) == 0 {
				op.Output = model.Maybe{}
			}
		}
	}}) {
		all = append(all, subject{h.m, func(rng *rand.Rand, _ int) []harness.Operation {
			return timeline(rng, 2+rng.IntN(12), 3, func(op *harness.Operation) { h.invent(rng, op) })
		}})
	}
	return all
}

// Every sentence of every counterexample is true of the whole history. With
// -histories=100000 it reads so many stories of each model (make stories).
func TestStoriesAreTrue(t *testing.T) {
	for _, m := range subjects() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(*testhistory.Seed, 23))
			forms := map[string]int{}
			made, read, wrong, fewest := 0, 0, 0, math.MaxInt
			for ; read < *testhistory.Histories; made++ {
				if made > 100**testhistory.Histories {
					t.Fatalf("of %d histories only %d violate", made, read)
				}
				ops := m.generate(rng, made)
				if slices.ContainsFunc(ops, nonsense) {
					continue
				}
				res, err := Checker{Model: m.Model}.Check(context.Background(), &harness.History{Operations: ops})
				if err != nil {
					t.Fatalf("history %d: %v\n%s", made, err, testhistory.Describe(m.Model, model.Pointers(ops)))
				}
				if res.Valid != harness.Invalid {
					continue
				}
				read++
				story := res.Counterexample.Story
				for _, text := range story {
					for _, s := range sentences {
						if s.form.MatchString(text) {
							forms[s.form.String()]++
							break
						}
					}
				}
				untrue := (&reader{m: m.Model, ops: model.Pointers(ops)}).read(story)
				if untrue == "" {
					continue
				}
				if wrong++; len(ops) < fewest { // the smallest is the easiest to understand
					fewest = len(ops)
					t.Errorf("history %d: not true: %s\nthe story:\n%s\nof\n%s", made, untrue, strings.Join(story, "\n"), testhistory.Describe(m.Model, model.Pointers(ops)))
				}
			}
			t.Logf("%d histories, of which %d violate: %d stories have a sentence that is not true", made, read, wrong)
			for f, n := range forms {
				t.Logf("%7d of %s", n, f)
			}
		})
	}
}

// An attempt that failed is told, with its error, where the violation rests on that it did
// not happen.
func TestAttemptThatFailed(t *testing.T) {
	const ms = time.Millisecond
	op := func(process int, f string, at int, in, out any, kind harness.Type) harness.Operation {
		o := harness.Operation{Process: process, F: f, Key: "k0", Input: in, Output: out, Type: kind, Call: at, Return: at + 1,
			Start: time.Duration(at*at) * ms, End: time.Duration(at*at+1) * ms, Node: "n1", Line: at + 1, Index: -1}
		return o
	}
	h := &harness.History{Operations: []harness.Operation{
		op(1, "write", 0, int64(3), nil, harness.OK),
		op(2, "write", 2, int64(7), nil, harness.Fail),
		op(3, "write", 4, int64(8), nil, harness.Fail), // has nothing to do with it
		op(1, "read", 6, nil, model.Just(7), harness.OK),
	}}
	h.Operations[1].Error = "timed out"
	res, err := Checker{Model: model.Register()}.Check(t.Context(), h)
	if err != nil || res.Valid != harness.Invalid {
		t.Fatal(res, err)
	}
	want := []string{
		`At 0.004 s process 2 began to write 7 to k0 through n1, which failed at 0.005 s with "timed out" (line 3).`,
		"At 0.036 s, after that, process 1 read k0 from n1 and got 7 at 0.037 s (line 7).",
		"Nobody had begun to write 7 to k0 by 0.037 s, except in one attempt that failed.",
		"If the attempt that was answered with fail took effect all the same, that answer is the fault: a client has to answer info unless it is certain that nothing happened.",
		"No correct register can give this answer.",
	}
	c := res.Counterexample
	if !slices.Equal(c.Story, want) {
		t.Errorf("told:\n%s", strings.Join(c.Story, "\n"))
	}
	if len(c.Witness) != 2 || c.Witness[0].Type != harness.Fail || c.Witness[0].Line != 3 {
		t.Errorf("witnesses %+v", c.Witness)
	}
}

// A lock that its process kept by a renewal or released, although it had been given to
// another in the meantime: the smallest histories whose stories say so. Made-up ones say
// it seldom, and the reader of stories must know both words.
func TestHeldOn(t *testing.T) {
	const ms = time.Millisecond
	for f, noun := range map[string]string{"renew": "renewal", "release": "release"} {
		op := func(process int, f string, at int, out any) harness.Operation {
			return harness.Operation{Process: process, F: f, Output: out, Type: harness.OK, Call: at, Return: at + 1, Start: time.Duration(at) * ms, End: time.Duration(at+1) * ms}
		}
		ops := []harness.Operation{op(0, "acquire", 1, model.Grant{Lease: 2 * ms}), op(1, "acquire", 4, model.Grant{}), op(0, f, 6, nil)}
		res, err := Checker{Model: model.Lock()}.Check(t.Context(), &harness.History{Operations: ops})
		if err != nil || res.Valid != harness.Invalid {
			t.Fatal(res, err)
		}
		story := res.Counterexample.Story
		want := "Process 0 held the lock at least from 0.002 s to 0.006 s, since its " + noun + " succeeded; in that time process 1 was given it."
		if !slices.Contains(story, want) {
			t.Errorf("told:\n%s\nexpected among it: %s", strings.Join(story, "\n"), want)
		}
		read := func() string { return (&reader{m: model.Lock(), ops: model.Pointers(ops)}).read(story) }
		if untrue := read(); untrue != "" {
			t.Errorf("called untrue: %s", untrue)
		}
		if ops[0].Process = 2; read() == "" {
			t.Error("called true of a history in which the lock was acquired by another process")
		}
	}
}
