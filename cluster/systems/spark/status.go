package spark

import (
	"context"
	"fmt"
	"net/http"

	"coup/cluster"
	"coup/cluster/systems/jvm"
	"coup/cluster/systems/rest"
	"coup/harness"
)

// told is what a master says of itself.
type told struct {
	Status  string // ALIVE, STANDBY, RECOVERING, COMPLETING_RECOVERY
	Workers []struct{ State string }
	Drivers []struct{ ID string } `json:"activedrivers"` // those that wait or run
}

func ask(ctx context.Context, a cluster.Access, node string) (t told, err error) {
	c := rest.New(a, node, "web")
	defer c.Close()
	err = c.Do(ctx, http.MethodGet, "/json/", nil, &t)
	return t, err
}

// masters is how masters and workers are asked.
var masters = jvm.Managers{
	Name: "master", Leads: "ALIVE", Waits: "STANDBY", Recovers: []string{"RECOVERING", "COMPLETING_RECOVERY"},
	State: func(ctx context.Context, a cluster.Access, node string) (string, error) {
		t, err := ask(ctx, a, node)
		return t.Status, err
	},
	Worker: func(ctx context.Context, a cluster.Access, node string) error {
		_, err := ask(ctx, a, node)
		return err
	},
}

// Tells implements cluster.Informer: masters have no terms.
func (System) Tells() harness.Facts { return harness.Facts{harness.Leader} }

// Status implements cluster.Informer.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	return masters.Status(ctx, a, node)
}

// Ready implements cluster.Readiness: one master leads, the others stand by, and the leader has
// all workers.
func (System) Ready(ctx context.Context, a cluster.Access, _ cluster.Options) error {
	leader, err := masters.Ready(ctx, a)
	if err != nil {
		return err
	}
	t, err := ask(ctx, a, leader)
	if err != nil {
		return err
	}
	alive, workers := 0, jvm.Of(jvm.Worker, a.Nodes())
	for _, w := range t.Workers {
		if w.State == "ALIVE" {
			alive++
		}
	}
	if alive < len(workers) {
		return fmt.Errorf("%s has %d of %d workers", leader, alive, len(workers))
	}
	for _, w := range workers {
		if err := masters.Worker(ctx, a, w.Name); err != nil {
			return err
		}
	}
	return nil
}
