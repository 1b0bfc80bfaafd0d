package plan

import (
	"strings"
	"testing"
	"time"

	"coup/harness/gen"
)

func TestStages(t *testing.T) {
	p := Plan{Time: Duration(30 * time.Second), Arrivals: "100, 100..2000,0.5"}
	got, err := p.stages()
	want := []gen.Stage{{For: 10 * time.Second, From: 100, To: 100}, {For: 10 * time.Second, From: 100, To: 2000}, {For: 10 * time.Second, From: 0.5, To: 0.5}}
	if err != nil || len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWrongArrivals(t *testing.T) {
	for arrivals, says := range map[string]string{
		"many": "neither a number", "1..": "neither a number", "-5": "neither a number", "NaN": "neither a number",
		"1e9": "up to 1000000", "100,": "neither a number", "100,0": "must not end with 0",
	} {
		p := Default()
		p.Arrivals = arrivals
		if err := p.Resolve(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, expected: %s", arrivals, err, says)
		}
	}
	p := Default()
	p.Arrivals, p.Rate = "100", 10
	if err := p.Resolve(); err == nil || !strings.Contains(err.Error(), "two ways") {
		t.Errorf("arrivals and a rate: %v", err)
	}
}
