package promise

import (
	"math"
	"strings"
	"testing"
	"time"

	"coup/harness"
)

const ms = time.Millisecond

// sample is a run of 20 s of load: reads every 100 ms, none from 5 to 9 s, when n1, the leader, was
// killed and three elections were called; then another kill at 12 s without a gap.
func sample() *harness.History {
	h := &harness.History{Nodes: []string{"n1", "n2", "n3"}}
	event := func(at time.Duration, e harness.Event) {
		e.Time = at
		h.Events = append(h.Events, e)
	}
	phase := func(at time.Duration, p string) { event(at, harness.Event{Kind: harness.PhaseEvent, Message: p}) }
	phase(0, "load")
	event(100*ms, harness.Event{Kind: harness.RoleEvent, Node: "n1", Role: "leader", Term: 1})
	event(5000*ms, harness.Event{Kind: harness.FaultStart, ID: 1, Fault: "kill", Target: "leader", Nodes: []string{"n1"}})
	event(5010*ms, harness.Event{Kind: harness.FaultHold, ID: 1})
	for i := range 3 {
		event(time.Duration(6000+500*i)*ms, harness.Event{Kind: harness.ElectionEvent, Node: "n2", Term: uint64(2 + i)})
	}
	event(8900*ms, harness.Event{Kind: harness.RoleEvent, Node: "n2", Role: "leader", Term: 4})
	event(10000*ms, harness.Event{Kind: harness.FaultEnd, ID: 1})
	for i := range 9 { // after healing n1 knows no leader for 2 s
		leader := ""
		if i == 8 {
			leader = "n2"
		}
		event(time.Duration(10000+250*i)*ms, harness.Event{Kind: harness.StateEvent, Node: "n1", Role: "follower", Leader: leader})
	}
	event(12500*ms, harness.Event{Kind: harness.FaultStart, ID: 2, Fault: "kill", Target: "follower", Nodes: []string{"n3"}})
	event(12510*ms, harness.Event{Kind: harness.FaultHold, ID: 2})
	event(13000*ms, harness.Event{Kind: harness.ElectionEvent, Node: "n3", Term: 5})
	event(14000*ms, harness.Event{Kind: harness.FaultEnd, ID: 2})
	beats := func(at time.Duration, node string, intervals map[time.Duration]int, longest, from time.Duration) {
		event(at, harness.Event{Kind: harness.HeartbeatsEvent, Node: node, Leader: "n2", Term: 4, Heartbeats: &harness.Heartbeats{Due: 100 * ms, From: from, Intervals: intervals, Longest: longest}})
	}
	beats(13000*ms, "n1", map[time.Duration]int{80 * ms: 90, 90 * ms: 8, 310 * ms: 1, 250 * ms: 1}, 310*ms, 2000*ms)
	beats(16500*ms, "n3", map[time.Duration]int{80 * ms: 20}, 80*ms, 1600*ms)
	phase(20000*ms, "heal")
	phase(20100*ms, "serve")
	phase(21000*ms, "final")
	phase(22000*ms, "done")
	for i := range 210 {
		at := time.Duration(i*100) * ms
		op := harness.Operation{F: "read", Process: 1, Type: harness.OK, Start: at, End: at + time.Duration(i+1)*ms, Node: "n2"}
		if at >= 5000*ms && at < 9000*ms {
			op.Type = harness.Fail
		}
		h.Operations = append(h.Operations, op)
	}
	// The last look is no load.
	h.Operations = append(h.Operations, harness.Operation{F: "read", Type: harness.OK, Start: 21000 * ms, End: 29000 * ms})
	return h
}

