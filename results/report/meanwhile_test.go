package report

import (
	"strings"
	"testing"

	"coup/checker/conduct"
)

func TestSayCutOff(t *testing.T) {
	side := func(majority bool, ok, fail int, agrees conduct.Agreement) conduct.Side {
		return conduct.Side{Majority: majority, Reads: conduct.Attempts{OK: ok, Fail: fail}, Agrees: agrees}
	}
	for _, c := range []struct {
		name  string
		sides []conduct.Side
		says  string
	}{
		{"nobody was asked", []conduct.Side{side(true, 9, 0, conduct.Agrees), side(false, 0, 0, conduct.Agrees)}, ""},
		{"refused", []conduct.Side{side(true, 9, 0, conduct.Agrees), side(false, 0, 7, conduct.Agrees)}, "answered none of 7 operations: they gave up availability"},
		{"answered, and agree", []conduct.Side{side(false, 3, 1, conduct.Agrees), side(true, 9, 9, conduct.Contradicts)}, "answered 3 of 4 operations, and nothing that they answered contradicts"},
		{"not decided", []conduct.Side{side(false, 3, 1, conduct.NotDecided)}, "was not decided"},
		{"contradict", []conduct.Side{side(false, 3, 1, conduct.Contradicts), side(false, 2, 0, conduct.Agrees)}, "answered 5 of 6 operations, and contradict the rest in 1 of 2 cases: they kept availability"},
	} {
		said := sayCutOff(conduct.PartitionDetails{Partitions: []conduct.Partition{{Sides: c.sides}}})
		if (c.says == "") != (said == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: %q, expected %q", c.name, said, c.says)
		}
	}
}
