package report

import (
	"encoding/json"
	"time"

	"coup/harness"
)

const hostile = `</script></template><img src=https://evil.example/x onerror=alert(1)>"'` + "`${alert(2)}<!-- \u2028\x00\xff"

// hostileInput has a hostile value in every place where a run can put a word.
func hostileInput() Input {
	value, _ := json.Marshal(hostile)
	return Input{
		Title: hostile, Command: hostile, Started: time.Unix(0, 0).UTC(), Nodes: []string{hostile},
		Plan: []Field{{hostile, hostile}},
		Verdict: Verdict{Valid: harness.Invalid, Reasons: []string{hostile}, Results: []harness.Result{{
			Checker: hostile, Valid: harness.Invalid, Summary: hostile, Details: map[string]string{hostile: hostile},
			Counterexample: &harness.Counterexample{Key: hostile, Story: []string{hostile}, Witness: []harness.Witness{
				{Process: 1, F: hostile, Key: hostile, Input: value, Output: value, Type: harness.OK, Text: hostile, Start: 1e6, End: 2e6, Node: hostile, Line: 1},
			}},
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
