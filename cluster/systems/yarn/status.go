package yarn

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

func get(ctx context.Context, a cluster.Access, node, path string, answer any) error {
	c := rest.New(a, node, "web")
	defer c.Close()
	return c.Do(ctx, http.MethodGet, "/ws/v1"+path, nil, answer)
}

// state is what a manager says of itself: ACTIVE, STANDBY, or INITIALIZING.
func state(ctx context.Context, a cluster.Access, node string) (string, error) {
	var said struct {
		ClusterInfo struct{ HAState string }
	}
	err := get(ctx, a, node, "/cluster/info", &said)
	return said.ClusterInfo.HAState, err
}

// leader is the manager that says that it is active; "" if none does.
func leader(ctx context.Context, a cluster.Access) string {
	return jvm.Leader(ctx, a, func(ctx context.Context, node string) (bool, error) {
		said, err := state(ctx, a, node)
		return said == "ACTIVE", err
	})
}

// Tells implements cluster.Informer: managers have no terms.
func (System) Tells() harness.Facts { return harness.Facts{harness.Leader} }

// Status implements cluster.Informer. A node that does not lead takes whoever says so for the
// leader: a standby does not know.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	s := cluster.Status{Node: node, Role: "follower"}
	if jvm.Is(jvm.Worker, a, node) {
		if err := get(ctx, a, node, "/node/info", nil); err != nil {
			return cluster.Status{}, fmt.Errorf("status of %s: %w", node, err)
		}
	} else if said, err := state(ctx, a, node); err != nil {
		return cluster.Status{}, fmt.Errorf("status of %s: %w", node, err)
	} else if said == "ACTIVE" {
		s.Role, s.Leader = "leader", node
		return s, nil
	}
	s.Leader = leader(ctx, a)
	return s, nil
}

// Ready implements cluster.Readiness: one manager is active, the others stand by, and the active
// one has all nodes.
func (System) Ready(ctx context.Context, a cluster.Access, _ cluster.Options) error {
	active := ""
	for _, n := range jvm.Of(jvm.Manager, a.Nodes()) {
		said, err := state(ctx, a, n.Name)
		switch {
		case err != nil:
			return err
		case said == "ACTIVE" && active != "":
			return fmt.Errorf("%s and %s are active", active, n.Name)
		case said == "ACTIVE":
			active = n.Name
		case said != "STANDBY":
			return fmt.Errorf("%s is %s", n.Name, said)
		}
	}
	if active == "" {
		return errors.New("no manager is active")
	}
	var said struct {
		ClusterMetrics struct{ ActiveNodes int }
	}
	if err := get(ctx, a, active, "/cluster/metrics", &said); err != nil {
		return err
	}
	if want := len(jvm.Of(jvm.Worker, a.Nodes())); said.ClusterMetrics.ActiveNodes != want {
		return fmt.Errorf("%s has %d of %d nodes", active, said.ClusterMetrics.ActiveNodes, want)
	}
	return nil
}

// standby reports whether an error says that the manager does not lead: it sends clients on.
func standby(err error) bool {
	var code *rest.StatusError
	return errors.As(err, &code) && code.Code == http.StatusTemporaryRedirect
}
