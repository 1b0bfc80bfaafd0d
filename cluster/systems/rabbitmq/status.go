package rabbitmq

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"

	"coup/cluster"
	"coup/harness"
)

// api asks the management API of a node.
func api(ctx context.Context, a cluster.Access, node, method, path, body string, answer any) error {
	h := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return a.Dial(ctx, node, "management") },
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+node+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.SetBasicAuth("guest", "guest")
	resp, err := h.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", node, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("HTTP status %s", resp.Status)
	}
	if err == nil && answer != nil {
		err = json.Unmarshal(b, answer)
	}
	if err != nil {
		return fmt.Errorf("ask %s: %s: %w", node, path, err)
	}
	return nil
}

// Tells implements cluster.Informer. Queues have terms, nodes have none.
func (System) Tells() harness.Facts { return harness.Facts{harness.Leader} }

// Status implements cluster.Informer. Each queue has a leader (a classic queue the node
// that it is on). The leader of the cluster is taken to be the node that leads most of the
// queues, by the word of the node that is asked.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	var queues []struct{ Name, Node string }
	if err := api(ctx, a, node, http.MethodGet, "/api/queues?columns=name,node", "", &queues); err != nil {
		return cluster.Status{}, err
	}
	leads := map[string]int{}
	for _, q := range queues {
		leads[q.Node]++
	}
	return statusOf(node, a.Nodes(), leads), nil
}

// statusOf is the status of a node by how many queues each node of RabbitMQ leads.
func statusOf(node string, all []cluster.Node, leads map[string]int) cluster.Status {
	s := cluster.Status{Node: node, Role: "follower"}
	most := 0
	for _, name := range slices.Sorted(maps.Keys(leads)) {
		for _, n := range all {
			if nodeName(n) == name && leads[name] > most {
				most, s.Leader = leads[name], n.Name
			}
		}
	}
	if s.Leader == node {
		s.Role = "leader"
	}
	return s
}

// Ready implements cluster.Readiness: every node says that all nodes run, and that there
// is no partition.
func (System) Ready(ctx context.Context, a cluster.Access, _ cluster.Options) error {
	for _, n := range a.Nodes() {
		var all []struct {
			Name       string
			Running    bool
			Partitions []string
		}
		if err := api(ctx, a, n.Name, http.MethodGet, "/api/nodes?columns=name,running,partitions", "", &all); err != nil {
			return err
		}
		running := 0
		for _, other := range all {
			if other.Running && len(other.Partitions) == 0 {
				running++
			}
		}
		if running != len(a.Nodes()) {
			return fmt.Errorf("%s knows of %d running nodes, not %d", n.Name, running, len(a.Nodes()))
		}
	}
	return nil
}

// first is a queue that nobody uses: there is a leader before clients have queues.
const first = "coup"

// Init implements cluster.Initializer: it sets a policy where queues are mirrored.
func (System) Init(ctx context.Context, a cluster.Access, o cluster.Options) error {
	node := a.Nodes()[0].Name
	if setting(o, "queue") == "mirrored" {
		policy := `{"pattern": ".*", "definition": {"ha-mode": "all", "ha-sync-mode": "automatic"}, "apply-to": "queues"}`
		if err := api(ctx, a, node, http.MethodPut, "/api/policies/%2F/mirrored", policy, nil); err != nil {
			return err
		}
	}
	l, err := dial(ctx, a, node)
	if err != nil {
		return err
	}
	defer l.close()
	return within(ctx, l, func() error {
		_, err := l.channel.QueueDeclare(first, true, false, false, false, arguments(setting(o, "queue")))
		return err
	})
}
