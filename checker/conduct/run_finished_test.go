package conduct

import (
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

func TestFinished(t *testing.T) {
	read := func(key string, at time.Duration, ended harness.Type) harness.Operation {
		return harness.Operation{F: "read", Key: key, Start: at, End: at + 1, Type: ended}
	}
	whole := []harness.Event{phase(0, "setup"), phase(1, "load"), phase(10, "heal"), phase(20, "final"), phase(30, "done"), phase(31, "judge")}
	cases := []struct {
		name   string
		valid  harness.Validity
		says   string
		events []harness.Event
		ops    []harness.Operation
	}{
		{"whole", harness.Valid, "every one of 2 objects", whole, []harness.Operation{
			read("a", 2, harness.OK), read("b", 3, harness.Fail), read("a", 21, harness.OK), read("b", 21, harness.Fail), read("b", 22, harness.OK)}},
		{"killed", harness.Unknown, `in the phase "load"`, whole[:2], []harness.Operation{read("a", 2, harness.OK)}},
		{"nothing", harness.Unknown, "before it began", []harness.Event{{Kind: harness.BootEvent, Node: "n1"}}, nil},
		{"no events", harness.Unknown, "There is no event of the run (events.jsonl)", nil, []harness.Operation{read("a", 2, harness.OK)}},
		{"of several workloads, a queue may hold more", harness.Unknown, "no operation succeeded", whole, []harness.Operation{
			{F: "queue.dequeue", Key: "queue-k0", Start: 21, End: 22, Type: harness.OK, Output: model.Just(1)}}},
		{"never served again", harness.Unknown, "no operation succeeded", whole, []harness.Operation{
			read("a", 2, harness.OK), read("a", 21, harness.Fail)}},
		{"a node could not be taken back", harness.Unknown, "Not everything could be healed after the load: n3 is no member", slices.Insert(slices.Clone(whole), 3,
			harness.Event{Time: 15, Kind: harness.UnhealedEvent, Message: "n3 is no member"}), []harness.Operation{read("a", 21, harness.OK)}},
		{"interrupted", harness.Unknown, "interrupted before its load was over", slices.Insert(slices.Clone(whole), 3,
			harness.Event{Time: 19, Kind: harness.InterruptEvent, Message: "it was"}), []harness.Operation{read("a", 2, harness.OK), read("a", 21, harness.OK)}},
		{"one object was not seen", harness.Unknown, `1 of 2 objects could not be looked at: "b"`, whole, []harness.Operation{
			read("a", 2, harness.OK), read("b", 3, harness.OK), read("a", 21, harness.OK), read("b", 21, harness.Info)}},
	}
	take := func(v model.Maybe, at time.Duration) harness.Operation {
		return harness.Operation{F: "dequeue", Key: "q", Start: at, End: at + 1, Type: harness.OK, Output: v}
	}
	cases = append(cases, []struct {
		name   string
		valid  harness.Validity
		says   string
		events []harness.Event
		ops    []harness.Operation
	}{
		{"a queue that was drained", harness.Valid, "every one of 1 object", whole, []harness.Operation{take(model.Just(1), 21), take(model.Maybe{}, 22)}},
		{"a queue that was not", harness.Unknown, "no operation", whole, []harness.Operation{take(model.Just(1), 21), take(model.Just(2), 22)}},
	}...)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := testhistory.Check(t, Finished{}, &harness.History{Events: c.events, Operations: c.ops})
			if r.Valid != c.valid || !strings.Contains(r.Summary, c.says) {
				t.Errorf("found %v: %s\nexpected %v: %s", r.Valid, r.Summary, c.valid, c.says)
			}
		})
	}
}
