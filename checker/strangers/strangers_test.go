package strangers

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/harness"
)

// attempt is an operation of a history; in and out are nil or what they hold.
func attempt(f string, in, out any, kind harness.Type, failure string) harness.Operation {
	return harness.Operation{Process: 1, F: f, Key: "k0", Input: in, Output: out, Type: kind, Error: failure, Node: "n2",
		Start: 2 * time.Second, End: 3 * time.Second, Line: 7, Index: -1}
}

func refused(f string, in any) harness.Operation {
	return attempt(f, in, nil, harness.Fail, Refused+"tls: bad certificate")
}

var (
	nothing = attempt(Look, nil, nil, harness.OK, "")
	lost    = attempt("no-certificate", nil, nil, harness.Info, "no answer")
	down    = attempt("flood", nil, nil, harness.Fail, "operation did not happen: connect to n2: connection refused: no")
)

func TestStrangers(t *testing.T) {
	c := Checker{Ways: []string{"no-certificate", "flood"}}
	for name, test := range map[string]struct {
		ops   []harness.Operation
		valid harness.Validity
		says  string // in the summary
		story string // of the counterexample
	}{
		"all are refused": {[]harness.Operation{refused("no-certificate", nil), refused("flood", int64(3)), nothing, lost, down},
			harness.Valid, "2 attempts refused (no-certificate 1, flood 1)", ""},
		"a way that need not be tried is refused": {[]harness.Operation{refused("no-certificate", nil), refused("flood", nil), refused("old-token", nil), nothing},
			harness.Valid, "3 attempts refused", ""},
		"one is answered": {[]harness.Operation{refused("no-certificate", nil), attempt("flood", nil, `200 OK {"value":4}`, harness.OK, ""), nothing},
			harness.Invalid, "once, first by n2", "no certificate, while many others had begun a handshake asked n2 to read k0"},
		"one that need not be tried is answered": {[]harness.Operation{attempt("old-token", int64(5), "200 OK", harness.OK, "")},
			harness.Invalid, "a token that was withdrawn", "write 5 to k0"},
		"a refused write is there": {[]harness.Operation{refused("no-certificate", int64(3)), refused("flood", nil), attempt(Look, nil, int64(3), harness.OK, "")},
			harness.Invalid, "k0 is 3", "asked n2 to write 3 to k0"},
		"a write that nobody answered is there": {[]harness.Operation{attempt("flood", int64(3), nil, harness.Info, ""), attempt(Look, nil, int64(3), harness.OK, "")},
			harness.Invalid, "k0 is 3", "while many others"},
		"what nobody wrote is there": {[]harness.Operation{attempt(Look, nil, int64(9), harness.OK, "")},
			harness.Invalid, "k0 is 9", "read 9"},
		"one way was never tried": {[]harness.Operation{refused("no-certificate", nil), nothing}, harness.Unknown, "no certificate, while many others", ""},
		"one way reached nobody":  {[]harness.Operation{lost, refused("flood", nil), nothing}, harness.Unknown, "came with no certificate.", ""},
		"a node that was down":    {[]harness.Operation{refused("no-certificate", nil), down, nothing}, harness.Unknown, "while many others", ""},
		"nobody looked":           {[]harness.Operation{refused("no-certificate", nil), refused("flood", nil)}, harness.Unknown, "Nobody has looked", ""},
		"a look that was in vain": {[]harness.Operation{refused("no-certificate", nil), refused("flood", nil), attempt(Look, nil, nil, harness.Fail, "")}, harness.Unknown, "Nobody has looked", ""},
		"nothing happened":        {nil, harness.Unknown, "was not tested", ""},
	} {
		r, err := c.Check(t.Context(), &harness.History{Operations: test.ops})
		if err != nil || r.Valid != test.valid || !strings.Contains(r.Summary, test.says) {
			t.Errorf("%s: %v, %q, %v; want %v, %q", name, r.Valid, r.Summary, err, test.valid, test.says)
			continue
		}
		if (r.Counterexample != nil) != (test.valid == harness.Invalid) {
			t.Errorf("%s: counterexample %+v", name, r.Counterexample)
		}
		if x := r.Counterexample; x != nil && (!strings.Contains(strings.Join(x.Story, " "), test.story) || len(x.Witness) == 0 || x.Witness[0].Line != 7) {
			t.Errorf("%s: %+v", name, x)
		}
	}
	if _, err := c.Check(t.Context(), &harness.History{Operations: []harness.Operation{attempt(Look, nil, "x", harness.OK, "")}}); err == nil {
		t.Error("a look whose value is none is taken")
	}
}

