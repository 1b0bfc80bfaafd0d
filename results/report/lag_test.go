package report

import (
	"math"
	"testing"
	"time"

	"coup/harness"
)

func TestGatherLags(t *testing.T) {
	const sec = time.Second
	says := func(at time.Duration, node string, shard int, position uint64) harness.Event {
		return harness.Event{Time: at, Kind: harness.StateEvent, Node: node, Role: "follower", Applied: position, Shard: shard}
	}
	h := &harness.History{Nodes: []string{"n1", "n2"}, Events: []harness.Event{
		says(1*sec, "n1", 0, 10), says(1*sec, "n2", 0, 10),
		says(2*sec, "n1", 0, 50), // n2 does not answer
		says(3*sec, "n1", 0, 60), says(3*sec, "n2", 0, 20),
		says(3*sec+sec/4, "n1", 0, 60), says(3*sec+sec/4, "n2", 0, 60),
	}}
	c := gatherLags(h, 4*sec)
	if c == nil || len(c.At) != 8 || len(c.Nodes) != 2 {
		t.Fatalf("%+v", c)
	}
	n2 := c.Nodes[1]
	if n2.Node != "n2" || n2.Entries[2] != 0 || !math.IsNaN(float64(n2.Entries[4])) || n2.Entries[6] != 40 || n2.Time[6] != 1 || c.Nodes[0].Entries[6] != 0 {
		t.Errorf("%+v", c)
	}
	// Of several shards it is the one that is farthest behind.
	h.Events = []harness.Event{says(1*sec, "n1", 1, 10), says(1*sec, "n1", 2, 500), says(1*sec, "n2", 1, 7), says(1*sec, "n2", 2, 500)}
	if c = gatherLags(h, 2*sec); c.Nodes[1].Entries[2] != 3 || c.Nodes[0].Entries[2] != 0 {
		t.Errorf("%+v", c)
	}
	if gatherLags(&harness.History{Nodes: []string{"n1"}, Events: []harness.Event{says(1, "n1", 0, 0)}}, sec) != nil {
		t.Error("a system that tells no positions has a curve")
	}
}

func TestLevelAgain(t *testing.T) {
	r := []harness.Result{{Checker: "convergence", Details: map[string]any{"nodes": []map[string]any{
		{"id": 1, "node": "n1", "after": 250 * time.Millisecond}, {"id": 1, "node": "n2", "shard": 3, "after": -1, "cut": true}, {"id": 2, "node": "n2", "after": 2 * time.Second}}}}}
	got := levelAgain(r)
	if want := "n1 " + millis(250*time.Millisecond) + ", n2 shard 3 not before the next fault"; got[1] != want || got[2] != "n2 "+millis(2*time.Second) || len(got) != 2 {
		t.Errorf("got %q, want %q", got[1], want)
	}
}
