package testhistory

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"coup/checker/model"
	"coup/harness"
)

// Parse reads the notation of the tests: a line per process, an
// operation between brackets, time from left to right. The opening bracket is
// the invocation; the closing one says how it ended: ] ok, > info, ! fail.
//
//	[write 1]  [read -> 2]
//	      [write 2>     [x: cas 2 3 -> 2]
//
// A name before a colon is the key ("" otherwise). A column is a millisecond.
// Where brackets stand in the same column, invocations come first.
func Parse(t testing.TB, m model.Model, text string) *harness.History {
	t.Helper()
	type mark struct {
		col, op int
		end     bool
	}
	var marks []mark
	h := &harness.History{Nodes: []string{"n1", "n2", "n3"}}
	process := 0
	for _, line := range strings.Split(text, "\n") {
		line = strings.ReplaceAll(line, "\t", "")
		if strings.TrimSpace(line) == "" {
			continue
		}
		for at := 0; ; {
			open := strings.IndexByte(line[at:], '[')
			if open < 0 {
				break
			}
			open += at
			body := line[open+1:]
			arrow := strings.Index(body, "->")
			size := strings.IndexAny(strings.Replace(body, "->", "--", 1), "]>!")
			if size < 0 {
				t.Fatalf("no end of operation in %q", line)
			}
			shut := open + 1 + size
			op := harness.Operation{
				Process: process, Node: fmt.Sprintf("n%d", process%3+1),
				Start: time.Duration(open) * time.Millisecond, End: time.Duration(shut) * time.Millisecond,
			}
			body = strings.TrimSpace(body[:size])
			if key, rest, found := strings.Cut(body, ":"); found {
				op.Key, body = key, strings.TrimSpace(rest)
			}
			input, output := body, ""
			if arrow >= 0 && arrow < size {
				input, output, _ = strings.Cut(body, "->")
			}
			words := strings.Fields(input)
			op.F = words[0]
			switch len(words) {
			case 2:
				op.Input = number(t, words[1])
			case 3:
				op.Input = model.CAS{From: maybe(t, words[1]), To: number(t, words[2])}
			}
			switch line[shut] {
			case ']':
				op.Type = harness.OK
				switch output = strings.TrimSpace(output); {
				case output == "":
				case output == "other":
					op.Output = model.Other{Than: op.Input.(model.CAS).From}
				case strings.HasPrefix(output, "{"):
					list := []int64{}
					for _, w := range strings.Fields(strings.Trim(output, "{}")) {
						list = append(list, number(t, w))
					}
					op.Output = list
				case m.Kind == model.LockKind:
					op.Output = grant(t, output)
				case m.Kind == model.CounterKind:
					op.Output = number(t, output)
				default:
					op.Output = maybe(t, output)
				}
			case '>':
				op.Type = harness.Info
			case '!':
				op.Type = harness.Fail
			}
			marks = append(marks, mark{open, len(h.Operations), false}, mark{shut, len(h.Operations), true})
			h.Operations = append(h.Operations, op)
			at = shut + 1
		}
		process++
	}
	slices.SortStableFunc(marks, func(a, b mark) int {
		if c := cmp.Compare(a.col, b.col); c != 0 {
			return c
		}
		if a.end == b.end {
			return 0
		}
		if b.end {
			return -1
		}
		return 1
	})
	for pos, mk := range marks {
		op := &h.Operations[mk.op]
		if !mk.end {
			op.Call = pos
		} else if op.Return = pos; op.Type == harness.Info {
			op.Return = harness.Open
		}
	}
	slices.SortFunc(h.Operations, func(a, b harness.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return h
}

// grant reads a fencing token, how long the lease is, or both: 5 10ms.
func grant(t testing.TB, s string) (g model.Grant) {
	t.Helper()
	for _, w := range strings.Fields(s) {
		if d, err := time.ParseDuration(w); err == nil {
			g.Lease = d
		} else {
			g.Token = model.Just(number(t, w))
		}
	}
	return g
}

func number(t testing.TB, s string) int64 {
	t.Helper()
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func maybe(t testing.TB, s string) model.Maybe {
	t.Helper()
	if s == "nil" {
		return model.Maybe{}
	}
	return model.Just(number(t, s))
}

// Check runs c and fails the test if it errs. The clock stands still meanwhile: how
// small a counterexample gets does not depend on how busy the machine is.
func Check(t testing.TB, c harness.Checker, h *harness.History) (r harness.Result) {
	t.Helper()
	var err error
	if test, ok := t.(*testing.T); ok {
		synctest.Test(test, func(t *testing.T) { r, err = c.Check(t.Context(), h) })
	} else {
		r, err = c.Check(t.Context(), h)
	}
	if err != nil {
		t.Fatalf("%s: %v", c.Name(), err)
	}
	return r
}
