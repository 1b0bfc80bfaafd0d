package conduct

import (
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/harness"
)

// busy is h on a machine of which it was told how many threads were ready for each processor.
func busy(h *harness.History, ready float64) *harness.History {
	var end time.Duration
	for _, e := range h.Events {
		end = max(end, e.Time)
	}
	with := *h
	with.Events = append([]harness.Event{}, h.Events...)
	for at := harness.MachineEvery; at < end+harness.MachineEvery; at += harness.MachineEvery {
		with.Events = append(with.Events, harness.Event{Time: at, Kind: harness.MachineEvent, Ready: ready})
	}
	harness.SortEvents(with.Events)
	return &with
}

// What was not done in time on an overloaded machine is no violation; on a busy one it is.
func TestBoundsOnAnOverloadedMachine(t *testing.T) {
	late := serving().fail("", 60, 999)
	for name, c := range map[string]struct {
		checker harness.Checker
		h       *harness.History
	}{
		"liveness": {Liveness{}, &harness.History{Nodes: []string{"n1", "n2", "n3"}, Events: late.events, Operations: late.ops}},
		"catch-up": {CatchUp{}, behind()},
		"replicas": {Replicas{Within: 11 * time.Second}, &harness.History{Nodes: []string{"n1", "n2"}, Events: []harness.Event{
			phase(time.Second, "final"), phase(2*time.Second, "agree"),
			state(2*time.Second, "n1", 0, "a"), state(2*time.Second, "n2", 0, "b"), state(14*time.Second, "n1", 0, "a"), state(14*time.Second, "n2", 0, "b"),
		}}},
		"deposed": {Deposed{Within: time.Second}, &harness.History{Nodes: []string{"n1", "n2"}, Events: []harness.Event{
			leads(time.Second, "n1", 1), leads(3*time.Second, "n2", 2), phase(8*time.Second, "done"),
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			for ready, want := range map[float64]harness.Validity{0.5: harness.Invalid, 15.9: harness.Invalid, 16: harness.Unknown, 40: harness.Unknown} {
				r := testhistory.Check(t, c.checker, busy(c.h, ready))
				if r.Valid != want || (r.Counterexample != nil) != (want == harness.Invalid) {
					t.Errorf("%v threads ready: %v: %s", ready, r.Valid, r.Summary)
				}
				if told := strings.Contains(r.Summary, "overloaded"); told != (want == harness.Unknown) {
					t.Errorf("%v threads ready: %q", ready, r.Summary)
				}
			}
			if r := testhistory.Check(t, c.checker, c.h); r.Valid != harness.Invalid {
				t.Errorf("nobody told of the machine: %v: %s", r.Valid, r.Summary)
			}
		})
	}
}
