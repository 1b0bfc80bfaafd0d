package story

import (
	"fmt"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// Claim is one statement of a counterexample about the history of one object, as
// data. A counterexample is cut out of a history, and what is true of the part need
// not be true of the whole: so a claim says itself whether the whole history bears
// it out, and only what does is told.
type Claim interface {
	// Text is the claim as a sentence.
	Text(t Teller) string
	// Holds says whether the claim is true. whole is all that was done to the
	// object, in the order of the calls, also what failed.
	Holds(whole []*harness.Operation) bool
}

// find is the operation of the history that was called where op was, nil if there is none.
func find(whole []*harness.Operation, op *harness.Operation) *harness.Operation {
	at, found := slices.BinarySearchFunc(whole, op.Call, func(w *harness.Operation, call int) int { return w.Call - call })
	if !found {
		return nil
	}
	return whole[at]
}

// Holds implements [Claim].
func (d Did) Holds(whole []*harness.Operation) bool {
	w := find(whole, d.Op)
	if w == nil || w.Process != d.Op.Process || w.F != d.Op.F || w.Type != d.Op.Type || w.Start != d.Op.Start || w.End != d.Op.End {
		return false
	}
	all, _ := w.Output.([]int64)
	for _, v := range d.Shown {
		if !slices.Contains(all, v) {
			return false
		}
	}
	return true
}

// brings says whether op, if it happens, brings a value into an object of any kind.
func brings(op *harness.Operation, v int64) bool {
	switch in := op.Input.(type) {
	case int64:
		return in == v && op.F != model.Lapse
	case model.CAS:
		return in.To == v
	}
	return false
}

// Bringing are the operations of a history that bring one of a few values into a
// register, or were to bring it. Of the history of a register [NotBegun], [Gone], [Spent]
// and [BothReplaced] ask for no others than those that bring their values.
func Bringing(whole []*harness.Operation, values []int64) (bring []*harness.Operation) {
	bits := uint64(0) // of a value its last six bits say at once that mostly it is none of them
	for _, v := range values {
		bits |= 1 << (v & 63)
	}
	for _, op := range whole {
		var v int64
		switch in := op.Input.(type) {
		case int64:
			v = in
		case model.CAS:
			v = in.To
		default:
			continue
		}
		if bits>>(v&63)&1 != 0 && slices.Contains(values, v) {
			bring = append(bring, op)
		}
	}
	return bring
}

// happens says whether op may have taken effect as what it was to be: it neither
// failed nor was a compare-and-set that saw another value.
func happens(op *harness.Operation) bool {
	if op.Type == harness.Fail {
		return false
	}
	if in, ok := op.Input.(model.CAS); ok && op.Type == harness.OK {
		return op.Output == any(in.From)
	}
	return true
}

// attempts are those to bring v that did not happen, but were under way at some time after
// one position and before another, beside the operation that shows v.
func attempts(whole []*harness.Operation, v int64, shows *harness.Operation, after, before int) (all []*harness.Operation) {
	for _, op := range whole {
		if op.Call >= before { // they are in the order of their calls
			break
		}
		if op.Call != shows.Call && op.Return > after && brings(op, v) && !happens(op) {
			all = append(all, op)
		}
	}
	return all
}

func failed(whole []*harness.Operation, v int64, shows *harness.Operation, after, before int) int {
	return len(attempts(whole, v, shows, after, before))
}

// Attempts are the attempts that failed which a claim excepts: it rests on that they did
// not happen.
func Attempts(c Claim, whole []*harness.Operation) (all []*harness.Operation) {
	switch c := c.(type) {
	case NotBegun:
		if c.Failed > 0 {
			return attempts(whole, c.Value, c.By, -1, c.By.Return)
		}
	case Gone:
		if c.Saw.Set && c.Failed > 0 {
			return attempts(whole, c.Saw.Int, c.Read, c.Since.Call, c.Read.Return)
		}
	case TooOften:
		return attempts(whole, c.Value, c.By, -1, c.By.Return)
	case Overtaken:
		return attempts(whole, c.Other, c.By, -1, inBy(whole, c.Value))
	case Backward:
		for _, op := range whole {
			if subtracts(op) && op.Type == harness.Fail && op.Call < c.Then.Return {
				all = append(all, op)
			}
		}
	}
	return all
}

// FalseFail is the statement of what follows if one of so many attempts, which were
// answered with fail, happened all the same.
type FalseFail struct{ Attempts int }

// Text implements [Claim].
func (c FalseFail) Text(Teller) string {
	which := "the attempt that was"
	if c.Attempts > 1 {
		which = "one of the attempts that were"
	}
	return fmt.Sprintf("If %s answered with fail took effect all the same, that answer is the fault: a client has to answer info unless it is certain that nothing happened.", which)
}

// Holds implements [Claim].
func (FalseFail) Holds([]*harness.Operation) bool { return true }

// except tells of attempts that failed.
func except(failed int) string {
	switch failed {
	case 0:
		return ""
	case 1:
		return ", except in one attempt that failed"
	default:
		return fmt.Sprintf(", except in %d attempts that failed", failed)
	}
}

// verb is what brings a value into an object of a kind.
func verb(k model.Kind) (wish, doing, preposition string) {
	switch k {
	case model.SetKind:
		return "add", "adding", "to"
	case model.ListKind:
		return "append", "appending", "to"
	case model.QueueKind, model.BagKind:
		return "enqueue", "enqueuing", "in"
	case model.StackKind:
		return "push", "pushing", "on"
	case model.PriorityKind:
		return "insert", "inserting", "into"
	default:
		return "write", "writing", "to"
	}
}

// NotBegun is the claim that when an operation ended that shows a value, nobody
// had begun what alone can have brought it there.
type NotBegun struct {
	Value  int64
	By     *harness.Operation
	Failed int // attempts that had been begun, but failed
}

// NotBegunBy is the claim of a value that op shows.
func NotBegunBy(whole []*harness.Operation, v int64, op *harness.Operation) NotBegun {
	c := NotBegun{Value: v, By: op}
	if !c.begun(whole) {
		c.Failed = failed(whole, v, op, -1, op.Return)
	}
	return c
}

func (c NotBegun) begun(whole []*harness.Operation) bool {
	for _, op := range whole {
		if op.Call >= c.By.Return { // they are in the order of their calls
			return false
		}
		if op.Call != c.By.Call && brings(op, c.Value) && happens(op) {
			return true
		}
	}
	return false
}

// Text implements [Claim].
func (c NotBegun) Text(t Teller) string {
	wish, _, preposition := verb(t.Model.Kind)
	return fmt.Sprintf("Nobody had begun to %s %d %s %s by %s%s.", wish, c.Value, preposition, t.name(c.By), t.end(c.By), except(c.Failed))
}

// Holds implements [Claim].
func (c NotBegun) Holds(whole []*harness.Operation) bool {
	return !c.begun(whole) && c.Failed == failed(whole, c.Value, c.By, -1, c.By.Return)
}

// Gone is the claim that a register no longer held what a read of it showed: it
// held something else before the read began, and nobody wrote the value since.
type Gone struct {
	Read   *harness.Operation // it saw Saw
	Saw    model.Maybe        // nothing: nothing had been written
	Other  int64              // what the register held
	By     *harness.Operation // when this ended
	Since  *harness.Operation // and not before this began
	Failed int                // attempts to write Saw in the meantime that failed
}

// Text implements [Claim].
func (c Gone) Text(t Teller) string {
	when := fmt.Sprintf("When process %d began at %s", c.Read.Process, t.start(c.Read))
	if !t.Timed {
		when = "At " + t.start(c.Read)
	}
	if !c.Saw.Set {
		return fmt.Sprintf("%s, %s was no longer empty: %d was there %s.", when, t.name(c.Read), c.Other, t.by(c.By))
	}
	return fmt.Sprintf("%s, %s was gone: %d was there %s, and from %s to %s nobody was writing %s to %s%s.",
		when, c.Saw, c.Other, t.by(c.By), t.start(c.Since), t.end(c.Read), c.Saw, t.name(c.Read), except(c.Failed))
}

// Holds implements [Claim].
func (c Gone) Holds(whole []*harness.Operation) bool {
	if !c.otherWasThere(whole) {
		return false
	}
	if !c.Saw.Set {
		return true
	}
	for _, op := range whole {
		if op.Call != c.Read.Call && op.Call < c.Read.Return && model.Returned(op) > c.Since.Call && brings(op, c.Saw.Int) && happens(op) {
			return false
		}
	}
	return c.Failed == failed(whole, c.Saw.Int, c.Read, c.Since.Call, c.Read.Return)
}

// otherWasThere says whether the register held Other at some time after Since began
// and before By ended, and that was before the read.
func (c Gone) otherWasThere(whole []*harness.Operation) bool {
	if c.By.Return >= c.Read.Call || c.By.Type != harness.OK {
		return false
	}
	by := model.RegisterEffectOf(c.By)
	if by.Writes && by.To == c.Other && c.Since.Call <= c.By.Call {
		return true
	}
	if !by.Observes || by.Saw != model.Just(c.Other) {
		return false
	}
	for _, op := range whole { // it was seen, and cannot have been written before
		if op.Call < c.Since.Call && c.Since.Call > c.By.Call && brings(op, c.Other) && happens(op) {
			return false
		}
	}
	return true
}

// GoneBy is the claim that a read saw what was gone by the end of another
// operation, which wrote or saw another value.
func GoneBy(whole []*harness.Operation, read, by *harness.Operation) Gone {
	r, b := model.RegisterEffectOf(read), model.RegisterEffectOf(by)
	c := Gone{Read: read, Saw: r.Saw, By: by, Since: by}
	if b.Writes {
		c.Other = b.To
	} else {
		c.Other = b.Saw.Int
		for _, op := range whole { // what it saw may have been written later than it began
			if brings(op, c.Other) && happens(op) {
				if op.Call > by.Call {
					c.Since = op
				}
				break
			}
		}
	}
	if c.Saw.Set {
		c.Failed = failed(whole, c.Saw.Int, read, c.Since.Call, read.Return)
	}
	return c
}

// Spent is the claim that a register no longer held what a read of it showed: the
// value was written only once and seen, and then the register held something else.
type Spent struct {
	Gone
	Seen *harness.Operation // it saw or wrote the value, and ended before Since began
}

// Text implements [Claim].
func (c Spent) Text(t Teller) string {
	when := fmt.Sprintf("When process %d began at %s", c.Read.Process, t.start(c.Read))
	if !t.Timed {
		when = "At " + t.start(c.Read)
	}
	return fmt.Sprintf("%s, %s was gone: it was written only once and was there %s, and %d was there at some time from %s to %s.",
		when, c.Saw, t.by(c.Seen), c.Other, t.start(c.Since), t.end(c.By))
}

// Holds implements [Claim].
func (c Spent) Holds(whole []*harness.Operation) bool {
	seen := model.RegisterEffectOf(c.Seen)
	writers := 0
	for _, op := range whole {
		if c.Saw.Set && brings(op, c.Saw.Int) && happens(op) {
			writers++
		}
	}
	return writers == 1 && c.Seen.Type == harness.OK && c.Seen.Return < c.Since.Call &&
		(seen.Writes && model.Just(seen.To) == c.Saw || seen.Observes && seen.Saw == c.Saw) && c.otherWasThere(whole)
}

// BothReplaced is the claim that two compare-and-sets replaced the same value,
// which was there only once.
type BothReplaced struct {
	Value model.Maybe
	Ops   [2]*harness.Operation
}

// Text implements [Claim].
func (c BothReplaced) Text(t Teller) string {
	if !c.Value.Set {
		return fmt.Sprintf("Processes %d and %d both found %s empty and wrote to it.", c.Ops[0].Process, c.Ops[1].Process, t.name(c.Ops[0]))
	}
	return fmt.Sprintf("Processes %d and %d both replaced %s, which was written only once.", c.Ops[0].Process, c.Ops[1].Process, c.Value)
}

// Holds implements [Claim].
func (c BothReplaced) Holds(whole []*harness.Operation) bool {
	for _, op := range c.Ops {
		if r := model.RegisterEffectOf(op); !r.Observes || !r.Writes || r.Saw != c.Value {
			return false
		}
	}
	writers := 0
	for _, op := range whole {
		if c.Value.Set && brings(op, c.Value.Int) && happens(op) {
			writers++
		}
	}
	return !c.Value.Set || writers == 1
}

// Twice is the claim that an element stands more than once in what one read shows.
type Twice struct {
	Value int64
	Read  *harness.Operation
}

// Text implements [Claim].
func (c Twice) Text(t Teller) string {
	return fmt.Sprintf("%d stands more than once in what process %d read at %s.", c.Value, c.Read.Process, t.end(c.Read))
}

// Holds implements [Claim].
func (c Twice) Holds(whole []*harness.Operation) bool {
	n := 0
	if w := find(whole, c.Read); w != nil {
		all, _ := w.Output.([]int64)
		for _, v := range all {
			if v == c.Value {
				n++
			}
		}
	}
	return n > 1
}

// Missing is the claim that an element was in a set when a read began that does
// not show it: somebody had added or seen it before.
type Missing struct {
	Value int64
	Read  *harness.Operation
	By    *harness.Operation // when this ended, it was there
	// Again is a read that began later and shows the element; nil if none does.
	Again *harness.Operation
}

// Text implements [Claim].
func (c Missing) Text(t Teller) string {
	s := fmt.Sprintf("%d was in %s %s, before process %d began to read at %s, and is missing in its answer", c.Value, t.name(c.Read), t.by(c.By), c.Read.Process, t.start(c.Read))
	if c.Again == nil {
		return s + " and ever after."
	}
	return fmt.Sprintf("%s; the read of process %d at %s shows it again.", s, c.Again.Process, t.end(c.Again))
}

// Holds implements [Claim].
func (c Missing) Holds(whole []*harness.Operation) bool {
	there := func(op *harness.Operation) bool {
		all, _ := op.Output.([]int64)
		return slices.Contains(all, c.Value)
	}
	read, by := find(whole, c.Read), find(whole, c.By)
	if read == nil || by == nil || by.Type != harness.OK || by.Return >= read.Call || there(read) || !there(by) && !brings(by, c.Value) {
		return false
	}
	if c.Again != nil {
		again := find(whole, c.Again)
		return again != nil && again.Call > read.Call && there(again)
	}
	for _, op := range whole {
		if op.Call > read.Call && there(op) {
			return false
		}
	}
	return true
}

// TooOften is the claim that an element had come out of a queue more often than
// anybody had begun to put it in.
type TooOften struct {
	Value   int64
	In, Out int
	By      *harness.Operation
	Failed  int // attempts to put it in that had been begun, but failed
}

// TooOftenBy counts how often v went in and out by the end of an operation.
func TooOftenBy(whole []*harness.Operation, v int64, by *harness.Operation) TooOften {
	c := TooOften{Value: v, By: by}
	for _, op := range whole {
		switch got, ok := op.Output.(model.Maybe); {
		case ok && op.Return <= by.Return && got == model.Just(v):
			c.Out++
		case op.Call < by.Return && brings(op, v) && happens(op):
			c.In++
		}
	}
	if c.Out > c.In {
		c.Failed = failed(whole, v, by, -1, by.Return)
	}
	return c
}

// Text implements [Claim].
func (c TooOften) Text(t Teller) string {
	more := ""
	if c.In > 0 {
		more = " more than " + Times(c.In)
	}
	return fmt.Sprintf("By %s, %d had come out %s, and nobody had begun to put it in%s%s.", t.end(c.By), c.Value, Times(c.Out), more, except(c.Failed))
}

// Holds implements [Claim].
func (c TooOften) Holds(whole []*harness.Operation) bool {
	return c.Out > c.In && c == TooOftenBy(whole, c.Value, c.By)
}

// Overtaken is the claim that an element of a queue was in it before anybody
// began to put another one in, and was still there when that was out.
type Overtaken struct {
	Value, Other int64
	By           *harness.Operation // the end of the dequeue of Other
	Failed       int                // attempts to put Other in before, which failed
}

// OvertakenBy is the claim of two elements, the second of which a dequeue took.
func OvertakenBy(whole []*harness.Operation, v, other int64, by *harness.Operation) Overtaken {
	return Overtaken{Value: v, Other: other, By: by, Failed: failed(whole, other, by, -1, inBy(whole, v))}
}

// inBy is the position by which an element was certainly put in for the first time.
func inBy(whole []*harness.Operation, v int64) int {
	in := harness.Open
	for _, op := range whole {
		if brings(op, v) && op.Type == harness.OK {
			in = min(in, op.Return)
		}
	}
	return in
}

// Text implements [Claim].
func (c Overtaken) Text(t Teller) string {
	return fmt.Sprintf("%d was in %s before anybody began to enqueue %d%s, and still there when %d was out, at %s.", c.Value, t.name(c.By), c.Other, except(c.Failed), c.Other, t.end(c.By))
}

// Holds implements [Claim].
func (c Overtaken) Holds(whole []*harness.Operation) bool {
	in, begun := inBy(whole, c.Value), harness.Open
	for _, op := range whole {
		if brings(op, c.Other) && happens(op) {
			begun = min(begun, op.Call)
		}
	}
	return in < begun && c.Failed == failed(whole, c.Other, c.By, -1, in) && staysUntil(whole, c.Value, c.By.Return)
}

// staysUntil says that an element that was put in once cannot have been taken out
// before a position.
func staysUntil(whole []*harness.Operation, v int64, until int) bool {
	times, open, later := 0, 0, false
	for _, op := range whole {
		switch got, answered := op.Output.(model.Maybe); {
		case op.Type == harness.Fail:
		case brings(op, v):
			times++
		case op.Input != nil:
		case answered && got == model.Just(v):
			if op.Call < until {
				return false
			}
			later = true
		case !answered && op.Call < until:
			open++
		}
	}
	return times == 1 && (later || open == 0)
}

// NotEmpty is the claim that a queue was not empty all the while that somebody
// found it empty: more elements were in it than others can have taken by then.
type NotEmpty struct {
	Value   int64 // one of them
	Found   *harness.Operation
	Missing int // so many were in it before Found began, and nobody began to dequeue them, as far as is known, before it ended
	Open    int // so many dequeues of unknown result had begun
}

// NotEmptyAt counts what was in a queue all the while of an operation. Value is
// one of the elements, if there are any.
func NotEmptyAt(whole []*harness.Operation, found *harness.Operation) NotEmpty {
	c := NotEmpty{Found: found}
	type fate struct {
		in    int // by when it was in
		times int // how often somebody began to put it in
		out   bool
	}
	fates := map[int64]*fate{}
	var values []int64
	of := func(v int64) *fate {
		f := fates[v]
		if f == nil {
			f = &fate{in: harness.Open}
			fates[v] = f
			values = append(values, v)
		}
		return f
	}
	for _, op := range whole {
		if op.Type == harness.Fail {
			continue
		}
		if v, ok := op.Input.(int64); ok {
			f := of(v)
			f.times++
			f.in = min(f.in, model.Returned(op))
			continue
		}
		switch got, answered := op.Output.(model.Maybe); {
		case op.Call >= found.Return:
		case !answered:
			c.Open++
		case got.Set:
			of(got.Int).out = true
		}
	}
	for _, v := range values {
		if f := fates[v]; f.times == 1 && f.in < found.Call && !f.out {
			if c.Missing++; c.Missing == 1 {
				c.Value = v
			}
		}
	}
	return c
}

// Text implements [Claim].
func (c NotEmpty) Text(t Teller) string {
	if c.Missing == 1 {
		return fmt.Sprintf("%d was in %s all the while that process %d found it empty, from %s to %s.", c.Value, t.name(c.Found), c.Found.Process, t.start(c.Found), t.end(c.Found))
	}
	s := fmt.Sprintf("%d elements, %d among them, were in %s before process %d found it empty (%s to %s)", c.Missing, c.Value, t.name(c.Found), c.Found.Process, t.start(c.Found), t.end(c.Found))
	if c.Open == 0 {
		return s + ", and nobody can have taken them out by then."
	}
	few := "one " + c.Found.F
	if c.Open > 1 {
		few = fmt.Sprintf("%d %ss", c.Open, c.Found.F)
	}
	return fmt.Sprintf("%s, and of unknown result only %s had begun by then.", s, few)
}

// Holds implements [Claim].
func (c NotEmpty) Holds(whole []*harness.Operation) bool {
	now := NotEmptyAt(whole, c.Found)
	if c.Missing <= c.Open || now.Missing != c.Missing || now.Open != c.Open || c.Missing == 1 && c.Open > 0 {
		return false
	}
	if inBy(whole, c.Value) > c.Found.Call {
		return false
	}
	for _, op := range whole {
		if op.Call < c.Found.Return && op.Output == any(model.Just(c.Value)) {
			return false
		}
	}
	return true
}

// Hidden is the claim that one element was in a queue all the while that somebody
// found it empty: it was put in before, and taken out by somebody who began later.
type Hidden struct {
	Value int64
	Found *harness.Operation
}

// Text implements [Claim].
func (c Hidden) Text(t Teller) string {
	return NotEmpty{Value: c.Value, Found: c.Found, Missing: 1}.Text(t)
}

// Holds implements [Claim].
func (c Hidden) Holds(whole []*harness.Operation) bool {
	out := false
	for _, op := range whole {
		out = out || op.Output == any(model.Just(c.Value))
	}
	return out && inBy(whole, c.Value) < c.Found.Call && staysUntil(whole, c.Value, c.Found.Return)
}

// Lost is the claim that elements of a queue were acknowledged and never came out,
// though it was found empty since.
type Lost struct {
	Value   int64 // one of them
	Found   *harness.Operation
	Missing int // so many were lost or taken by dequeues of unknown result
	Open    int // so many dequeues are of unknown result
}

// Text implements [Claim].
func (c Lost) Text(t Teller) string {
	s := fmt.Sprintf("%d was in %s before process %d found it empty at %s, and never came out", c.Value, t.name(c.Found), c.Found.Process, t.end(c.Found))
	if c.Open == 0 {
		return s + "."
	}
	few := "one dequeue"
	if c.Open > 1 {
		few = fmt.Sprintf("%d dequeues", c.Open)
	}
	return fmt.Sprintf("%s; so it was with %d elements, and of unknown result there was only %s.", s, c.Missing, few)
}

// Holds implements [Claim].
func (c Lost) Holds(whole []*harness.Operation) bool {
	type fate struct {
		in, times int
		out       bool
	}
	fates := map[int64]*fate{}
	of := func(v int64) *fate {
		if fates[v] == nil {
			fates[v] = &fate{in: harness.Open}
		}
		return fates[v]
	}
	open := 0
	for _, op := range whole {
		v, puts := op.Input.(int64)
		got, answered := op.Output.(model.Maybe)
		switch {
		case op.Type == harness.Fail:
		case puts:
			f := of(v)
			f.times, f.in = f.times+1, min(f.in, model.Returned(op))
		case !answered:
			open++
		case got.Set:
			of(got.Int).out = true
		}
	}
	missing := 0
	for _, f := range fates {
		if f.times == 1 && f.in < c.Found.Call && !f.out {
			missing++
		}
	}
	f := of(c.Value)
	return missing == c.Missing && open == c.Open && missing > open && f.times == 1 && f.in < c.Found.Call && !f.out
}

// Bounds is the claim that a read of a counter lies outside of what the adds allow.
type Bounds struct {
	Read      *harness.Operation
	Low, High int64
}

// BoundsOf finds what a read of a counter can have shown: all that was added and
// acknowledged before it began, and what of the rest was begun before it ended.
func BoundsOf(whole []*harness.Operation, read *harness.Operation) Bounds {
	c := Bounds{Read: read}
	for _, op := range whole {
		v, ok := op.Input.(int64)
		if !ok || op.Type == harness.Fail || op.Call > read.Return {
			continue
		}
		sure := model.Returned(op) < read.Call
		if sure || v > 0 {
			c.High += v
		}
		if sure || v < 0 {
			c.Low += v
		}
	}
	return c
}

// Text implements [Claim].
func (c Bounds) Text(t Teller) string {
	if got := c.Read.Output.(int64); got < c.Low {
		return fmt.Sprintf("What had been added and acknowledged when process %d began to read at %s, and what else may have been added until it ended, allows no less than %d; it got %d.", c.Read.Process, t.start(c.Read), c.Low, got)
	}
	return fmt.Sprintf("What had been added and acknowledged when process %d began to read at %s, and what else may have been added until it ended, allows no more than %d; it got %d.", c.Read.Process, t.start(c.Read), c.High, c.Read.Output)
}

// Holds implements [Claim].
func (c Bounds) Holds(whole []*harness.Operation) bool {
	got := c.Read.Output.(int64)
	return (got < c.Low || got > c.High) && c == BoundsOf(whole, c.Read)
}

// Backward is the claim that a counter went back though nobody subtracted.
type Backward struct {
	First, Then *harness.Operation // reads
	Failed      int                // attempts to subtract that had been begun, but failed
}

// BackwardBy is the claim of two reads, the first of which ended before the other began.
func BackwardBy(whole []*harness.Operation, first, then *harness.Operation) Backward {
	c := Backward{First: first, Then: then}
	for _, op := range whole {
		if subtracts(op) && op.Type == harness.Fail && op.Call < then.Return {
			c.Failed++
		}
	}
	return c
}

func subtracts(op *harness.Operation) bool {
	v, ok := op.Input.(int64)
	return ok && v < 0
}

// Text implements [Claim].
func (c Backward) Text(t Teller) string {
	return fmt.Sprintf("Process %d got %d after process %d had got %d, and nobody had begun to subtract anything by %s%s.",
		c.Then.Process, c.Then.Output, c.First.Process, c.First.Output, t.end(c.Then), except(c.Failed))
}

// Holds implements [Claim].
func (c Backward) Holds(whole []*harness.Operation) bool {
	for _, op := range whole {
		if subtracts(op) && op.Type != harness.Fail && op.Call < c.Then.Return {
			return false
		}
	}
	return c == BackwardBy(whole, c.First, c.Then) && c.First.Return < c.Then.Call && c.First.Output.(int64) > c.Then.Output.(int64)
}

// Crowded is the claim that a mutex was acquired, or released, more often within
// a time than turns allow.
type Crowded struct {
	F          string // acquire or release
	Did, Other int    // so many of F began and succeeded in the time; so many of the other function were under way in it
	Failed     int    // and so many of the other function were that failed
	// From is where the time begins; nil: at the beginning, when the mutex was free.
	From *harness.Operation
	To   *harness.Operation // and where it ends: with the end of this
}

// CrowdedIn counts acquires and releases in a time.
func CrowdedIn(whole []*harness.Operation, f string, from, to *harness.Operation) Crowded {
	c := Crowded{F: f, From: from, To: to}
	begin := -1
	if from != nil {
		begin = from.Call
	}
	for _, op := range whole {
		switch {
		case op.Type == harness.Fail:
			if op.F != f && op.Call < to.Return && op.Return > begin {
				c.Failed++
			}
		case op.F == f && op.Type == harness.OK && op.Call >= begin && op.Return <= to.Return:
			c.Did++
		case op.F != f && op.Call < to.Return && model.Returned(op) > begin:
			c.Other++
		}
	}
	return c
}

// allowed is how many of F can have taken effect: between any two of them there is
// one of the other function, and before the first release an acquire.
func (c Crowded) allowed() int {
	if c.From == nil && c.F == "release" {
		return c.Other
	}
	return c.Other + 1
}

// Text implements [Claim].
func (c Crowded) Text(t Teller) string {
	did, other := "acquire", "release"
	if c.F == "release" {
		did, other = other, did
	}
	few, under := fmt.Sprintf("only %d %ss", c.Other, other), "were"
	switch c.Other {
	case 0:
		few, under = "no "+other, "was"
	case 1:
		few, under = "only one "+other, "was"
	}
	if c.From == nil {
		return fmt.Sprintf("By %s, %s had succeeded, and %s had begun%s.", t.end(c.To), Plural(c.Did, did), few, except(c.Failed))
	}
	return fmt.Sprintf("From %s to %s, %s began and succeeded, while %s %s under way%s; one has to come between any two of them.",
		t.start(c.From), t.end(c.To), Plural(c.Did, did), few, under, except(c.Failed))
}

// Holds implements [Claim].
func (c Crowded) Holds(whole []*harness.Operation) bool {
	return c.Did > c.allowed() && c == CrowdedIn(whole, c.F, c.From, c.To)
}

// noun is what a function of a lock is called.
func noun(f string) string {
	if f == "renew" {
		return "renewal"
	}
	return f
}

// NotHeld is the claim that a process did something with a lock that it did not hold.
type NotHeld struct{ Op *harness.Operation }

// Text implements [Claim].
func (c NotHeld) Text(t Teller) string {
	return fmt.Sprintf("Process %d did not hold %s when its %s at %s succeeded.", c.Op.Process, t.name(c.Op), noun(c.Op.F), t.end(c.Op))
}

// Holds implements [Claim].
func (c NotHeld) Holds(whole []*harness.Operation) bool {
	holds := false
	for _, op := range whole {
		if op.Call >= c.Op.Call {
			break
		}
		if op.Process == c.Op.Process && op.F != "renew" && op.F != model.Lapse && op.Type != harness.Fail {
			holds = op.F == "acquire" || op.Type != harness.OK && holds
		}
	}
	return !holds && c.Op.Type == harness.OK
}

// Tokens is the claim that fencing tokens did not grow from one holder to the next.
type Tokens struct {
	First, Then *harness.Operation // acquires; with the same token, or the first ended before the other began
}

// Text implements [Claim].
func (c Tokens) Text(Teller) string {
	a, b := model.Granted(c.First).Token, model.Granted(c.Then).Token
	if a == b {
		return fmt.Sprintf("Processes %d and %d were both given token %d.", c.First.Process, c.Then.Process, a.Int)
	}
	return fmt.Sprintf("Process %d was given token %d after process %d had been given token %d.", c.Then.Process, b.Int, c.First.Process, a.Int)
}

// Holds implements [Claim].
func (c Tokens) Holds([]*harness.Operation) bool {
	a, b := model.Granted(c.First).Token, model.Granted(c.Then).Token
	return a.Set && b.Set && (a == b || a.Int > b.Int && c.First.Return < c.Then.Call)
}

// BothHeld is the claim that a lock was given to one process while another one held it.
type BothHeld struct {
	First, Then *harness.Operation // acquires
}

// Text implements [Claim].
func (c BothHeld) Text(t Teller) string {
	return fmt.Sprintf("At %s processes %d and %d both held %s: process %d had been given it by %s and had not begun to release it, nor had its lease run out.",
		t.end(c.Then), c.First.Process, c.Then.Process, t.name(c.Then), c.First.Process, t.end(c.First))
}

// Holds implements [Claim].
func (c BothHeld) Holds(whole []*harness.Operation) bool {
	return c.First.Return < c.Then.Return && holdsAt(whole, c.First, c.Then) && holdsAt(whole, c.Then, c.Then)
}

// HeldOn is the claim that a process held a lock for some time, since its renewal or
// release succeeded, and that the lock was given to another in that time.
type HeldOn struct {
	First, Proof *harness.Operation // the acquire, and what succeeded
	Then         *harness.Operation // the other's acquire
}

// Text implements [Claim].
func (c HeldOn) Text(t Teller) string {
	return fmt.Sprintf("Process %d held %s at least from %s to %s, since its %s succeeded; in that time process %d was given it.",
		c.First.Process, t.name(c.First), t.end(c.First), t.start(c.Proof), noun(c.Proof.F), c.Then.Process)
}

// Holds implements [Claim].
func (c HeldOn) Holds(whole []*harness.Operation) bool {
	for _, op := range whole {
		if op.Process == c.First.Process && op.Call > c.First.Call && op.Call < c.Proof.Call && op.Type != harness.Fail && op.F != "renew" && op.F != model.Lapse {
			return false
		}
	}
	return c.First.Process == c.Proof.Process && c.Proof.Type == harness.OK && c.Then.Process != c.First.Process &&
		c.First.Return < c.Then.Call && c.Then.Return < c.Proof.Call
}

// holdsAt says that the process of an acquire still holds the lock when another
// operation ends, by what it did and what leases it has.
func holdsAt(whole []*harness.Operation, acquire, at *harness.Operation) bool {
	due := acquire.Start + model.Granted(acquire).Lease
	endless := model.Granted(acquire).Lease == 0
	for _, op := range whole {
		if op.Process != acquire.Process || op.Call <= acquire.Call || op.Call > at.Return {
			continue
		}
		if op.F == "release" || op.F == "acquire" {
			return false
		}
		if op.F != "renew" || op.Type != harness.OK {
			continue
		}
		switch g := model.Granted(op); {
		case op.Return > at.Return: // it may have had its effect already, and its lease may be over
			if g.Lease > 0 && op.Start+g.Lease <= at.End {
				return false
			}
		case g.Lease == 0:
			endless = true
		default:
			due, endless = op.Start+g.Lease, false
		}
	}
	return endless || due > at.End
}

// FirstUnexplained is the claim that all that was answered before an operation
// ended can be explained, and its answer cannot. It is for a model to say whether
// it holds.
type FirstUnexplained struct{ Op *harness.Operation }

// Text is the claim as a sentence.
func (c FirstUnexplained) Text(t Teller) string {
	if !t.Timed && c.Op.Line != 0 {
		return fmt.Sprintf("The first answer that nothing explains is that of process %d in %s (%s).", c.Op.Process, place(c.Op), t.Model.Describe(c.Op))
	}
	return fmt.Sprintf("The first answer that nothing explains is that of process %d at %s (%s).", c.Op.Process, t.end(c.Op), t.Model.Describe(c.Op))
}
