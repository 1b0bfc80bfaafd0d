package report

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/conduct"
	"coup/cluster/trace"
	"coup/harness"
	"coup/harness/timeline"
)

// tracedInput is a run in which n1, cut off from n2 and n3, answers a read with
// what was there before it was deposed, and the trace of that.
func tracedInput() Input {
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	in := Input{
		Title: "traced", Nodes: []string{"n1", "n2", "n3"},
		Verdict: Verdict{Valid: harness.Invalid, Results: []harness.Result{
			{Checker: "linearizable", Valid: harness.Invalid, Summary: "A read of x was stale.", Counterexample: &harness.Counterexample{
				Key: "x", Story: []string{"Process 1 wrote 2.", "Process 2 read 1."},
				Witness: []harness.Witness{
					{Process: 1, F: "write", Key: "x", Type: harness.OK, Text: "write 2", Start: int64(at(2000)), End: int64(at(2010)), Node: "n2"},
					{Process: 2, F: "read", Key: "x", Type: harness.OK, Text: "read -> 1", Start: int64(at(2100)), End: int64(at(2102)), Node: "n1"},
				},
			}},
		}},
		Events: []harness.Event{
			{Time: 0, Kind: harness.PhaseEvent, Message: "load"},
			{Time: at(10), Kind: harness.RoleEvent, Node: "n1", Role: "leader", Term: 2},
			{Time: at(11), Kind: harness.LeaderEvent, Node: "n2", Leader: "n1", Term: 2},
			{Time: at(1500), Kind: harness.FaultStart, ID: 1, Fault: "partition", Target: "leader"},
			{Time: at(1510), Kind: harness.FaultHold, ID: 1, Fault: "partition", Target: "leader", Links: []harness.Link{{From: "n1", To: "n2"}, {From: "n1", To: "n3"}}},
			{Time: at(1900), Kind: harness.RoleEvent, Node: "n2", Role: "leader", Term: 3},
			{Time: at(9000), Kind: harness.PhaseEvent, Message: "done"},
		},
		Operations: []harness.Operation{
			{Process: 1, F: "write", Key: "x", Input: int64(2), Type: harness.OK, Start: at(2000), End: at(2010), Node: "n2", Call: 1, Return: 2},
			{Process: 2, F: "read", Key: "x", Output: int64(1), Type: harness.OK, Start: at(2100), End: at(2102), Node: "n1", Call: 3, Return: 4},
		},
	}
	id := uint64(0)
	var events []trace.Event
	say := func(sent time.Duration, from, to string, took time.Duration, m trace.Message) {
		id++
		events = append(events, trace.Event{Time: sent, Kind: trace.Send, Node: from, To: to, ID: id, Bytes: 9, Messages: []trace.Message{m}})
		if took < 0 {
			events = append(events, trace.Event{Time: sent, Kind: trace.Lost, ID: id})
		} else {
			events = append(events, trace.Event{Time: sent + took, Kind: trace.Arrive, ID: id})
		}
	}
	for t := 1400; t < 2200; t += 50 {
		took := at(1)
		if t >= 1500 {
			took = -1
		}
		say(at(t), "n1", "n2", took, trace.Message{Kind: "AppendEntries", Idle: true, Text: "heartbeat, term 2", Sender: &trace.Belief{Role: "leader", Term: 2, Leader: "n1"}})
	}
	events = append(events,
		trace.Event{Time: at(1890), Kind: trace.Sync, Node: "n2", ID: 500, Path: "data/raft.wal"}, trace.Event{Time: at(1892), Kind: trace.Synced, Node: "n2", ID: 500, Text: "input/output error"},
		trace.Event{Time: at(1890), Kind: trace.Log, Node: "n2", Text: "election won"}, trace.Event{Time: at(1880), Kind: trace.Wake, Node: "n2", Text: "timer"})
	say(at(1880), "n2", "n3", at(1), trace.Message{Kind: "RequestVote", Text: "for term 3", Sender: &trace.Belief{Role: "candidate", Term: 3, Last: 7}})
	say(at(2000), trace.Clients, "n2", at(1), trace.Message{Kind: "write", Text: "x 2", Keys: []string{"x"}})
	say(at(2002), "n2", "n3", at(1), trace.Message{Kind: "AppendEntries", Text: "#8 write x 2", Keys: []string{"x"}, Sender: &trace.Belief{Role: "leader", Term: 3, Leader: "n2", Last: 8, Commit: 7}})
	say(at(2005), "n3", "n2", at(1), trace.Message{Kind: "AppendEntries", Reply: true, Text: "yes", Keys: []string{"x"}, Sender: &trace.Belief{Term: 3, Last: 8, Commit: 7}})
	say(at(2050), trace.Clients, "n2", at(1), trace.Message{Kind: "read", Text: "x", Keys: []string{"x"}})
	say(at(2100), trace.Clients, "n1", at(1), trace.Message{Kind: "read", Text: "x", Keys: []string{"x"}})
	say(at(2101), "n1", trace.Clients, at(1), trace.Message{Kind: "read", Reply: true, Text: "1", Keys: []string{"x"}})
	slices.SortStableFunc(events, func(a, b trace.Event) int { return int(a.Time - b.Time) })
	in.Trace = traceOf(events...)
	return in
}

