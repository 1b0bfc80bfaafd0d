package judge

import (
	"testing"

	"coup/checker/transactions"
	"coup/plan"
)

// Transactions are judged by what the system promises for its settings.
func TestTransactionsAreJudgedByWhatIsPromised(t *testing.T) {
	for _, c := range []struct {
		system, level string
		want          transactions.Isolation
	}{
		{"raft", "", ""}, {"none that is known", "", ""},
		{"postgres", "", transactions.Serializable}, {"postgres", "serializable", transactions.Serializable},
		{"postgres", "repeatable-read", transactions.SnapshotIsolation}, {"postgres-alone", "read-committed", transactions.ReadCommitted},
	} {
		p := plan.Default()
		p.System, p.Workload = c.system, "list-append"
		if c.level != "" {
			p.Settings = map[string]string{"isolation": c.level}
		}
		all, err := Checkers(plan.Stored{Plan: p})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, checker := range all {
			if of, ok := checker.(transactions.Checker); ok {
				found = true
				if of.Level != c.want {
					t.Errorf("%s with isolation %q is judged by %q, want %q", c.system, c.level, of.Level, c.want)
				}
				if _, err := transactions.ParseIsolation(string(c.want)); c.want != "" && err != nil {
					t.Error(err)
				}
			}
		}
		if !found {
			t.Errorf("%s: nobody judges the transactions", c.system)
		}
	}
}
