package report

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"coup/checker/conduct"
	"coup/checker/model"
	"coup/harness"
)

// made is a run that never was, as like a real one as the report can tell.
type made struct {
	Seed       uint64
	Lasts      time.Duration
	Operations int
	Faults     bool
	Verdict    harness.Validity
}

var victims = []struct{ fault, target string }{
	{"kill", "leader"}, {"partition", "leader"}, {"pause", "follower"}, {"oneway", "random"}, {"kill", "leader"}, {"partition", "halves"}, {"pause", "leader"},
}

// input makes the run.
func (m made) input() Input {
	rng := rand.New(rand.NewPCG(m.Seed, 7))
	in := Input{
		Title:   "raft · register · kill:leader, partition:leader, pause",
		Command: "coup run --system raft --workload register --nemesis kill:leader,partition:leader,pause --nodes 5 --time " + m.Lasts.String() + " --concurrency 10 --seed 7 --out runs",
		Plan: []Field{
			{"system", "raft (hashicorp/raft v1.7.3)"}, {"workload", "register: 5 keys, reads linearizable"}, {"nemesis", "kill:leader, partition:leader, pause"},
			{"nodes", "5"}, {"time", m.Lasts.String()}, {"concurrency", "10"}, {"seed", "7"}, {"image", "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"},
		},
		Started: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC),
		Nodes:   []string{"n1", "n2", "n3", "n4", "n5"},
	}
	in.Events = m.events(rng, in.Nodes)
	in.Operations = m.operations(rng, in.Events)
	in.Verdict = m.verdict(&in)
	return in
}

