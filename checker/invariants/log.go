package invariants

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"coup/checker/graph"
	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Log judges logs as Jepsen's test of Kafka does: messages are sent to keys, each of
// which is a log, get an offset there, and are polled in the order of the offsets.
// Values are sent once each to a key. It looks for
//
//   - lost-write: a message that was acknowledged, or of whose transaction something
//     was polled, was polled by nobody, though a later one of its log was;
//   - duplicate: a message stands at two offsets;
//   - inconsistent-offsets: two messages stand at one offset;
//   - aborted-read: a message whose send failed was polled (G1a);
//   - precommitted-read: a transaction polled what it sent itself;
//   - G1c: operations polled each other's messages in a circle, so that each would have
//     to come before the other; G1c-process: the order of a process closes the circle;
//   - int-nonmonotonic-poll, int-poll-skip: within one operation, a message was polled
//     after one that follows it in the log, or one between two was left out;
//   - nonmonotonic-poll, poll-skip: the same from one poll of a process to its next, as
//     long as it stays assigned to the log; allowed if anybody subscribes, because the
//     system may then assign logs anew at any time;
//   - int-nonmonotonic-send, nonmonotonic-send: a process sent a message after
//     another, and it stands before that in the log;
//   - int-send-skip: between two messages that one operation sent stands another one;
//     always allowed;
//   - unseen: a message was acknowledged and never polled. That is invalid only if
//     the history says that all was polled in the end.
//
// Cycles of sends (G0) are not looked for: Kafka's transactions do not isolate sends, so
// Jepsen's test allows them always.
type Log struct {
	// Drained says that in the end everything was polled, as Jepsen's test sees to.
	Drained bool
	// ReadUncommitted says that polls may show messages of transactions that have not
	// committed yet: G1c and G1c-process are allowed.
	ReadUncommitted bool
}

// Name implements [harness.Checker].
func (Log) Name() string { return "log" }

var logKinds = []string{
	"lost-write", "aborted-read", "inconsistent-offsets", "duplicate", "precommitted-read", "G1c", "G1c-process", "int-nonmonotonic-poll", "int-poll-skip",
	"nonmonotonic-poll", "poll-skip", "int-nonmonotonic-send", "nonmonotonic-send", "unseen",
}

// sent is what is known of one message of a log.
type sent struct {
	value   int64
	writer  *harness.Operation // nil: nobody sent it
	offsets []int64            // at which it was seen, ascending
	reader  *harness.Operation // the first that polled it
}

// journal is one log.
type journal struct {
	key      string
	messages map[int64]*sent
	order    []*sent           // in the order in which they were met
	at       map[int64][]*sent // by offset
	known    map[int64]*harness.Operation
	offsets  []int64       // ascending: those at which anything stands
	place    map[int64]int // of a value: which of the offsets is its first
}

func (j *journal) message(v int64) *sent {
	m := j.messages[v]
	if m == nil {
		m = &sent{value: v}
		j.messages[v] = m
		j.order = append(j.order, m)
	}
	return m
}

// put notes that a message stands at an offset, as op says.
func (j *journal) put(m model.Message, op *harness.Operation) {
	if !m.Offset.Set {
		return
	}
	s := j.message(m.Value)
	if !slices.Contains(s.offsets, m.Offset.Int) {
		s.offsets = append(s.offsets, m.Offset.Int)
		j.at[m.Offset.Int] = append(j.at[m.Offset.Int], s)
		if j.known[m.Offset.Int] == nil {
			j.known[m.Offset.Int] = op
			j.offsets = append(j.offsets, m.Offset.Int)
		}
	}
}

// stepsOf are the steps of an operation: as it ended, or as it was asked for.
func stepsOf(op *harness.Operation) []model.LogStep {
	if out, ok := op.Output.(model.LogSteps); ok {
		return out.Steps
	}
	in, _ := op.Input.(model.LogSteps)
	return in.Steps
}

