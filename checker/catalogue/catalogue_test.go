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

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o     catalogue.Options
		model string
		wrong string
	}{
		{catalogue.Options{}, "set", ""},
		{catalogue.Options{Permits: 3}, "semaphore", ""},
		{catalogue.Options{Permits: -1}, "semaphore", "1 permit or more, not -1"},
		{catalogue.Options{Permits: 3}, "mutex", "--permits goes with the model semaphore, not with mutex"},
		{catalogue.Options{Reentrances: 2}, "reentrant-mutex", ""},
		{catalogue.Options{Reentrances: -2}, "reentrant-mutex", "not -2 times"},
		{catalogue.Options{NegativeBalances: true}, "bank", ""},
		{catalogue.Options{NegativeBalances: true}, "counter", "--negative-balances goes with the model bank"},
		{catalogue.Options{Drained: true}, "log", ""},
		{catalogue.Options{Undrained: true}, "total-queue", ""},
		{catalogue.Options{Undrained: true}, "queue", "--drained=false goes with the model total-queue"},
	} {
		if err := c.o.Check(c.model); (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%+v, %s: %v, want %q", c.o, c.model, err, c.wrong)
		}
	}
}
