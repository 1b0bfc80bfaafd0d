package report

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/conduct"
	"coup/harness"
)

func TestDescribeLinks(t *testing.T) {
	for want, links := range map[string][]harness.Link{
		"":                 nil,
		"n1 → n2":          {{From: "n1", To: "n2"}},
		"n1 ↔ n2":          {{From: "n1", To: "n2"}, {From: "n2", To: "n1"}},
		"n1 ↔ n2, n3":      {{From: "n1", To: "n2"}, {From: "n2", To: "n1"}, {From: "n1", To: "n3"}, {From: "n3", To: "n1"}},
		"n1 → n2; n3 ↔ n4": {{From: "n1", To: "n2"}, {From: "n3", To: "n4"}, {From: "n4", To: "n3"}},
		"n1, n2 ↔ n3, n4": {
			{From: "n1", To: "n3"}, {From: "n3", To: "n1"}, {From: "n1", To: "n4"}, {From: "n4", To: "n1"},
			{From: "n2", To: "n3"}, {From: "n3", To: "n2"}, {From: "n2", To: "n4"}, {From: "n4", To: "n2"},
		},
		"clients → n1, n2":              {{From: "", To: "n1"}, {From: "", To: "n2"}},
		"n1 ↔ clients":                  {{From: "n1", To: ""}, {From: "", To: "n1"}},
		"n1 → n2, n3; n2 → n3; n4 → n1": {{From: "n1", To: "n2"}, {From: "n1", To: "n3"}, {From: "n2", To: "n3"}, {From: "n4", To: "n1"}},
	} {
		if got := describeLinks(links); got != want {
			t.Errorf("%v is %q, want %q", links, got, want)
		}
	}
}