// Check implements [harness.Checker].
func (l Log) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	err := check(h, "logs", func(op *harness.Operation) bool {
		switch op.F {
		case "send", "poll", "txn":
			_, in := op.Input.(model.LogSteps)
			_, out := op.Output.(model.LogSteps)
			return in && (out || op.Type != harness.OK)
		case "assign", "subscribe":
			_, ok := op.Input.(model.Assigned)
			return ok
		}
		return op.F == "crash"
	})
	if err != nil {
		return harness.Result{Checker: l.Name()}, err
	}
	a := logAnalysis{findings: find(model.Logs(), h, logKinds...), journals: map[string]*journal{}, committed: map[*harness.Operation]bool{}}
	a.allow("int-send-skip")
	if slices.ContainsFunc(h.Operations, func(op harness.Operation) bool { return op.F == "subscribe" }) {
		a.allow("nonmonotonic-poll", "poll-skip")
	}
	if !l.Drained {
		a.allow("unseen")
	}
	if l.ReadUncommitted {
		a.allow("G1c", "G1c-process")
	}
	for _, look := range []func(*harness.History) error{a.gather, a.offsets, a.polls, a.sends, a.cycles, a.lost} {
		if ctx.Err() != nil {
			return harness.Result{Checker: l.Name(), Valid: harness.Unknown, Summary: "There was no time to judge the logs.", Details: a.Details}, nil
		}
		if err := look(h); err != nil {
			return harness.Result{Checker: l.Name()}, err
		}
	}
	r := a.result(l.Name(), "Messages went wrong", fmt.Sprintf("%s polled, %d acknowledged: none in another order than in its log.", story.Plural(a.Counts["polled"], "message"), a.Counts["acknowledged"]))
	if r.Valid == harness.Valid && a.Counts["polled"] == 0 {
		r.Valid, r.Summary = harness.Unknown, "Nobody polled a message."
	}
	return r, nil
}

// logAnalysis looks for what went wrong with logs.
type logAnalysis struct {
	*findings
	journals  map[string]*journal
	keys      []string
	committed map[*harness.Operation]bool // operations whose sends surely happened
}

func (a *logAnalysis) journal(key string) *journal {
	j := a.journals[key]
	if j == nil {
		j = &journal{key: key, messages: map[int64]*sent{}, at: map[int64][]*sent{}, known: map[int64]*harness.Operation{}, place: map[int64]int{}}
		a.journals[key] = j
		a.keys = append(a.keys, key)
	}
	return j
}

// gather notes who sent and who polled what, and at which offsets.
func (a *logAnalysis) gather(h *harness.History) error {
	for i := range h.Operations {
		op := &h.Operations[i]
		for _, s := range stepsOf(op) {
			if s.F != "send" {
				continue
			}
			m := a.journal(s.Key).message(s.Message.Value)
			if m.writer != nil {
				return fmt.Errorf("%d is sent to %s twice, by processes %d and %d: nobody can tell these two apart", s.Message.Value, s.Key, m.writer.Process, op.Process)
			}
			m.writer = op
			if op.Type == harness.OK {
				a.Counts["acknowledged"]++
			}
		}
		a.committed[op] = op.Type == harness.OK
	}
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.Type != harness.OK {
			continue
		}
		for _, s := range stepsOf(op) {
			if s.F == "send" {
				a.journal(s.Key).put(s.Message, op)
			}
			for _, p := range s.Polled {
				j := a.journal(p.Key)
				for _, m := range p.Messages {
					j.put(m, op)
					got := j.message(m.Value)
					if got.reader == nil {
						got.reader = op
						a.Counts["polled"]++
					}
					if w := got.writer; w != nil && w.Type == harness.Info {
						a.committed[w] = true
					}
				}
			}
		}
	}
	return nil
}

// offsets orders the messages of each log, and finds those that stand at several
// offsets or at one with others.
func (a *logAnalysis) offsets(*harness.History) error {
	for _, key := range a.keys {
		j := a.journals[key]
		slices.Sort(j.offsets)
		for n, offset := range j.offsets {
			for _, m := range j.at[offset] {
				if _, placed := j.place[m.value]; !placed {
					j.place[m.value] = n
				}
			}
			if all := j.at[offset]; len(all) > 1 {
				a.add("inconsistent-offsets", key, fmt.Sprintf("At offset %d of %s stand both %d and %d.", offset, key, all[0].value, all[1].value), a.whoSaw(all[0]), a.whoSaw(all[1]))
			}
		}
		for _, m := range j.order {
			slices.Sort(m.offsets)
			if len(m.offsets) > 1 {
				a.add("duplicate", key, fmt.Sprintf("%d stands at the offsets %d and %d of %s.", m.value, m.offsets[0], m.offsets[1], key), j.known[m.offsets[0]], j.known[m.offsets[1]])
			}
			if m.reader != nil && m.writer != nil && m.writer.Type == harness.Fail {
				a.add("aborted-read", key, fmt.Sprintf("Process %d polled %d from %s, whose send by process %d had failed.", m.reader.Process, m.value, key, m.writer.Process), m.writer, m.reader)
			}
		}
	}
	return nil
}

