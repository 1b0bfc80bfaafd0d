package conduct

import (
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/harness"
)

// of makes an event that a node tells one about a shard.
func of(shard int, e harness.Event) harness.Event {
	e.Shard = shard
	return e
}

// sharded is a history in which the last letter of a key says which shard holds it.
func sharded(events ...harness.Event) *harness.History {
	return &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: events,
		Tells:   harness.Facts{harness.Events, harness.Term, harness.Leader},
		ShardOf: func(key string) int { return int(key[len(key)-1] - '0') }}
}

func TestEachShardHasLeadersAndTermsOfItsOwn(t *testing.T) {
	// One node leads in a term of one shard, and another in the same term of another.
	spread := sharded(of(1, leads(1, "n1", 2)), of(2, leads(2, "n2", 2)), of(1, leads(3, "n3", 3)))
	r := testhistory.Check(t, EachShard{Checker: OneLeader{}}, spread)
	if r.Valid != harness.Valid || r.Checker != "one-leader" || !strings.Contains(r.Summary, "Shard 2: Each of 1 term had one leader") {
		t.Errorf("a leader for each shard: %v, %s", r.Valid, r.Summary)
	}
	two := sharded(of(1, leads(1, "n1", 2)), of(2, leads(2, "n2", 2)), of(2, leads(3, "n3", 2)))
	r = testhistory.Check(t, EachShard{Checker: OneLeader{}}, two)
	if r.Valid != harness.Invalid || r.Summary != "Shard 2: Two leaders in term 2: n2 and n3." || r.Counterexample.Story[0] != "This is about shard 2 of 2." {
		t.Errorf("two leaders of one shard: %v, %s", r.Valid, r.Summary)
	}
	// Terms of one shard are not those of another.
	back := sharded(of(1, leads(1, "n1", 5)), of(2, leads(2, "n1", 2)))
	if r = testhistory.Check(t, EachShard{Checker: Terms{}}, back); r.Valid != harness.Valid {
		t.Errorf("a later term of another shard: %s", r.Summary)
	}
	back.Events = append(back.Events, of(1, leads(3, "n1", 4)))
	if r = testhistory.Check(t, EachShard{Checker: Terms{}}, back); r.Valid != harness.Invalid {
		t.Errorf("an earlier term of the same shard: %s", r.Summary)
	}
	// Positions of the log, likewise.
	at := func(node string, shard int, hash string) harness.Event {
		return harness.Event{Time: 1, Kind: harness.StateEvent, Node: node, Role: "follower", Applied: 7, Hash: hash, Shard: shard}
	}
	same := sharded(at("n1", 1, "a"), at("n1", 2, "b"), at("n2", 1, "a"), at("n2", 2, "b"))
	if r = testhistory.Check(t, EachShard{Checker: Replicas{}}, same); r.Valid != harness.Valid {
		t.Errorf("other states of other shards: %s", r.Summary)
	}
	same.Events = append(same.Events, at("n3", 2, "a"))
	if r = testhistory.Check(t, EachShard{Checker: Replicas{}}, same); r.Valid != harness.Invalid {
		t.Errorf("another state of the same shard: %s", r.Summary)
	}
	// Where there is one log, nothing changes.
	one := &harness.History{Events: []harness.Event{leads(1, "n1", 2)}}
	if a, b := testhistory.Check(t, OneLeader{}, one), testhistory.Check(t, EachShard{Checker: OneLeader{}}, one); a.Summary != b.Summary {
		t.Errorf("%q and %q", a.Summary, b.Summary)
	}
}

// A shard that serves nobody is found, though the others do; one of which nobody asks
// anything is not.
func TestLivenessOfAShard(t *testing.T) {
	const sec = time.Second
	run := func(key string, how harness.Type) harness.Result {
		h := sharded(harness.Event{Kind: harness.PhaseEvent, Message: "load"}, harness.Event{Time: 0, Kind: harness.PhaseEvent, Message: "heal"},
			harness.Event{Time: 0, Kind: harness.PhaseEvent, Message: "serve"})
		for i := time.Duration(0); i < 40; i++ {
			for _, node := range h.Nodes {
				for shard := 1; shard <= 2; shard++ {
					h.Events = append(h.Events, harness.Event{Time: i * sec, Kind: harness.StateEvent, Node: node, Role: "follower", Term: 2, Shard: shard})
				}
			}
			h.Operations = append(h.Operations, harness.Operation{F: "read", Key: "k1", Type: harness.OK, Start: i * sec, End: i*sec + 1},
				harness.Operation{F: "read", Key: key, Type: how, Start: i * sec, End: i*sec + 2})
		}
		return testhistory.Check(t, EachShard{Checker: Liveness{}, Whole: true}, h)
	}
	if r := run("k2", harness.Fail); r.Valid != harness.Invalid || !strings.HasPrefix(r.Summary, "Shard 2: ") {
		t.Errorf("a shard that answers nobody: %v, %s", r.Valid, r.Summary)
	}
	if r := run("k2", harness.OK); r.Valid != harness.Valid {
		t.Errorf("two shards that answer: %v, %s", r.Valid, r.Summary)
	}
	if r := run("k1", harness.OK); r.Valid != harness.Valid {
		t.Errorf("a shard that nobody asks: %v, %s", r.Valid, r.Summary)
	}
}