// events makes elections, faults and snapshots. The cluster is a little
// machine: who leads, in which term, and who is down.
func (m made) events(rng *rand.Rand, nodes []string) []harness.Event {
	var events []harness.Event
	say := func(t time.Duration, e harness.Event) {
		e.Time = t
		events = append(events, e)
	}
	setup := min(1500*time.Millisecond, m.Lasts/5)
	say(0, harness.Event{Kind: harness.PhaseEvent, Message: "setup"})
	term, leader := uint64(1), ""
	elect := func(t time.Duration, among []string) time.Duration {
		term++
		winner := among[rng.IntN(len(among))]
		say(t, harness.Event{Kind: harness.ElectionEvent, Node: winner, Term: term})
		say(t, harness.Event{Kind: harness.RoleEvent, Node: winner, Role: "candidate", Term: term})
		t += ms(rng, 20, 120)
		say(t, harness.Event{Kind: harness.RoleEvent, Node: winner, Role: "leader", Term: term})
		for _, n := range among {
			if n != winner {
				say(t+ms(rng, 5, 40), harness.Event{Kind: harness.LeaderEvent, Node: n, Leader: winner, Term: term})
			}
		}
		leader = winner
		return t
	}
	for _, n := range nodes {
		t := ms(rng, 50, 300)
		say(t, harness.Event{Kind: harness.BootEvent, Node: n})
		say(t+ms(rng, 10, 30), harness.Event{Kind: harness.RoleEvent, Node: n, Role: "follower", Term: 1})
	}
	elect(min(setup/2+ms(rng, 0, 200), setup), nodes)
	say(setup, harness.Event{Kind: harness.PhaseEvent, Message: "load"})
	heal := m.Lasts - m.Lasts/10
	id := 0
	for t := setup + ms(rng, 1500, 2500); m.Faults && t < heal-2*time.Second; t += ms(rng, 2500, 6000) {
		id++
		v := victims[id%len(victims)]
		victim := leader
		if v.target != "leader" {
			victim = nodes[rng.IntN(len(nodes))]
		}
		others := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == victim })
		f := harness.Event{ID: id, Fault: v.fault, Target: v.target, Nodes: []string{victim}}
		if v.fault == "partition" || v.fault == "oneway" {
			f.Nodes = nil
			for _, n := range others {
				f.Links = append(f.Links, harness.Link{From: victim, To: n})
				if v.fault == "partition" {
					f.Links = append(f.Links, harness.Link{From: n, To: victim})
				}
			}
		}
		if id%13 == 9 {
			say(t, harness.Event{Kind: harness.FaultSkip, ID: id, Fault: v.fault, Target: v.target, Message: "nobody to strike"})
			continue
		}
		f.Kind = harness.FaultStart
		say(t, f)
		if id%9 == 8 {
			f.Kind, f.Message = harness.FaultMiss, "the process was still there after 2 s"
			say(t+2*time.Second, f)
			f.Kind, f.Message = harness.FaultEnd, ""
			say(t+2*time.Second+ms(rng, 1, 30), f)
			continue
		}
		hold := t + ms(rng, 20, 80)
		f.Kind, f.Message = harness.FaultHold, map[string]string{
			"kill": "process 4711 is gone", "pause": "probe unanswered for 200 ms", "partition": "0 of 8 probes arrived", "oneway": "0 of 4 probes arrived, 4 of 4 the other way",
		}[v.fault]
		say(hold, f)
		end := min(hold+ms(rng, 2000, 4500), heal)
		if victim == leader && v.fault != "oneway" {
			old := victim
			elect(hold+ms(rng, 300, 1400), others)
			if v.fault != "kill" {
				say(min(end, hold+ms(rng, 1500, 1900)), harness.Event{Kind: harness.RoleEvent, Node: old, Role: "follower", Term: term})
			}
		}
		f.Kind, f.Message = harness.FaultEnd, ""
		say(end, f)
		if v.fault == "kill" {
			up := end + ms(rng, 60, 140)
			say(up, harness.Event{Kind: harness.BootEvent, Node: victim})
			say(up+ms(rng, 5, 15), harness.Event{Kind: harness.RestoreEvent, Node: victim, Applied: uint64(t / time.Millisecond)})
			say(up+ms(rng, 20, 30), harness.Event{Kind: harness.RoleEvent, Node: victim, Role: "follower", Term: term})
		}
	}
	for t := setup; t < m.Lasts; t += ms(rng, 1500, 4000) {
		say(t, harness.Event{Kind: harness.SnapshotEvent, Node: nodes[rng.IntN(len(nodes))], Applied: uint64(t / time.Millisecond)})
	}
	if m.Faults && m.Lasts > 20*time.Second {
		say(m.Lasts/2, harness.Event{Kind: harness.ExitEvent, Node: "n4", Message: "exit status 2: panic: log not found"})
		say(m.Lasts/2+time.Second, harness.Event{Kind: harness.BootEvent, Node: "n4"})
		say(m.Lasts/2+time.Second+50*time.Millisecond, harness.Event{Kind: harness.RoleEvent, Node: "n4", Role: "follower", Term: term})
	}
	say(heal, harness.Event{Kind: harness.PhaseEvent, Message: "heal"})
	say(m.Lasts-m.Lasts/20, harness.Event{Kind: harness.PhaseEvent, Message: "final"})
	say(m.Lasts, harness.Event{Kind: harness.PhaseEvent, Message: "done"})
	slices.SortStableFunc(events, func(a, b harness.Event) int { return int(a.Time - b.Time) })
	return events
}

func ms(rng *rand.Rand, from, to int) time.Duration {
	return time.Duration(from)*time.Millisecond + time.Duration(rng.Int64N(int64(to-from+1)*int64(time.Millisecond)))
}