// windows are those that the page would hold of a run.
func windows(t *testing.T, in Input) (all []dataWindow, notes []string) {
	t.Helper()
	end := endOf(&in)
	p := &page{}
	p.addResults(in.Verdict.Results, nil)
	h := &harness.History{Nodes: in.Nodes, Events: in.Events}
	faults := gatherFaults(h, end)
	var changes conduct.FailoverDetails
	details(in.Verdict.Results, "failovers", &changes)
	chosen, left := chooseWindows(&in, p.Proofs, changes.Failovers, faults, end)
	part, err := gatherTrace(&in, chosen, left, gatherLanes(h, faults, end), faults)
	if err != nil {
		t.Fatal(err)
	}
	unpackInto(t, string(part.Packed), &all)
	return all, part.Notes
}

func TestTraceOfACounterexample(t *testing.T) {
	all, notes := windows(t, tracedInput())
	if len(all) != 2 || len(notes) != 0 { // the first election is one of its own
		t.Fatalf("%d windows, notes %q", len(all), notes)
	}
	w := all[1]
	if w.From > 1_500_000 || w.From < 1_100_000 || w.To < 2_102_000 || len(w.Ops) != 2 {
		t.Errorf("the window is %d to %d with %d operations", w.From, w.To, len(w.Ops))
	}
	own, lost, idle := 0, 0, 0
	for _, m := range w.Messages {
		flags := m[6]
		if flags&flagOwn != 0 {
			own++
		}
		if flags&flagLost != 0 {
			lost++
			if m[1] != -1 {
				t.Errorf("what was lost arrived: %v", m)
			}
		}
		if flags&flagIdle != 0 {
			idle++
		}
	}
	if own != 5 || lost != 14 || idle != 16 { // the read of another process in between is not its own
		t.Errorf("%d messages are the operations' own, %d were lost, %d idle", own, lost, idle)
	}
	at := func(node int, us int64) string {
		said := ""
		for _, b := range w.Beliefs[node] {
			if b[0] <= us {
				said = fmt.Sprintf("%s %d %s %d/%d", w.Words[b[1]], b[2], w.Words[b[3]], b[5], b[4])
			}
		}
		return said
	}
	for _, c := range []struct {
		node int
		us   int64
		want string
	}{
		{0, 2_102_000, "leader 2 n1 0/0"}, {1, 1_600_000, " 2 n1 0/0"}, {1, 1_885_000, "candidate 3 n1 0/7"},
		{1, 2_102_000, "leader 3 n2 7/8"}, {2, 2_102_000, " 3  7/8"},
	} {
		if got := at(c.node, c.us); got != c.want {
			t.Errorf("%s at %d believed %q, want %q", w.Nodes[c.node], c.us, got, c.want)
		}
	}
}

