package spark

import (
	"context"
	"errors"
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

// leader is the master that says that it leads; "" if none does.
func leader(ctx context.Context, a cluster.Access) string {
	return jvm.Leader(ctx, a, func(ctx context.Context, node string) (bool, error) {
		t, err := ask(ctx, a, node)
		return t.Status == "ALIVE", err
	})
}

// Tells implements cluster.Informer: masters have no terms.
func (System) Tells() harness.Facts { return harness.Facts{harness.Leader} }

// Status implements cluster.Informer. A node that does not lead takes whoever says so for the
// leader: a standby knows nothing of the others.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	t, err := ask(ctx, a, node)
	if err != nil {
		return cluster.Status{}, fmt.Errorf("status of %s: %w", node, err)
	}
	s := cluster.Status{Node: node, Role: "follower"}
	switch t.Status {
	case "ALIVE":
		s.Role, s.Leader = "leader", node
		return s, nil
	case "RECOVERING", "COMPLETING_RECOVERY":
		s.Role = "candidate"
	}
	s.Leader = leader(ctx, a)
	return s, nil
}

// Ready implements cluster.Readiness: one master leads, the others stand by, and the leader has
// all workers.
func (System) Ready(ctx context.Context, a cluster.Access, _ cluster.Options) error {
	leads, alive := "", 0
	for _, n := range jvm.Of(jvm.Manager, a.Nodes()) {
		t, err := ask(ctx, a, n.Name)
		switch {
		case err != nil:
			return err
		case t.Status == "ALIVE" && leads != "":
			return fmt.Errorf("%s and %s lead", leads, n.Name)
		case t.Status == "ALIVE":
			leads = n.Name
			for _, w := range t.Workers {
				if w.State == "ALIVE" {
					alive++
				}
			}
		case t.Status != "STANDBY":
			return fmt.Errorf("%s is %s", n.Name, t.Status)
		}
	}
	if leads == "" {
		return errors.New("no master leads")
	}
	workers := jvm.Of(jvm.Worker, a.Nodes())
	if alive < len(workers) {
		return fmt.Errorf("%s has %d of %d workers", leads, alive, len(workers))
	}
	for _, w := range workers {
		if _, err := ask(ctx, a, w.Name); err != nil {
			return err
		}
	}
	return nil
}
