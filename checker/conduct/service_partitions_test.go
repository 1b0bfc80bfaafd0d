package conduct_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"coup/checker/conduct"
	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/harness"
)

const ms = time.Millisecond

// sides judges a history of three nodes, of which n1 is cut off from 1 s to 3 s.
func sides(t *testing.T, cut []harness.Link, ops ...harness.Operation) []conduct.Partition {
	t.Helper()
	h := &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: []harness.Event{
		{Kind: harness.PhaseEvent, Message: string(harness.PhaseLoad)},
		{Time: 990 * ms, Kind: harness.FaultStart, ID: 1, Fault: "partition", Target: "leader", Links: cut},
		{Time: 1000 * ms, Kind: harness.FaultHold, ID: 1},
		{Time: 3000 * ms, Kind: harness.FaultEnd, ID: 1},
		{Time: 9000 * ms, Kind: harness.PhaseEvent, Message: string(harness.PhaseHeal)},
	}}
	var ends []time.Duration
	for _, op := range ops {
		ends = append(ends, op.Start, op.End)
	}
	slices.Sort(ends)
	for i, op := range ops {
		op.Process, op.Key = i, "k"
		op.Call, op.Return = slices.Index(ends, op.Start), slices.Index(ends, op.End)
		if op.Type == harness.Info {
			op.Return = harness.Open
		}
		h.Operations = append(h.Operations, op)
	}
	answers := []harness.Checker{linearizable.Checker{Model: model.Register()}}
	whole, err := answers[0].Check(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	c := conduct.Partitions{Answers: answers, Whole: whole.Valid, Looks: func(op *harness.Operation) bool { return op.F == "read" }}
	r, err := c.Check(context.Background(), h)
	if err != nil || r.Valid != harness.Valid {
		t.Fatalf("%v, %v", r.Valid, err)
	}
	d, _ := r.Details.(conduct.PartitionDetails)
	return d.Partitions
}

func write(node string, v int64, at, took time.Duration, kind harness.Type) harness.Operation {
	return harness.Operation{F: "write", Input: v, Node: node, Start: at, End: at + took, Type: kind}
}

func read(node string, v int64, at time.Duration) harness.Operation {
	return harness.Operation{F: "read", Output: model.Just(v), Node: node, Start: at, End: at + ms, Type: harness.OK}
}

var isolated = []harness.Link{{From: "n1", To: "n2"}, {From: "n2", To: "n1"}, {From: "n1", To: "n3"}, {From: "n3", To: "n1"}}

func TestPartitionsCountsWhatEachSideAnswered(t *testing.T) {
	all := sides(t, isolated,
		write("n1", 1, 500*ms, ms, harness.OK),
		read("n1", 1, 1100*ms),
		write("n1", 2, 1200*ms, 1000*ms, harness.Info),
		write("n1", 3, 1300*ms, ms, harness.Fail),
		write("n2", 4, 1400*ms, ms, harness.OK),
		write("n3", 5, 2500*ms, ms, harness.OK),
		write("n1", 6, 2900*ms, 200*ms, harness.OK), // answered when it was healed
		read("n3", 6, 9100*ms),
	)
	if len(all) != 1 || len(all[0].Sides) != 2 {
		t.Fatalf("%+v", all)
	}
	p := all[0]
	large, small := p.Sides[0], p.Sides[1]
	if !large.Majority || small.Majority || !slices.Equal(large.Nodes, []string{"n2", "n3"}) || !slices.Equal(small.Nodes, []string{"n1"}) {
		t.Errorf("sides %v and %v", large.Nodes, small.Nodes)
	}
	if want := (conduct.Attempts{OK: 2, First: 1401 * ms, Last: 2501 * ms}); large.Updates != want || large.Updates.Kept(p) != conduct.KeptAll {
		t.Errorf("updates of the majority: %+v", large.Updates)
	}
	if large.Reads.Kept(p) != conduct.NotAsked {
		t.Errorf("reads of the majority: %+v", large.Reads)
	}
	if want := (conduct.Attempts{Fail: 1, Info: 1, Late: 1, First: -1, Last: -1}); small.Updates != want || small.Updates.Kept(p) != conduct.KeptNone {
		t.Errorf("updates of the minority: %+v", small.Updates)
	}
	if small.Reads.OK != 1 || small.Reads.Kept(p) != conduct.KeptSome {
		t.Errorf("reads of the minority: %+v", small.Reads)
	}
	if large.Agrees != conduct.Agrees || small.Agrees != conduct.Agrees {
		t.Errorf("a valid history: %v, %v", large.Agrees, small.Agrees)
	}
}

func TestPartitionsTellsWhichSideContradictsTheRest(t *testing.T) {
	for name, c := range map[string]struct {
		ops          []harness.Operation
		large, small conduct.Agreement
	}{
		"a stale read of the minority": {[]harness.Operation{
			write("n1", 1, 500*ms, ms, harness.OK),
			write("n2", 2, 1400*ms, ms, harness.OK),
			read("n1", 1, 1500*ms),
			read("n2", 2, 9100*ms),
		}, conduct.Agrees, conduct.Contradicts},
		"an acknowledged write of the minority that is lost": {[]harness.Operation{
			write("n1", 1, 500*ms, ms, harness.OK),
			write("n2", 2, 1400*ms, ms, harness.OK),
			write("n1", 3, 1500*ms, ms, harness.OK),
			read("n2", 2, 9100*ms),
		}, conduct.Agrees, conduct.Contradicts},
		"a stale read of the majority": {[]harness.Operation{
			write("n2", 1, 500*ms, ms, harness.OK),
			write("n2", 2, 1400*ms, ms, harness.OK),
			read("n3", 1, 1500*ms),
			read("n2", 2, 9100*ms),
		}, conduct.Contradicts, conduct.NoAnswer},
		"a stale read before the partition": {[]harness.Operation{
			write("n1", 1, 500*ms, ms, harness.OK),
			write("n2", 2, 600*ms, ms, harness.OK),
			read("n1", 1, 700*ms),
			read("n1", 2, 1500*ms),
			read("n2", 2, 9100*ms),
		}, conduct.NoAnswer, conduct.Agrees},
		"what is read after the healing contradicts itself": {[]harness.Operation{
			write("n1", 1, 500*ms, ms, harness.OK),
			read("n1", 1, 1500*ms),
			write("n2", 2, 1600*ms, ms, harness.OK),
			read("n2", 2, 9100*ms),
			read("n2", 1, 9200*ms),
		}, conduct.NotDecided, conduct.NotDecided},
	} {
		t.Run(name, func(t *testing.T) {
			p := sides(t, isolated, c.ops...)
			if len(p) != 1 {
				t.Fatalf("%d partitions", len(p))
			}
			large, small := p[0].Sides[0], p[0].Sides[1]
			if large.Agrees != c.large || small.Agrees != c.small {
				t.Errorf("the majority's answers agree: %v (%s), the minority's: %v (%s)", large.Agrees, large.Why, small.Agrees, small.Why)
			}
		})
	}
}

// A ring, or a cut in one direction, leaves no two sides.
func TestPartitionsNeedsSides(t *testing.T) {
	if p := sides(t, isolated[:2], read("n1", 1, 1500*ms)); len(p) != 0 {
		t.Errorf("n1 and n2 both still reach n3, and yet: %+v", p)
	}
}