// The memory and the page stay bounded, what is nearest to the counterexample
// stays, and the page says what does not.
func TestTraceIsBounded(t *testing.T) {
	in := tracedInput()
	small := in.Trace
	in.Trace = func(wanted func(time.Duration) bool) iter.Seq2[*trace.Event, error] {
		return func(yield func(*trace.Event, error) bool) {
			for e, err := range small(wanted) {
				if !yield(e, err) {
					return
				}
			}
			for i := range 100_000 {
				e := &trace.Event{Time: 1500*time.Millisecond + time.Duration(i)*8*time.Microsecond, Kind: trace.Send, Node: "n1", To: "n3", ID: uint64(1000 + i),
					Messages: []trace.Message{{Kind: "AppendEntries", Text: fmt.Sprint("entry ", i)}}}
				if wanted(e.Time) && !yield(e, nil) {
					return
				}
			}
		}
	}
	all, _ := windows(t, in)
	w := all[1]
	if n := len(w.Messages); n > mostMessages+mostIdle {
		t.Errorf("%d messages", n)
	}
	if w.LeftOut["messages"] < 90_000 {
		t.Errorf("left out: %v", w.LeftOut)
	}
	own := 0
	for _, m := range w.Messages {
		if m[6]&flagOwn != 0 {
			own++
		}
	}
	if own != 5 {
		t.Errorf("%d of the counterexample's own messages are left", own)
	}
	with := len(write(t, in))
	in.Trace = nil
	if without := len(write(t, in)); with-without > 150_000 {
		t.Errorf("the page has %d bytes, and %d without the trace", with, without)
	}
}

func TestTracesThatBreakOff(t *testing.T) {
	in := tracedInput()
	whole := in.Trace
	endWith := func(end error) Trace {
		return func(wanted func(time.Duration) bool) iter.Seq2[*trace.Event, error] {
			return func(yield func(*trace.Event, error) bool) {
				for e := range whole(wanted) {
					if !yield(e, nil) {
						return
					}
				}
				yield(nil, end)
			}
		}
	}
	in.Trace = endWith(trace.ErrTorn)
	if page := write(t, in); !bytes.Contains(page, []byte("The trace breaks off at 2.")) {
		t.Error("the page does not say that the trace breaks off")
	}
	in.Trace = endWith(errors.New("no trace at all"))
	if err := Write(&bytes.Buffer{}, in); err == nil || !strings.Contains(err.Error(), "no trace at all") {
		t.Errorf("error %v", err)
	}
}

func TestTheMomentsThatMatter(t *testing.T) {
	sec := time.Second
	witness := func(start, end time.Duration) harness.Witness {
		return harness.Witness{Process: 1, Text: fmt.Sprint("op ", start), Type: harness.OK, Start: int64(start), End: int64(end)}
	}
	leads := func(t time.Duration) harness.Event {
		return harness.Event{Time: t, Kind: harness.RoleEvent, Role: "leader", Node: "n2", Term: 5}
	}
	for name, c := range map[string]struct {
		proofs   []proof
		changes  []conduct.Failover
		faults   []*fault
		events   []harness.Event
		want     string
		wantLeft int
	}{
		"near":     {proofs: []proof{{Witness: []harness.Witness{witness(10*sec, 10*sec+1), witness(10*sec+sec/4, 11*sec)}}}, want: "9.85-11.15/2"},
		"far":      {proofs: []proof{{Witness: []harness.Witness{witness(10*sec, 10*sec+1), witness(30*sec, 30*sec+1)}}}, want: "9.85-10.15/1 29.85-30.15/1"},
		"election": {proofs: []proof{{Witness: []harness.Witness{witness(10*sec, 10*sec+1)}}}, events: []harness.Event{leads(8 * sec), leads(10*sec + 9*sec/10), leads(50 * sec)}, want: "7.70-8.30/0 9.85-11.20/1"},
		"long":     {proofs: []proof{{Witness: []harness.Witness{witness(10*sec, 25*sec)}}}, want: "9.85-11.15/1 24.85-25.15/1"},
		"failover": {changes: []conduct.Failover{{At: 5 * sec, Served: 2 * sec}}, faults: []*fault{{&timeline.Fault{Start: 50 * sec}}}, want: "4.70-7.30/0"},
		"strike":   {faults: []*fault{{&timeline.Fault{Start: 50 * sec}}, {&timeline.Fault{Start: 55 * sec, Skipped: true}}}, want: "49.70-51.00/0"},
		"nothing":  {events: []harness.Event{{Time: 3 * sec, Kind: harness.PhaseEvent, Message: "load"}}, want: "3.00-4.00/0"},
		"many":     {changes: slices.Repeat([]conduct.Failover{{At: 5 * sec}}, 20), want: strings.TrimSpace(strings.Repeat("4.70-5.30/0 ", 8)), wantLeft: 12},
	} {
		all, left := chooseWindows(&Input{Events: c.events}, c.proofs, c.changes, c.faults, 60*sec)
		var got []string
		for _, w := range all {
			got = append(got, fmt.Sprintf("%.2f-%.2f/%d", w.From.Seconds(), w.To.Seconds(), len(w.Ops)))
		}
		if strings.Join(got, " ") != c.want || left != c.wantLeft {
			t.Errorf("%s: %q, %d left, want %q, %d", name, got, left, c.want, c.wantLeft)
		}
	}
}

