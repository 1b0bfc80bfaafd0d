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
	})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Name     string `xml:"name,attr"`
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Errors   int    `xml:"errors,attr"`
		Cases    []struct {
			Name    string  `xml:"name,attr"`
			Failure *string `xml:"failure"`
			Error   *string `xml:"error"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	if got.Name != "raft & <friends>" || got.Tests != 3 || got.Failures != 1 || got.Errors != 1 {
		t.Errorf("%+v", got)
	}
	if c := got.Cases[1]; c.Failure == nil || *c.Failure != "one < two\nthree" || c.Error != nil {
		t.Errorf("the violation: %+v", c)
	}
	if c := got.Cases[2]; c.Error == nil || c.Failure != nil {
		t.Errorf("the unknown: %+v", c)
	}
}
