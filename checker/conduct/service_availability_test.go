package conduct

import (
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
	"coup/harness/timeline"
)

func TestAvailability(t *testing.T) {
	m := model.Register()
	h := testhistory.Parse(t, m, ``)
	add := func(start, end time.Duration, kind harness.Type) {
		h.Operations = append(h.Operations, harness.Operation{F: "write", Start: start, End: end, Type: kind})
	}
	add(1000*ms, 1010*ms, harness.OK)
	add(1100*ms, 1200*ms, harness.OK)
	add(1300*ms, 2500*ms, harness.Info)
	add(1300*ms, 2600*ms, harness.Fail)
	add(3400*ms, 3500*ms, harness.OK)
	add(5000*ms, 5100*ms, harness.OK) // after the load
	h.Events = []harness.Event{
		phase(0, "setup"), phase(1000*ms, "load"),
		{Kind: harness.FaultStart, Time: 1500 * ms, ID: 7, Fault: "kill", Target: "leader", Nodes: []string{"n1"}},
		{Kind: harness.FaultHold, Time: 1501 * ms, ID: 7},
		{Kind: harness.FaultEnd, Time: 3000 * ms, ID: 7},
		phase(4000*ms, "heal"),
	}
	d := testhistory.Check(t, Availability{}, h).Details.(AvailabilityDetails)
	if d.LongestGap != (timeline.Stretch{From: 1200 * ms, To: 3500 * ms}) {
		t.Errorf("longest gap %v", d.LongestGap)
	}
	want := []AvailableSecond{{1, 2, 0, 0}, {2, 0, 1, 1}, {3, 1, 0, 0}}
	if len(d.Seconds) != len(want) {
		t.Fatalf("seconds %v", d.Seconds)
	}
	for i := range want {
		if d.Seconds[i] != want[i] {
			t.Errorf("second %v, expected %v", d.Seconds[i], want[i])
		}
	}
	if len(d.Faults) != 1 || d.Faults[0].LongestGap != d.LongestGap || d.Faults[0].Fail != 1 || d.Faults[0].Info != 1 || d.Faults[0].OK != 0 {
		t.Errorf("faults %+v", d.Faults)
	}
	if r := testhistory.Check(t, Availability{}, &harness.History{}); r.Valid != harness.Valid {
		t.Errorf("an empty history is %v", r.Valid)
	}
}