// operations makes the work of ten clients that take turns; while no leader
// serves they fail, hang or give up.
func (m made) operations(rng *rand.Rand, events []harness.Event) []harness.Operation {
	type outage struct{ from, to time.Duration }
	var outages []outage
	var since time.Duration = -1
	lead := ""
	for _, e := range events {
		switch {
		case e.Kind == harness.RoleEvent && e.Role == "leader":
			if since >= 0 {
				outages = append(outages, outage{since, e.Time + 30*time.Millisecond})
			}
			lead, since = e.Node, -1
		case e.Kind == harness.FaultHold && e.Fault != "oneway" && since < 0:
			if slices.Contains(e.Nodes, lead) || len(e.Links) > 0 && e.Links[0].From == lead {
				since = e.Time
			}
		}
	}
	const clients = 10
	var ops []harness.Operation
	free := make([]time.Duration, clients)
	process := make([]int, clients)
	next := clients
	for i := range process {
		process[i] = i
		free[i] = min(1500*time.Millisecond, m.Lasts/5) + ms(rng, 0, 20)
	}
	pause := time.Duration(0)
	if m.Operations > 0 {
		pause = m.Lasts * 9 / 10 * clients / time.Duration(m.Operations)
	}
	registers := map[string]int64{}
	var value int64
	for range m.Operations {
		c := 0
		for i := range free {
			if free[i] < free[c] {
				c = i
			}
		}
		op := harness.Operation{
			Process: process[c], F: []string{"read", "write", "cas"}[rng.IntN(3)], Key: string(rune('a' + rng.IntN(5))),
			Type: harness.OK, Start: free[c], Node: "n" + strconv.Itoa(1+rng.IntN(5)), Call: len(ops)*2 + 1, Return: len(ops)*2 + 2,
		}
		took := time.Duration(float64(time.Millisecond) * (1.2 + rng.ExpFloat64()*1.5))
		if rng.IntN(500) == 0 {
			took *= 20
		}
		value++
		switch op.F {
		case "write":
			op.Input = value
		case "cas":
			op.Input = json.RawMessage(fmt.Sprintf("[%d,%d]", registers[op.Key], value))
		}
		for _, o := range outages {
			if op.Start+took < o.from || op.Start > o.to {
				continue
			}
			switch rng.IntN(4) {
			case 0:
				op.Type, op.Error = harness.Fail, "not the leader; no leader is known"
				took += ms(rng, 20, 60)
			case 1:
				op.Type, op.Error = harness.Info, fmt.Sprintf("read tcp 127.0.0.1:%d: i/o timeout", 40000+rng.IntN(20000))
				took = time.Second
			default:
				took = o.to - op.Start + ms(rng, 1, 20)
			}
			break
		}
		op.End = op.Start + took
		switch {
		case op.Type == harness.Info:
			op.Return = harness.Open
			process[c] = next
			next++
		case op.Type == harness.Fail:
		case op.F == "read":
			op.Output = registers[op.Key]
		case op.F == "write":
			registers[op.Key] = value
		case op.F == "cas":
			op.Output = registers[op.Key]
			registers[op.Key] = value
		}
		free[c] = op.End + time.Duration(float64(pause)*rng.ExpFloat64()/2) + pause/4
		ops = append(ops, op)
	}
	slices.SortStableFunc(ops, func(a, b harness.Operation) int { return int(a.Start - b.Start) })
	return ops
}

// verdict judges the run with the checkers that give figures, and as the fixture wants it otherwise.
func (m made) verdict(in *Input) Verdict {
	h := &harness.History{Operations: in.Operations, Events: in.Events, Nodes: in.Nodes}
	linear := harness.Result{Checker: "linearizable", Valid: m.Verdict}
	v := Verdict{Valid: m.Verdict}
	switch m.Verdict {
	case harness.Valid:
		linear.Summary = fmt.Sprintf("All %d operations on 5 keys are linearizable.", len(in.Operations))
	case harness.Unknown:
		linear.Summary = "Key c was not decided within 30 s."
		v.Reasons = []string{"The checker linearizable did not finish.", "Fault 8 (pause follower) did not bite."}
	default:
		linear.Summary = "A read of key c returned a value that had been overwritten before the read began."
		linear.Counterexample = staleRead(in)
	}
	linear.Details = map[string]any{"keys": 5, "operations": len(in.Operations)}
	v.Results = []harness.Result{linear}
	for _, c := range []harness.Checker{conduct.Availability{}, conduct.Failovers{}} {
		r, err := c.Check(context.Background(), h)
		if err != nil {
			panic(err)
		}
		v.Results = append(v.Results, r)
	}
	v.Results = append(v.Results, harness.Result{Checker: "replicas", Valid: harness.Valid, Summary: "All 5 replicas hold the same state at position 12345."})
	return v
}

