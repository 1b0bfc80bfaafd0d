package nemesis

import (
	"testing"
	"testing/synctest"
	"time"

	"coup/cluster"
	"coup/harness"
)

// Old keys are withdrawn when a strike ends, also when new ones were not shown. There is one
// set of keys, so that strikes follow each other.
func TestRotate(t *testing.T) {
	for _, c := range []struct {
		stubborn           bool
		kinds              string
		rotated, withdrawn int
	}{
		{false, "start hold end start hold end", 2, 2},
		{true, "start miss end start miss end", 2, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(3)
			f.stubborn = c.stubborn
			events := carryOut(t, f, Entry{For: time.Second, Fault: "rotate", Target: All}, Entry{At: 2 * time.Second, For: time.Second, Fault: "rotate", Target: All})
			if kinds(events) != c.kinds || f.rotated != c.rotated || f.withdrawn != c.withdrawn {
				t.Errorf("%v, rotated %d times and withdrawn %d times", events, f.rotated, f.withdrawn)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3)
		events := carryOut(t, f, Entry{For: time.Second, Fault: "rotate", Target: All}, Entry{At: 100 * time.Millisecond, For: time.Second, Fault: "rotate", Target: All})
		held := 0
		for _, e := range events {
			switch e.Kind {
			case harness.FaultHold:
				if held++; held > 1 {
					t.Errorf("two sets of new keys at once: %v", events)
				}
			case harness.FaultEnd:
				held--
			}
		}
	})
}

func TestKeysThatASystemDoesNotHave(t *testing.T) {
	able := fakeSystem{newFake(3)}
	needs := Faults["rotate"].Needs
	if err := needs(able, 3, cluster.Options{}); err != nil {
		t.Error(err)
	}
	if err := needs(able, 3, cluster.Options{Settings: map[string]string{"keys": "none"}}); err == nil || err.Error() != "there are no keys" {
		t.Error(err)
	}
	if err := needs(plain{able}, 3, cluster.Options{}); err == nil {
		t.Error("a system without keys has new ones")
	}
}