func TestPromises(t *testing.T) {
	for _, c := range []struct {
		text     string
		valid    harness.Validity
		measured float64
		says     string
	}{
		{"gap<5s", harness.Valid, 4.141, "from 4.950 s to 9.091 s"},
		{"gap < 4s", harness.Invalid, 4.141, "kill:leader at n1"},
		{"read gap<5s", harness.Valid, 4.141, ""},
		{"max<=210ms", harness.Valid, 0.210, ""},
		{"max<210ms", harness.Invalid, 0.210, "asked for at 20.900 s"},
		{"median<150ms", harness.Valid, 0.125, ""},
		{"read p50<100ms", harness.Invalid, 0.125, ""},
		{"p100<1s", harness.Valid, 0.210, ""},
		{"write p99<1s", harness.NotJudged, 0, "no write succeeded"},
		{"ok>=80%", harness.Valid, 170.0 / 210, ""},
		{"ok>81%", harness.Invalid, 170.0 / 210, "170 of 210 operations succeeded"},
		{"throughput>=7.9/s", harness.Valid, 7.95, ""},
		{"throughput>8/s", harness.Invalid, 7.95, ""},
		{"elections<=4", harness.Valid, 4, ""},
		{"elections<=2/fault", harness.Invalid, 3, "At 7.000 s: n2 in term 4."},
		{"elections<=3/fault", harness.Valid, 3, "from kill:leader of n1 at 5.000 s"},
		{"leaders<=1/fault", harness.Valid, 1, ""},
		{"leaders<1", harness.Invalid, 1, ""},
		{"failover max<4s", harness.Invalid, 4.091, "hit n1"},
		{"failover p99<5s", harness.Valid, 4.091, "over 1 failover"},
		{"leaderless<2s after healing", harness.Valid, 1.75, "at n1"},
		{"leaderless<1s  after healing", harness.Invalid, 1.75, "No fault was in force"},
		{"leaderless<=1.75s", harness.Valid, 1.75, ""},
		{"heartbeat p98<100ms", harness.Valid, 0.09, "over 120 intervals"},
		{"heartbeat p99<200ms", harness.Invalid, 0.25, "The longest was 0.310 s: so long n1, some time between 11.000 s and 13.000 s, received no heartbeat of n2, which led."},
		{"heartbeat max<200ms after healing", harness.Valid, 0.08, "over 20 intervals"},
		{"missed heartbeats<=3", harness.Valid, 3, "in 2 of 120 intervals"},
		{"missed  heartbeats < 3", harness.Invalid, 3, "A heartbeat was due after 0.100 s, and 3 were missed in 2 of 120 intervals."},
		{"missed heartbeats<=0 after healing", harness.Valid, 0, ""},
	} {
		p, err := Parse(c.text)
		if err != nil {
			t.Error(err)
			continue
		}
		r, err := p.Check(t.Context(), sample())
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if r.Valid != c.valid {
			t.Errorf("%s: %v, want %v: %s", c.text, r.Valid, c.valid, r.Summary)
		}
		d, _ := r.Details.(Details)
		if c.valid != harness.NotJudged && math.Abs(d.Measured-c.measured) > 0.003 {
			t.Errorf("%s: measured %v, want %v", c.text, d.Measured, c.measured)
		}
		all := r.Summary
		if r.Counterexample != nil {
			all += " " + strings.Join(r.Counterexample.Story, " ")
		}
		if !strings.Contains(all, c.says) {
			t.Errorf("%s says %q, which lacks %q", c.text, all, c.says)
		}
	}
}

// A load that rests is no outage; one that is refused before it rests is one until then.
// A promise that was not kept on an overloaded machine is not called broken; one that was kept
// is kept.
func TestPromisesOnAnOverloadedMachine(t *testing.T) {
	for _, c := range []struct {
		text  string
		ready float64
		want  harness.Validity
	}{
		{"gap<3s", 12, harness.Invalid}, {"gap<3s", 20, harness.Unknown}, {"gap<5s", 20, harness.Valid},
	} {
		h := sample()
		for at := harness.MachineEvery; at <= 25*time.Second; at += harness.MachineEvery {
			h.Events = append(h.Events, harness.Event{Time: at, Kind: harness.MachineEvent, Ready: c.ready})
		}
		harness.SortEvents(h.Events)
		p, err := Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Check(t.Context(), h)
		if err != nil || r.Valid != c.want || strings.Contains(r.Summary, "overloaded") != (c.want == harness.Unknown) {
			t.Errorf("%s with %v threads ready: %v: %s, %v", c.text, c.ready, r.Valid, r.Summary, err)
		}
	}
}

