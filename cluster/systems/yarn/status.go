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

// managers is how resource managers and node managers are asked.
var managers = jvm.Managers{
	Name: "manager", Leads: "ACTIVE", Waits: "STANDBY", State: state,
	Worker: func(ctx context.Context, a cluster.Access, node string) error {
		return get(ctx, a, node, "/node/info", nil)
	},
}

// Tells implements cluster.Informer: managers have no terms.
func (System) Tells() harness.Facts { return harness.Facts{harness.Leader} }

// Status implements cluster.Informer.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	return managers.Status(ctx, a, node)
}

// Ready implements cluster.Readiness: one manager is active, the others stand by, and the active
// one has all nodes.
func (System) Ready(ctx context.Context, a cluster.Access, _ cluster.Options) error {
	active, err := managers.Ready(ctx, a)
	if err != nil {
		return err
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
