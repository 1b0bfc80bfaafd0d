package catalogue_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"coup/checker/catalogue"
	"coup/harness"
)

func TestEntries(t *testing.T) {
	all := catalogue.All()
	if !slices.IsSortedFunc(all, func(a, b catalogue.Entry) int { return cmp.Compare(a.Name, b.Name) }) {
		t.Error("the models are not sorted by name")
	}
	help := catalogue.Help()
	for _, e := range all {
		if e.Doc == "" || e.Whose == "" || e.Functions == "" || !strings.Contains(help, "  "+e.Name+" ("+e.Whose+")") {
			t.Errorf("%s is not explained", e.Name)
		}
		if e.Decode == nil {
			t.Fatalf("%s has no decoder", e.Name)
		}
		if _, err := e.Decode(harness.Invoke, "no such function", json.RawMessage("1")); err == nil {
			t.Errorf("%s decodes any function", e.Name)
		}
		names, _ := e.Consistencies()
		if len(names) == 0 {
			t.Errorf("%s is judged at no consistency", e.Name)
		}
		for _, name := range append(names, "") {
			c, err := e.Checker(name, catalogue.Options{})
			if err != nil || c == nil {
				t.Fatalf("%s, %q: %v", e.Name, name, err)
			}
			r, err := c.Check(t.Context(), &harness.History{})
			if err != nil || r.Valid == harness.Invalid {
				t.Errorf("%s, %q: a history of nothing is %v, %v", e.Name, name, r.Valid, err)
			}
		}
		if _, err := e.Checker("no such thing", catalogue.Options{}); err == nil {
			t.Errorf("%s is judged at any consistency", e.Name)
		}
	}
	if _, ok := catalogue.Find("register"); !ok {
		t.Error("there is no register")
	}
	if _, ok := catalogue.Find("no such model"); ok {
		t.Error("there is any model")
	}
}
