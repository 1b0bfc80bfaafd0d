// Package consul is HashiCorp's Consul (consul.io) as a system under test: a cluster of
// servers with a store of keys and values, and sessions.
//
// Start with [System]. A register is a key; a set is a key for each element; a lock is a key
// that a session holds, one session for each holding.
//
// The client is plain HTTP, which says what is sent and when; the official one is made of
// many packages. From 1.17 on, the licence of Consul is none of free software, and the
// recipe is for releases before.
package consul

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"coup/cluster"
	"coup/images"
)

// System is Consul; see the settings.
type System struct{}

var (
	_ cluster.System    = System{}
	_ cluster.Imaged    = System{}
	_ cluster.Timed     = System{}
	_ cluster.Informer  = System{}
	_ cluster.Readiness = System{}
)

const (
	httpPort = 8500
	rpcPort  = 8300
	serfPort = 8301
)

// queries are the modes of reads, and how a request asks for each.
var queries = map[string]string{
	"": "?consistent", "linearizable": "?consistent",
	"lease": "",       // what Consul calls default: the leader answers while it has its lease
	"stale": "?stale", // the node answers from what it has
}

// settings are what can be set, with its default.
var settings = map[string]string{
	"raft-multiplier": "1",  // by which all times of raft are multiplied: 1 to 10
	"lock-ttl":        "2s", // after which a session that is not renewed is over
}

func setting(o cluster.Options, name string) string { return o.Setting(name, settings) }

// ttl is the setting lock-ttl, which Check has found good.
func ttl(o cluster.Options) time.Duration {
	d, _ := time.ParseDuration(setting(o, "lock-ttl"))
	return d
}

// Name implements cluster.System.
func (System) Name() string { return "consul" }

// Check implements cluster.System.
func (s System) Check(o cluster.Options) error {
	if o.Bug != "" {
		return fmt.Errorf("consul has no planted bug %q", o.Bug)
	}
	if _, ok := queries[o.Reads]; !ok {
		return fmt.Errorf("unknown mode of reads %q; consul has linearizable, lease (its default) and stale", o.Reads)
	}
	if err := o.CheckSettings("consul", slices.Sorted(maps.Keys(settings))...); err != nil {
		return err
	}
	if n, err := strconv.Atoi(setting(o, "raft-multiplier")); err != nil || n < 1 || n > 10 {
		return fmt.Errorf("raft-multiplier is 1 to 10, not %q", setting(o, "raft-multiplier"))
	}
	if d := ttl(o); d < time.Second || d > time.Hour {
		return fmt.Errorf("lock-ttl is a duration from 1s to 1h, not %q", setting(o, "lock-ttl"))
	}
	_, err := s.Images(o)
	return err
}

// Pod implements cluster.System.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	args := []string{
		"agent", "-server", "-node", node.Name, "-bootstrap-expect", strconv.Itoa(len(all)), "-data-dir", "/data/consul",
		"-bind", "0.0.0.0", "-advertise", node.Host, "-client", "0.0.0.0",
		"-hcl", fmt.Sprintf(`performance { raft_multiplier = %s } session_ttl_min = %q`, setting(o, "raft-multiplier"), ttl(o)),
		"-hcl", `disable_update_check = true connect { enabled = false } ports { dns = -1 grpc = -1 grpc_tls = -1 serf_wan = -1 }`,
	}
	for _, n := range all {
		args = append(args, "-retry-join", n.Host)
	}
	return cluster.Pod{
		Containers: []cluster.Container{{Name: "consul", Image: "consul", Entrypoint: []string{"consul"}, Args: args}},
		Ports: []cluster.Port{
			{Name: "http", Number: httpPort},
			{Name: "rpc", Number: rpcPort, Peers: true}, {Name: "serf", Number: serfPort, Peers: true},
		},
		Data: []cluster.Dir{{Path: "/data"}},
	}
}

// Timing implements cluster.Timed. A server that starts again is of use when the others
// have found it by gossip.
func (System) Timing(o cluster.Options) cluster.Timing {
	times, _ := strconv.Atoi(setting(o, "raft-multiplier"))
	return cluster.Timing{
		Start: time.Minute, Restart: 5 * time.Second,
		Failover: time.Duration(times) * 4 * time.Second, Election: time.Duration(times) * 30 * time.Second,
	}
}

// DefaultVersion is the release that is run if none is asked for.
const DefaultVersion = "1.14.11"

// Images implements cluster.Imaged.
func (System) Images(o cluster.Options) ([]images.Recipe, error) {
	version := strings.TrimPrefix(o.Version, "v")
	if version == "" {
		version = DefaultVersion
	}
	parts := strings.Split(version, ".")
	if minor, err := strconv.Atoi(slices.Concat(parts, []string{"", ""})[1]); err != nil || len(parts) < 3 || parts[0] != "1" || minor < 10 || minor > 16 {
		return nil, fmt.Errorf("%q is no release of Consul from 1.10 to 1.16, such as %s", o.Version, DefaultVersion)
	}
	return []images.Recipe{{Name: "consul", Version: version, Official: "hashicorp/consul:" + version, Programs: []images.GoProgram{{
		Path: "/usr/local/bin/consul", Module: "github.com/hashicorp/consul", Version: "v" + version,
		Package: "github.com/hashicorp/consul",
	}}}}, nil
}
