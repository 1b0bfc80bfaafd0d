package workloads

import (
	"context"
	"math/rand/v2"

	"coup/checker/invariants"
	"coup/checker/model"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
)

// bank is Jepsen's bank test: whatever is transferred, the total is the same in every read.
// It shows whether transactions are isolated from each other, and not whether they last.
var bank = Workload{
	Doc:       "transfers between accounts, whose total stays the same, and reads of all accounts",
	Generator: func(Options) harness.Generator { return bankOps{} },
	Final: func([]string) harness.Generator {
		return gen.Retry([]harness.Op{{F: "read"}}, succeeded)
	},
	// There is one bank.
	Keys: func(harness.Op) []string { return nil },
	Owns: func(string) bool { return false },
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		b := c.(cluster.Bank)
		switch op.F {
		case "transfer":
			t := op.Value.(model.Transfer)
			return nil, b.Transfer(ctx, t.From, t.To, t.Amount)
		case "read":
			held, err := b.Balances(ctx)
			if err != nil {
				return nil, err
			}
			all := model.Balances{}
			for account, amount := range held {
				all = append(all, model.Balance{Account: account, Amount: model.Just(amount)})
			}
			all.Sort()
			return all, nil
		}
		return nil, unknownFunction(op)
	},
	Supports: supports[cluster.Bank],
	Decode:   model.DecodeBank,
	Checkers: func() []harness.Checker {
		accounts := cluster.BankAccounts()
		return []harness.Checker{invariants.Bank{Total: model.Just(int64(len(accounts)) * cluster.BankBalance), Accounts: accounts}}
	},
	Needs: []string{"transfer", "read"},
}

// mostTransferred is the largest amount of a transfer.
const mostTransferred = 5

// bankOps mixes transfers with reads.
type bankOps struct{}

func (g bankOps) Next(m harness.Moment) (harness.Op, harness.Generator) {
	if m.Rand.IntN(2) == 0 {
		return harness.Op{F: "read"}, g
	}
	from, to := two(m.Rand, cluster.BankAccounts())
	return harness.Op{F: "transfer", Value: model.Transfer{From: from, To: to, Amount: 1 + m.Rand.Int64N(mostTransferred)}}, g
}

func (g bankOps) Update(harness.Moment, harness.Op) harness.Generator { return g }

// two draws two different ones.
func two(r *rand.Rand, all []string) (string, string) {
	i, j := r.IntN(len(all)), r.IntN(len(all)-1)
	if j >= i {
		j++
	}
	return all[i], all[j]
}
