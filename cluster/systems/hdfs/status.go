package hdfs

import (
	"context"
	"fmt"
	"net/http"

	"coup/cluster"
	"coup/cluster/systems/jvm"
	"coup/cluster/systems/rest"
	"coup/harness"
)

// bean is a part of what a program of Hadoop tells of itself.
func bean[T any](ctx context.Context, a cluster.Access, node, name string) (t T, err error) {
	c := rest.New(a, node, "web")
	defer c.Close()
	var said struct{ Beans []T }
	if err := c.Do(ctx, http.MethodGet, "/jmx?qry=Hadoop:service="+name, nil, &said); err != nil {
		return t, err
	}
	if len(said.Beans) != 1 {
		return t, fmt.Errorf("%s tells nothing of %s yet", node, name)
	}
	return said.Beans[0], nil
}

// state is what a name node says of itself: active, standby or initializing.
func state(ctx context.Context, a cluster.Access, node string) (string, error) {
	said, err := bean[struct{ State string }](ctx, a, node, "NameNode,name=NameNodeStatus")
	return said.State, err
}

// names is how name nodes and data nodes are asked.
var names = jvm.Managers{
	Name: "name node", Leads: "active", Waits: "standby", State: state,
	Worker: func(ctx context.Context, a cluster.Access, node string) error {
		_, err := bean[any](ctx, a, node, "DataNode,name=DataNodeInfo")
		return err
	},
}

// Tells implements cluster.Informer. Several name nodes may say that they are active.
func (System) Tells() harness.Facts { return harness.Facts{harness.Leader} }

// Status implements cluster.Informer.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	return names.Status(ctx, a, node)
}

// Ready implements cluster.Readiness: one name node is active and takes writes, the others stand
// by, and the active one has all data nodes.
func (System) Ready(ctx context.Context, a cluster.Access, _ cluster.Options) error {
	active, err := names.Ready(ctx, a)
	if err != nil {
		return err
	}
	said, err := bean[struct {
		FSState          string
		NumLiveDataNodes int
	}](ctx, a, active, "NameNode,name=FSNamesystemState")
	if err != nil {
		return err
	}
	if want := len(jvm.Of(jvm.Worker, a.Nodes())); said.NumLiveDataNodes != want || said.FSState != "Operational" {
		return fmt.Errorf("%s is %s, and has %d of %d data nodes", active, said.FSState, said.NumLiveDataNodes, want)
	}
	return nil
}

// Init implements cluster.Initializer: files are written and read, so that every data node has
// done so once. The first time takes seconds.
func (y System) Init(ctx context.Context, a cluster.Access, o cluster.Options) error {
	conn, err := y.Open(a, a.Nodes()[0].Name, o)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := conn.(*connection)
	for range 2 * len(jvm.Of(jvm.Worker, a.Nodes())) {
		if err := c.WriteObject(ctx, "warm", "up", []byte("warm")); err != nil {
			return err
		}
		if _, _, err := c.ReadObject(ctx, "warm", "up"); err != nil {
			return err
		}
	}
	return nil
}