// whoSaw is who can tell where a message stands.
func (*logAnalysis) whoSaw(m *sent) *harness.Operation {
	if m.reader != nil {
		return m.reader
	}
	return m.writer
}

// pair judges two values of a log of which somebody met one right after the other.
func (a *logAnalysis) pair(backward, skip, did, key string, first, then int64, ops ...*harness.Operation) {
	j := a.journal(key)
	x, known := j.place[first]
	y, too := j.place[then]
	if !known || !too {
		return
	}
	who := fmt.Sprintf("Process %d %s %d of %s", ops[len(ops)-1].Process, did, then, key)
	switch {
	case y <= x:
		a.add(backward, key, fmt.Sprintf("%s after %d, which does not stand before it in the log.", who, first), ops...)
	case y > x+1 && skip != "":
		left := j.at[j.offsets[x+1]][0]
		a.add(skip, key, fmt.Sprintf("%s right after %d, and left out %s between them, the first of which is %d.", who, first, story.Plural(y-x-1, "message"), left.value),
			append(ops, j.known[j.offsets[x+1]])...)
	}
}

// polls follows what each process polls.
func (a *logAnalysis) polls(h *harness.History) error {
	type last struct {
		value int64
		op    *harness.Operation
	}
	latest := map[int]map[string]last{} // by process and key
	for _, op := range model.Pointers(h.Operations) {
		if op.Type != harness.OK {
			continue
		}
		mine := latest[op.Process]
		if mine == nil {
			mine = map[string]last{}
			latest[op.Process] = mine
		}
		if to, ok := op.Input.(model.Assigned); ok {
			for key := range mine {
				if to.FromBeginning || !slices.Contains(to.Keys, key) {
					delete(mine, key)
				}
			}
			continue
		}
		out, _ := op.Output.(model.LogSteps)
		got := map[string][]int64{}
		var keys []string
		own := map[string]map[int64]bool{}
		for _, s := range out.Steps {
			if s.F == "send" {
				if own[s.Key] == nil {
					own[s.Key] = map[int64]bool{}
				}
				own[s.Key][s.Message.Value] = true
			}
			for _, p := range s.Polled {
				if _, known := got[p.Key]; !known {
					keys = append(keys, p.Key)
				}
				for _, m := range p.Messages {
					got[p.Key] = append(got[p.Key], m.Value)
				}
			}
		}
		for _, key := range keys {
			values := got[key]
			for _, v := range values {
				if own[key][v] {
					a.add("precommitted-read", key, fmt.Sprintf("Process %d polled %d from %s in the operation in which it sent it.", op.Process, v, key), op)
					break
				}
			}
			if len(values) == 0 {
				continue
			}
			moved := slices.Contains(out.Rebalanced, key)
			for n := 1; n < len(values) && !moved; n++ {
				a.pair("int-nonmonotonic-poll", "int-poll-skip", "polled", key, values[n-1], values[n], op)
			}
			if before, ok := mine[key]; ok && !moved {
				a.pair("nonmonotonic-poll", "poll-skip", "polled", key, before.value, values[0], before.op, op)
			}
			mine[key] = last{values[len(values)-1], op}
		}
	}
	return nil
}

