package nats

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"coup/cluster"
	"coup/cluster/systems/rest"
	"coup/harness"
)

// account is the one in which clients are that have not logged in.
const account = "$G"

// replica is what a node tells of a stream that it holds.
type replica struct {
	Name    string `json:"name"`
	Group   string `json:"stream_raft_group"`
	Cluster struct {
		Leader string `json:"leader"`
	} `json:"cluster"`
	State struct {
		Messages uint64 `json:"messages"`
		Bytes    uint64 `json:"bytes"`
		First    uint64 `json:"first_seq"`
		Last     uint64 `json:"last_seq"`
		Deleted  int    `json:"num_deleted"`
	} `json:"state"`
}

// group is what a node tells of a group of raft that it is in.
type group struct {
	ID        string `json:"id"`
	State     string `json:"state"`
	Leader    string `json:"leader"`
	Term      uint64 `json:"term"`
	Committed uint64 `json:"committed"`
	Applied   uint64 `json:"applied"`
	Last      uint64 `json:"pindex"`
	Peers     map[string]struct {
		Name string `json:"name"`
	} `json:"peers"`
}

// replicas are the streams that a node holds, by what it has of them.
func replicas(ctx context.Context, monitor *rest.Client) ([]replica, error) {
	var jsz struct {
		Accounts []struct {
			Streams []replica `json:"stream_detail"`
		} `json:"account_details"`
	}
	if err := monitor.Do(ctx, http.MethodGet, "/jsz?streams=true&raft=true", nil, &jsz); err != nil {
		return nil, err
	}
	var all []replica
	for _, a := range jsz.Accounts {
		all = append(all, a.Streams...)
	}
	slices.SortFunc(all, func(a, b replica) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Tells implements cluster.Informer.
func (System) Tells() harness.Facts {
	return harness.Facts{harness.Leader, harness.Term, harness.Position}
}

// Status implements cluster.Informer. The leader is that of the stream that is used: each
// stream has its own, and a load uses one of the two.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	monitor := rest.New(a, node, "monitor")
	defer monitor.Close()
	all, err := replicas(ctx, monitor)
	if err != nil {
		return cluster.Status{}, fmt.Errorf("status: %w", err)
	}
	var used replica
	for _, r := range all {
		if used.Name == "" || r.State.Last > used.State.Last {
			used = r
		}
	}
	if used.Group == "" {
		return cluster.Status{}, fmt.Errorf("status of %s: it holds no stream", node)
	}
	var raft map[string]map[string]group
	if err := monitor.Do(ctx, http.MethodGet, "/raftz?acc="+account+"&group="+used.Group, nil, &raft); err != nil {
		return cluster.Status{}, fmt.Errorf("status: %w", err)
	}
	g, ok := raft[account][used.Group]
	role := strings.ToLower(g.State)
	if !ok || !slices.Contains([]string{"leader", "follower", "candidate"}, role) {
		return cluster.Status{}, fmt.Errorf("status of %s: the group %s is %q", node, used.Group, g.State)
	}
	s := cluster.Status{Node: node, Role: role, Term: g.Term, Last: g.Last, Commit: g.Committed, Applied: g.Applied}
	if g.Leader == g.ID {
		s.Leader = node
	} else {
		s.Leader = g.Peers[g.Leader].Name
	}
	return s, nil
}

// Ready implements cluster.Readiness: the group that knows of all streams has a leader,
// and so has each stream that there is.
func (System) Ready(ctx context.Context, a cluster.Access, o cluster.Options) error {
	for _, n := range a.Nodes() {
		monitor := rest.New(a, n.Name, "monitor")
		defer monitor.Close()
		if err := monitor.Do(ctx, http.MethodGet, "/healthz", nil, nil); err != nil {
			return err
		}
		all, err := replicas(ctx, monitor)
		if err != nil {
			return err
		}
		for _, r := range all {
			if r.Cluster.Leader == "" {
				return fmt.Errorf("%s knows of no leader of the stream %s", n.Name, r.Name)
			}
		}
	}
	return nil
}

// Init implements cluster.Initializer: it makes the streams. Nodes do not answer while there
// is no leader, so it does not wait for long.
func (System) Init(ctx context.Context, a cluster.Access, o cluster.Options) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	c, err := dial(ctx, a, a.Nodes()[0].Name)
	if err != nil {
		return err
	}
	defer c.Close()
	for stream := range streams(o) {
		if err := create(ctx, c, stream, o); err != nil {
			return fmt.Errorf("%w: %w", harness.ErrFail, err) // what was made is made
		}
	}
	return nil
}

// Digest implements cluster.Digester: which messages a node has, by their numbers. Where
// it is in the log it does not tell at the same moment.
func (System) Digest(ctx context.Context, a cluster.Access, node string, _ []string, _ cluster.Options) (uint64, string, error) {
	monitor := rest.New(a, node, "monitor")
	defer monitor.Close()
	all, err := replicas(ctx, monitor)
	if err != nil {
		return 0, "", err
	}
	var has []string
	for _, r := range all {
		has = append(has, fmt.Sprintf("%s %+v", r.Name, r.State))
	}
	return 0, strings.Join(has, ", "), nil
}

// TransferLeader implements cluster.Transferer, for the stream that is used. Releases
// before 2.11 choose the successor themselves.
func (y System) TransferLeader(ctx context.Context, a cluster.Access, leader, to string) (refused string, err error) {
	monitor := rest.New(a, leader, "monitor")
	defer monitor.Close()
	all, err := replicas(ctx, monitor)
	if err != nil || len(all) == 0 {
		return "", fmt.Errorf("%w: %s tells no stream: %w", harness.ErrFail, leader, err)
	}
	used := slices.MaxFunc(all, func(a, b replica) int { return int(int64(a.State.Last) - int64(b.State.Last)) })
	c, err := dial(ctx, a, leader)
	if err != nil {
		return "", err
	}
	defer c.Close()
	var done struct{}
	body := map[string]any{"placement": map[string]any{"preferred": to}}
	var said *apiError
	if err := call(ctx, c, "STREAM.LEADER.STEPDOWN."+used.Name, body, &done); errors.As(err, &said) {
		return said.Error(), nil
	} else if err != nil {
		return "", err
	}
	for ctx.Err() == nil {
		if now, err := y.Status(ctx, a, leader); err == nil && now.Role != "leader" && now.Leader != "" && now.Leader != leader {
			return "", nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return "", fmt.Errorf("%w: %s was told to step down", cluster.ErrPending, leader)
}
