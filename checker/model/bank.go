package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"coup/harness"
)

// Transfer is the input of a transfer between accounts. As JSON it is
// {"from": account, "to": account, "amount": number}, as in Jepsen's bank test.
type Transfer struct {
	From, To string
	Amount   int64
}

// String writes the transfer for people.
func (t Transfer) String() string { return fmt.Sprintf("%d from %s to %s", t.Amount, t.From, t.To) }

// Balance is what one account holds; nothing if it was not there.
type Balance struct {
	Account string
	Amount  Maybe
}

// Balances are the output of a read of a bank: those of all accounts, in the order of
// their names. As JSON they are an object of the amounts by account.
type Balances []Balance

// Total is the sum of all balances that are there.
func (b Balances) Total() (sum int64) {
	for _, a := range b {
		sum += a.Amount.Int
	}
	return sum
}

// Sort puts balances into the order of the accounts.
func (b Balances) Sort() {
	slices.SortFunc(b, func(x, y Balance) int { return strings.Compare(x.Account, y.Account) })
}

// String writes what each account holds.
func (b Balances) String() string {
	const most = 12
	var words []string
	for i, a := range b {
		if i == most {
			words = append(words, fmt.Sprintf("... (%d accounts)", len(b)))
			break
		}
		words = append(words, a.Account+": "+a.Amount.String())
	}
	return strings.Join(words, ", ")
}

// MarshalJSON writes the object.
func (b Balances) MarshalJSON() ([]byte, error) {
	m := make(map[string]Maybe, len(b))
	for _, a := range b {
		m[a.Account] = a.Amount
	}
	return json.Marshal(m)
}

// name reads a key that may be a string or a number.
func name(raw json.RawMessage) (string, error) {
	var s string
	if err := json.Unmarshal(raw, &s); err == nil {
		return s, nil
	}
	n, err := parseInt(raw)
	if err != nil {
		return "", fmt.Errorf("expected a name or a number, not %s", short(raw))
	}
	return fmt.Sprint(n), nil
}

// DecodeBank is the [harness.Decoder] of banks: transfer takes a [Transfer], read
// returns [Balances].
func DecodeBank(t harness.Type, f string, raw json.RawMessage) (any, error) {
	transfer := func(raw json.RawMessage) (any, error) {
		var in struct{ From, To, Amount json.RawMessage }
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, fmt.Errorf(`expected {"from": account, "to": account, "amount": number}, not %s`, short(raw))
		}
		from, err := name(in.From)
		if err != nil {
			return nil, fmt.Errorf("from: %w", err)
		}
		to, err := name(in.To)
		if err != nil {
			return nil, fmt.Errorf("to: %w", err)
		}
		amount, err := parseInt(in.Amount)
		if err != nil {
			return nil, fmt.Errorf("amount: %w", err)
		}
		return Transfer{from, to, amount}, nil
	}
	balances := func(raw json.RawMessage) (any, error) {
		var in map[string]json.RawMessage
		if err := json.Unmarshal(raw, &in); err != nil || in == nil {
			return nil, fmt.Errorf("expected an object of balances by account, not %s", short(raw))
		}
		b := make(Balances, 0, len(in))
		for account, amount := range in {
			m, err := parseMaybe(amount)
			if err != nil {
				return nil, fmt.Errorf("account %s: %w", account, err)
			}
			b = append(b, Balance{account, m})
		}
		b.Sort()
		return b, nil
	}
	return decode(t, f, raw, "a bank", function{"transfer", transfer, anything}, function{"read", anything, balances})
}

// Bank is how operations on a bank are told; it has no Step, since reads of a bank are
// judged by what they show alone.
func Bank() Model {
	return Model{Name: "bank", Decode: DecodeBank, Text: func(op *harness.Operation) string {
		switch in := op.Input.(type) {
		case Transfer:
			return "transfer " + in.String()
		default:
			if got, ok := op.Output.(Balances); ok {
				return "read -> " + got.String()
			}
			return op.F
		}
	}}
}