// sends follows what each process sends.
func (a *logAnalysis) sends(h *harness.History) error {
	type last struct {
		value int64
		op    *harness.Operation
	}
	latest := map[int]map[string]last{}
	for _, op := range model.Pointers(h.Operations) {
		if op.Type == harness.Fail {
			continue
		}
		mine := latest[op.Process]
		if mine == nil {
			mine = map[string]last{}
			latest[op.Process] = mine
		}
		if to, ok := op.Input.(model.Assigned); ok {
			for key := range mine {
				if !slices.Contains(to.Keys, key) {
					delete(mine, key)
				}
			}
			continue
		}
		for _, s := range stepsOf(op) {
			if s.F != "send" {
				continue
			}
			if before, ok := mine[s.Key]; ok && before.op == op {
				a.pair("int-nonmonotonic-send", "int-send-skip", "sent", s.Key, before.value, s.Message.Value, op)
			} else if ok {
				a.pair("nonmonotonic-send", "", "sent", s.Key, before.value, s.Message.Value, before.op, op)
			}
			mine[s.Key] = last{s.Message.Value, op}
		}
	}
	return nil
}

// lost finds what was acknowledged and not polled.
func (a *logAnalysis) lost(*harness.History) error {
	for _, key := range a.keys {
		j := a.journals[key]
		bound, reader := -1, (*sent)(nil) // the last message of the log that was polled
		for _, m := range j.order {
			if n, placed := j.place[m.value]; placed && m.reader != nil && n > bound {
				bound, reader = n, m
			}
		}
		for _, m := range j.order {
			if m.reader != nil || m.writer == nil || !a.committed[m.writer] {
				continue
			}
			// It ought to have been polled where it stands last.
			if n := len(m.offsets); n > 0 && bound >= 0 && m.offsets[n-1] <= j.offsets[bound] {
				a.add("lost-write", key, fmt.Sprintf("%d stands at offset %d of %s and was polled by nobody, though process %d polled %d, which stands at %d.",
					m.value, m.offsets[n-1], key, reader.reader.Process, reader.value, j.offsets[bound]), m.writer, reader.reader)
			}
			if m.writer.Type == harness.OK {
				a.add("unseen", key, fmt.Sprintf("%d was acknowledged in %s and never polled.", m.value, key), m.writer)
			}
		}
	}
	return nil
}

// cycles finds operations that polled each other's messages in a circle.
func (a *logAnalysis) cycles(h *harness.History) error {
	var ops []*harness.Operation
	number := map[*harness.Operation]int32{}
	for _, op := range model.Pointers(h.Operations) {
		if _, ok := op.Output.(model.LogSteps); ok && op.Type == harness.OK {
			number[op] = int32(len(ops))
			ops = append(ops, op)
		}
	}
	g := graph.New(len(ops))
	latest := map[int]int32{} // by process
	for to, op := range ops {
		if from, known := latest[op.Process]; known {
			g.Edge(from, int32(to), graph.Process)
		}
		latest[op.Process] = int32(to)
		for _, m := range a.polledBy(op) {
			if from, ok := number[m.writer]; ok {
				g.Edge(from, int32(to), graph.WR)
			}
		}
	}
	g.Seal()
	for kind, kinds := range map[string]graph.Dependency{"G1c": graph.WR, "G1c-process": graph.WR | graph.Process} {
		component, _ := g.Components(kinds, nil)
		first := graph.WR
		if kind == "G1c-process" {
			first = graph.Process
		}
		steps := g.Cycle(first, kinds, component)
		if steps == nil {
			continue
		}
		var proof []*harness.Operation
		var said []string
		for _, s := range steps {
			from, to := ops[s.From], ops[s.To]
			proof = append(proof, to)
			if s.Kind == graph.Process {
				said = append(said, fmt.Sprintf("process %d performed %s before %s", to.Process, a.model.Describe(from), a.model.Describe(to)))
				continue
			}
			for key, m := range a.polledBy(to) {
				if m.writer == from {
					said = append(said, fmt.Sprintf("process %d polled %d from %s, which process %d had sent", to.Process, m.value, key, from.Process))
					break
				}
			}
		}
		a.add(kind, "", "Each of these operations would have to come before the others: "+strings.Join(said, ", and ")+".", proof...)
	}
	return nil
}

// polledBy are the messages that an operation polled, with their logs.
func (a *logAnalysis) polledBy(op *harness.Operation) iter.Seq2[string, *sent] {
	return func(yield func(string, *sent) bool) {
		for _, s := range stepsOf(op) {
			for _, p := range s.Polled {
				for _, m := range p.Messages {
					if !yield(p.Key, a.journal(p.Key).message(m.Value)) {
						return
					}
				}
			}
		}
	}
}
