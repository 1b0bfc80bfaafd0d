package checker

import (
	"context"
	"errors"
	"testing"

	"coup/checker/conduct"
	"coup/checker/internal/testhistory"
	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/harness"
)

type broken struct{ err error }

func (broken) Name() string { return "broken" }

func (b broken) Check(context.Context, *harness.History) (harness.Result, error) {
	if b.err == nil {
		panic("nobody expected this")
	}
	return harness.Result{}, b.err
}

func TestCheckAll(t *testing.T) {
	m := model.Register()
	valid, invalid := testhistory.Parse(t, m, `[write 1] [read -> 1]`), testhistory.Parse(t, m, `[write 1] [read -> 2]`)
	lin := linearizable.Checker{Model: m}
	cases := []struct {
		name     string
		history  *harness.History
		checkers []harness.Checker
		valid    harness.Validity
	}{
		{"none", valid, nil, harness.Unknown},
		{"valid", valid, []harness.Checker{lin, conduct.Availability{}}, harness.Valid},
		{"a panic is unknown", valid, []harness.Checker{lin, broken{}}, harness.Unknown},
		{"an error is unknown", valid, []harness.Checker{broken{errors.New("garbled")}, lin}, harness.Unknown},
		{"the worst wins", invalid, []harness.Checker{broken{}, lin, conduct.Availability{}}, harness.Invalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := CheckAll(context.Background(), c.checkers, c.history)
			if v.Valid != c.valid || len(v.Results) != len(c.checkers) {
				t.Errorf("verdict %+v", v)
			}
			for i, r := range v.Results {
				if r.Checker != c.checkers[i].Name() || r.Summary == "" {
					t.Errorf("result %+v", r)
				}
			}
		})
	}
}