// A token that was withdrawn must have been tried where keys were rotated.
func TestRotated(t *testing.T) {
	c := Checker{Ways: []string{"flood"}, Rotated: []string{"old-token"}}
	early := attempt("old-token", nil, nil, harness.Fail, "operation did not happen: no token was withdrawn yet")
	during := func(load time.Duration, events []harness.Event) []harness.Event {
		return slices.Concat([]harness.Event{{Kind: harness.PhaseEvent, Message: "load"}}, events, []harness.Event{{Time: load, Kind: harness.PhaseEvent, Message: "heal"}})
	}
	rotate := []harness.Event{
		{Time: time.Second, Kind: harness.FaultStart, ID: 1, Fault: "rotate", Target: "all", Nodes: []string{"n1"}},
		{Time: 2 * time.Second, Kind: harness.FaultHold, ID: 1, Fault: "rotate", Target: "all", Nodes: []string{"n1"}},
		{Time: 3 * time.Second, Kind: harness.FaultEnd, ID: 1, Fault: "rotate", Target: "all", Nodes: []string{"n1"}},
	}
	kill := []harness.Event{{Kind: harness.FaultStart, ID: 1, Fault: "kill"}, {Kind: harness.FaultHold, ID: 1, Fault: "kill"}}
	for name, test := range map[string]struct {
		events []harness.Event
		ops    []harness.Operation
		valid  harness.Validity
		says   string
	}{
		"no keys were rotated":     {kill, []harness.Operation{refused("flood", nil), early, nothing}, harness.Valid, "Not tested: a token that was withdrawn."},
		"the rotation had no hold": {rotate[:1], []harness.Operation{refused("flood", nil), early, nothing}, harness.Valid, ""},
		"it was refused":           {rotate, []harness.Operation{refused("flood", nil), early, refused("old-token", nil), nothing}, harness.Valid, "old-token 1"},
		"it was never tried":       {rotate, []harness.Operation{refused("flood", nil), early, nothing}, harness.Unknown, "nobody was refused who came with a token that was withdrawn."},
		"it was let in":            {rotate, []harness.Operation{refused("flood", nil), attempt("old-token", nil, "200 OK", harness.OK, ""), nothing}, harness.Invalid, "let in"},
	} {
		r, err := c.Check(t.Context(), &harness.History{Operations: test.ops, Events: during(12*time.Second, test.events)})
		if err != nil || r.Valid != test.valid || !strings.Contains(r.Summary, test.says) {
			t.Errorf("%s: %v, %q, %v; want %v, %q", name, r.Valid, r.Summary, err, test.valid, test.says)
		}
	}
	if len(c.Ways) != 1 {
		t.Error("a check changes the checker")
	}
	// Right before the end of the load there is no time to try it.
	r, err := c.Check(t.Context(), &harness.History{Operations: []harness.Operation{refused("flood", nil), early, nothing}, Events: during(11*time.Second, rotate)})
	if err != nil || r.Valid != harness.Valid {
		t.Errorf("rotated at the end: %v, %q, %v", r.Valid, r.Summary, err)
	}
}

func TestDetails(t *testing.T) {
	r, err := Checker{Ways: []string{"flood"}}.Check(t.Context(), &harness.History{Operations: []harness.Operation{
		refused("no-certificate", nil), refused("no-certificate", nil), lost, refused("flood", nil), nothing, nothing}})
	if err != nil {
		t.Fatal(err)
	}
	d := r.Details.(Details)
	if len(d.Ways) != 2 || d.Ways[0].Way != "flood" || d.Ways[1].Refused != 2 || d.Ways[1].Nobody != 1 || d.Ways[1].Answers["tls: bad certificate"] != 2 || d.Looks != 2 {
		t.Errorf("%+v", d)
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		kind harness.Type
		f    string
		raw  string
		want any
		ok   bool
	}{
		{harness.Invoke, "flood", "5", int64(5), true},
		{harness.Invoke, "flood", "null", nil, true},
		{harness.OK, "flood", `"200 OK"`, "200 OK", true},
		{harness.Fail, "flood", "5", int64(5), true},
		{harness.OK, Look, "5", int64(5), true},
		{harness.OK, Look, "", nil, true},
		{harness.OK, Look, `"x"`, nil, false},
		{harness.OK, "flood", "5", nil, false},
	} {
		got, err := Decode(c.kind, c.f, json.RawMessage(c.raw))
		if (err == nil) != c.ok || c.ok && got != c.want {
			t.Errorf("%v %s %s: %v, %v", c.kind, c.f, c.raw, got, err)
		}
	}
}
