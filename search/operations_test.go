package search

import (
	"reflect"
	"testing"
	"time"

	"coup/harness"
	"coup/plan"
)

// A client that lost its process goes on as another one.
func TestClientsOfProcesses(t *testing.T) {
	s := time.Second
	ops := []harness.Operation{ // in the order of their invocations
		{Process: 0, Start: 0, End: 3 * s, Type: harness.Info},
		{Process: 1, Start: 1 * s, End: 2 * s, Type: harness.Info},
		{Process: 2, Start: 3 * s, End: 4 * s, Type: harness.Info}, // was 1
		{Process: 3, Start: 4 * s, End: 5 * s, Type: harness.OK},   // was 0
		{Process: 4, Start: 5 * s, End: 6 * s, Type: harness.Fail}, // was 2, was 1
	}
	got := clientsOf(ops, 2)
	if want := map[int]int{0: 0, 1: 1, 2: 1, 3: 0, 4: 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What was shrunk to a shorter load keeps what comes after the load.
func TestAShorterLoadTakesItsOperationsAlong(t *testing.T) {
	p := plan.Default()
	p.Schedule = []plan.Strike{}
	p.Operations = []plan.Operation{{At: plan.Duration(time.Second), F: "read", Key: "k0"}, {At: plan.Duration(20 * time.Second), F: "read", Key: "k0"}, {At: plan.Duration(31 * time.Second), F: "read", Key: "k0"}}
	setTime(&p, 5*time.Second)
	if len(p.Operations) != 2 || p.Operations[0].At != plan.Duration(time.Second) || p.Operations[1].At != plan.Duration(6*time.Second) {
		t.Errorf("%+v", p.Operations)
	}
}
