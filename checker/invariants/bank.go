package invariants

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Bank checks that transfers between accounts neither make nor lose money: every
// read shows the same total, and no account is overdrawn (Jepsen's bank test).
type Bank struct {
	// Total is what all accounts hold together; nothing: what the first read shows.
	Total model.Maybe
	// Accounts are those that there are; nil: those of the first read.
	Accounts []string
	// Negative allows accounts to be overdrawn.
	Negative bool
}

// Name implements [harness.Checker].
func (Bank) Name() string { return "bank" }

// Check implements [harness.Checker].
func (b Bank) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	err := check(h, "a bank", func(op *harness.Operation) bool {
		switch op.F {
		case "transfer":
			_, ok := op.Input.(model.Transfer)
			return ok
		case "read":
			_, ok := op.Output.(model.Balances)
			return ok || op.Type != harness.OK
		}
		return false
	})
	if err != nil {
		return harness.Result{Checker: b.Name()}, err
	}
	f := find(model.Bank(), h, "wrong-total", "negative-value", "nil-balance", "unexpected-key")
	var first *harness.Operation
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.F == "transfer" && op.Type == harness.OK {
			f.Counts["transfers"]++
		}
		if op.F != "read" || op.Type != harness.OK {
			continue
		}
		f.Counts["reads"]++
		got := op.Output.(model.Balances)
		if first == nil {
			first = op
			if !b.Total.Set {
				b.Total = model.Just(got.Total())
			}
			if b.Accounts == nil {
				for _, a := range got {
					b.Accounts = append(b.Accounts, a.Account)
				}
			}
		}
		var odd, missing, negative []string
		for _, a := range got {
			switch {
			case !slices.Contains(b.Accounts, a.Account):
				odd = append(odd, a.Account)
			case !a.Amount.Set:
				missing = append(missing, a.Account)
			case a.Amount.Int < 0:
				negative = append(negative, a.Account)
			}
		}
		who := fmt.Sprintf("Process %d", op.Process)
		switch total := got.Total(); {
		case len(odd) > 0:
			f.add("unexpected-key", op.Key, fmt.Sprintf("%s was shown accounts that there are not: %s.", who, strings.Join(odd, ", ")), op)
		case len(missing) > 0:
			f.add("nil-balance", op.Key, fmt.Sprintf("%s was shown nothing for %s.", who, strings.Join(missing, ", ")), op)
		case total != b.Total.Int && first != op && first.Output.(model.Balances).Total() == b.Total.Int:
			f.add("wrong-total", op.Key, fmt.Sprintf("%s was shown %d in all, and process %d %d: no transfer changes that.", who, total, first.Process, b.Total.Int), first, op)
		case total != b.Total.Int:
			f.add("wrong-total", op.Key, fmt.Sprintf("%s was shown %d in all; there are %d.", who, total, b.Total.Int), op)
		case len(negative) > 0 && !b.Negative:
			f.add("negative-value", op.Key, fmt.Sprintf("%s was shown less than nothing for %s.", who, strings.Join(negative, ", ")), op)
		}
	}
	r := f.result(b.Name(), "Reads of the bank went wrong", fmt.Sprintf("Each of %s showed %d in all.", story.Plural(f.Counts["reads"], "read"), b.Total.Int))
	if r.Valid == harness.Valid && f.Counts["reads"] == 0 {
		r.Valid, r.Summary = harness.Unknown, "Nobody read the bank."
	}
	return r, nil
}
