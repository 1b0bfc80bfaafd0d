package results_test

import (
	"encoding/xml"
	"strings"
	"testing"

	"coup/harness"
	"coup/results"
)

func TestJUnit(t *testing.T) {
	var out strings.Builder
	err := results.WriteJUnit(&out, "raft & <friends>", []harness.Result{
		{Checker: "ran", Valid: harness.Valid, Summary: "10 operations."},
		{Checker: "linearizable", Valid: harness.Invalid, Summary: `k1 "broke"`, Counterexample: &harness.Counterexample{Story: []string{"one < two", "three"}}},
		{Checker: "alive", Valid: harness.Unknown, Summary: "n1 ended"},
		{Checker: "terms", Valid: harness.NotJudged, Summary: "The nodes do not tell their term."},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Name     string `xml:"name,attr"`
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Errors   int    `xml:"errors,attr"`
		Skipped  int    `xml:"skipped,attr"`
		Cases    []struct {
			Name    string  `xml:"name,attr"`
			Failure *string `xml:"failure"`
			Error   *string `xml:"error"`
			Skipped *struct {
				Message string `xml:"message,attr"`
			} `xml:"skipped"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	if got.Name != "raft & <friends>" || got.Tests != 4 || got.Failures != 1 || got.Errors != 1 || got.Skipped != 1 {
		t.Errorf("%+v", got)
	}
	if c := got.Cases[1]; c.Failure == nil || *c.Failure != "one < two\nthree" || c.Error != nil {
		t.Errorf("the violation: %+v", c)
	}
	if c := got.Cases[2]; c.Error == nil || c.Failure != nil {
		t.Errorf("the unknown: %+v", c)
	}
	if c := got.Cases[3]; c.Error != nil || c.Failure != nil || c.Skipped == nil || c.Skipped.Message != "The nodes do not tell their term." {
		t.Errorf("what was not judged: %+v", c)
	}
}