func TestGatherFaults(t *testing.T) {
	e := func(ms int, kind string, id int, message string) harness.Event {
		return harness.Event{Time: time.Duration(ms) * time.Millisecond, Kind: kind, ID: id, Fault: "kill", Target: "leader", Message: message}
	}
	fs := gatherFaults(&harness.History{Events: []harness.Event{
		e(1, harness.FaultStart, 1, ""), e(2, harness.FaultHold, 1, "gone"), e(3, harness.FaultStart, 2, ""),
		e(4, harness.FaultMiss, 2, "still there"), e(5, harness.FaultEnd, 2, ""), e(6, harness.FaultEnd, 1, "slow to start"), e(7, harness.FaultStart, 3, ""), e(8, harness.FaultSkip, 4, "nobody"),
	}}, 10*time.Millisecond)
	got := ""
	for _, f := range fs {
		got += fmt.Sprintf("%d %s from %v hold %v to %v healed %v missed %v skipped %v %q %q\n", f.ID, f.Label(), f.Start, f.Hold, f.End, f.Ended, f.Missed != "", f.Skipped, f.Evidence, f.Trouble)
	}
	want := `1 kill leader from 1ms hold 2ms to 6ms healed true missed false skipped false "gone" "slow to start"
2 kill leader from 3ms hold -1ns to 5ms healed true missed true skipped false "still there" ""
3 kill leader from 7ms hold -1ns to 10ms healed false missed false skipped false "" ""
4 kill leader from 8ms hold -1ns to 8ms healed false missed false skipped true "nobody" ""
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestGatherLanes(t *testing.T) {
	s := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	events := []harness.Event{
		{Time: s(0), Kind: harness.BootEvent, Node: "n1"},
		{Time: s(1), Kind: harness.RoleEvent, Node: "n1", Role: "leader", Term: 2},
		{Time: s(1), Kind: harness.RoleEvent, Node: "n2", Role: "follower", Term: 1},
		{Time: s(1.5), Kind: harness.LeaderEvent, Node: "n2", Leader: "n1", Term: 2},
		{Time: s(2), Kind: harness.FaultStart, ID: 1, Fault: "kill", Nodes: []string{"n1"}},
		{Time: s(2.5), Kind: harness.FaultHold, ID: 1, Fault: "kill", Nodes: []string{"n1"}},
		{Time: s(3), Kind: harness.FaultStart, ID: 2, Fault: "pause", Nodes: []string{"n2"}},
		{Time: s(3.25), Kind: harness.FaultHold, ID: 2, Fault: "pause", Nodes: []string{"n2"}},
		{Time: s(4), Kind: harness.FaultEnd, ID: 2, Fault: "pause", Nodes: []string{"n2"}},
		{Time: s(5), Kind: harness.BootEvent, Node: "n1"},
		{Time: s(5.5), Kind: harness.RoleEvent, Node: "n1", Role: "follower", Term: 2},
		{Time: s(6), Kind: harness.ExitEvent, Node: "n1", Message: "panic"},
		{Time: s(7), Kind: harness.RoleEvent, Node: "n3", Role: "candidate", Term: 3},
	}
	end := s(8)
	h := &harness.History{Nodes: []string{"n1", "n2"}, Events: events}
	got := gatherLanes(h, gatherFaults(h, end), end)
	want := []lane{
		{
			Node: "n1",
			Spans: []laneSpan{
				{0, 1, "starting", 0}, {1, 2.5, "leader", 2}, {2.5, 5, "down", 0}, {5, 5.5, "starting", 0}, {5.5, 6, "follower", 2}, {6, 8, "down", 0},
			},
			Frozen: []frozen{},
			Marks:  []laneMark{{0, "boot", "started"}, {5, "boot", "started"}, {6, "exit", "ended by itself: panic"}},
		},
		{Node: "n2", Spans: []laneSpan{{1, 1.5, "follower", 1}, {1.5, 8, "follower", 2}}, Frozen: []frozen{{3.25, 4}}, Marks: []laneMark{}},
		{Node: "n3", Spans: []laneSpan{{7, 8, "candidate", 3}}, Frozen: []frozen{}, Marks: []laneMark{}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// Where no node tells of its roles, they are seen by polls; a node that answers none of
// several is nothing that anybody knows.
func TestLanesByPolls(t *testing.T) {
	h := &harness.History{Nodes: []string{"n1", "n2"}}
	for i := range 12 {
		at := time.Duration(i) * time.Second
		if i < 4 || i == 11 {
			role := "leader"
			if i == 11 {
				role = "follower"
			}
			h.Events = append(h.Events, harness.Event{Time: at, Kind: harness.StateEvent, Node: "n1", Role: role})
		}
		role := "follower"
		if i > 6 {
			role = "leader"
		}
		h.Events = append(h.Events, harness.Event{Time: at, Kind: harness.StateEvent, Node: "n2", Role: role})
	}
	end := 12 * time.Second
	got := gatherLanes(h, nil, end)
	want := [][]laneSpan{{{0, 4, "leader", 0}, {11, 12, "follower", 0}}, {{0, 7, "follower", 0}, {7, 12, "leader", 0}}}
	for i := range want {
		if !reflect.DeepEqual(got[i].Spans, want[i]) {
			t.Errorf("%s: got %+v, want %+v", got[i].Node, got[i].Spans, want[i])
		}
	}
}

// What was not judged, and what nobody would have seen, is said as that.
func TestNotJudged(t *testing.T) {
	var out strings.Builder
	err := Write(&out, Input{Verdict: Verdict{Valid: harness.Valid, Results: []harness.Result{
		{Checker: "terms", Valid: harness.NotJudged, Summary: "The nodes do not tell their term."},
		{Checker: "failovers", Valid: harness.NotJudged, Summary: "Nobody would have seen the leader change."},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`verdict-word not-judged">not judged<td>The nodes do not tell their term.`, `<p class="empty">Nobody would have seen the leader change.`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in the page", want)
		}
	}
	if strings.Contains(out.String(), "never changed") || strings.Contains(out.String(), "Leader changes") {
		t.Error("it claims what nobody has seen")
	}
	out.Reset()
	err = Write(&out, Input{Verdict: Verdict{Valid: harness.Valid, Results: []harness.Result{
		{Checker: "failovers", Valid: harness.Valid, Summary: "Polls every 250ms never saw the leader change.", Details: conduct.FailoverDetails{Polls: 250 * time.Millisecond}},
	}}})
	if err != nil || !strings.Contains(out.String(), "polls every 250 ms never saw the leader change") || !strings.Contains(out.String(), "roles were seen by polls every 250 ms") {
		t.Errorf("the polls are not told: %v", err)
	}
}