// What a node wrote counts from that moment on, and never before, however much there is.
func TestWhereALogEnds(t *testing.T) {
	in := tracedInput()
	at := func(us int) time.Duration { return 2*time.Second + time.Duration(us)*time.Microsecond }
	var events []trace.Event
	for i := range 1000 {
		events = append(events, trace.Event{Time: at(10 * i), Kind: trace.Write, Node: "n2", Path: "data/raft.wal", Text: fmt.Sprintf("#%d of term 3: write y %d", 10+i, i)})
	}
	events = append(events,
		trace.Event{Time: at(40_000), Kind: trace.Write, Node: "n2", Path: "data/raft.wal", Text: "drops #4 to #5000"},
		trace.Event{Time: at(41_000), Kind: trace.Write, Node: "n2", Path: "data/raft.wal", Text: "#4 of term 4: write x 2, #5 of term 4: write x 2"})
	in.Trace = traceOf(events...)
	all, _ := windows(t, in)
	w := all[len(all)-1]
	last := func(us int) (last int64) {
		for _, row := range w.Beliefs[1] {
			if row[0] <= at(us).Microseconds() {
				last = row[4]
			}
		}
		return last
	}
	for us, want := range map[int]int64{5: 10, 95: 19, 5000: 510, 40_500: 3, 41_000: 5} {
		if got := last(us); got != want {
			t.Errorf("after %d µs the log ends at %d, want %d", us, got, want)
		}
	}
	for _, row := range w.Beliefs[1] {
		if us := row[0] - at(0).Microseconds(); us >= 0 && us < 30_000 && row[4] > 10+us/10 {
			t.Errorf("after %d µs the log ends at %d already", us, row[4])
		}
	}
	if want := []string{"Entries #4 and #5, as they were written to logs, are the same: write x 2."}; !slices.Equal(w.Twice, want) {
		t.Errorf("twice: %q", w.Twice)
	}
}

func TestCauses(t *testing.T) {
	sec := time.Second
	f := func(name string, from, to time.Duration, nodes ...string) *fault {
		return &fault{&timeline.Fault{Event: harness.Event{Fault: name, Nodes: nodes}, Start: from, Hold: from, End: to, Ended: true}}
	}
	missed, skipped := f("kill", 10*sec, 12*sec, "n1"), f("kill", 10*sec, 12*sec, "n1")
	missed.Missed, skipped.Skipped = "it ran on", true
	for name, c := range map[string]struct {
		faults []*fault
		want   string
	}{
		"none":              {nil, "none"},
		"over":              {[]*fault{f("kill", 1*sec, 2*sec, "n1"), f("pause", 5*sec, 6*sec, "n3")}, "5s pause (n3)"},
		"on":                {[]*fault{f("kill", 1*sec, 2*sec, "n1"), f("pause", 9*sec, 12*sec, "n3"), f("stop", 13*sec, 14*sec, "n3")}, "9s pause (n3)"},
		"of their node":     {[]*fault{f("pause", 9*sec, 12*sec, "n3"), f("kill", 11*sec, 12*sec, "n1")}, "11s kill (n1)"},
		"behind":            {[]*fault{f("pause", 30*sec, 31*sec, "n1")}, "none"},
		"that did not bite": {[]*fault{missed, skipped}, "none"},
	} {
		p := proof{Witness: []harness.Witness{
			{Process: 1, Node: "n1", Type: harness.OK, Start: int64(10 * sec), End: int64(11 * sec)},
			{Process: 2, Node: "n2", Type: harness.OK, Start: int64(20 * sec), End: int64(21 * sec)},
		}}
		got := "none"
		if found := causeOf(p, c.faults); found != nil {
			got = fmt.Sprint(found.at, " ", found.text)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
