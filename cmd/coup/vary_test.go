package main

import (
	"strings"
	"testing"

	"coup/plan"
)

func TestVariations(t *testing.T) {
	p := plan.Default()
	p.Seed, p.Settings = 1, map[string]string{"heartbeat": "1s"}
	all, err := variations(p, []string{"reads=lease", "set=batch=1 concurrency=50 rate=0"})
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	if a := all[0]; a.name != asItIs || a.plan.Reads != p.Reads || len(a.plan.Settings) != 1 {
		t.Errorf("%+v", a)
	}
	if a := all[1]; a.plan.Reads != "lease" || a.plan.Settings["heartbeat"] != "1s" {
		t.Errorf("%+v", a)
	}
	if a := all[2]; a.plan.Concurrency != 50 || a.plan.Settings["batch"] != "1" || a.plan.Settings["heartbeat"] != "1s" || a.plan.Reads != p.Reads {
		t.Errorf("%+v", a)
	}
	if len(p.Settings) != 1 {
		t.Errorf("the plan itself has become %v", p.Settings)
	}
	for text, says := range map[string]string{
		"": "needs a flag", "reads": "is no flag", "colour=red": "is no flag", "set=batch": "set=NAME=VALUE",
		"concurrency=many": "invalid argument", "reads=quick": "quick", "nodes=0": "nodes",
	} {
		if _, err := variations(p, []string{text}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, expected: %s", text, err, says)
		}
	}
}