// A shard that does nothing after the healing, for too short a time to prove it, is not
// judged valid because another one serves.
func TestAShardThatServesNobodyForAWhile(t *testing.T) {
	const sec = time.Second
	run := func(second, cas harness.Type) harness.Result {
		h := sharded(harness.Event{Kind: harness.PhaseEvent, Message: "load"}, harness.Event{Time: 3 * sec / 2, Kind: harness.PhaseEvent, Message: "heal"},
			harness.Event{Time: 3 * sec / 2, Kind: harness.PhaseEvent, Message: "serve"})
		h.Events = append(h.Events, of(1, leads(0, "n1", 2)), of(2, leads(0, "n2", 2)))
		for i := time.Duration(0); i < 5; i++ {
			h.Operations = append(h.Operations, harness.Operation{F: "read", Key: "k1", Type: harness.OK, Start: i * sec, End: i*sec + 1},
				harness.Operation{F: "cas", Key: "k1", Type: harness.OK, Start: i * sec, End: i*sec + 1})
			how := harness.OK // before the healing all shards served
			if i >= 2 {
				how = second
			}
			h.Operations = append(h.Operations, harness.Operation{F: "read", Key: "k2", Type: how, Start: i * sec, End: i*sec + 2},
				harness.Operation{F: "cas", Key: "k2", Type: cas, Start: i * sec, End: i*sec + 2})
		}
		return testhistory.Check(t, EachShard{Checker: Liveness{Conditional: []string{"cas"}}, Whole: true}, h)
	}
	if r := run(harness.Fail, harness.Fail); r.Valid != harness.Unknown || r.Summary != "Shard 2: No operation succeeded in the 2.500 s after everything was healed." {
		t.Errorf("a shard that answers nobody: %v, %s", r.Valid, r.Summary)
	}
	if r := run(harness.Info, harness.Fail); r.Valid != harness.Unknown {
		t.Errorf("a shard of which nobody knows whether it does anything: %v, %s", r.Valid, r.Summary)
	}
	// A function that may rightly fail is no lack of service.
	if r := run(harness.OK, harness.Fail); r.Valid != harness.Valid {
		t.Errorf("a shard that serves: %v, %s", r.Valid, r.Summary)
	}
	if r := run(harness.OK, harness.OK); r.Valid != harness.Valid {
		t.Errorf("two shards that serve: %v, %s", r.Valid, r.Summary)
	}
}

func TestAFailoverHitsOneShard(t *testing.T) {
	const sec = time.Second
	h := sharded(
		harness.Event{Kind: harness.PhaseEvent, Message: "load"},
		of(1, leads(0, "n1", 2)), of(2, leads(0, "n2", 2)), of(3, leads(0, "n3", 2)),
		harness.Event{Time: 2 * sec, Kind: harness.FaultStart, ID: 1, Fault: "kill", Target: "leader", Shard: 2, Nodes: []string{"n2"}},
		harness.Event{Time: 2 * sec, Kind: harness.FaultHold, ID: 1, Fault: "kill", Target: "leader", Shard: 2, Nodes: []string{"n2"}},
		of(2, leads(3*sec, "n1", 3)),
		harness.Event{Time: 6 * sec, Kind: harness.FaultEnd, ID: 1, Fault: "kill", Target: "leader", Shard: 2, Nodes: []string{"n2"}},
		harness.Event{Time: 10 * sec, Kind: harness.PhaseEvent, Message: "heal"},
	)
	for i := time.Duration(0); i < 20; i++ {
		at := i * sec / 2
		for _, key := range []string{"k1", "k2", "k3"} {
			op := harness.Operation{F: "read", Key: key, Type: harness.OK, Node: "n1", Start: at, End: at + 1}
			if key == "k2" && at >= 2*sec && at < 4*sec {
				op.Type = harness.Fail
			}
			h.Operations = append(h.Operations, op)
		}
	}
	r := testhistory.Check(t, EachShard{Checker: Failovers{}}, h)
	d := r.Details.(FailoverDetails)
	// The success of another shard is no service of this one.
	if len(d.Failovers) != 1 || d.Failovers[0].Shard != 2 || d.Failovers[0].Served != 2*sec+1 || d.Failovers[0].Cause != CauseFault {
		t.Errorf("failovers %+v", d.Failovers)
	}
	r = testhistory.Check(t, Shards{}, h)
	f := r.Details.(ShardsDetails).Faults
	if len(f) != 1 || len(f[0].Hit) != 1 || f[0].Hit[0] != 2 || f[0].OK < 8 || f[0].Gap > sec/2 {
		t.Errorf("faults %+v", f)
	}
	if want := "Faults made leaders change: once the leaders of 1 of 3 shards. After 1 of the 1 that left shards alone, clients of those were served until the others were again. On average n1 led 1.7 shards, n2 0.3, n3 1.0."; r.Summary != want {
		t.Errorf("got  %s\nwant %s", r.Summary, want)
	}
}