func TestRatesAndLatencies(t *testing.T) {
	var ops []harness.Operation
	add := func(kind harness.Type, startMs, tookMs int) {
		start := time.Duration(startMs) * time.Millisecond
		ops = append(ops, harness.Operation{Type: kind, Start: start, End: start + time.Duration(tookMs)*time.Millisecond})
	}
	for i := range 100 {
		add(harness.OK, i*5, i+1) // all invoked in the first second
	}
	add(harness.OK, 600, 2000)
	add(harness.Fail, 1500, 1)
	add(harness.Info, 1500, 1000)
	add(harness.Invoke, 1600, -1600) // never ended
	end := 4 * time.Second

	r := gatherRates(ops, end)
	if len(r.At) != 4 { // so few operations get bins of one second
		t.Fatalf("%d bins, want 4", len(r.At))
	}
	sum := func(xs []seconds) (total seconds) {
		for _, x := range xs {
			total += x
		}
		return total
	}
	if ok, fail, info := sum(r.OK), sum(r.Fail), sum(r.Info); ok != 101 || fail != 1 || info != 2 {
		t.Errorf("%v ok, %v fail, %v info; want 101, 1, 2", ok, fail, info)
	}
	if r.OK[2] != 1 || r.Info[2] != 1 || r.Info[1] != 1 || r.Fail[1] != 1 {
		t.Errorf("ok %v, fail %v, info %v: not counted where they ended", r.OK, r.Fail, r.Info)
	}

	l := gatherLatencies(ops, end)
	if l.P50[0] != 0.051 || l.P99[0] != 0.1 || l.Max[0] != 2 {
		t.Errorf("p50 %v, p99 %v, max %v; want 0.051, 0.1, 2", l.P50[0], l.P99[0], l.Max[0])
	}
	if !math.IsNaN(float64(l.P50[3])) {
		t.Errorf("a bin without operations has the median %v", l.P50[3])
	}
}

func TestBinsAreFew(t *testing.T) {
	for _, end := range []time.Duration{0, 1, time.Millisecond, 2 * time.Second, time.Minute, time.Hour, 30 * 24 * time.Hour} {
		for _, n := range []int{0, 1, 1000, 10_000_000} {
			b := makeBins(end, n, perRate)
			if b.n < 1 || b.n > maxBins+1 || time.Duration(b.n)*b.width < end {
				t.Errorf("%v with %d operations: %d bins of %v", end, n, b.n, b.width)
			}
			if b.of(end) >= b.n || b.of(-1) != 0 {
				t.Errorf("%v: a moment is outside of the bins", end)
			}
		}
	}
}

func TestPercentile(t *testing.T) {
	xs := []time.Duration{1e9, 2e9, 3e9, 4e9}
	for p, want := range map[float64]time.Duration{0.01: 1e9, 0.25: 1e9, 0.5: 2e9, 0.51: 3e9, 0.99: 4e9, 1: 4e9} {
		if got := percentile(xs, p); got != want {
			t.Errorf("percentile %v is %v, want %v", p, got, want)
		}
	}
}

// unpack reads packed columns as the page does.
func unpack(t *testing.T, packed string) (c map[string]any) {
	t.Helper()
	unpackInto(t, packed, &c)
	return c
}

func unpackInto(t *testing.T, packed string, c any) {
	t.Helper()
	b, err := io.ReadAll(flate.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader([]byte(packed)))))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, c); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
}

