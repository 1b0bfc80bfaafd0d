package workloads_test

import (
	"encoding/json"
	"testing"

	"coup/harness"
	"coup/workloads"
)

// What was acknowledged and never polled is lost only if all was polled to its end.
func TestUnseenMessages(t *testing.T) {
	w := workloads.All["log"]
	type line struct {
		process          int
		f, input, output string
	}
	judge := func(lines ...line) harness.Validity {
		h := &harness.History{}
		for i, l := range lines {
			op := harness.Operation{Process: l.process, F: l.f, Type: harness.OK, Call: 2 * i, Return: 2*i + 1}
			var err error
			if op.Input, err = w.Decode(harness.Invoke, l.f, json.RawMessage(l.input)); err != nil {
				t.Fatal(err)
			}
			if l.output != "" {
				if op.Output, err = w.Decode(harness.OK, l.f, json.RawMessage(l.output)); err != nil {
					t.Fatal(err)
				}
			}
			h.Operations = append(h.Operations, op)
		}
		r, err := w.Checkers()[0].Check(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		return r.Valid
	}
	send := []line{{0, "send", `[["send", "a", 1]]`, `[["send", "a", [0, 1]]]`}, {0, "send", `[["send", "a", 2]]`, `[["send", "a", [1, 2]]]`}}
	all := line{1, "assign", `{"keys": ["a"], "from_beginning": true}`, ""}
	first := line{1, "poll", `[["poll"]]`, `[["poll", {"a": [[0, 1]]}]]`}
	end := line{1, "poll", `[["poll"]]`, `[["poll", {"a": []}]]`}
	for _, c := range []struct {
		name  string
		lines []line
		want  harness.Validity
	}{
		{"polled to the end", append(send[:2:2], all, first, end), harness.Invalid},
		{"not to the end", append(send[:2:2], all, first), harness.Valid},
		{"not from the beginning", append(send[:2:2], line{1, "assign", `["a"]`, ""}, first, end), harness.Valid},
		{"by another process", append(send[:2:2], all, first, line{2, "poll", end.input, end.output}), harness.Valid},
		{"before the last send", []line{send[0], all, first, end, send[1]}, harness.Valid},
		{"all was seen", append(send[:2:2], all, first, line{1, "poll", end.input, `[["poll", {"a": [[1, 2]]}]]`}, end), harness.Valid},
	} {
		if got := judge(c.lines...); got != c.want {
			t.Errorf("%s: %v, expected %v", c.name, got, c.want)
		}
	}
}
