package judge

import (
	"context"
	"testing"

	"coup/harness"
	"coup/workloads"
)

// counting counts the operations that it is given.
type counting struct{ n *int }

func (counting) Name() string { return "counting" }
func (c counting) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	*c.n = len(h.Operations)
	return harness.Result{}, nil
}

// Strangers who are refused, or whom nobody answers, are no clients that the system left alone.
func TestStrangersAreNoClients(t *testing.T) {
	for workload, want := range map[string]int{"register,stranger": 2, "register": 3} {
		w, err := workloads.Find(workload)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		h := harness.History{Operations: []harness.Operation{{F: "register.read"}, {F: "stranger.flood", Type: harness.Info}, {F: "stranger.read"}}}
		if _, err := ofClients(counting{&n}, w).Check(t.Context(), &h); err != nil || n != want {
			t.Errorf("%s: %d operations are the clients', not %d (%v)", workload, n, want, err)
		}
	}
}
