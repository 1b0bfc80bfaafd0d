package report

import (
	"encoding/json"
	"iter"
	"time"

	"coup/cluster/capture"
	"coup/cluster/trace"
	"coup/harness"
)

const hostile = `</script></template><img src=https://evil.example/x onerror=alert(1)>"'` + "`${alert(2)}<!-- \u2028\x00\xff"

// hostileInput has a hostile value in every place where a run can put a word.
func hostileInput() Input {
	value, _ := json.Marshal(hostile)
	return Input{
		Title: hostile, Command: hostile, Started: time.Unix(0, 0).UTC(), Nodes: []string{hostile},
		Plan:         []Field{{hostile, hostile}},
		TraceCommand: hostile,
		Captured: &capture.Set{Clients: hostile, Bound: 1, Files: []capture.File{
			{Node: hostile, Name: hostile, Address: hostile, Packets: 1, Forgotten: 1}, {Node: "n1", Name: "javascript:alert(3)", Packets: 1}, {Node: "n2", Failed: hostile},
		}},
		Dir: hostile,
		Trace: traceOf(
			trace.Event{Time: 1, Kind: trace.Send, Node: hostile, To: trace.Clients, ID: 1, Messages: []trace.Message{
				{Kind: hostile, Text: hostile, Keys: []string{hostile}, Sender: &trace.Belief{Role: hostile, Leader: hostile, Term: 1}},
			}},
			trace.Event{Time: 2, Kind: trace.Arrive, ID: 1},
			trace.Event{Time: 2, Kind: trace.Lost, ID: 99},
			trace.Event{Time: 3, Kind: trace.Log, Node: hostile, Text: hostile},
			trace.Event{Time: 4, Kind: trace.Write, Node: hostile, Path: hostile, Text: hostile},
			trace.Event{Time: 5, Kind: trace.Machine, Node: "nobody", Text: hostile},
			trace.Event{Time: 6, Kind: trace.Boot, Node: "nobody"},
			trace.Event{Time: 7, Kind: trace.Exit, Node: "nobody"},
			trace.Event{Time: 8, Kind: hostile, Node: hostile},
		),
		Verdict: Verdict{Valid: harness.Invalid, Reasons: []string{hostile}, Results: []harness.Result{{
			Checker: hostile, Valid: harness.Invalid, Summary: hostile, Details: map[string]string{hostile: hostile},
			Counterexample: &harness.Counterexample{Key: hostile, Story: []string{hostile}, Witness: []harness.Witness{
				{Process: 1, F: hostile, Key: hostile, Input: value, Output: value, Type: harness.OK, Text: hostile, Start: 1e6, End: 2e6, Node: hostile, Line: 1},
			}, Edges: []harness.Edge{{From: 0, To: 0, Kind: hostile, Key: hostile, Text: hostile}, {From: 0, To: 7}, {From: -1, To: 0}}},
		}, {
			Checker: "failovers", Valid: harness.Valid, Details: map[string]any{"failovers": []map[string]any{{
				"cause": hostile, "fault": hostile, "target": hostile, "old": hostile, "new": hostile, "at": 5,
			}}},
		}}},
		Events: []harness.Event{
			{Time: 0, Kind: harness.PhaseEvent, Message: hostile},
			{Time: 1, Kind: harness.FaultStart, ID: 1, Fault: hostile, Target: hostile, Nodes: []string{hostile}},
			{Time: 2, Kind: harness.FaultHold, ID: 1, Links: []harness.Link{{From: hostile, To: hostile + "2"}}, Message: hostile},
			{Time: 3, Kind: harness.RoleEvent, Node: hostile, Role: hostile, Term: 1},
			{Time: 4, Kind: harness.ExitEvent, Node: hostile, Message: hostile},
			{Time: 5e6, Kind: harness.FaultEnd, ID: 1, Message: hostile},
		},
		Operations: []harness.Operation{
			{Process: 1, F: hostile, Key: hostile, Input: json.RawMessage(value), Output: hostile, Type: harness.OK, Start: time.Millisecond, End: 2 * time.Millisecond, Node: hostile},
			{Process: 2, F: hostile, Key: hostile, Input: hostile, Type: harness.Fail, Start: time.Millisecond, End: 2 * time.Millisecond, Node: hostile, Error: hostile},
		},
	}
}

// traceOf is a trace of these events.
func traceOf(events ...trace.Event) Trace {
	return func(wanted func(time.Duration) bool) iter.Seq2[*trace.Event, error] {
		return func(yield func(*trace.Event, error) bool) {
			for i := range events {
				if wanted(events[i].Time) && !yield(&events[i], nil) {
					return
				}
			}
		}
	}
}