// staleRead plants a violation into the operations: a deposed leader answers
// a read with the value from before its successor's write.
func staleRead(in *Input) *harness.Counterexample {
	ops := in.Operations
	if len(ops) < 40 {
		return nil
	}
	at := len(ops) / 2
	t := ops[at].Start
	var elections []time.Duration
	old := "n2"
	for _, e := range in.Events {
		if e.Kind == harness.RoleEvent && e.Role == "leader" {
			if elections = append(elections, e.Time); len(elections) == 1 {
				old = e.Node
			}
		}
	}
	if len(elections) > 1 { // while the old leader still believes that it leads
		t = elections[1] - 330*time.Millisecond
	}
	planted := []harness.Operation{
		{Process: 900, F: "write", Key: "c", Input: int64(7001), Type: harness.OK, Start: t, End: t + 3*time.Millisecond, Node: "n1"},
		{Process: 901, F: "cas", Key: "c", Input: json.RawMessage("[7001,7002]"), Output: int64(7001), Type: harness.OK, Start: t + 412*time.Millisecond, End: t + 455*time.Millisecond, Node: "n3"},
		{Process: 903, F: "write", Key: "c", Input: int64(7003), Type: harness.Info, Start: t + 430*time.Millisecond, End: t + 1430*time.Millisecond, Node: "n1", Error: "i/o timeout"},
		{Process: 900, F: "read", Key: "c", Output: int64(7002), Type: harness.OK, Start: t + 470*time.Millisecond, End: t + 474*time.Millisecond, Node: "n3"},
		{Process: 902, F: "read", Key: "c", Output: int64(7001), Type: harness.OK, Start: t + 612*time.Millisecond, End: t + 614*time.Millisecond, Node: old},
	}
	texts := []string{"write 7001", "cas 7001 to 7002 -> saw 7001", "write 7003", "read -> 7002", "read -> 7001"}
	c := &harness.Counterexample{Key: "c", Story: []string{
		fmt.Sprintf("Process 900 wrote 7001 to c on n1, from %s to %s.", clock(t), clock(planted[0].End)),
		"Process 901 then changed 7001 to 7002 on n3, and was told that it had.",
		"Process 900 read 7002 on n3: from here on everyone must see 7002 or something newer.",
		"Process 902 began to read c on " + old + " 138 ms later, and was told 7001. No order of these operations explains that: 7001 had been replaced before the read began.",
		"Process 903's write of 7003 was never answered; it may have happened at any time after it began, and does not help.",
	}}
	for i, op := range planted {
		w := harness.Witness{
			Process: op.Process, F: op.F, Key: op.Key, Type: op.Type, Text: texts[i], Start: int64(op.Start), End: int64(op.End), Node: op.Node, Line: 2*at + i,
		}
		if op.Type == harness.Info {
			w.End = -1
		}
		c.Witness = append(c.Witness, w)
	}
	ops = append(ops, planted...)
	slices.SortStableFunc(ops, func(a, b harness.Operation) int { return int(a.Start - b.Start) })
	in.Operations = ops
	return c
}

// transactionsInput is a run with a counterexample of transactions that has
// arrows of several kinds, between lanes and within one.
func transactionsInput() Input {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	txn := func(process, from, to int, in, out model.Txn) harness.Operation {
		return harness.Operation{Process: process, F: "txn", Input: in, Output: out, Type: harness.OK, Start: ms(from), End: ms(to), Node: "n1", Call: from, Return: to}
	}
	appends := model.Txn{{F: "append", Key: "x", Value: 1}, {F: "append", Key: "y", Value: 1}}
	asks := model.Txn{{F: "r", Key: "x"}, {F: "r", Key: "y"}}
	reads := model.Txn{{F: "r", Key: "x", List: []int64{1}}, {F: "r", Key: "y", List: []int64{}}}
	in := Input{Title: "transactions", Nodes: []string{"n1"}, Operations: []harness.Operation{
		txn(1, 100, 180, appends, appends), txn(2, 110, 130, asks, reads), txn(3, 200, 220, asks, reads), txn(3, 230, 260, asks, reads),
	}}
	c := &harness.Counterexample{Story: []string{"T2 read x with the 1 that T1 appended."}, Edges: []harness.Edge{
		{From: 0, To: 1, Kind: "wr", Key: "x", Text: "T2 read x."}, {From: 1, To: 0, Kind: "rw", Key: "y", Text: "T2 did not see y."},
		{From: 0, To: 2, Kind: "realtime", Text: "T1 ended before."}, {From: 2, To: 3, Kind: "process", Text: "T3 came first."},
	}}
	for i, op := range in.Operations {
		c.Witness = append(c.Witness, harness.Witness{Name: fmt.Sprint("T", i+1), Process: op.Process, F: op.F, Type: op.Type,
			Text: op.Input.(model.Txn).Asked(), Start: int64(op.Start), End: int64(op.End), Node: op.Node})
	}
	in.Verdict = Verdict{Valid: harness.Invalid, Results: []harness.Result{{Checker: "transactions", Valid: harness.Invalid, Counterexample: c}}}
	return in
}
