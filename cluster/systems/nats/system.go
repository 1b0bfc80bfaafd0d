// Package nats is NATS with JetStream (nats.io) as a system under test, in any release
// from 2.10.20 on, through its official Go client.
//
// Start with [System]. There are two streams, each replicated and stored in files: a
// stream of messages and a bucket of keys and values. A set is a subject of the stream for
// each element; a queue is a subject, whose oldest message is deleted by who takes it; a
// register is a key of the bucket.
//
// JetStream has no read that is linearizable. A client that wants one has something
// written: see connection.settled and connection.read.
package nats

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

// System is NATS with JetStream; see the settings.
type System struct{}

var (
	_ cluster.System      = System{}
	_ cluster.Imaged      = System{}
	_ cluster.Timed       = System{}
	_ cluster.Informer    = System{}
	_ cluster.Readiness   = System{}
	_ cluster.Initializer = System{}
	_ cluster.Digester    = System{}
	_ cluster.Transferer  = System{}
)

const (
	clientPort  = 4222
	clusterPort = 6222
	monitorPort = 8222
	config      = "/data/nats.conf"
	// memory is what a node may have, and GOMEMLIMIT nine tenths of it, as the project's own
	// chart for Kubernetes recommends.
	memory = 2 << 30
)

// The modes of reads.
const (
	linearizable = "linearizable" // confirmed by a write
	lease        = "lease"        // by the node that takes itself for the stream's leader
	stale        = "stale"        // by any replica
)

// settings are what can be set, with its default.
var settings = map[string]string{
	"replicas":      "3",  // of each stream: 1, 3 or 5
	"sync-interval": "2m", // how often written messages are synced to the disk, or "always"
}

func setting(o cluster.Options, name string) string { return o.Setting(name, settings) }

// Name implements cluster.System.
func (System) Name() string { return "nats" }

// Check implements cluster.System.
func (s System) Check(o cluster.Options) error {
	if o.Bug != "" {
		return fmt.Errorf("nats has no planted bug %q, only its own: see --system-version", o.Bug)
	}
	if !slices.Contains([]string{"", linearizable, lease, stale}, o.Reads) {
		return fmt.Errorf("unknown mode of reads %q; nats has linearizable, lease and stale", o.Reads)
	}
	if err := o.CheckSettings("nats", slices.Sorted(maps.Keys(settings))...); err != nil {
		return err
	}
	if r := setting(o, "replicas"); !slices.Contains([]string{"1", "3", "5"}, r) {
		return fmt.Errorf("replicas is 1, 3 or 5, not %q", r)
	}
	if every := setting(o, "sync-interval"); every != "always" {
		if d, err := time.ParseDuration(every); err != nil || d <= 0 {
			return fmt.Errorf("sync-interval is a duration such as 1s, or always, not %q", every)
		}
	}
	_, err := s.Images(o)
	return err
}

// Pod implements cluster.System.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	var routes []string
	for _, n := range all {
		if n.Name != node.Name {
			routes = append(routes, fmt.Sprintf("nats://%s:%d", n.Host, clusterPort))
		}
	}
	text := fmt.Sprintf(`server_name: %s
port: %d
http: %d
cluster { name: coup, port: %d, routes: [%s] }
jetstream { store_dir: /data, max_mem: 64M, max_file: 4G, sync_interval: %q }
`, node.Name, clientPort, monitorPort, clusterPort, strings.Join(routes, ", "), setting(o, "sync-interval"))
	return cluster.Pod{
		Containers: []cluster.Container{{
			Name: "nats", Image: "nats", Entrypoint: []string{"nats-server"}, Args: []string{"-c", config},
			Memory: memory, Env: []string{fmt.Sprint("GOMEMLIMIT=", memory/10*9)},
		}},
		Ports: []cluster.Port{
			{Name: "clients", Number: clientPort}, {Name: "monitor", Number: monitorPort},
			{Name: "cluster", Number: clusterPort, Peers: true},
		},
		Data:  []cluster.Dir{{Path: "/data"}},
		Files: []cluster.File{{Path: config, Content: []byte(text)}},
	}
}

// Timing implements cluster.Timed. Elections begin after 4 to 9 s without a word of the
// leader, which can't be set. A replica that lags may get all that it lacks with the
// next snapshot only, of which there is one in two minutes (seen with 2.12.15 and 2.15.3).
func (System) Timing(cluster.Options) cluster.Timing {
	return cluster.Timing{Start: time.Minute, Restart: 5 * time.Second, Failover: 9 * time.Second, Election: 3 * time.Minute}
}

// DefaultVersion is the release that is run if none is asked for.
const DefaultVersion = "2.15.3"

// Images implements cluster.Imaged.
func (System) Images(o cluster.Options) ([]images.Recipe, error) {
	version := strings.TrimPrefix(o.Version, "v")
	if version == "" {
		version = DefaultVersion
	}
	// What a node tells of its raft can be asked for from 2.10.20 on.
	parts := strings.SplitN(version, ".", 3)
	if minor, err := strconv.Atoi(slices.Concat(parts, []string{"", ""})[1]); err != nil || len(parts) < 3 || parts[0] != "2" || minor < 10 {
		return nil, fmt.Errorf("%q is no release of NATS from 2.10.20 on, such as %s", o.Version, DefaultVersion)
	}
	return []images.Recipe{{Name: "nats", Version: version, Official: "nats:" + version, Programs: []images.GoProgram{{
		Path: "/usr/local/bin/nats-server", Module: "github.com/nats-io/nats-server/v2", Version: "v" + version,
		Package: "github.com/nats-io/nats-server/v2",
	}}}}, nil
}