func TestRestIsNoGap(t *testing.T) {
	h := &harness.History{}
	add := func(at time.Duration, typ harness.Type) {
		h.Operations = append(h.Operations, harness.Operation{F: "read", Type: typ, Start: at, End: at + 10*ms})
	}
	for at := time.Duration(0); at < 10*time.Second; at += 100 * ms {
		switch {
		case at < 2*time.Second, at >= 8*time.Second:
			add(at, harness.OK)
		case at >= 4*time.Second && at < 5500*ms:
			add(at, harness.Fail)
		}
	}
	for text, want := range map[string]harness.Validity{"gap<1.42s": harness.Valid, "gap<1.3s": harness.Invalid} {
		p, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := p.Check(t.Context(), h); err != nil || r.Valid != want {
			t.Errorf("%s: %v, %v: %s", text, r.Valid, err, r.Summary)
		}
	}
}

func TestNothingToMeasure(t *testing.T) {
	for _, text := range []string{"gap<5s", "p99<1s", "ok>1%", "throughput>1/s", "failover p99<1s", "leaders<2", "elections<1/fault", "leaderless<1s"} {
		p, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := p.Check(t.Context(), &harness.History{}); err != nil || r.Valid != harness.NotJudged {
			t.Errorf("%s of an empty run: %v, %v: %s", text, r.Valid, err, r.Summary)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, says := range map[string]string{
		"":                     "must be METRIC",
		"gap":                  "must be METRIC",
		"gap<":                 "must be METRIC",
		"gap<5":                "no length of time",
		"gap p99<5s":           "no percentiles",
		"failover<5s":          "say which: failover max",
		"p0<1s":                "between p0 and p100",
		"p101<1s":              "between p0 and p100",
		"speed<5s":             `no metric "speed"`,
		"<5s":                  `no metric ""`,
		"ok>0.9":               "no share",
		"ok>190%":              "no share",
		"throughput>5":         "how many a second",
		"elections<=x":         "must be METRIC",
		"elections<=1x":        "no number",
		"gap<5s/fault":         "not for each fault",
		"gap<5s after healing": "not for the time after healing",
		"elections<1/s":        "no number for each second",
		"a b p99<1s":           "no metric",
		"read elections<=1":    "no metric",
		"leaderless max<1s":    "no percentiles",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"gap<5s", "read p99.9<=1s", "elections<=1/fault", "leaderless<5s after healing", "throughput>=1e3/s", "ok>=99%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(p.String())
		if err != nil || again.bound != p.bound && !math.IsNaN(p.bound) || again.metric.name != p.metric.name {
			t.Errorf("%q is read as %q, which is another promise: %v", text, p, err)
		}
		if _, err := p.Check(t.Context(), sample()); err != nil {
			t.Error(err)
		}
	})
}

func TestLag(t *testing.T) {
	h := &harness.History{Events: []harness.Event{{Kind: harness.PhaseEvent, Message: "load"}}}
	for i := range 10 {
		at := time.Duration(i) * 250 * time.Millisecond
		for node, applied := range map[string]int{"n1": 10 + i, "n2": 10 + max(0, i-4)} { // n2 is a second behind
			h.Events = append(h.Events, harness.Event{Kind: harness.StateEvent, Time: at, Node: node, Role: "follower", Applied: uint64(applied)})
		}
	}
	for text, valid := range map[string]harness.Validity{"lag<2s": harness.Valid, "lag<700ms": harness.Invalid, "lag<900ms": harness.Valid} {
		p, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Check(t.Context(), h)
		if err != nil || r.Valid != valid || !strings.Contains(r.Summary, "0.750 s at n2") {
			t.Errorf("%s: %v %s, %v", text, r.Valid, r.Summary, err)
		}
	}
	p, err := Parse("lag<2s")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := p.Check(t.Context(), sample()); err != nil || r.Valid != harness.NotJudged {
		t.Errorf("of nodes without positions: %v %s, %v", r.Valid, r.Summary, err)
	}
}