func TestColumns(t *testing.T) {
	long := bytes.Repeat([]byte("é"), 500)
	ops := []harness.Operation{
		{Process: 4, F: "write", Key: "x", Input: int64(-7), Type: harness.OK, Start: 1500, End: 2_001_500, Node: "n1", Call: 1},
		{Process: 5, F: "read", Key: "y", Output: json.RawMessage("12345678901234567890"), Type: harness.OK, Start: 3_000_000, End: 4_000_000, Node: "n2", Call: 3},
		{Process: 6, F: "cas", Key: "x", Input: []int64{1, 2}, Type: harness.Fail, Start: 3_000_000, End: 3_500_000, Node: "n1", Error: "no", Call: 4},
		{Process: 7, F: "add", Key: "x", Input: string(long), Type: harness.Invoke, Start: 5_000_000, Call: 7},
	}
	packed, err := chooseOperations(ops, 0, nil).encode()
	if err != nil {
		t.Fatal(err)
	}
	c := unpack(t, packed)
	for name, want := range map[string]string{
		"line": "[1 2 1 3]", "count": "4", "start": "[1 2999 0 2000]", "took": "[2000 1000 500 -1]", "process": "[4 5 6 7]", "type": "[1 1 2 3]",
		"f": "[0 1 2 3]", "key": "[0 1 0 0]", "node": "[0 1 0 2]", "error": "[0 0 1 0]",
		"output": "[<nil> 12345678901234567890 <nil> <nil>]",
		"names":  "map[error:[ no] f:[write read cas add] key:[x y] node:[n1 n2 ]]",
	} {
		if got := fmt.Sprint(c[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	inputs := c["input"].([]any)
	if inputs[0] != -7.0 || inputs[1] != nil || inputs[2] != "[1,2]" {
		t.Errorf("inputs are %v", inputs[:3])
	}
	if s := inputs[3].(string); len(s) > maxValue+40 || s[len(s)-13:] != "(1,002 bytes)" {
		t.Errorf("a long value is %q", s)
	}
}

// What reads better in words is listed in words.
func TestTransactionsAreListedInWords(t *testing.T) {
	in := transactionsInput()
	packed, err := listed{ops: in.Operations, rows: []int{0, 1}}.encode()
	if err != nil {
		t.Fatal(err)
	}
	c := unpack(t, packed)
	if got := fmt.Sprint(c["input"], c["output"]); got != "[append x 1, append y 1 r x, r y] [<nil> x [1], y []]" {
		t.Errorf("listed as %s", got)
	}
}

func TestChooseOperations(t *testing.T) {
	ops := make([]harness.Operation, 10_000)
	for i := range ops {
		ops[i] = harness.Operation{Type: harness.OK, Process: i}
		if i%100 == 0 {
			ops[i].Type = harness.Info
		}
	}
	all := chooseOperations(ops, 10_000, nil)
	if len(all.rows) != len(ops) {
		t.Errorf("%d of %d are listed where all fit", len(all.rows), len(ops))
	}
	some := chooseOperations(ops, 1000, map[call]int{{5555, 0}: 5555})
	if n := len(some.rows); n < 990 || n > 1010 {
		t.Errorf("%d are listed, want about 1000", n)
	}
	if !slices.IsSorted(some.rows) || !slices.Contains(some.rows, 5555) {
		t.Error("the operation of a counterexample is missing, or the order is wrong")
	}
	infos := 0
	for _, i := range some.rows {
		if ops[i].Type == harness.Info {
			infos++
		}
	}
	if infos != 100 {
		t.Errorf("%d of 100 that ended info are listed", infos)
	}
	// Where nearly all failed, they must not make the list too long.
	for i := range ops {
		if ops[i].Type == harness.OK && i%10 != 1 {
			ops[i].Type = harness.Fail
		}
	}
	failed := chooseOperations(ops, 1000, nil)
	if n := len(failed.rows); n < 990 || n > 1010 || failed.allFails || !some.allFails {
		t.Errorf("of a run that failed %d are listed, all: %v; of the other all: %v", n, failed.allFails, some.allFails)
	}
	if first, last := some.rows[5], some.rows[len(some.rows)-5]; first > 500 || last < 9500 {
		t.Errorf("the list begins with %d and ends with %d: not spread evenly", first, last)
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(1000): "1,000", count(1234567): "1,234,567", count(-1234): "-1,234",
		millis(-1): "–", millis(400 * time.Microsecond): "0.4 ms", millis(12 * time.Millisecond): "12 ms", millis(1234 * time.Millisecond): "1,234 ms",
		span(850 * time.Millisecond): "850 ms", span(12340 * time.Millisecond): "12.3 s", span(2 * time.Second): "2 s", span(time.Hour): "1 h", span(62 * time.Minute): "1 h 2 min", span(11*time.Minute + 20*time.Second): "11 min",
		clock(12345678 * time.Microsecond): "12.346 s", plural(1, "fault"): "1 fault", plural(2, "fault"): "2 faults",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
